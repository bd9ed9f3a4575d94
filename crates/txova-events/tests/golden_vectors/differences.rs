//! The deliberate differences by class: see the table in the crate's documentation. Each is recognised by what the
//! input is, not by the vector's name, so that it holds for vectors nobody has seen yet.

use txova_events::DecodeErrorKind;

use crate::lines::same_bytes;

/// Go takes `ID` for `id`; here such a name is refused.
pub(crate) const LETTER_CASE: &str = "letter case of names";
/// Go mixes the members of an object that is there twice; here it is refused.
pub(crate) const MERGED: &str = "objects that are there twice";
/// Go reads a few times that are no RFC 3339; here they are refused.
pub(crate) const ODD_TIMES: &str = "odd spellings of times";
/// Go writes `\ufffd` for bytes of a text that are no UTF-8; a Rust text has none, and U+FFFD is written as it is.
pub(crate) const NO_TEXT: &str = "texts that are no UTF-8";
/// A Go service can publish a zero id, a word it left out, a rating of 6; here they are read, but not published.
pub(crate) const UNPUBLISHED: &str = "holes and ratings that are not published";

/// `""` is an absent e-mail; Go tells the two apart when it writes, here the field is left out.
pub(crate) const EMPTY_EMAIL: &str = "an empty e-mail";

/// Compares what was read as an event and written again.
pub(crate) fn of_payload(ours: &[u8], go: &[u8]) -> Result<Option<&'static str>, String> {
    let plain = String::from_utf8_lossy(go).replace(",\"email\":\"\"", "");
    match same_bytes("written again", ours, go) {
        Err(_) if ours == plain.as_bytes() => Ok(Some(EMPTY_EMAIL)),
        other => other.map(|()| None),
    }
}

/// The class of a refusal where Go accepts; `None` where there is no excuse.
pub(crate) fn of_refusal(kind: Option<DecodeErrorKind>, reason: &str, input: &[u8]) -> Option<&'static str> {
    let input = String::from_utf8_lossy(input);
    match kind {
        Some(DecodeErrorKind::Time) | None if reason.contains("is no time") => {
            let given = reason.split('"').nth(1)?;
            (input.contains(given) && !is_rfc3339(given)).then_some(ODD_TIMES)
        }
        Some(DecodeErrorKind::Name) | None if reason.contains("names are matched exactly") => {
            Some(LETTER_CASE)
        }
        Some(DecodeErrorKind::Name) if reason.contains("is there twice") => Some(MERGED),
        _ => None,
    }
}

/// The grammar of RFC 3339, written down a second time on purpose.
fn is_rfc3339(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        Some(_) => return false,
        None => rest,
    };
    let offset = &text[text.len().saturating_sub(5)..];
    rest == "Z" || (matches!(rest, "+00:00" | "-00:00") && &offset[..2] < "24" && &offset[3..] < "60")
}

#[test]
fn the_grammar_of_times_knows_good_from_odd() {
    for good in ["2025-11-23T14:24:01Z", "2025-11-23T14:24:01.5+02:00", "2025-11-23T14:24:01-23:59"] {
        assert!(is_rfc3339(good), "{good}");
    }
    for odd in [
        "2025-11-23T4:24:01Z",
        "2025-11-23T14:24:01,5Z",
        "2025-11-23T14:24:01+24:00",
        "2025-11-23T14:24:01+02:60",
    ] {
        assert!(!is_rfc3339(odd), "{odd}");
    }
}
