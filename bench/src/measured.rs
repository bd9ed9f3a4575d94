//! The line that a measurement prints, whichever system it is of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one measurement found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// How the system was set up, in words.
    #[serde(default)]
    pub settings: String,
    pub records: u64,
    /// From the first record to the last commit, or to the last acknowledgement.
    pub seconds: f64,
    /// From the start of the client to its first record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ms: Option<f64>,
    /// By percentile: `p50`, `p99`, `p99.9`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency_ms: BTreeMap<String, f64>,
    /// The most records taken and not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_in_flight: Option<u64>,
    /// Records that came again after a kill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redelivered: Option<u64>,
    /// Dead letters with the exact origin of their record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<u64>,
}

/// Percentiles of latencies in milliseconds.
pub(crate) fn percentiles(mut ms: Vec<f64>) -> BTreeMap<String, f64> {
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (share * ms.len() as f64) as usize;
        ms.get(index.min(ms.len().saturating_sub(1))).copied().unwrap_or(0.0)
    };
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)]
        .map(|(name, share)| (name.to_owned(), at(share)))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let of = percentiles((0..1000).rev().map(f64::from).collect());
        assert_eq!((of["p50"], of["p99"], of["p99.9"]), (500.0, 990.0, 999.0));
    }
}
