//! Goal: a wrong setting is refused before anything starts, with its name, value, place and what was expected.
//! Method: configurations from texts and variables, never from this process's environment.

use super::settings::{Kind, SETTINGS};
use super::*;

mod layers;
mod properties;
mod unhappy;

/// A loader with a broker, so that only what a test is about is wrong.
fn loader() -> Loader {
    Loader::new().set(|config| {
        if config.connection.brokers.is_empty() {
            config.connection.brokers = vec!["kafka:9092".to_owned()];
        }
    })
}

fn problems_of(loader: Loader) -> Vec<String> {
    loader
        .load()
        .expect_err("a configuration with problems")
        .problems()
        .iter()
        .map(Problem::to_string)
        .collect()
}

/// Writes a file in a directory of its own that goes away with the answer.
struct TempFile {
    directory: std::path::PathBuf,
    path: std::path::PathBuf,
}

impl TempFile {
    fn new(text: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("config-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("file");
        std::fs::write(&path, text).unwrap();
        Self { directory, path }
    }

    fn text(&self) -> String {
        self.path.display().to_string()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// The table of `settings.md`, from the list of settings.
fn table() -> String {
    let mut text = String::from(
        "# Settings\n\n\
         The variable names the same setting as the key; `TXOVA_KAFKA_CONFIG` names the file, and\n\
         `TXOVA_KAFKA_PROFILE` the one of its `[profiles.NAME]` whose settings win over the rest of it.\n\n\
         | TOML key | environment variable | default | values |\n|---|---|---|---|\n",
    );
    let defaults = KafkaConfig::default();
    for setting in SETTINGS {
        let default = setting.show(&defaults).map_or("–".to_owned(), |value| format!("`{value}`"));
        let values = match &setting.kind {
            Kind::Number { range, .. } => format!("{}–{} {}", range.start(), range.end(), setting.unit),
            Kind::Share { .. } => "0–1".to_owned(),
            Kind::Flag { .. } => "true, false".to_owned(),
            Kind::Choice { names, .. } => names.join(", "),
            Kind::Start { .. } => super::start::EXPECTED.to_owned(),
            Kind::Text { .. } => "text".to_owned(),
            Kind::Path { .. } => "path of a file".to_owned(),
            Kind::Secret { .. } => "text, never shown".to_owned(),
            Kind::List { .. } => "`host:port`s: a list, or a text with commas".to_owned(),
            Kind::Properties { .. } => "a table of client properties, or `name=value;name=value`".to_owned(),
        };
        let row =
            format!("| `{}` | `{}` | {default} | {} |\n", setting.key, setting.variable(), values.trim());
        text.push_str(&row);
    }
    text
}

#[test]
fn the_documented_table_is_the_list_of_settings() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/settings.md");
    let expected = table();
    if std::env::var_os("TXOVA_BLESS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, expected, "run the test again with TXOVA_BLESS=1 to write the table anew");
}

#[test]
fn every_field_has_a_setting() {
    // Debug prints every field: a field that was added without a setting makes these numbers differ.
    let debug = format!("{:#?}", KafkaConfig::default());
    let leaves = debug.lines().filter(|line| line.contains(": ") && !line.ends_with('{')).count();
    assert_eq!(leaves, SETTINGS.len(), "{debug}");
}

#[test]
fn no_two_settings_share_a_name_or_a_variable() {
    let mut keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    let mut variables: Vec<String> = SETTINGS.iter().map(|setting| setting.variable()).collect();
    keys.sort_unstable();
    variables.sort_unstable();
    keys.dedup();
    variables.dedup();
    assert_eq!((keys.len(), variables.len()), (SETTINGS.len(), SETTINGS.len()));
}

#[test]
fn the_defaults_are_valid_and_are_the_plans() {
    let config = KafkaConfig::for_brokers("kafka-1:9092, [::1]:9093");
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.connection.brokers, ["kafka-1:9092", "[::1]:9093"]);
    let (publisher, consumer) = (config.publisher, config.consumer);
    assert_eq!(
        (publisher.retry_backoff_ms, publisher.batch_size_bytes, publisher.linger_ms),
        (100, 16_384, 5)
    );
    assert_eq!((publisher.idempotent, publisher.max_message_bytes), (true, 1_048_576));
    assert_eq!((publisher.acks, publisher.compression), (Acks::All, Compression::Snappy));
    assert_eq!((consumer.session_timeout_ms, consumer.heartbeat_interval_ms), (30_000, 10_000));
    assert_eq!((consumer.max_retries, consumer.retry_backoff_ms), (3, 1_000));
    assert_eq!((consumer.processing_timeout_ms, consumer.max_poll_records), (30_000, 500));
}
