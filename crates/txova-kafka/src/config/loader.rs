//! Puts the layers together: defaults, file, environment, code. It must never know what a setting means; it keeps
//! where each value came from, so that a problem can say it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use super::problem::{ConfigError, Origin, Problem};
use super::settings::{self, Kind, SETTINGS, Setting};
use super::{KafkaConfig, check};

mod file;
mod value;

use value::Given;

/// The prefix of every variable.
const PREFIX: &str = "TXOVA_KAFKA_";
/// Names the file to read.
const FILE_VARIABLE: &str = "TXOVA_KAFKA_CONFIG";
/// Names the file's profile to take.
const PROFILE_VARIABLE: &str = "TXOVA_KAFKA_PROFILE";

/// Puts a [`KafkaConfig`] together from a file, the environment and code, and checks all of it at the end.
///
/// Whatever the order of the calls: a file gives way to the environment, the environment to code.
#[derive(Default)]
pub struct Loader {
    file: Option<PathBuf>,
    profile: Option<String>,
    text: Option<String>,
    variables: Vec<(OsString, OsString)>,
    code: Vec<Edit>,
}

type Edit = Box<dyn FnOnce(&mut KafkaConfig)>;

impl Loader {
    /// Defaults only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this TOML file. It takes the place of the one that `TXOVA_KAFKA_CONFIG` names.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Takes this profile of the file, in place of the one that `TXOVA_KAFKA_PROFILE` names: what is under
    /// `[profiles.NAME]` wins over the rest of the file.
    ///
    /// ```
    /// use txova_kafka::config::Loader;
    ///
    /// let text = r#"
    ///     connection.client_id = "operator"
    ///     [profiles.local.connection]
    ///     brokers = ["localhost:9092"]
    ///     [profiles.production.connection]
    ///     brokers = ["kafka-1:9092", "kafka-2:9092"]
    /// "#;
    /// let config = Loader::new().toml(text).profile("production").load()?;
    /// assert_eq!(config.connection.brokers.len(), 2);
    /// assert_eq!(config.connection.client_id, "operator");
    /// # Ok::<(), txova_kafka::config::ConfigError>(())
    /// ```
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into());
        self
    }

    /// Reads this text as a TOML file's.
    pub fn toml(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Reads the variables of this process that begin with `TXOVA_KAFKA_`.
    ///
    /// One that names no setting is an error, so that a slip is seen. Left alone are `TXOVA_KAFKA_TEST_…`,
    /// `TXOVA_KAFKA_HOME` (where `cargo xtask kafka` keeps its clusters), and what Kubernetes adds for a service called `txova-kafka` (`…_PORT…`, `…_SERVICE_HOST`, `…_SERVICE_PORT…`).
    pub fn env(self) -> Self {
        self.variables(std::env::vars_os())
    }

    /// Reads these variables, as [`env`](Self::env) does.
    pub fn variables<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        self.variables.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Changes the configuration in code, after file and environment.
    pub fn set(mut self, edit: impl FnOnce(&mut KafkaConfig) + 'static) -> Self {
        self.code.push(Box::new(edit));
        self
    }

    /// Puts the layers together and checks everything.
    ///
    /// # Errors
    /// Everything that is wrong in any layer, at once.
    pub fn load(self) -> Result<KafkaConfig, ConfigError> {
        let mut draft = Draft::default();
        let variables = draft.known_variables(self.variables);
        let profile = match (self.profile, variables.get(PROFILE_VARIABLE)) {
            (Some(name), _) => Some(Profile { name, origin: Origin::Code }),
            (None, Some(name)) => {
                let origin = Origin::Environment { variable: PROFILE_VARIABLE.to_owned() };
                Some(Profile { name: name.clone(), origin })
            }
            (None, None) => None,
        };

        let named = variables.get(FILE_VARIABLE).map(PathBuf::from);
        let path = self.file.or(named);
        if path.is_none() && self.text.is_none() {
            draft.profile_without_file(profile.as_ref());
        }
        // A text gives way to a file: only the last of them must have the profile.
        let of_text = profile.as_ref().filter(|_| path.is_none());
        if let Some(text) = self.text {
            draft.read_text(&text, Path::new("-"), of_text);
        }
        if let Some(path) = path {
            draft.read_file(&path, profile.as_ref());
        }
        draft.layer = Layer::Environment;
        draft.read_variables(&variables);
        draft.layer = Layer::Code;
        for edit in self.code {
            draft.edit(edit);
        }
        draft.finish()
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the text nor the variables: passwords are among them.
        f.debug_struct("Loader").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A profile that is asked for, and who asks.
struct Profile {
    name: String,
    origin: Origin,
}

/// What is being read; the later wins.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    #[default]
    File,
    Profile,
    Environment,
    Code,
}

/// A configuration in the making.
#[derive(Default)]
struct Draft {
    config: KafkaConfig,
    layer: Layer,
    /// Who gave each setting the value it has.
    given: BTreeMap<&'static str, (Layer, Origin)>,
    problems: Vec<Problem>,
}

impl Draft {
    /// Keeps our variables; tells of those that name nothing.
    fn known_variables(&mut self, variables: Vec<(OsString, OsString)>) -> BTreeMap<String, String> {
        let mut known = BTreeMap::new();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            if is_foreign(name) {
                continue;
            }
            let origin = Origin::Environment { variable: name.to_owned() };
            let setting = SETTINGS.iter().find(|setting| setting.variable() == name);
            if setting.is_none() && name != FILE_VARIABLE && name != PROFILE_VARIABLE {
                let names: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
                let hint =
                    nearest(name, names.iter().map(String::as_str).chain([FILE_VARIABLE, PROFILE_VARIABLE]));
                self.unknown(name, hint, origin);
                continue;
            }
            match value.into_string() {
                Ok(value) => {
                    known.insert(name.to_owned(), value);
                }
                Err(_) => self.problems.push(Problem {
                    setting: setting.map_or(name, |setting| setting.key).to_owned(),
                    value: None,
                    expected: "expected text in UTF-8".to_owned(),
                    origin,
                }),
            }
        }
        known
    }

    fn unknown(&mut self, name: &str, hint: Option<&str>, origin: Origin) {
        let expected = match hint {
            Some(hint) => format!("there is no such setting; did you mean `{hint}`?"),
            None => "there is no such setting".to_owned(),
        };
        self.problems.push(Problem { setting: name.to_owned(), value: None, expected, origin });
    }

    fn read_variables(&mut self, variables: &BTreeMap<String, String>) {
        for setting in SETTINGS {
            let variable = setting.variable();
            if let Some(text) = variables.get(&variable) {
                self.give(setting, Given::Text(text), Origin::Environment { variable });
            }
        }
    }

    fn edit(&mut self, edit: Edit) {
        let before = self.config.clone();
        edit(&mut self.config);
        let changed: Vec<&Setting> =
            SETTINGS.iter().filter(|setting| setting.differs(&before, &self.config)).collect();
        self.given.extend(changed.iter().map(|setting| (setting.key, (Layer::Code, Origin::Code))));
        for setting in changed {
            if setting.show(&self.config).is_some() {
                self.displace(setting);
            }
        }
    }

    /// Takes one value, or tells what is wrong with it.
    fn give(&mut self, setting: &'static Setting, given: Given<'_>, origin: Origin) {
        // A value that cannot be read leaves the one beneath, which is not to be blamed for it.
        match given.store(setting, &mut self.config) {
            Ok(()) => {
                self.given.insert(setting.key, (self.layer, origin));
                self.displace(setting);
            }
            Err(expected) => self.problems.push(Problem {
                setting: setting.key.to_owned(),
                value: given.show(setting),
                expected,
                origin,
            }),
        }
    }

    /// A password of a later layer takes the place of a password file of an earlier one, and the other way round.
    fn displace(&mut self, setting: &Setting) {
        let rival = match setting.key.strip_suffix("_file") {
            Some(key) => settings::find(key),
            None => settings::find(&format!("{}_file", setting.key)),
        };
        let Some(rival) = rival else { return };
        let layer = |key| self.given.get(key).map(|(layer, _)| *layer);
        if layer(rival.key) < layer(setting.key) {
            match rival.kind {
                Kind::Secret { set, .. } => set(&mut self.config, None),
                Kind::Path { set, .. } => set(&mut self.config, None),
                _ => return,
            }
            self.given.remove(rival.key);
        }
    }

    fn finish(mut self) -> Result<KafkaConfig, ConfigError> {
        let unread: Vec<String> = self.problems.iter().map(|problem| problem.setting.clone()).collect();
        for mut problem in check::all(&self.config) {
            if unread.contains(&problem.setting) {
                continue; // Said already, with the value that could not be read.
            }
            problem.origin = self
                .given
                .get(problem.setting.as_str())
                .map_or(Origin::Default, |(_, origin)| origin.clone());
            self.problems.push(problem);
        }
        self.problems.sort_by_key(|problem| match problem.origin {
            Origin::File { line, .. } => (rank(&problem.origin), line),
            _ => (rank(&problem.origin), 0),
        });
        ConfigError::unless_empty(self.problems)?;
        Ok(self.config)
    }
}

fn rank(origin: &Origin) -> u8 {
    match origin {
        Origin::Default => 0,
        Origin::File { .. } => 1,
        Origin::Environment { .. } => 2,
        Origin::Code => 3,
    }
}

/// Variables that others own: our tests and developer tasks, and the links Kubernetes makes to a service called `txova-kafka`.
fn is_foreign(name: &str) -> bool {
    let rest = &name[PREFIX.len()..];
    rest.starts_with("TEST_")
        || rest == "HOME"
        || rest == "PORT"
        || rest.starts_with("PORT_")
        || rest == "SERVICE_HOST"
        || rest == "SERVICE_PORT"
        || rest.starts_with("SERVICE_PORT_")
}
