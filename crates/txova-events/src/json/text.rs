//! Texts out of JSON strings: escapes, and bytes that are no UTF-8. It must never know whose texts they are.

use std::borrow::Cow;
use std::str;

/// The text of a whole JSON string (quotes and all) that is known to be well-formed; `None` for another type.
///
/// Every byte that is no UTF-8 and every half of a surrogate pair reads as U+FFFD, as Go has it.
pub(crate) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    match value {
        [b'"', inner @ .., b'"'] => Some(unescaped(inner)),
        _ => None,
    }
}

/// The text between a string's quotes.
pub(crate) fn unescaped(inner: &[u8]) -> Cow<'_, str> {
    if !inner.contains(&b'\\') {
        return match str::from_utf8(inner) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(lossy(inner)),
        };
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        out.push_str(&lossy(&rest[..at]));
        rest = push_escape(&mut out, &rest[at + 1..]);
    }
    out.push_str(&lossy(rest));
    Cow::Owned(out)
}

/// Reads one escape (behind its backslash) and returns what follows it.
fn push_escape<'a>(out: &mut String, rest: &'a [u8]) -> &'a [u8] {
    let Some((&kind, rest)) = rest.split_first() else { return rest };
    let simple = match kind {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let (unit, rest) = hex_unit(rest);
            if let Some(c) = char::from_u32(unit) {
                out.push(c);
                return rest;
            }
            if (0xd800..0xdc00).contains(&unit)
                && let [b'\\', b'u', low @ ..] = rest
            {
                let (low_unit, after) = hex_unit(low);
                if (0xdc00..0xe000).contains(&low_unit) {
                    let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low_unit - 0xdc00);
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    return after;
                }
            }
            out.push(char::REPLACEMENT_CHARACTER);
            return rest;
        }
        other => char::from(other), // a quote, a backslash, a slash
    };
    out.push(simple);
    rest
}

fn hex_unit(rest: &[u8]) -> (u32, &[u8]) {
    let (digits, rest) = rest.split_at(rest.len().min(4));
    let unit = digits.iter().fold(0, |unit, &d| unit * 16 + char::from(d).to_digit(16).unwrap_or(0));
    (unit, rest)
}

/// One U+FFFD for each byte that is no UTF-8: the standard library's lossy reading counts them otherwise than Go.
fn lossy(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

/// The same JSON with U+FFFD for what is no Unicode text; `None` where there is nothing to mend.
///
/// `json` is known to be well-formed.
pub(crate) fn mended(json: &[u8]) -> Option<Vec<u8>> {
    let mut out = lossy(json).into_bytes();
    let mut at = 0;
    while let Some(found) = out[at..].iter().position(|&byte| byte == b'\\') {
        at += found + 1;
        if out.get(at) != Some(&b'u') {
            at += 1;
            continue;
        }
        let (unit, rest) = hex_unit(&out[at + 1..]);
        let paired = matches!(rest, [b'\\', b'u', low @ ..] if (0xdc00..0xe000).contains(&hex_unit(low).0));
        match unit {
            0xd800..0xdc00 if paired => at += 11, // behind \uXXXX\uXXXX
            0xd800..0xe000 => {
                out[at + 1..at + 5].copy_from_slice(b"fffd");
                at += 5;
            }
            _ => at += 5,
        }
    }
    (out != json).then_some(out)
}

/// Whether Go would take `given` for `name` (lower-case ASCII): letter case ignored by Unicode's simple folding,
/// which for ASCII names adds the long s and the Kelvin sign.
pub(crate) fn folds_to(given: &str, name: &str) -> bool {
    let mut names = name.chars();
    given.chars().all(|c| {
        let folded = match c {
            'ſ' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        };
        names.next() == Some(folded)
    }) && names.next().is_none()
}
