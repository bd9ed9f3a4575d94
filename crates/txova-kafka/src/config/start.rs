//! How a file or a variable says where a group starts. It must never know how a transport finds the place.

use txova_events::Time;

use crate::transport::StartAt;

/// What may be written, for problems and the table of settings.
pub(super) const EXPECTED: &str = "earliest, latest, timestamp:2026-11-24T08:00:00Z";

const TIMESTAMP: &str = "timestamp:";

pub(super) fn parse(text: &str) -> Option<StartAt> {
    match text.trim().to_ascii_lowercase().as_str() {
        "earliest" => Some(StartAt::Earliest),
        "latest" => Some(StartAt::Latest),
        // RFC 3339 takes its T and Z in lower case too, and not every reader does.
        text => {
            let time: Time = text.strip_prefix(TIMESTAMP)?.trim().to_ascii_uppercase().parse().ok()?;
            (time.unix_ms() >= 0).then(|| StartAt::Timestamp { unix_ms: time.unix_ms() })
        }
    }
}

pub(super) fn show(start: StartAt) -> String {
    match start {
        StartAt::Earliest => "earliest".to_owned(),
        StartAt::Latest => "latest".to_owned(),
        StartAt::Timestamp { unix_ms } => match Time::from_unix_ms(unix_ms) {
            Some(time) => format!("{TIMESTAMP}{time}"),
            None => format!("{TIMESTAMP}{unix_ms} ms"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_read_in_any_letter_case_and_time_zone_and_shown_as_it_is_read() {
        let at = StartAt::Timestamp { unix_ms: 1_795_507_200_500 };
        for text in [
            "timestamp:2026-11-24T08:00:00.5Z",
            "TIMESTAMP:2026-11-24t10:00:00.500+02:00",
            " timestamp: 2026-11-24T08:00:00.5z ",
        ] {
            assert_eq!(parse(text), Some(at), "{text}");
        }
        assert_eq!(parse(" Latest"), Some(StartAt::Latest));
        for start in [StartAt::Earliest, StartAt::Latest, at] {
            assert_eq!(parse(&show(start)), Some(start));
        }
    }

    #[test]
    fn what_is_no_start_is_refused() {
        for text in [
            "",
            "first",
            "timestamp:",
            "timestamp:1795507200500",
            "timestamp:2026-11-24",
            "2026-11-24T08:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("timestamp:1969-12-31T23:59:59Z"), None, "before Kafka's time begins");
    }
}
