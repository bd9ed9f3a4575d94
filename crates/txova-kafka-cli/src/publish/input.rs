//! JSON objects in a text, each with its line: on a line each, over several lines, or in an array. Whether one is good
//! JSON is found out by whoever reads it.

/// What looks like one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'a> {
    /// The line it begins on, from 1.
    pub line: usize,
    pub text: &'a str,
}

/// Every object of the text. One that has no end goes up to the next line that begins with `{`, so that a broken line of
/// many spoils no other; what is no object at all is given, too, to be refused with its line.
pub(super) fn values(text: &str) -> Vec<Value<'_>> {
    let mut scan = Scan { text, values: Vec::new(), start: None, depth: 0, in_text: false, escaped: false };
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with('{') {
            scan.cut(at);
        }
        scan.line(index + 1, at, line);
        at += line.len();
    }
    scan.cut(text.len());
    scan.values
}

struct Scan<'a> {
    text: &'a str,
    values: Vec<Value<'a>>,
    /// Line and place where the value under way begins.
    start: Option<(usize, usize)>,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Scan<'_> {
    fn line(&mut self, number: usize, at: usize, line: &str) {
        for (offset, char) in line.char_indices() {
            let here = at + offset;
            if self.in_text {
                (self.in_text, self.escaped) = (self.escaped || char != '"', !self.escaped && char == '\\');
                continue;
            }
            match char {
                // Around and between objects of an array, or between objects.
                '[' | ']' | ',' if self.start.is_none() => {}
                _ if char.is_whitespace() => {}
                _ => {
                    let (_, _) = *self.start.get_or_insert((number, here));
                    match char {
                        '"' => self.in_text = true,
                        '{' | '[' => self.depth += 1,
                        '}' | ']' => {
                            self.depth = self.depth.saturating_sub(1);
                            if self.depth == 0 {
                                self.cut(here + 1);
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        // Outside of an object a line is all there is of whatever stands there.
        if self.depth == 0 {
            self.cut(at + line.len());
        }
    }

    fn cut(&mut self, end: usize) {
        if let Some((line, start)) = self.start.take() {
            self.values.push(Value { line, text: self.text[start..end].trim_end() });
        }
        (self.depth, self.in_text, self.escaped) = (0, false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, &str)> {
        values(text).into_iter().map(|value| (value.line, value.text)).collect()
    }

    #[test]
    fn objects_are_found_on_lines_over_lines_and_in_arrays_with_the_line_each_begins_on() {
        assert_eq!(found("{\"a\":1}\n\n{\"b\":{}}\r\n"), [(1, "{\"a\":1}"), (3, "{\"b\":{}}")]);
        assert_eq!(
            found("\n{\n  \"a\": [\n    {}\n  ]\n}\n{}"),
            [(2, "{\n  \"a\": [\n    {}\n  ]\n}"), (7, "{}")]
        );
        assert_eq!(found("[\n  {\"a\":1},\n  {\"b\":2}\n]"), [(2, "{\"a\":1}"), (3, "{\"b\":2}")]);
        assert_eq!(found("{\"t\":\"}\\\"{\"} {}"), [(1, "{\"t\":\"}\\\"{\"}"), (1, "{}")]);
        assert_eq!(found(" \n"), []);
    }

    #[test]
    fn a_broken_line_spoils_no_other() {
        let text = "{\"a\":1\n{\"b\":2}\n{\"c\":\"x\n{\"d\":4}\nnonsense\n{}";
        let lines = ["{\"a\":1", "{\"b\":2}", "{\"c\":\"x", "{\"d\":4}", "nonsense", "{}"];
        let expected: Vec<_> = lines.iter().enumerate().map(|(at, text)| (at + 1, *text)).collect();
        assert_eq!(found(text), expected);
    }
}
