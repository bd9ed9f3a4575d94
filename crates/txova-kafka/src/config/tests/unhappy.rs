//! What is refused, and how it is said.

use super::*;

#[test]
fn no_broker_is_said_with_the_variable_that_sets_it() {
    let problems = problems_of(Loader::new());
    assert_eq!(
        problems,
        ["`connection.brokers` (the default): expected at least one host:port, as in \
          TXOVA_KAFKA_BROKERS=kafka:9092"]
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_value_and_place() {
    let file = TempFile::new(
        "[publisher]\nlinger_ms = \"5ms\"\nacks = \"most\"\ncolour = \"red\"\n\n[consumer]\nconcurrency = 0\n",
    );
    let problems = problems_of(
        loader()
            .file(&file.path)
            .variables([
                ("TXOVA_KAFKA_BROKERS", "kafka"),
                ("TXOVA_KAFKA_PUBLISHER_RETIRES", "3"),
                ("TXOVA_KAFKA_CONSUMER_RETRY_BACKOFF_JITTER", "20%"),
            ])
            .set(|config| config.consumer.heartbeat_interval_ms = 20_000),
    );
    let path = file.text();
    let expected = [
        "`TXOVA_KAFKA_PUBLISHER_RETIRES` (environment variable TXOVA_KAFKA_PUBLISHER_RETIRES): there is no such \
         setting; did you mean `TXOVA_KAFKA_PUBLISHER_RETRIES`?"
            .to_owned(),
        format!(
            "`publisher.linger_ms` is `5ms` ({path}, line 2): expected a whole number from 0 to 900000 (ms)"
        ),
        format!("`publisher.acks` is `most` ({path}, line 3): expected one of none, leader, all"),
        format!("`publisher.colour` ({path}, line 4): there is no such setting"),
        format!(
            "`consumer.concurrency` is `0` ({path}, line 7): expected a whole number from 1 to 100000 (handlers)"
        ),
        "`consumer.retry_backoff_jitter` is `20%` (environment variable \
         TXOVA_KAFKA_CONSUMER_RETRY_BACKOFF_JITTER): expected a share from 0 to 1"
            .to_owned(),
        "`connection.brokers` is `kafka` (environment variable TXOVA_KAFKA_BROKERS): expected host:port: the \
         port is missing"
            .to_owned(),
        "`consumer.heartbeat_interval_ms` is `20000` (set in code): expected at most a third of \
         session_timeout_ms, 10000: two heartbeats may be lost"
            .to_owned(),
    ];
    let (mut problems, mut expected) = (problems, expected.to_vec());
    problems.sort();
    expected.sort();
    assert_eq!(problems, expected);
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line_and_without_its_text() {
    let file = TempFile::new("[connection.sasl]\nusername = \"ride\"\npassword = \"hunter2\n");
    let problems = problems_of(loader().file(&file.path));
    assert!(problems[0].contains(&format!("{}, line 3", file.text())), "{problems:?}");
    assert!(problems[0].contains("expected TOML"), "{problems:?}");
    assert!(!problems.concat().contains("hunter2"), "{problems:?}");
}

#[test]
fn a_file_that_is_not_there_is_refused_with_its_path() {
    for loader in [
        loader().file("/nowhere/kafka.toml"),
        loader().variables([("TXOVA_KAFKA_CONFIG", "/nowhere/kafka.toml")]),
    ] {
        let problems = problems_of(loader);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("`/nowhere/kafka.toml`"), "{problems:?}");
    }
}

#[test]
fn a_table_where_a_value_belongs_and_the_other_way_round_are_refused() {
    let problems = problems_of(loader().toml("publisher = 5\n[consumer.group]\nid = 1\n"));
    assert_eq!(
        problems,
        [
            "`publisher` (-, line 1): expected a table of settings",
            "`consumer.group` is `a TOML table` (-, line 2): expected a text of at least one character",
        ]
    );
}

#[test]
fn an_unknown_table_is_refused_with_the_nearest_known_one() {
    let problems = problems_of(loader().toml("[publishers]\nlinger_ms = 5\n"));
    assert_eq!(problems, ["`publishers` (-, line 1): there is no such setting; did you mean `publisher`?"]);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_utf8_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let variables = [(OsString::from("TXOVA_KAFKA_CLIENT_ID"), OsString::from_vec(vec![b'a', 0xff]))];
    let problems = problems_of(loader().variables(variables));
    assert_eq!(
        problems,
        ["`connection.client_id` (environment variable TXOVA_KAFKA_CLIENT_ID): expected text in UTF-8"]
    );
}

#[test]
fn an_empty_variable_is_refused_and_not_taken_for_an_absent_one() {
    for variable in ["TXOVA_KAFKA_CONSUMER_GROUP", "TXOVA_KAFKA_BROKERS", "TXOVA_KAFKA_PUBLISHER_LINGER_MS"] {
        let problems = problems_of(loader().variables([(variable, "")]));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(&format!("is `` (environment variable {variable})")), "{problems:?}");
    }
}

#[test]
fn brokers_that_are_no_host_and_port_are_refused() {
    for (broker, reason) in [
        ("kafka", "the port is missing"),
        (":9092", "the host is missing"),
        ("kafka:", "a port is a number"),
        ("kafka:0", "a port is a number"),
        ("kafka:65536", "a port is a number"),
        ("kafka:+1", "a port is a number"),
        ("::1:9092", "an IPv6 address is written"),
        ("[::1]", "an IPv6 address is written"),
        ("[kafka]:9092", "no IPv6 address"),
        ("kafka one:9092", "a host has letters"),
        ("https://kafka:9092", "without a scheme"),
        ("", "the port is missing"),
    ] {
        let config = KafkaConfig::for_brokers(broker);
        let error = config.validate().unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert!(error.to_string().contains(reason), "{broker}: {error}");
    }
}

/// Changes one valid configuration; the settings that must be named.
type Case = (fn(&mut KafkaConfig), &'static [&'static str]);

