//! The lines of the golden files, and the report about them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// One vector.
pub(crate) struct Line {
    pub(crate) at: String,
    pub(crate) json: Value,
}

impl Line {
    /// A text field; empty where it is missing or null.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }

    /// The bytes of a field that comes as text and as base64; `None` where there is no value at all.
    pub(crate) fn bytes(&self, field: &str) -> Option<Vec<u8>> {
        bytes_of(&self.json, field)
    }
}

pub(crate) fn bytes_of(json: &Value, field: &str) -> Option<Vec<u8>> {
    match (&json[format!("{field}_base64")], &json[field]) {
        (Value::String(base64), _) => Some(STANDARD.decode(base64).expect("golden base64")),
        (_, Value::String(text)) => Some(text.clone().into_bytes()),
        _ => None,
    }
}

/// Whether the vectors are the project's own copy, which every class of difference must still cover.
pub(crate) fn own_copy() -> bool {
    env::var_os("TXOVA_GOLDEN_DIR").is_none()
}

pub(crate) fn read(file: &str) -> Vec<Line> {
    let folder = env::var_os("TXOVA_GOLDEN_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")), PathBuf::from);
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<Line> = text
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let json: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}:{}: {error}", index + 1));
            let name = json["name"]
                .as_str()
                .map_or_else(|| format!("{} {}", json["kind"], json["input"]), str::to_owned);
            Line { at: format!("{file}:{} {name}", index + 1), json }
        })
        .collect();
    assert!(!lines.is_empty(), "{file} has no lines");
    lines
}

/// What came of a file's lines.
#[derive(Default)]
pub(crate) struct Report {
    equal: usize,
    exempt: BTreeMap<&'static str, Vec<String>>,
    wrong: Vec<String>,
}

impl Report {
    /// One line: nothing said is equality, a class is a deliberate difference, an error is a failure.
    pub(crate) fn line(&mut self, at: &str, outcome: Result<Option<&'static str>, String>) {
        match outcome {
            Ok(None) => self.equal += 1,
            Ok(Some(class)) => self.exempt.entry(class).or_default().push(at.to_owned()),
            Err(wrong) => self.wrong.push(format!("{at}: {wrong}")),
        }
    }

    /// Prints the counts, and fails where a line differs or one of `classes` covers no line.
    pub(crate) fn close(self, file: &str, classes: &[&str]) {
        println!("{file}: {} lines equal", self.equal);
        for (class, lines) in &self.exempt {
            println!("{file}: {} lines differ on purpose, {class}: {}", lines.len(), lines.join(", "));
        }
        assert!(self.wrong.is_empty(), "{} lines differ:\n{}", self.wrong.len(), self.wrong.join("\n"));
        if own_copy() {
            let covered: Vec<&str> = self.exempt.keys().copied().collect();
            let mut expected = classes.to_vec();
            expected.sort_unstable();
            assert_eq!(
                covered, expected,
                "the classes of difference that {file} shows are not those of the table"
            );
        }
    }
}

/// What differs, shortly.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, go: T) -> Result<(), String> {
    if ours == go { Ok(()) } else { Err(format!("{what}: ours {ours:?}, Go's {go:?}")) }
}

/// Equality of bytes, shown as text.
pub(crate) fn same_bytes(what: &str, ours: &[u8], go: &[u8]) -> Result<(), String> {
    same(what, String::from_utf8_lossy(ours), String::from_utf8_lossy(go))?;
    same(what, ours, go)
}

/// JSON as Go copies it: no blanks, `<` `>` `&` U+2028 U+2029 escaped, else token for token.
pub(crate) fn as_go_copies(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut inside, mut escaped) = (false, false);
    for (at, &byte) in json.iter().enumerate() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' if !inside => continue,
            b'"' if !escaped => inside = !inside,
            b'<' | b'>' | b'&' if inside => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                continue;
            }
            0xa8 | 0xa9 if inside && json[..at].ends_with(b"\xe2\x80") => {
                out.truncate(out.len() - 2);
                out.extend_from_slice(format!("\\u202{}", byte - 0xa0).as_bytes());
                continue;
            }
            _ => {}
        }
        escaped = inside && byte == b'\\' && !escaped;
        out.push(byte);
    }
    out
}
