//! Reads the TOML layer: every leaf is one setting, with its line. It must never repeat a line's text: it may hold a
//! password.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::super::nearest::nearest;
use super::super::settings::{self, Kind, SETTINGS};
use super::{Draft, Given, Layer, Origin, Problem, Profile};

/// The table of a file that holds its profiles.
const PROFILES: &str = "profiles";

impl Draft {
    pub(super) fn read_file(&mut self, path: &Path, profile: Option<&Profile>) {
        match std::fs::read_to_string(path) {
            Ok(text) => self.read_text(&text, path, profile),
            Err(error) => self.problems.push(Problem {
                setting: path.display().to_string(),
                value: None,
                expected: format!("expected a TOML file that can be read: {error}"),
                origin: Origin::File { path: path.to_owned(), line: 0 },
            }),
        }
    }

    pub(super) fn read_text(&mut self, text: &str, path: &Path, profile: Option<&Profile>) {
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
            let table = table.get_ref();
            self.layer = Layer::File;
            self.read_table("", table, &origin);
            if let Some(profile) = profile {
                self.layer = Layer::Profile;
                self.read_profile(profile, table, path, &origin);
            }
        }
    }

    /// What the file says under the profile's name, as if it stood at the top.
    fn read_profile(
        &mut self,
        profile: &Profile,
        table: &DeTable<'_>,
        path: &Path,
        origin: &dyn Fn(usize) -> Origin,
    ) {
        let profiles = table.get(PROFILES).and_then(|profiles| profiles.get_ref().as_table());
        let named = |profiles: &&DeTable<'_>| profiles.get(&*profile.name).is_some();
        if let Some(profiles) = profiles.filter(named) {
            match profiles.get(&*profile.name).and_then(|inner| inner.get_ref().as_table()) {
                Some(inner) => self.read_table("", inner, origin),
                None => self.no_profile(profile, "expected a table of settings".to_owned()),
            }
            return;
        }
        let names: Vec<&str> =
            profiles.into_iter().flatten().map(|(name, _)| name.get_ref().as_ref()).collect();
        let path = path.display();
        let expected = match names[..] {
            [] => format!("{path} has no profiles: expected a table [{PROFILES}.{}]", profile.name),
            _ => format!("expected one of the profiles of {path}: {}", names.join(", ")),
        };
        self.no_profile(profile, expected);
    }

    pub(super) fn profile_without_file(&mut self, profile: Option<&Profile>) {
        if let Some(profile) = profile {
            self.no_profile(profile, "expected a file with it; none is named".to_owned());
        }
    }

    fn no_profile(&mut self, profile: &Profile, expected: String) {
        let (value, origin) = (Some(profile.name.clone()), profile.origin.clone());
        self.problems.push(Problem { setting: "profile".to_owned(), value, expected, origin });
    }

    fn read_table(&mut self, prefix: &str, table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let place = origin(name.span().start);
            if key == PROFILES && self.layer == Layer::File && value.get_ref().as_table().is_some() {
                continue; // only the one that is asked for is read
            }
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
