//! How envelopes are made, and a publisher's rules: each names the field that breaks it.

use txova_events::*;

fn payout() -> PayoutRequested {
    PayoutRequested {
        payout_id: PayoutId::new(),
        driver_id: DriverId::new(),
        amount: Money::from_meticais(500).expect("small"),
    }
}

#[test]
fn an_envelope_made_new_begins_a_chain() {
    let envelope = Envelope::new("payment-service", payout());
    assert_eq!(envelope.event_type, "payout.requested");
    assert_eq!((envelope.version.as_str(), envelope.source.as_str()), ("1.0", "payment-service"));
    assert_eq!(envelope.correlation_id, envelope.id);
    assert_eq!((&envelope.causation_id, &envelope.actor), (&None, &None));
    assert_eq!(envelope.key(), envelope.payload.payout_id.to_string());
    envelope.validate().expect("what is made new may be published");
}

#[test]
fn an_envelope_made_from_a_context_goes_on_with_its_chain() {
    let first = Envelope::new("ride-service", payout()).encode().expect("it can be written");
    let first = EnvelopeRef::decode(&first).expect("it can be read");
    let actor = Actor::admin(UserId::new());
    let context = EventContext::caused_by(&first).with_actor(actor.clone());
    let built = Envelope::builder("payment-service", payout()).context(&context).build().expect("sound");
    for next in [Envelope::from_context("payment-service", &context, payout()), built] {
        assert_eq!(next.correlation_id, first.correlation_id);
        assert_eq!(next.causation_id.as_deref(), Some(&*first.id));
        assert_eq!(next.actor.as_ref(), Some(&actor));
        assert_ne!(next.id, first.id);
    }
}

#[test]
fn the_builder_sets_every_field_and_keeps_the_others() {
    let time: Time = "2026-01-02T03:04:05Z".parse().expect("a time");
    let envelope = Envelope::builder("payment-service", payout())
        .id("e-1")
        .version("2.1")
        .timestamp(time)
        .causation_id("e-0")
        .build()
        .expect("sound");
    assert_eq!((envelope.id.as_str(), envelope.version.as_str()), ("e-1", "2.1"));
    assert_eq!(envelope.correlation_id, "e-1", "it begins a chain of its own");
    assert_eq!((envelope.timestamp, envelope.causation_id.as_deref()), (time, Some("e-0")));
    let correlated = Envelope::builder("payment-service", payout()).correlation_id("request-17").id("e-1");
    assert_eq!(
        correlated.build().expect("sound").correlation_id,
        "request-17",
        "in whatever order they are given"
    );
}

#[test]
fn every_rule_of_a_publisher_names_the_field_that_breaks_it() {
    type Break = fn(&mut Envelope<PayoutRequested>);
    let rules: [(&str, Break); 9] = [
        ("id", |it| it.id.clear()),
        ("type", |it| it.event_type.clear()),
        ("version", |it| it.version.clear()),
        ("version", |it| it.version = "one".into()),
        ("source", |it| it.source.clear()),
        ("timestamp", |it| it.timestamp = "0001-01-01T00:00:00Z".parse().expect("Go's zero time")),
        ("correlation_id", |it| it.correlation_id.clear()),
        ("payload.payout_id", |it| it.payload.payout_id = PayoutId::nil()),
        ("payload.driver_id", |it| it.payload.driver_id = DriverId::nil()),
    ];
    for (field, breaks) in rules {
        let mut envelope = Envelope::new("payment-service", payout());
        breaks(&mut envelope);
        let error = envelope.validate().expect_err(field);
        assert_eq!(error.field, field, "{error}");
        assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
    }
}
