//! Which event types a handler is for: one, those that begin alike, or all. Knows only text.

use std::cmp::Ordering;
use std::fmt;

/// `ride.completed`, `ride.*`, `ride.driver_*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    Exact(String),
    /// Types that begin with this; all of them where it is empty.
    Prefix(String),
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(prefix) = text.strip_suffix('*') else {
            return check_type(text).map(|()| Self::Exact(text.to_owned()));
        };
        if prefix.contains('*') {
            return Err("`*` may stand once, at the end");
        }
        match prefix.rsplit_once('.') {
            None if prefix.is_empty() => {}
            None => return Err("`*` stands alone or after the domain's dot: `user.*`"),
            Some((domain, action)) => {
                check_segments(domain)?;
                check_characters(action)?;
            }
        }
        Ok(Self::Prefix(prefix.to_owned()))
    }

    pub(super) fn matches(&self, event_type: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == event_type,
            Self::Prefix(prefix) => event_type.starts_with(prefix),
        }
    }

    /// The more exact first: a whole type, then the longer prefix, `*` last.
    pub(super) fn by_precedence(a: &Self, b: &Self) -> Ordering {
        let rank = |pattern: &Self| match pattern {
            Self::Exact(_) => usize::MAX,
            Self::Prefix(prefix) => prefix.len(),
        };
        rank(b).cmp(&rank(a))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

fn check_type(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty; expected `domain.action`, `domain.*` or `*`");
    }
    if text.contains('*') {
        return Err("`*` may stand only at the end");
    }
    if !text.contains('.') {
        return Err("it has no dot; expected `domain.action`, `domain.*` or `*`");
    }
    check_segments(text)
}

fn check_segments(text: &str) -> Result<(), &'static str> {
    for segment in text.split('.') {
        if segment.is_empty() {
            return Err("a part between dots is empty");
        }
        check_characters(segment)?;
    }
    Ok(())
}

fn check_characters(segment: &str) -> Result<(), &'static str> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match segment.chars().all(known) {
        true => Ok(()),
        false => Err("only ASCII letters, digits, `_`, `-`, dots and a `*` at the end are allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_malformed_pattern_says_what_is_wrong() {
        for (text, expected) in [
            ("", "empty"),
            ("ride", "no dot"),
            ("ride.", "part between dots is empty"),
            (".completed", "part between dots is empty"),
            ("ride..completed", "part between dots is empty"),
            (".*", "part between dots is empty"),
            ("ride*", "after the domain's dot"),
            ("*.completed", "only at the end"),
            ("**", "once"),
            ("ride.*.*", "once"),
            ("ride.com pleted", "only ASCII"),
            (" ride.*", "only ASCII"),
            ("viagem.concluída", "only ASCII"),
        ] {
            let error = Pattern::parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_prefix_matches_what_begins_with_it_and_nothing_else() {
        let rides = Pattern::parse("ride.*").expect("well formed");
        assert!(rides.matches("ride.completed") && rides.matches("ride.driver_assigned"));
        assert!(!rides.matches("rides.completed") && !rides.matches("ride") && !rides.matches("user.ride.x"));
        let drivers = Pattern::parse("ride.driver_*").expect("well formed");
        assert!(drivers.matches("ride.driver_arrived") && !drivers.matches("ride.completed"));
    }

    #[test]
    fn the_exact_comes_before_the_longer_before_the_shorter_before_all() {
        let mut patterns =
            ["*", "ride.*", "ride.completed", "ride.driver_*"].map(|text| Pattern::parse(text).expect(text));
        patterns.sort_by(Pattern::by_precedence);
        assert_eq!(patterns.map(|p| p.to_string()), ["ride.completed", "ride.driver_*", "ride.*", "*"]);
    }
}
