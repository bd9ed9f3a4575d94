//! One value as a layer gives it, on its way into a setting. It must never show a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::de::DeValue;

use super::super::settings::{Kind, Setting};
use super::super::{KafkaConfig, Secret, start};

/// A value as it was given.
pub(super) enum Given<'a> {
    /// From the environment.
    Text(&'a str),
    /// From a file.
    Toml(&'a DeValue<'a>),
}

impl Given<'_> {
    /// As it is shown in a problem; `None` where it has no short form.
    pub(super) fn show(&self, setting: &Setting) -> Option<String> {
        if setting.is_secret() || matches!(setting.kind, Kind::Properties { .. }) {
            return Some("***".to_owned());
        }
        match self {
            Self::Text(text) => Some((*text).to_owned()),
            Self::Toml(value) => match value {
                DeValue::String(text) => Some(text.to_string()),
                DeValue::Integer(number) => Some(number.to_string()),
                DeValue::Float(number) => Some(number.to_string()),
                DeValue::Boolean(flag) => Some(flag.to_string()),
                other => Some(format!("a TOML {}", other.type_str())),
            },
        }
    }

    /// Puts the value where it belongs; the error says what was expected.
    pub(super) fn store(&self, setting: &Setting, config: &mut KafkaConfig) -> Result<(), String> {
        self.try_store(setting, config).ok_or_else(|| setting.expected())
    }

    fn try_store(&self, setting: &Setting, config: &mut KafkaConfig) -> Option<()> {
        match &setting.kind {
            Kind::Number { range, set, .. } => {
                set(config, self.number().filter(|number| range.contains(number))?)
            }
            Kind::Share { set, .. } => {
                set(config, self.float().filter(|share| (0.0..=1.0).contains(share))?);
            }
            Kind::Flag { set, .. } => set(config, self.flag()?),
            Kind::Choice { set, .. } => return set(config, self.text()?).then_some(()),
            Kind::Start { set, .. } => set(config, start::parse(self.text()?)?),
            Kind::Text { set, .. } => set(config, self.text()?.to_owned()),
            Kind::Path { set, .. } => set(config, Some(PathBuf::from(self.text()?))),
            Kind::Secret { set, .. } => set(config, Some(Secret::new(self.text()?))),
            Kind::List { set, .. } => set(config, self.list()?),
            Kind::Properties { set, .. } => set(config, self.properties()?),
        }
        Some(())
    }

    /// Text that is not empty.
    fn text(&self) -> Option<&str> {
        let text = match self {
            Self::Text(text) => text,
            Self::Toml(value) => value.as_str()?,
        };
        (!text.is_empty()).then_some(text)
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Text(text) => text.trim().replace('_', "").parse().ok(),
            Self::Toml(value) => {
                let number = value.as_integer()?;
                u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
            }
        }
    }

    fn float(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Toml(value) => match value {
                DeValue::Float(number) => number.as_str().replace('_', "").parse().ok(),
                _ => self.number().map(|number| number as f64),
            },
        }
    }

    fn flag(&self) -> Option<bool> {
        match self {
            Self::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            Self::Toml(value) => value.as_bool(),
        }
    }

    /// `a,b` or `["a", "b"]`.
    fn list(&self) -> Option<Vec<String>> {
        if let Self::Toml(value) = self
            && let Some(items) = value.as_array()
        {
            let items: Option<Vec<String>> =
                items.iter().map(|item| Some(item.get_ref().as_str()?.trim().to_owned())).collect();
            return items.filter(|items| !items.is_empty());
        }
        Some(self.text()?.split(',').map(|item| item.trim().to_owned()).collect())
    }

    /// `a.b=1;c.d=2`, or a table whose values are texts, numbers or flags.
    fn properties(&self) -> Option<BTreeMap<String, Secret>> {
        let Self::Toml(value) = self else {
            return self
                .text()?
                .split(';')
                .map(str::trim)
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=')?;
                    Some((name.trim().to_owned(), Secret::new(value.trim())))
                })
                .collect();
        };
        let mut properties = BTreeMap::new();
        flatten("", value, &mut properties)?;
        Some(properties)
    }
}

/// A property's dots are TOML's tables: `fetch.wait.max.ms = 5` and `"fetch.wait.max.ms" = 5` are the same.
fn flatten(prefix: &str, value: &DeValue<'_>, into: &mut BTreeMap<String, Secret>) -> Option<()> {
    for (name, value) in value.as_table()? {
        let name = format!("{prefix}{}", name.get_ref());
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', ""),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Table(_) => {
                flatten(&format!("{name}."), value.get_ref(), into)?;
                continue;
            }
            _ => return None,
        };
        into.insert(name, Secret::new(text));
    }
    Some(())
}
