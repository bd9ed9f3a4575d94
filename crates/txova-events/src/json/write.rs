//! Writes JSON as Go's `encoding/json` does, byte for byte. It must never know what it writes.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Appends a value as Go would write it: no blanks, `<` `>` `&` U+2028 U+2029 escaped, floats shortest.
pub(crate) fn append<T: Serialize>(out: &mut Vec<u8>, value: &T) -> Result<(), serde_json::Error> {
    value.serialize(&mut Serializer::with_formatter(out, Go))
}

/// Appends a text in quotes.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            0x0c => b"\\f",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x00..=0x1f => {
                &[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), b"0123456789abcdef"[usize::from(byte & 15)]]
            }
            _ => continue,
        };
        write_plain(out, &text[written..at]);
        out.extend_from_slice(escape);
        written = at + 1;
    }
    write_plain(out, &text[written..]);
    out.push(b'"');
}

/// Text without quotes, backslashes and control characters: what is left are Go's precautions for HTML and JavaScript.
fn write_plain(out: &mut Vec<u8>, text: &str) {
    let mut written = 0;
    for (at, found) in text.match_indices(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        out.extend_from_slice(&text.as_bytes()[written..at]);
        out.extend_from_slice(match found {
            "<" => b"\\u003c",
            ">" => b"\\u003e",
            "&" => b"\\u0026",
            "\u{2028}" => b"\\u2028",
            _ => b"\\u2029",
        });
        written = at + found.len();
    }
    out.extend_from_slice(&text.as_bytes()[written..]);
}

struct Go;

impl Formatter for Go {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut out = Vec::with_capacity(fragment.len());
        write_plain(&mut out, fragment);
        writer.write_all(&out)
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size == 0.0 || (1e-6..1e21).contains(&size) {
            return write!(writer, "{value}");
        }
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => write!(writer, "{digits}e+{exponent}"),
            _ => writer.write_all(text.as_bytes()),
        }
    }
}
