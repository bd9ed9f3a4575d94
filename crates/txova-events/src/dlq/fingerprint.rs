//! What failures of one kind have in common. The rule is part of the contract and must never change: people, dashboards
//! and plans refer to fingerprints that were written long ago.
//!
//! 1. The message is lower-cased and read from left to right:
//!    - a quoted text (`"…"`, `'…'`, `` `…` ``, the first mark at the text's beginning or behind neither a letter nor a
//!      digit) becomes `?`;
//!    - a run of letters and digits, with hyphens between them, that is a UUID becomes `?`, and so does, without the
//!      hyphens, one that begins with `0x` or a digit, or has eight or more characters, all hexadecimal and at least one
//!      a digit; a decimal point or comma between digits belongs to the number. What follows the number in the same run
//!      (`30ms`, `3rd`) stays;
//!    - blanks in a row become one.
//! 2. Class, handler and that text, with a zero byte between them, are hashed with SHA-256; the first eight bytes, in
//!    hexadecimal, are the fingerprint.

use sha2::{Digest, Sha256};

use super::DeadLetter;

pub(super) fn of(letter: &DeadLetter) -> String {
    let mut hash = Sha256::new();
    for part in [letter.error_class.as_deref(), letter.handler.as_deref()] {
        hash.update(part.unwrap_or_default());
        hash.update([0]);
    }
    hash.update(normalised(&letter.error_message));
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A message without what differs from record to record.
fn normalised(message: &str) -> String {
    let message = message.to_lowercase();
    let mut out = String::with_capacity(message.len());
    let mut rest = message.as_str();
    while let Some(first) = rest.chars().next() {
        let taken = if first.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
            first.len_utf8()
        } else if let Some(length) = quoted(rest, out.chars().next_back()) {
            out.push('?');
            length
        } else if first.is_alphanumeric() {
            run(rest, &mut out)
        } else {
            out.push(first);
            first.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.trim().to_owned()
}

/// The length of the quoted text at the beginning.
fn quoted(text: &str, before: Option<char>) -> Option<usize> {
    let mark = text.chars().next().filter(|mark| ['"', '\'', '`'].contains(mark))?;
    if before.is_some_and(|before| before.is_alphanumeric() || before == '?') {
        return None; // an apostrophe, or the end of something else
    }
    text.get(1..)?.find(mark).map(|at| at + 2)
}

const UUID: usize = 36;

/// Writes the run of letters and digits at the beginning as it counts; its length.
fn run(text: &str, out: &mut String) -> usize {
    if is_uuid(text) {
        out.push('?');
        return UUID;
    }
    let word_end = text.find(|char: char| !char.is_alphanumeric()).unwrap_or(text.len());
    let word = text.get(..word_end).unwrap_or_default();
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let is_hexadecimal = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let after_0x = word.strip_prefix("0x").filter(|hex| !hex.is_empty());
    if after_0x.is_some_and(is_hexadecimal) || (word.len() >= 8 && has_digit && is_hexadecimal(word)) {
        out.push('?');
        return word_end;
    }
    let mut number = digits(text);
    if number == 0 {
        // Digits within a word (`sha256`, `v1`) are part of its name.
        out.push_str(word);
        return word_end;
    }
    while let Some(more) = text.get(number..).and_then(|rest| rest.strip_prefix(['.', ','])) {
        match digits(more) {
            0 => break,
            digits => number += 1 + digits,
        }
    }
    out.push('?');
    number
}

fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    bytes.len() >= UUID
        && bytes.iter().take(UUID).enumerate().all(shape)
        && !text.get(UUID..).is_some_and(|rest| rest.starts_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    #[test]
    fn what_differs_from_record_to_record_does_not_count() {
        for (message, expected) in [
            ("ride 4711: no answer after 30ms", "ride ?: no answer after ?ms"),
            ("no ride 1badcdae-43a0-4406-8c2b-5b76332ff894 here", "no ride ? here"),
            ("1BADCDAE-43A0-4406-8C2B-5B76332FF894", "?"),
            ("the name \"Ana 'M' Tembe\" is too long", "the name ? is too long"),
            ("type `ride.rated` isn't known, isn't it", "type ? isn't known, isn't it"),
            ("segfault at 0xdeadBEEF", "segfault at ?"),
            ("commit 9f86d081884c7d65 is gone", "commit ? is gone"),
            ("deadbeef is a word, sha256 and v1 are names", "deadbeef is a word, sha256 and v1 are names"),
            ("-5,000.50 MZN, 1.2.3.4:9092", "-? mzn, ?:?"),
            ("a  b\n\tc ", "a b c"),
            ("an open 'quote", "an open 'quote"),
            ("Größe 7 überschritten: 日本 8", "größe ? überschritten: 日本 ?"),
            ("", ""),
        ] {
            assert_eq!(normalised(message), expected, "{message}");
        }
    }

    /// If this fails the rule has changed, and every plan, silence and dashboard that names a fingerprint is wrong.
    #[test]
    fn fingerprints_are_those_of_every_version() {
        let mut letter =
            DeadLetter::new("txova.rides.v1", 3, 42, "a fare of -500 cannot be charged", Time::ZERO);
        assert_eq!(letter.fingerprint(), "c53c4c7a75126862");
        letter.error_class = Some("permanent".into());
        letter.handler = Some("charge".into());
        assert_eq!(letter.fingerprint(), "eed1dd48627aa562");
        letter.error_message = "a fare of -7 cannot be charged".into();
        assert_eq!(letter.fingerprint(), "eed1dd48627aa562");
    }

    #[test]
    fn a_fingerprint_that_was_noted_stays_whatever_becomes_of_the_message() {
        let mut letter = DeadLetter::new("txova.rides.v1", 3, 42, "no such ride", Time::ZERO);
        letter.note_fingerprint();
        let noted = letter.fingerprint().into_owned();
        letter.error_message = "no… (of 12 bytes)".into();
        assert_eq!(letter.fingerprint(), noted);
        assert_eq!(DeadLetter::decode(&letter.encode()).unwrap().fingerprint(), noted);
        let headers = letter.to_record().headers;
        assert!(headers.contains(&("fingerprint", noted.into_bytes())), "{headers:?}");
    }
}
