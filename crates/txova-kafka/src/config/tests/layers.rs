//! Which layer wins, and what is read from where.

use super::*;

#[test]
fn the_environment_wins_over_the_file_and_code_over_both_whatever_the_order_of_calls() {
    let text = "[publisher]\nlinger_ms = 1\nretries = 1\nmax_block_ms = 1\n";
    let variables = [("TXOVA_KAFKA_PUBLISHER_RETRIES", "2"), ("TXOVA_KAFKA_PUBLISHER_MAX_BLOCK_MS", "2")];
    let code = |config: &mut KafkaConfig| config.publisher.max_block_ms = 3;
    for loader in [
        loader().toml(text).variables(variables).set(code),
        loader().set(code).variables(variables).toml(text),
    ] {
        let publisher = loader.load().unwrap().publisher;
        assert_eq!((publisher.linger_ms, publisher.retries, publisher.max_block_ms), (1, 2, 3));
    }
}

#[test]
fn every_setting_is_read_from_its_variable_and_from_its_key() {
    for setting in SETTINGS {
        let file = TempFile::new("text");
        let (variable, toml) = match &setting.kind {
            Kind::Number { range, .. } => {
                let other = (range.end() - 1).to_string(); // the end is somebody's default
                (other.clone(), other)
            }
            Kind::Share { .. } => ("0.75".to_owned(), "0.75".to_owned()),
            Kind::Flag { get, .. } => {
                let other = (!get(&KafkaConfig::default())).to_string();
                (other.clone(), other)
            }
            Kind::Choice { names, get, .. } => {
                let default = get(&KafkaConfig::default());
                let other = names.iter().find(|name| **name != default).unwrap();
                (other.to_uppercase(), format!("\"{other}\""))
            }
            Kind::Start { .. } => {
                let other = "timestamp:2026-11-24T08:00:00Z";
                (other.to_owned(), format!("\"{other}\""))
            }
            Kind::Text { .. } | Kind::Secret { .. } => ("text".to_owned(), "\"text\"".to_owned()),
            Kind::Path { .. } => (file.text(), format!("\"{}\"", file.text())),
            Kind::List { .. } => ("a:1, b:2".to_owned(), "[\"a:1\", \"b:2\"]".to_owned()),
            Kind::Properties { .. } => (
                "fetch.wait.max.ms=5; debug=cgrp,topic".to_owned(),
                "{ fetch.wait.max.ms = 5, debug = \"cgrp,topic\" }".to_owned(),
            ),
        };
        // Some values are refused beside the defaults: what was read is looked at before the check.
        let changed = |loader: Loader| {
            let (sender, receiver) = std::sync::mpsc::channel();
            loader.set(move |config| sender.send(config.clone()).unwrap()).load().ok();
            receiver.recv().unwrap()
        };
        let from_variable = changed(Loader::new().variables([(setting.variable(), variable)]));
        let from_key = changed(Loader::new().toml(format!("{} = {toml}", setting.key)));
        assert!(setting.differs(&from_variable, &KafkaConfig::default()), "{}", setting.key);
        assert_eq!(from_variable, from_key, "{}", setting.key);
    }
}

#[test]
fn the_file_that_a_variable_names_is_read_unless_code_names_one() {
    let (named, given) = (TempFile::new("publisher.linger_ms = 1"), TempFile::new("publisher.linger_ms = 2"));
    let variables = [("TXOVA_KAFKA_CONFIG", named.text())];
    let config = loader().variables(variables.clone()).load().unwrap();
    assert_eq!(config.publisher.linger_ms, 1);
    let config = loader().variables(variables).file(&given.path).load().unwrap();
    assert_eq!(config.publisher.linger_ms, 2);
}

#[test]
fn a_password_of_a_later_layer_takes_the_place_of_a_password_file() {
    let file = TempFile::new("from-file\n");
    let text = format!(
        "[connection]\nsecurity_protocol = \"sasl_ssl\"\n[connection.sasl]\nusername = \"ride\"\npassword_file = \"{}\"",
        file.text()
    );
    let sasl = |loader: Loader| loader.load().unwrap().connection.sasl;

    let from_file = sasl(loader().toml(&*text));
    assert_eq!((from_file.password, from_file.password_file.is_some()), (None, true));

    let variables = [("TXOVA_KAFKA_SASL_PASSWORD", "from-variable")];
    let from_variable = sasl(loader().toml(&*text).variables(variables));
    assert_eq!(from_variable.password, Some(Secret::new("from-variable")));
    assert_eq!(from_variable.password_file, None);
}

