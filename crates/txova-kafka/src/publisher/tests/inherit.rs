//! What an event takes over from the handler it is published in.

use txova_events::{
    EventContext, PaymentId, PaymentInitiated, PaymentMethod, RawEnvelope, RideCancelled, RideId,
};

use super::*;
use crate::context::{Context, TraceContext};
use crate::extract::{Event, State};
use crate::kafka::Kafka;
use crate::outcome::HandlerError;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const PAYMENTS: &str = "txova.payments.v1";

fn payment(ride_id: RideId) -> PaymentInitiated {
    PaymentInitiated {
        payment_id: PaymentId::new(),
        ride_id,
        amount: txova_events::Money::from_centavos(25_000),
        method: PaymentMethod::Mpesa,
    }
}

/// The envelope and the headers of the only record of a topic.
fn only(cluster: &Cluster, topic: &str) -> (RawEnvelope, Vec<(String, String)>) {
    let records = cluster.records(topic);
    assert_eq!(records.len(), 1);
    let record = &records[0].1;
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    let headers = record.headers.iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
    (RawEnvelope::decode(record.value.as_ref().unwrap()).unwrap(), headers)
}

#[tokio::test(start_paused = true)]
async fn outside_of_any_handler_an_event_begins_a_chain_under_its_own_id() {
    let cluster = Cluster::new();
    publisher(&cluster, |_| {}).publish(&payment(RideId::new())).await.unwrap();
    let (envelope, headers) = only(&cluster, PAYMENTS);
    assert_eq!(envelope.correlation_id, envelope.id);
    assert_eq!(envelope.causation_id, None);
    assert_eq!(headers.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_event_published_in_a_handler_inherits_correlation_cause_and_trace_by_itself() {
    async fn charge(
        Event(ride): Event<RideCancelled>,
        State(publisher): State<Publisher>,
    ) -> Result<(), HandlerError> {
        publisher.publish(&payment(ride.ride_id)).await?;
        Ok(())
    }
    let (cluster, ride_id) = (Cluster::new(), RideId::new());
    let value = format!(
        r#"{{"id":"the-cause","type":"ride.cancelled","version":"1.0","source":"ride-service","timestamp":"2026-11-24T08:00:00Z","correlation_id":"the-chain","payload":{{"ride_id":"{ride_id}","cancelled_by":"rider","reason":"other","cancellation_fee":0}}}}"#
    );
    let headers = [("traceparent", TRACEPARENT), ("tracestate", "a=1"), ("baggage", "city=maputo")];
    cluster
        .produce(OutgoingRecord {
            topic: "txova.rides.v1".into(),
            key: Some(ride_id.to_string().into()),
            value: Some(value.into()),
            headers: headers.map(|(name, value)| (name.into(), Some(value.into()))).into(),
            ..OutgoingRecord::default()
        })
        .unwrap();

    let kafka = Kafka::over(Arc::new(cluster.clone()), KafkaConfig::default());
    let app = kafka.app("payment-service").handle(charge).state(publisher(&cluster, |_| {})).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|cluster| !cluster.records(PAYMENTS).is_empty()).await;
    assert!(handle.close(60 * SECOND).await);
    run.await.unwrap().unwrap();

    let (envelope, headers) = only(&cluster, PAYMENTS);
    assert_eq!(envelope.correlation_id, "the-chain");
    assert_eq!(envelope.causation_id.as_deref(), Some("the-cause"));
    let names: Vec<&str> = headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["event_type", "event_id", "correlation_id", "traceparent", "tracestate", "baggage"]);
    assert_eq!(headers[2].1, "the-chain");
    assert_eq!(headers[3].1[..36], TRACEPARENT[..36], "the same trace");
    assert_eq!((&*headers[4].1, &*headers[5].1), ("a=1", "city=maputo"));
}

#[tokio::test(start_paused = true)]
#[allow(clippy::async_yields_async)] // called inside, awaited outside: that is the point
async fn every_way_to_publish_inherits_and_the_moment_of_the_call_counts() {
    let cluster = Cluster::new().with_topic(PAYMENTS, 1);
    let publisher = publisher(&cluster, |_| {});
    let trace = TraceContext::from_traceparent(TRACEPARENT);
    let context = Context::new(EventContext::new("request-7"), trace);
    let event = payment(RideId::new());
    let called_inside = context
        .scope(async {
            publisher.publish(&event).await.unwrap();
            publisher.enqueue(&event).await.unwrap().await.unwrap();
            publisher.publish_async(&event, |_| {}).await.unwrap();
            for answer in publisher.publish_batch([&event, &event]).await {
                answer.unwrap();
            }
            publisher.publish(&event)
        })
        .await;
    called_inside.await.unwrap();
    let records = cluster.records(PAYMENTS);
    assert_eq!(records.len(), 6);
    for (_, record) in records {
        assert_eq!(record.headers.text("correlation_id"), Some("request-7"));
        assert_eq!(record.headers.text("traceparent"), Some(TRACEPARENT));
    }
}