#[test]
fn settings_that_exclude_each_other_are_refused_with_the_reason() {
    let cases: &[Case] = &[
        (|c| c.publisher.acks = Acks::Leader, &["publisher.acks"]),
        (|c| c.publisher.max_in_flight = 6, &["publisher.max_in_flight"]),
        (|c| c.publisher.retries = 0, &["publisher.retries"]),
        (|c| c.publisher.retry_backoff_ms = 2_000, &["publisher.retry_backoff_max_ms"]),
        (|c| c.publisher.delivery_timeout_ms = 30_000, &["publisher.delivery_timeout_ms"]),
        (|c| c.publisher.breaker_failure_share = 1.5, &["publisher.breaker_failure_share"]),
        (|c| c.publisher.breaker_failures = 0, &["publisher.breaker_failures"]),
        (|c| c.publisher.buffer_bytes = 100_000, &["publisher.buffer_bytes"]),
        (|c| c.publisher.compression_level = Some(3), &["publisher.compression_level"]),
        (
            |c| (c.publisher.compression, c.publisher.compression_level) = (Compression::Gzip, Some(10)),
            &["publisher.compression_level"],
        ),
        (|c| c.consumer.heartbeat_interval_ms = 10_001, &["consumer.heartbeat_interval_ms"]),
        (|c| c.consumer.max_poll_interval_ms = 29_999, &["consumer.max_poll_interval_ms"]),
        (|c| c.consumer.revoke_timeout_ms = 300_000, &["consumer.revoke_timeout_ms"]),
        (|c| c.consumer.retry_backoff_ms = 60_001, &["consumer.retry_backoff_max_ms"]),
        (|c| c.consumer.max_in_flight_records = 99, &["consumer.concurrency"]),
        (|c| c.consumer.retry_backoff_jitter = f64::NAN, &["consumer.retry_backoff_jitter"]),
        (|c| c.consumer.group = Some(" ".to_owned()), &["consumer.group"]),
        (|c| c.metrics.namespace = "8va".to_owned(), &["metrics.namespace"]),
        (|c| c.metrics.subsystem = Some("ride-service".to_owned()), &["metrics.subsystem"]),
        (|c| c.connection.reconnect_backoff_ms = 3_000, &["connection.reconnect_backoff_max_ms"]),
        (|c| c.connection.tls.verify_hostname = false, &["connection.tls.verify_hostname"]),
        (|c| c.connection.sasl.password = Some("p".into()), &["connection.sasl.password"]),
        (
            |c| c.connection.security_protocol = SecurityProtocol::SaslTls,
            &["connection.sasl.username", "connection.sasl.password"],
        ),
        (
            |c| {
                c.connection.security_protocol = SecurityProtocol::Tls;
                c.connection.tls.key_password = Some("p".into());
            },
            &["connection.tls.key_file"],
        ),
    ];
    for (index, (change, named)) in cases.iter().enumerate() {
        let mut config = KafkaConfig::for_brokers("kafka:9092");
        change(&mut config);
        let error = config.validate().expect_err("a conflict");
        let settings: Vec<&str> = error.problems().iter().map(|problem| &*problem.setting).collect();
        assert_eq!(settings, *named, "case {index}: {error}");
    }
}

