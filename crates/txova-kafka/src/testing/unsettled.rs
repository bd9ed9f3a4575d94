//! What does not settle, and why, in words a person can act on. It must never wait for it.

use std::fmt;
use std::time::Duration;

use txova_events::EnvelopeRef;

use super::Cluster;
use super::harness::Started;
use super::settled::Settled;
use crate::app::AppStatus;
use crate::transport::memory::OpenPartition;

/// Why a [`Harness`](super::Harness) did not settle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unsettled {
    /// How long it was waited, on tokio's clock.
    pub limit: Duration,
    /// Why an app ended by itself, where one did.
    pub ended: Option<String>,
    /// What is stuck, one line each.
    pub stuck: Vec<String>,
    /// What happened until then.
    pub so_far: Box<Settled>,
}

impl Unsettled {
    pub(super) async fn of(
        cluster: &Cluster,
        limit: Duration,
        apps: &[Started],
        ended: Option<String>,
        so_far: Settled,
    ) -> Self {
        let mut stuck = Vec::new();
        for app in apps {
            let status = app.app.status().await;
            for open in cluster.open_partitions(&app.group, &app.topics) {
                stuck.push(format!("{}: {}", app.group, line(cluster, &open, status.as_ref())));
            }
            let trouble = status.and_then(|status| status.trouble);
            stuck.extend(trouble.map(|trouble| format!("{}: the client says: {trouble}", app.group)));
        }
        match cluster.unanswered() {
            0 => {}
            records => stuck.push(format!("{records} published records have no answer from a broker")),
        }
        Self { limit, ended, stuck, so_far: Box::new(so_far) }
    }
}

/// `txova.rides.v1-0@3, ride.completed, key 0199…: …, and 4 more records behind it`
fn line(cluster: &Cluster, open: &OpenPartition, status: Option<&AppStatus>) -> String {
    let OpenPartition { partition, owner, from, records } = open;
    if owner.is_none() {
        return format!(
            "{partition}: nobody in the group has it; {records} records from offset {from} on wait"
        );
    }
    let Some(status) = status else { return format!("{partition}@{from}: the app does not answer") };
    let found = status.engine.partitions.iter().find(|status| status.partition == *partition);
    let Some(status) = found else { return format!("{partition}@{from}: not with this app") };
    let Some(oldest) = &status.oldest else {
        return match status.position {
            Some(position) if position > *from => {
                format!("{partition}@{from}: done to before {position}, and not committed")
            }
            _ => format!("{partition}@{from}: {records} records wait to be fetched"),
        };
    };
    let record = cluster.record(partition, oldest.offset);
    let value = record.as_ref().and_then(|record| record.value.as_deref());
    let envelope = value.and_then(|value| EnvelopeRef::decode(value).ok());
    let event_type = envelope.map_or("no event".to_owned(), |envelope| envelope.event_type.into_owned());
    let key = record.as_ref().and_then(|record| record.key.as_deref()).unwrap_or_default();
    let (key, offset) = (String::from_utf8_lossy(key), oldest.offset);
    let behind = status.in_flight_records.saturating_sub(1);
    format!("{partition}@{offset}, {event_type}, key {key}: {}; {behind} behind it", oldest.why())
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ended {
            Some(why) => write!(f, "{why}")?,
            None => write!(f, "not settled after {:.0} s", self.limit.as_secs_f64())?,
        }
        self.stuck.iter().try_for_each(|line| write!(f, "\n  {line}"))?;
        write!(f, "\nuntil then: {}", self.so_far)
    }
}

impl std::error::Error for Unsettled {}
