//! Records that no handler can be given: bytes that are no JSON, and events of a type nobody knows.

use bytes::Bytes;
use txova_events::{Time, topics};
use txova_kafka::OutgoingRecord;

use super::tag::{self, Kind, Run};

/// One of each kind, and one more for so many trips.
const TRIPS_FOR_ONE: usize = 2_500;

/// How many of each kind there are among so many trips.
pub(crate) fn of_each_kind(trips: usize) -> usize {
    1 + trips / TRIPS_FOR_ONE
}

/// All poison of a run, in the order it is sent: half of it no JSON, half of an unknown type.
pub(crate) fn records(run: Run, trips: usize) -> Vec<OutgoingRecord> {
    let pairs = (0..u32::try_from(of_each_kind(trips)).unwrap_or(1)).flat_map(|number| {
        let garbage = format!("ride {number} <no JSON, and cut in the mid").into_bytes();
        [(number * 2, garbage), (number * 2 + 1, unknown_type(run, number * 2 + 1))]
    });
    pairs
        .map(|(number, value)| OutgoingRecord {
            topic: topics::RIDES.into(),
            key: Some(key(run, number).into()),
            value: Some(Bytes::from(value)),
            ..OutgoingRecord::default()
        })
        .collect()
}

fn key(run: Run, number: u32) -> String {
    tag::id(run, Kind::Poison, number, 0).to_string()
}

fn unknown_type(run: Run, number: u32) -> Vec<u8> {
    let id = key(run, number);
    let event = serde_json::json!({
        "id": id,
        "type": "tuktuk.hired",
        "version": "1.0",
        "source": "tuktuk-service",
        "timestamp": Time::now(),
        "correlation_id": id,
        "payload": { "tuktuk": number },
    });
    event.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use txova_events::{RawEnvelope, topics};

    use super::*;

    #[test]
    fn half_of_it_is_no_envelope_and_half_is_of_a_type_the_platform_does_not_have() {
        let records = records(Run::ALONE, 5155);
        assert_eq!(records.len(), 6);
        let read: Vec<_> =
            records.iter().map(|record| RawEnvelope::decode(record.value.as_ref().unwrap())).collect();
        assert_eq!(read.iter().filter(|envelope| envelope.is_err()).count(), 3);
        for envelope in read.into_iter().flatten() {
            assert_eq!(topics::catalogue_entry(&envelope.event_type), None);
        }
    }
}
