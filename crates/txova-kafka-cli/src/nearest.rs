//! What somebody may have meant by a name that is none. Knows no names of its own.

/// How like a name must be to be worth a question.
const ALIKE: f64 = 0.8;

/// ` (did you mean NAME?)`, where one of the names is like the given one; else nothing.
pub(crate) fn did_you_mean<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let likest =
        names.into_iter().map(|name| (strsim::jaro(given, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match likest {
        Some((likeness, name)) if likeness >= ALIKE => format!(" (did you mean {name}?)"),
        _ => String::new(),
    }
}
