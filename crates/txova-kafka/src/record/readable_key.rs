//! A record's key for people. It must never get into a log by itself: a key may be a person's.

use std::fmt;

/// The longest text shown, in characters.
const MOST: usize = 128;

/// A record's key for people: its text, or its bytes in hex where they are none; 128 characters at most. `Debug` does not
/// show it, so that what holds one can be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadableKey(String);

impl ReadableKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut text = match std::str::from_utf8(key) {
            Ok(text) => text.chars().take(MOST + 1).collect(),
            Err(_) => key.iter().take(MOST / 2 + 1).map(|byte| format!("{byte:02x}")).collect::<String>(),
        };
        if let Some((end, _)) = text.char_indices().nth(MOST) {
            text.truncate(end);
            text.pop();
            text.push('…');
        }
        Self(text)
    }

    /// The text; one that ends in `…` goes on.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ReadableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_as_text_or_hex_bounded_and_not_where_it_is_logged() {
        let shown = |key: &[u8]| ReadableKey::new(key).as_str().to_owned();
        assert_eq!(shown("ride é".as_bytes()), "ride é");
        assert_eq!(shown(&[0xff, 0x00, 0x1a]), "ff001a");
        assert_eq!(shown(&[b'k'; 128]), "k".repeat(128));
        for long in [vec![b'k'; 129], vec![0xff; 65], vec![0xff; 100_000], "é".repeat(200).into_bytes()] {
            let shown = shown(&long);
            assert!(shown.chars().count() == 128 && shown.ends_with('…'), "{shown}");
        }
        assert_eq!(format!("{:?}", Some(ReadableKey::new(b"+258840000000"))), "Some((not shown))");
    }
}
