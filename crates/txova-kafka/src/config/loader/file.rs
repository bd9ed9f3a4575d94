//! Reads the TOML layer: every leaf is one setting, with its line. It must never repeat a line's text: it may hold a
//! password.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::super::nearest::nearest;
use super::super::settings::{self, Kind, SETTINGS};
use super::{Draft, Given, Origin, Problem};

impl Draft {
    pub(super) fn read_file(&mut self, path: &Path) {
        match std::fs::read_to_string(path) {
            Ok(text) => self.read_text(&text, path),
            Err(error) => self.problems.push(Problem {
                setting: path.display().to_string(),
                value: None,
                expected: format!("expected a TOML file that can be read: {error}"),
                origin: Origin::File { path: path.to_owned(), line: 0 },
            }),
        }
    }

    pub(super) fn read_text(&mut self, text: &str, path: &Path) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let origin = |position: usize| Origin::File {
            path: path.to_owned(),
            line: 1 + text.as_bytes().iter().take(position).filter(|byte| **byte == b'\n').count(),
        };
        for error in &errors {
            self.problems.push(Problem {
                setting: path.display().to_string(),
                value: None,
                expected: format!("expected TOML: {}", error.message().trim_end()),
                origin: origin(error.span().map_or(0, |span| span.start)),
            });
        }
        if errors.is_empty() {
            self.read_table("", table.get_ref(), &origin);
        }
    }

    fn read_table(&mut self, prefix: &str, table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let place = origin(name.span().start);
            if let Some(setting) = settings::find(&key) {
                self.give(setting, Given::Toml(value.get_ref()), place);
                continue;
            }
            let inner = format!("{key}.");
            let is_section = SETTINGS.iter().any(|setting| setting.key.starts_with(&inner));
            match value.get_ref() {
                DeValue::Table(table) if is_section => self.read_table(&inner, table, origin),
                _ if is_section => self.problems.push(Problem {
                    setting: key,
                    value: None,
                    expected: "expected a table of settings".to_owned(),
                    origin: place,
                }),
                _ => self.unknown(&key, nearest(&key, names()), place),
            }
        }
    }
}

/// Every name a file may use: settings and their tables.
fn names() -> impl Iterator<Item = &'static str> {
    let tables = SETTINGS.iter().filter_map(|setting| Some(setting.key.rsplit_once('.')?.0));
    // A property's own name is not ours to know.
    let keys = SETTINGS
        .iter()
        .filter(|setting| !matches!(setting.kind, Kind::Properties { .. }))
        .map(|setting| setting.key);
    keys.chain(tables)
}
