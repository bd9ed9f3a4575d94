//! Every broker, asked alone: whether it is where it says it is, which Kafka it is like, and settings that bite.

use txova_kafka::admin::{BrokerDetails, BrokerInfo, ClusterInfo, RequestVersions};
use txova_kafka::config::KafkaConfig;
use txova_kafka::{ClientErrorKind, Kafka};

use super::{Check, State, TIMEOUT};

/// Kafka's number of the request that reads records, whose versions tell releases apart.
const FETCH: i16 = 1;
/// What is kept beside a committed offset is at most this long.
const METADATA_BYTES: u64 = 4_096;

/// The checks, and whether the brokers tell their settings at all.
pub(super) async fn examine(kafka: &Kafka, cluster: &ClusterInfo) -> (Vec<Check>, bool) {
    let mut checks = Vec::new();
    let mut tells = true;
    let mut releases = Vec::new();
    for broker in &cluster.brokers {
        let answer = kafka.admin().broker(broker.id, TIMEOUT).await;
        let what = format!("broker {}", broker.id);
        match answer {
            Ok(details) => {
                let release = release(&details.requests);
                let said = release.map_or_else(
                    || "does not say what it is".to_owned(),
                    |it| format!("speaks as Kafka {it}"),
                );
                checks.push(Check::ok(&what, format!("{}, {said}", broker.address)));
                checks.extend(settings(&what, &details, kafka.config()));
                releases.push((broker.id, release));
            }
            Err(error) if error.kind == ClientErrorKind::Unsupported => {
                tells = false;
                let found = format!("{} answers, and does not tell its settings", broker.address);
                checks.push(Check::new(&what, State::Skip, found));
            }
            Err(error) => checks.push(unreached(&what, broker, &error.to_string())),
        }
    }
    if releases.windows(2).any(|pair| pair[0].1 != pair[1].1) {
        let each: Vec<String> =
            releases.iter().map(|(id, release)| format!("{id}: {}", release.unwrap_or("unknown"))).collect();
        let advice = "Finish the upgrade: what only the newer ones know cannot be used yet.";
        checks.push(Check::warn("versions", format!("brokers differ ({})", each.join(", ")), advice));
    }
    (checks, tells)
}

fn unreached(what: &str, broker: &BrokerInfo, error: &str) -> Check {
    let advice = format!(
        "Is it running, and does this machine reach {}? That is what it tells clients (`advertised.listeners`).",
        broker.address
    );
    Check::fail(what, format!("{} does not answer: {error}", broker.address), advice)
}

/// The releases whose brokers understand just these versions. Newer ones are like the newest that is known here.
fn release(requests: &[RequestVersions]) -> Option<&'static str> {
    let fetch = requests.iter().find(|request| request.key == FETCH)?;
    Some(match (fetch.lowest, fetch.highest) {
        (4.., _) => "4.0 or newer",
        (_, 17..) => "3.9",
        (_, 16) => "3.7 or 3.8",
        (_, 15) => "3.5 or 3.6",
        (_, 13 | 14) => "3.1 to 3.4",
        (_, 12) => "2.7 to 3.0",
        _ => "2.6 or older",
    })
}

/// Settings of a broker that services of ours trip over.
fn settings(what: &str, details: &BrokerDetails, config: &KafkaConfig) -> Vec<Check> {
    let value = |name: &str| {
        let setting = details.settings.iter().find(|setting| setting.name == name);
        setting.and_then(|setting| setting.value.as_deref())
    };
    let number = |name: &str| value(name).and_then(|text| text.parse::<u64>().ok());
    let mut checks = Vec::new();
    if value("unclean.leader.election.enable") == Some("true") {
        let advice =
            "Set it to false: a broker that is behind may become leader, and what it missed is lost.";
        checks.push(Check::fail(what, "unclean.leader.election.enable=true", advice));
    }
    if value("auto.create.topics.enable") == Some("true") {
        let advice = "Set it to false: a slip in a topic's name makes a topic that nobody reads.";
        checks.push(Check::warn(what, "auto.create.topics.enable=true", advice));
    }
    if let Some(bytes) = number("offset.metadata.max.bytes").filter(|bytes| *bytes < METADATA_BYTES) {
        let advice = format!(
            "Set it to {METADATA_BYTES}: consumers keep beside each offset what is done above it, and less room means more \
             records that come again."
        );
        checks.push(Check::fail(what, format!("offset.metadata.max.bytes={bytes}"), advice));
    }
    let session_ms = config.consumer.session_timeout_ms;
    for (name, is_wrong) in [
        ("group.min.session.timeout.ms", (|limit, ms| ms < limit) as fn(u64, u64) -> bool),
        ("group.max.session.timeout.ms", |limit, ms| ms > limit),
    ] {
        if let Some(limit) = number(name).filter(|limit| is_wrong(*limit, session_ms)) {
            let found = format!("{name}={limit}, and consumer.session_timeout_ms is {session_ms}");
            checks.push(Check::fail(what, found, "Change one of the two: consumers are not let in."));
        }
    }
    let record_bytes = config.publisher.max_message_bytes as u64;
    // A batch of one record has something around it.
    if let Some(limit) = number("message.max.bytes").filter(|limit| *limit < record_bytes) {
        let found = format!("message.max.bytes={limit}, and publisher.max_message_bytes is {record_bytes}");
        checks.push(Check::warn(
            what,
            found,
            "Lower the publisher's: what is larger is refused by the broker.",
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use txova_kafka::admin::Setting;

    use super::*;

    fn details(pairs: &[(&str, &str)]) -> BrokerDetails {
        let setting = |(name, value): &(&str, &str)| Setting {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            is_own: false,
        };
        BrokerDetails { settings: pairs.iter().map(setting).collect(), requests: Vec::new() }
    }

    fn told(pairs: &[(&str, &str)]) -> Vec<(State, String)> {
        let checks = settings("broker 1", &details(pairs), &KafkaConfig::default());
        checks.into_iter().map(|check| (check.state, check.found)).collect()
    }

    #[test]
    fn settings_that_bite_are_told_and_good_ones_are_not() {
        assert_eq!(
            told(&[("auto.create.topics.enable", "false"), ("offset.metadata.max.bytes", "4096")]),
            []
        );
        let bad = [
            ("unclean.leader.election.enable", "true"),
            ("auto.create.topics.enable", "true"),
            ("offset.metadata.max.bytes", "1024"),
            ("group.max.session.timeout.ms", "10000"),
            ("message.max.bytes", "1000"),
        ];
        let states: Vec<State> = told(&bad).into_iter().map(|(state, _)| state).collect();
        assert_eq!(states, [State::Fail, State::Warn, State::Fail, State::Fail, State::Warn]);
    }

    #[test]
    fn a_release_is_told_by_what_it_understands() {
        let fetch = |lowest, highest| release(&[RequestVersions { key: 1, lowest, highest }]);
        assert_eq!(fetch(4, 18), Some("4.0 or newer"));
        assert_eq!(fetch(0, 15), Some("3.5 or 3.6"));
        assert_eq!(release(&[]), None);
    }
}
