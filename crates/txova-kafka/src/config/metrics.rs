//! How metrics are named and fed. Knows nothing of what is measured.

/// How metrics are named and fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// What every name begins with.
    pub namespace: String,
    /// What follows it: the service, where several write to one place (`ride_service`).
    pub subsystem: Option<String>,
    /// How often the brokers are asked how far their logs go, for the lag; 0 is never.
    pub lag_interval_ms: u64,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { namespace: "txova".to_owned(), subsystem: None, lag_interval_ms: 5_000 }
    }
}

/// Whether Prometheus takes it as the beginning of a name.
pub(super) fn is_name(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().all(known) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}