#[test]
fn files_that_are_named_must_be_there() {
    let mut config = KafkaConfig::for_brokers("kafka:9092");
    config.connection.security_protocol = SecurityProtocol::SaslTls;
    config.connection.tls.ca_file = Some("/nowhere/ca.pem".into());
    config.connection.sasl.username = Some("ride".to_owned());
    config.connection.sasl.password_file = Some("/nowhere/password".into());
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("`connection.tls.ca_file` is `/nowhere/ca.pem` (set in code): expected a file"),
        "{error}"
    );
    assert!(error.contains("`connection.sasl.password_file` is `/nowhere/password`"), "{error}");
    assert!(error.contains("2 problems"), "{error}");
}

#[test]
fn an_empty_password_file_is_refused() {
    let file = TempFile::new("\n");
    let mut config = KafkaConfig::for_brokers("kafka:9092");
    config.connection.security_protocol = SecurityProtocol::SaslTls;
    config.connection.sasl.username = Some("ride".to_owned());
    config.connection.sasl.password_file = Some(file.path.clone());
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains("the file is empty"), "{error}");
}

#[test]
fn a_password_and_a_password_file_of_one_layer_are_refused() {
    let file = TempFile::new("from-file\n");
    let variables = [
        ("TXOVA_KAFKA_SECURITY_PROTOCOL", "sasl_tls".to_owned()),
        ("TXOVA_KAFKA_SASL_USERNAME", "ride".to_owned()),
        ("TXOVA_KAFKA_SASL_PASSWORD", "from-variable".to_owned()),
        ("TXOVA_KAFKA_SASL_PASSWORD_FILE", file.text()),
    ];
    let in_environment = problems_of(loader().variables(variables));
    let path = file.path.clone();
    let in_code = problems_of(loader().set(move |config| {
        config.connection.security_protocol = SecurityProtocol::SaslTls;
        config.connection.sasl.username = Some("ride".to_owned());
        config.connection.sasl.password = Some("from-variable".into());
        config.connection.sasl.password_file = Some(path);
    }));
    for problems in [in_environment, in_code] {
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("expected one of the two: `connection.sasl.password` is set too"));
        assert!(!problems[0].contains("from-"), "{problems:?}");
    }
}

#[test]
fn properties_that_the_library_owns_are_refused_with_the_reason() {
    let problems = problems_of(loader().toml(
        "[consumer.properties]\n\"enable.auto.commit\" = true\nsession.timeout.ms = 5\n\"Fetch\" = 1\n\
         [publisher.properties]\nlinger.ms = 1\n",
    ));
    let mut problems = problems;
    problems.sort();
    assert_eq!(
        problems,
        [
            "`consumer.properties` is `Fetch` (-, line 1): expected a property's name, as in `fetch.wait.max.ms`",
            "`consumer.properties` is `enable.auto.commit` (-, line 1): it is not for setting: an offset is \
             committed only after its record is settled",
            "`consumer.properties` is `session.timeout.ms` (-, line 1): there is a setting for it: expected \
             `consumer.session_timeout_ms` instead",
            "`publisher.properties` is `linger.ms` (-, line 5): there is a setting for it: expected \
             `publisher.linger_ms` instead",
        ]
    );
}

#[test]
fn no_error_and_no_debug_text_shows_a_secret() {
    let secret = "hunter2-topsecret";
    let texts = [
        format!("[connection.sasl]\npassword = \"{secret}\"\nuser = \"{secret}\""),
        format!("[connection.sasl]\npassword = [\"{secret}\"]"),
        format!("[connection.sasl]\npassword = \"{secret}\" \"{secret}\""),
        format!("[connection.properties]\n\"ssl.keystore.password\" = [\"{secret}\"]"),
        format!("[connection.properties]\n\"ssl.keystore.password\" = \"{secret}\""),
        format!("[connection]\npassword = \"{secret}\""),
    ];
    for text in texts {
        let loader = loader().toml(text).variables([
            ("TXOVA_KAFKA_TLS_KEY_PASSWORD", secret),
            ("TXOVA_KAFKA_CONSUMER_PROPERTIES", secret),
            ("TXOVA_KAFKA_SASL_PASWORD", secret),
        ]);
        let shown = format!("{loader:?}");
        let error = loader.load().unwrap_err();
        assert!(!format!("{shown} {error} {error:?}").contains(secret), "{error}");
    }
    let mut config = KafkaConfig::for_brokers("kafka:9092");
    config.connection.sasl.password = Some(secret.into());
    config.connection.properties.insert("sasl.oauthbearer.client.secret".to_owned(), secret.into());
    assert!(!format!("{config:?}").contains(secret));
}
