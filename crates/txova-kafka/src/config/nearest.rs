//! Finds the known name somebody probably meant. Knows nothing of settings.

/// The name nearest to `given`, where one is near enough to be meant: at most a third of it differs, or it is a part.
pub(super) fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = given.len().max(3) / 3;
    names
        .map(|name| (if contains_words(name, given) { 1 } else { distance(given, name) }, name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `linger` in `linger_ms`: a forgotten unit or prefix.
fn contains_words(name: &str, given: &str) -> bool {
    !given.is_empty()
        && (name.strip_prefix(given).is_some_and(|rest| rest.starts_with('_'))
            || name.strip_suffix(given).is_some_and(|rest| rest.ends_with(['_', '.'])))
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_finds_none() {
        let names = ["publisher.linger_ms", "publisher.retries", "consumer.group"];
        let find = |given| nearest(given, names.into_iter());
        assert_eq!(find("publisher.linger"), Some("publisher.linger_ms"));
        assert_eq!(find("publisher.lingre_ms"), Some("publisher.linger_ms"));
        assert_eq!(find("consumer.groups"), Some("consumer.group"));
        assert_eq!(find("group"), Some("consumer.group"));
        assert_eq!(find("colour"), None);
        assert_eq!(find(""), None);
    }
}
