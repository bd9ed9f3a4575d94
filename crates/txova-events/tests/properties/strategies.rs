//! How values are drawn.

use proptest::option;
use proptest::prelude::*;
use time::{Date, OffsetDateTime, UtcOffset};
use txova_events::*;
use uuid::Uuid;

/// Any text: controls, quotes, HTML, separators, emoji.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9-]{0,20}",
        any::<String>(),
        proptest::collection::vec(
            prop_oneof![
                Just('<'),
                Just('&'),
                Just('\u{2028}'),
                Just('"'),
                Just('\\'),
                Just('\0'),
                Just('\u{fffd}'),
                any::<char>()
            ],
            0..12
        )
        .prop_map(|chars| chars.into_iter().collect()),
    ]
}

/// A text that is left out when empty is never empty.
pub(crate) fn optional_text() -> impl Strategy<Value = Option<String>> {
    option::of(text().prop_filter("left out when empty", |text| !text.is_empty()))
}

pub(crate) fn id<T: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    (1..=u128::MAX).prop_map(|bits| Uuid::from_u128(bits).into())
}

pub(crate) fn number() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![
        -1e3..1e3,
        (-1e6..1e6).prop_map(|n: f64| n * 1e-12),
        POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
    ]
}

pub(crate) fn location() -> impl Strategy<Value = Location> {
    (-90.0..=90.0, -180.0..=180.0)
        .prop_map(|(latitude, longitude)| Location::new(latitude, longitude).unwrap())
}

pub(crate) fn time_value() -> impl Strategy<Value = Time> {
    (0..=9999i32, 1..=365u16, 0..86_400u32, 0..1_000_000_000u32, 0..=3u32, -1439..=1439i32).prop_map(
        |(year, day, second, nanosecond, digits, offset)| {
            let nanosecond = nanosecond - nanosecond % 10u32.pow(digits * 3);
            let clock = time::Time::from_hms_nano(
                (second / 3600) as u8,
                (second / 60 % 60) as u8,
                (second % 60) as u8,
                nanosecond,
            );
            let datetime: OffsetDateTime = Date::from_ordinal_date(year, day)
                .unwrap()
                .with_time(clock.unwrap())
                .assume_offset(UtcOffset::from_whole_seconds(offset * 60).unwrap());
            Time::from_datetime(datetime).unwrap()
        },
    )
}

pub(crate) fn phone() -> impl Strategy<Value = Phone> {
    "8[2-7][0-9]{7}".prop_map(|digits| digits.parse().unwrap())
}

pub(crate) fn email() -> impl Strategy<Value = Email> {
    "[a-zA-Z0-9.+_-]{1,20}@[a-z0-9]{1,9}(-[a-z0-9]{1,4})?\\.[a-z]{2,5}".prop_map(|text| text.parse().unwrap())
}

pub(crate) fn word<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

/// A word of an open enumeration, or any text.
pub(crate) fn open_word<T: for<'a> From<&'a str> + std::fmt::Debug>(
    known: &'static str,
) -> impl Strategy<Value = T> {
    prop_oneof![Just(known.to_owned()), text()].prop_map(|word| word.as_str().into())
}

pub(crate) fn measure<T: std::fmt::Debug>(
    make: fn(f64) -> Result<T, OutOfRange>,
) -> impl Strategy<Value = T> {
    number().prop_map(move |number| make(number).unwrap())
}

pub(crate) fn money() -> impl Strategy<Value = Money> {
    any::<i64>().prop_map(Money::from_centavos)
}

pub(crate) fn actor() -> impl Strategy<Value = Actor> {
    (id(), open_word("admin")).prop_map(|(id, kind): (ActorId, ActorType)| Actor::new(id, kind))
}

/// Any JSON, with blanks and odd spellings.
pub(crate) fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just(" true".to_owned()),
        Just("-0.0e+7".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just(r#""\ud83d\ude97 \u003c \/""#.to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        text().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(" ,\n"))),
            proptest::collection::vec((text(), inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, value)| format!("{} : {value}", serde_json::to_string(&name).unwrap()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// An envelope with any texts, any payload and members nobody knows.
pub(crate) fn raw_envelope() -> impl Strategy<Value = RawEnvelope> {
    let head = (text(), text(), text(), text(), time_value(), text(), optional_text(), option::of(actor()));
    (head, json(), proptest::collection::vec(("x_[a-z]{1,6}", json()), 0..4)).prop_map(
        |(head, payload, unknown)| {
            let (id, event_type, version, source, timestamp, correlation_id, causation_id, actor) = head;
            let mut envelope = RawEnvelope::default();
            envelope.id = id.into();
            envelope.event_type = event_type.into();
            envelope.version = version.into();
            envelope.source = source.into();
            envelope.timestamp = timestamp;
            envelope.correlation_id = correlation_id.into();
            envelope.causation_id = causation_id.map(Into::into);
            envelope.actor = actor;
            envelope.set_payload(payload.trim().as_bytes().to_vec()).unwrap();
            let mut bytes = envelope.encode();
            bytes.pop();
            for (name, value) in unknown {
                bytes.extend_from_slice(format!(",{name:?}:{}", value.trim()).as_bytes());
            }
            bytes.push(b'}');
            RawEnvelope::decode(&bytes).unwrap()
        },
    )
}