#[test]
fn variables_of_others_are_left_alone() {
    let variables = [
        ("TXOVA_KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("TXOVA_KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("TXOVA_KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("TXOVA_KAFKA_SERVICE_PORT_KAFKA", "9092"),
        ("TXOVA_KAFKA_TEST_BROKERS", "localhost:9092"),
        ("TXOVA_KAFKA_HOME", "/var/tmp/kafka"),
        ("TXOVA_OTHER", "1"),
        ("KAFKA_BROKERS", "1"),
    ];
    assert_eq!(loader().variables(variables).load().unwrap(), loader().load().unwrap());
}

#[test]
fn what_kafka_calls_a_value_is_understood_too() {
    let config = loader()
        .variables([
            ("TXOVA_KAFKA_PUBLISHER_ACKS", "-1"),
            ("TXOVA_KAFKA_SECURITY_PROTOCOL", "SSL"),
            ("TXOVA_KAFKA_SASL_MECHANISM", "SCRAM-SHA-256"),
            ("TXOVA_KAFKA_CONSUMER_ASSIGNMENT", "cooperative-sticky"),
            ("TXOVA_KAFKA_PUBLISHER_BUFFER_BYTES", "33_554_432"),
        ])
        .load()
        .unwrap();
    assert_eq!(config.publisher.acks, Acks::All);
    assert_eq!(config.connection.security_protocol, SecurityProtocol::Tls);
    assert_eq!(config.connection.sasl.mechanism, SaslMechanism::ScramSha256);
    assert_eq!(config.publisher.buffer_bytes, 32 * 1024 * 1024);
}

#[test]
fn a_part_is_checked_without_the_rest() {
    let mut config = KafkaConfig::default(); // no brokers: an in-memory cluster needs none
    assert_eq!((config.validate_publisher(), config.validate_consumer()), (Ok(()), Ok(())));
    config.publisher.linger_ms = 900_001;
    assert!(config.validate_publisher().is_err());
    assert_eq!(config.validate_consumer(), Ok(()));
}

#[test]
fn a_profile_wins_over_the_rest_of_its_file_and_gives_way_to_the_environment() {
    let text = "publisher.linger_ms = 1\npublisher.retries = 1\npublisher.max_block_ms = 1\n\
                [profiles.slow.publisher]\nretries = 2\nmax_block_ms = 2\n[profiles.odd.nothing]\nis = 1";
    let variables = [("TXOVA_KAFKA_PROFILE", "slow"), ("TXOVA_KAFKA_PUBLISHER_MAX_BLOCK_MS", "3")];
    let publisher = loader().toml(text).variables(variables).load().unwrap().publisher;
    assert_eq!((publisher.linger_ms, publisher.retries, publisher.max_block_ms), (1, 2, 3));
    let publisher = loader().toml(text).load().unwrap().publisher;
    assert_eq!(publisher.retries, 1, "no profile is taken unless it is asked for");
    let publisher = loader().toml(text).variables([("TXOVA_KAFKA_PROFILE", "odd")]).profile("slow").load();
    assert_eq!(publisher.unwrap().publisher.retries, 2, "code wins over the environment");
}

#[test]
fn a_profiles_password_takes_the_place_of_the_files() {
    let file = TempFile::new("from-file");
    let text = format!(
        "[connection]\nsecurity_protocol = \"sasl_tls\"\n[connection.sasl]\nusername = \"ride\"\npassword = \"plain\"\n\
         [profiles.production.connection.sasl]\npassword_file = \"{}\"",
        file.text()
    );
    let sasl = loader().toml(text).profile("production").load().unwrap().connection.sasl;
    assert_eq!((sasl.password, sasl.password_file.is_some()), (None, true));
}

#[test]
fn a_profile_that_is_nowhere_is_told_with_those_there_are() {
    let text = "[profiles.local]\n[profiles.production]\n";
    let told = |loader: Loader| problems_of(loader).join("\n");
    let missing = told(loader().toml(text).variables([("TXOVA_KAFKA_PROFILE", "prod")]));
    let expected = "`profile` is `prod` (environment variable TXOVA_KAFKA_PROFILE): expected one of the profiles of -: local, production";
    assert_eq!(missing, expected);
    assert!(
        told(loader().toml("").profile("local"))
            .ends_with("- has no profiles: expected a table [profiles.local]")
    );
    assert!(told(loader().profile("local")).ends_with("expected a file with it; none is named"));
    let slip = told(loader().toml("[profiles.local.publisher]\nlinger = 5").profile("local"));
    assert!(slip.contains("`publisher.linger` (-, line 2)"), "{slip}");
}
