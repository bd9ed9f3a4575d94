//! What a run came to: the object for machines. The table for people is made of the same.

mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use super::flaw::Flaw;
use super::targets::Targets;
use super::trips::UnreadableLine;

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub cluster: String,
    pub run: String,
    pub duration_ms: u64,
    pub trips: TripsReport,
    pub events: EventsReport,
    pub services: BTreeMap<&'static str, ServiceReport>,
    /// Events published and neither handled nor kept as dead letters, over all services.
    pub lost: u64,
    /// Events handled after a later one of their key, over all services.
    pub out_of_order: u64,
    /// Events handled more than once, over all services: delivery is at least once.
    pub repeated: u64,
    pub chains: ChainsReport,
    pub outage: OutageReport,
    pub dead_letters: DeadLettersReport,
    pub targets: Targets,
    /// Whether the promises held: nothing lost, nothing out of order, every chain whole, every line accounted for.
    pub ok: bool,
}

/// Every line of the file: `read` = `accepted` + `refused` + `unfinished`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct TripsReport {
    pub source: String,
    /// Lines after the header.
    pub read: u64,
    /// Published from request to rating and refused by nobody.
    pub accepted: u64,
    /// Lines that are no trip, and trips a handler refused; each is in `reasons`.
    pub refused: u64,
    /// Neither: 0 unless the run broke off.
    pub unfinished: u64,
    pub reasons: Vec<Reason>,
    pub unreadable: Vec<UnreadableLine>,
}

/// Why lines were refused.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reason {
    pub reason: &'static str,
    /// Who refused them.
    pub by: &'static str,
    pub trips: u64,
    pub lines: Vec<u64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct EventsReport {
    /// Acknowledged by a broker, those of handlers too; without the poison.
    pub published: u64,
    pub failed: u64,
    /// Records that are no JSON or of an unknown type.
    pub poison: u64,
    pub per_second: u64,
    pub publish_p50_ms: Option<f64>,
    pub publish_p99_ms: Option<f64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ServiceReport {
    pub group: String,
    pub published: u64,
    pub handled: u64,
    /// Records of types the service has no handler for.
    pub skipped: u64,
    pub retried: u64,
    pub dead_lettered: u64,
    pub replayed: u64,
    pub lost: u64,
    pub out_of_order: u64,
    pub repeated: u64,
}

/// Payment events whose cause and correlation id were looked at.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ChainsReport {
    pub checked: u64,
    pub broken: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct OutageReport {
    pub service: &'static str,
    /// Calls the gateway did not answer.
    pub unanswered_calls: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct DeadLettersReport {
    pub written: u64,
    pub replayed: u64,
    pub replay_failed: u64,
    /// Left open: about the poison, which no handler can repair.
    pub open: u64,
}

impl TripsReport {
    /// Accounts for every line.
    pub(crate) fn account(
        source: String,
        accepted: u64,
        refused: impl Iterator<Item = (u64, Flaw)>,
        unreadable: Vec<UnreadableLine>,
        read: u64,
        by: &'static str,
    ) -> Self {
        let mut of_flaw: BTreeMap<Flaw, Vec<u64>> = BTreeMap::new();
        for (line, flaw) in refused {
            of_flaw.entry(flaw).or_default().push(line);
        }
        let mut reasons: Vec<Reason> = of_flaw
            .into_iter()
            .map(|(flaw, lines)| Reason { reason: flaw.as_str(), by, trips: lines.len() as u64, lines })
            .collect();
        if !unreadable.is_empty() {
            let lines: Vec<u64> = unreadable.iter().map(|line| line.line).collect();
            reasons.push(Reason { reason: "no trip", by: "the reader", trips: lines.len() as u64, lines });
        }
        let refused = reasons.iter().map(|reason| reason.trips).sum();
        let unfinished = read.saturating_sub(accepted + refused);
        Self { source, read, accepted, refused, unfinished, reasons, unreadable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_accepted_refused_with_a_reason_or_shown_as_unfinished() {
        let unreadable = vec![UnreadableLine { line: 9, column: 2, reason: "x".to_owned() }];
        let refused = [(2, Flaw::NoFare), (3, Flaw::NoDistance), (5, Flaw::NoFare)];
        let trips =
            TripsReport::account("f".to_owned(), 3, refused.into_iter(), unreadable, 8, "payment-service");
        assert_eq!((trips.accepted, trips.refused, trips.unfinished), (3, 4, 1));
        let reasons: Vec<_> =
            trips.reasons.iter().map(|reason| (reason.reason, reason.lines.clone())).collect();
        assert_eq!(reasons, [("no distance", vec![3]), ("no fare", vec![2, 5]), ("no trip", vec![9])]);
    }
}
