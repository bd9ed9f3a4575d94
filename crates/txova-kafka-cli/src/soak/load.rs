//! Publishes at a steady rate, whatever the answers do: an event is late when it could not be sent in time, and the wait
//! counts as its latency.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::sleep;
use txova_kafka::publisher::{Published, Publisher};

use super::beat::Beat;
use super::ledger::Ledger;

/// Sends all of it and comes back when each is answered.
pub(super) async fn send(ledger: &Arc<Ledger>, publisher: &Publisher, rate: u32, bytes: u32) {
    let padding = "x".repeat(bytes as usize);
    let offset_us = ledger.now_us();
    for number in 0..ledger.total {
        let due_us = offset_us + number * 1_000_000 / u64::from(rate);
        let early_us = due_us.saturating_sub(ledger.now_us());
        // The timer's own resolution is a millisecond.
        if early_us > 1_000 {
            sleep(Duration::from_micros(early_us)).await;
        }
        ledger.sent.fetch_add(1, Relaxed);
        let key = (number % u64::from(ledger.keys)) as u32;
        let beat = Beat { run: ledger.run.clone(), number, key, due_us, padding: padding.clone() };
        let account = Arc::clone(ledger);
        let answered = move |answer: Result<Published, _>| match answer {
            Ok(at) => account.acknowledged(number, due_us, at.partition, at.offset),
            Err(_) => account.failed(),
        };
        if publisher.publish_async(&beat, answered).await.is_err() {
            ledger.failed();
        }
    }
    while publisher.stats().in_flight > 0 {
        sleep(Duration::from_millis(10)).await;
    }
}
