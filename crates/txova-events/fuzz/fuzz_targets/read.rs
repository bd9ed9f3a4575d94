//! No bytes make a reader panic, and what was read can be written and read again to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use txova_events::{
    DeadLetter, DriverDocumentsSubmitted, DriverLocationUpdated, Email, EnvelopeRef, EventContext, Origin, Phone,
    RideCancelled, RideCompleted, Time, ToRecord, UserId, UserRegistered, UserType, decode_payload, encode_payload,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = EnvelopeRef::decode(bytes) {
        let written = envelope.encode();
        let again = EnvelopeRef::decode(&written).expect("what was written can be read");
        assert_eq!(again.encode(), written);
        assert_eq!((&again.id, &again.event_type, &again.source), (&envelope.id, &envelope.event_type, &envelope.source));
        assert_eq!((again.timestamp, &again.actor), (envelope.timestamp, &envelope.actor));
        let _ = (envelope.validate(), envelope.key(), EventContext::caused_by(&envelope));
        let _ = envelope.to_record(&Origin::now("fuzz"));
        if let Ok(typed) = envelope.typed::<RideCompleted>() {
            let written = typed.encode().expect("an event can be written");
            let again = EnvelopeRef::decode(&written).expect("what was written can be read");
            assert_eq!(again.typed::<RideCompleted>().expect("of the same type"), typed);
        }
    }
    if let Ok(letter) = DeadLetter::decode(bytes) {
        let written = letter.encode();
        let again = DeadLetter::decode(&written).expect("what was written can be read");
        assert_eq!(again.encode(), written);
        let _ = (letter.to_record(), letter.body());
    }
    macro_rules! payloads {
        ($($event:ident)*) => {$(
            if let Ok(event) = decode_payload::<$event>(bytes) {
                let written = encode_payload(&event).expect("an event can be written");
                assert_eq!(decode_payload::<$event>(&written).ok().map(|again| encode_payload(&again).ok()), Some(Some(written)));
            }
        )*};
    }
    payloads!(RideCompleted DriverLocationUpdated DriverDocumentsSubmitted);
    // words that are missing are written as "", which is not read again
    let _ = (decode_payload::<UserRegistered>(bytes), decode_payload::<RideCancelled>(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(time) = text.parse::<Time>() {
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        if let Ok(phone) = text.parse::<Phone>() {
            assert_eq!(phone.to_string().parse(), Ok(phone));
        }
        if let Ok(email) = text.parse::<Email>() {
            assert_eq!(email.to_string().parse(), Ok(email));
        }
        let _ = (text.parse::<UserId>(), text.parse::<UserType>());
    }
});
