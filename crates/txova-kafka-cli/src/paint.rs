//! Words and numbers for people: colours where they are wanted, thousands apart.

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub on: bool,
}

impl Paint {
    pub(crate) fn good(self, text: impl AsRef<str>) -> String {
        self.wrap("32", text)
    }

    pub(crate) fn bad(self, text: impl AsRef<str>) -> String {
        self.wrap("31;1", text)
    }

    pub(crate) fn warm(self, text: impl AsRef<str>) -> String {
        self.wrap("33", text)
    }

    pub(crate) fn bold(self, text: impl AsRef<str>) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn faint(self, text: impl AsRef<str>) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// 5155 as `5,155`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 line`, `2 lines`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// Milliseconds for people.
pub(crate) fn ms(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), |us| format!("{:.1} ms", us as f64 / 1_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let numbers = [0, 999, 1_000, 56_705, 1_000_000].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "56,705", "1,000,000"]);
    }

    #[test]
    fn without_colours_text_is_only_text() {
        assert_eq!(Paint { on: false }.bad("lost"), "lost");
        assert_eq!(Paint { on: true }.good("met"), "\x1b[32mmet\x1b[0m");
    }
}
