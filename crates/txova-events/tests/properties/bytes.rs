//! No bytes make a reader panic, and what is JSON is no opinion.

use proptest::collection::vec;
use proptest::prelude::*;
use txova_events::*;

use crate::strategies::{json, raw_envelope};

/// Reads bytes in every way there is.
fn read_all(bytes: &[u8]) {
    if let Ok(envelope) = EnvelopeRef::decode(bytes) {
        let again = envelope.encode();
        let read = EnvelopeRef::decode(&again).expect("what was written can be read");
        assert_eq!((&read.id, &read.event_type), (&envelope.id, &envelope.event_type));
        assert_eq!(read.encode(), again);
        let _ = (envelope.key(), envelope.validate(), EventContext::caused_by(&envelope));
        let _ = (envelope.typed::<RideCompleted>(), envelope.decode_payload::<UserRegistered>());
        let _ = envelope.to_record(&Origin::now("s"));
    }
    if let Ok(letter) = DeadLetter::decode(bytes) {
        let again = letter.encode();
        assert_eq!(DeadLetter::decode(&again).expect("what was written can be read").encode(), again);
        let _ = (letter.to_record(), letter.body());
    }
    let _ = (decode_payload::<RideCompleted>(bytes), decode_payload::<DriverDocumentsSubmitted>(bytes));
    let _ = (decode_payload::<RideCancelled>(bytes), decode_payload::<UserRegistered>(bytes));
}

const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\u",
    b"d83d",
    b"\"id\":",
    b"\"payload\":",
    b"\"envelope\":",
    b"\"actor\":{",
    b"null",
    b"1e9",
    b"-",
    b"\xff",
    b"\"timestamp\":\"2025-01-01T00:00:00.1+02:00\"",
    b" ",
];

proptest! {
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn almost_json(pieces in vec(proptest::sample::select(PIECES), 0..30)) {
        read_all(&pieces.concat());
    }

    #[test]
    fn an_envelope_with_bytes_changed(
        envelope in raw_envelope(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = envelope.encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all(&bytes);
        read_all(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn what_another_json_library_takes_is_taken(json in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut changed = json.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = byte;
        for bytes in [json.into_bytes(), changed] {
            let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
            prop_assert_eq!(RawEnvelope::default().set_payload(bytes).is_ok(), theirs);
        }
    }
}

#[test]
fn a_hundred_thousand_open_brackets_are_an_error_and_no_overflow() {
    for deep in [
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        format!("{{\"payload\":{}", "[{\"x\":".repeat(50_000)),
    ] {
        read_all(deep.as_bytes());
        assert_eq!(EnvelopeRef::decode(deep.as_bytes()).unwrap_err().kind(), DecodeErrorKind::Syntax);
    }
}

#[test]
fn ten_thousand_levels_are_read_and_one_more_is_not() {
    let envelope =
        |levels: usize| format!("{{\"payload\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(EnvelopeRef::decode(envelope(10_000).as_bytes()).is_ok());
    assert!(EnvelopeRef::decode(envelope(10_001).as_bytes()).is_err());
}
