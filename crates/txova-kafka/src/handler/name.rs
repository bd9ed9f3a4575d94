//! A handler's name for people, out of its type's name. Knows only text.

/// The function's own name, without path and generics; a closure is named after the function it stands in.
///
/// `type_name`'s form is not guaranteed: an odd one gives an odd name, never an error.
pub(crate) fn readable_name(type_name: &str) -> String {
    let bare = without_generics(type_name);
    if bare.starts_with("fn(") {
        return "fn pointer".to_owned();
    }
    let mut segments = bare.rsplit("::").filter(|segment| !segment.is_empty()).peekable();
    let mut is_closure = false;
    while segments.next_if(|segment| segment.starts_with("{{")).is_some() {
        is_closure = true;
    }
    match (segments.next(), is_closure) {
        (Some(name), false) => name.to_owned(),
        (Some(name), true) => format!("{name}::{{closure}}"),
        (None, _) => type_name.to_owned(),
    }
}

fn without_generics(type_name: &str) -> String {
    let mut depth = 0_usize;
    let mut last = ' ';
    let mut bare = String::with_capacity(type_name.len());
    for c in type_name.chars() {
        match c {
            '<' => depth += 1,
            '>' if last == '-' => {} // an arrow
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => bare.push(c),
            _ => {}
        }
        last = c;
    }
    bare
}

#[cfg(test)]
mod tests {
    use std::any::type_name_of_val;

    use super::readable_name;

    async fn charge() {}
    async fn settle<T>(_: Option<T>) {}

    #[test]
    fn a_function_is_called_as_it_is_written() {
        assert_eq!(readable_name(type_name_of_val(&charge)), "charge");
        assert_eq!(readable_name(type_name_of_val(&settle::<Vec<fn() -> String>>)), "settle");
        assert_eq!(readable_name("<app::Billing<T> as app::Book>::settle"), "settle");
    }

    #[test]
    fn a_closure_is_named_after_the_function_it_stands_in() {
        let name = readable_name(type_name_of_val(&|| async {}));
        assert_eq!(name, "a_closure_is_named_after_the_function_it_stands_in::{closure}");
    }

    #[test]
    fn odd_type_names_still_give_a_name() {
        assert_eq!(readable_name("fn(app::A) -> core::pin::Pin<B>"), "fn pointer");
        assert_eq!(readable_name(""), "");
        assert_eq!(readable_name("{{closure}}"), "{{closure}}");
    }
}
