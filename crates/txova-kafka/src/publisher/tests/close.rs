//! The end of a publisher.

use futures_util::FutureExt;

use super::client::{Manner, by_hand};
use super::*;
use crate::client_error::ClientErrorKind;
use crate::testing::ProduceFault;

#[tokio::test(start_paused = true)]
async fn after_close_every_call_on_every_clone_is_refused() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |_| {});
    let clone = publisher.clone();
    assert!(publisher.close(SECOND).await.is_clean());
    for error in [
        clone.publish_record(record("1")).await.unwrap_err(),
        clone.enqueue_record(record("1")).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.written()), (PublishErrorKind::Closed, Written::No));
    }
    let rated = txova_events::PaymentCompleted {
        payment_id: txova_events::PaymentId::new(),
        transaction_ref: String::new(),
    };
    assert!(clone.publish(&rated).await.is_err());
    assert!(clone.publish_async(&rated, |_| unreachable!("not taken")).await.is_err());
    assert_eq!(clone.publish_batch(&[rated.clone(), rated]).await.iter().filter(|a| a.is_err()).count(), 2);
    assert_eq!(log(&cluster), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_every_answer_and_counts_them() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |_| {});
    publisher.publish_record(record("before")).await.unwrap();
    cluster.produce_down(TOPIC);
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(ClientErrorKind::InvalidRecord));
    for number in 0..5 {
        publisher.enqueue_record(record(number.to_string())).await.unwrap().now_or_never();
    }
    let up_again = async {
        tokio::time::sleep(SECOND).await;
        cluster.produce_up(TOPIC);
    };
    let (report, ()) = tokio::join!(publisher.close(10 * SECOND), up_again);
    assert_eq!(report, CloseReport { acknowledged: 4, failed: 1, unanswered: 0 });
}

#[tokio::test(start_paused = true)]
async fn close_ends_at_its_deadline_and_says_what_is_unanswered() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |config| config.buffer_records = 3);
    cluster.produce_down(TOPIC);
    for number in 0..3 {
        publisher.enqueue_record(record(number.to_string())).await.unwrap().now_or_never();
    }
    let mut waiting = Box::pin(publisher.publish_record(record("late")));
    assert!(waiting.as_mut().now_or_never().is_none());

    let begun = tokio::time::Instant::now();
    let report = publisher.close(3 * SECOND).await;
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(report, CloseReport { acknowledged: 0, failed: 0, unanswered: 3 });
    assert!(!report.is_clean());
    let error = waiting.await.unwrap_err();
    assert_eq!((error.kind(), error.written()), (PublishErrorKind::Closed, Written::No));

    cluster.produce_up(TOPIC);
    let report = publisher.close(3 * SECOND).await;
    assert_eq!(report, CloseReport { acknowledged: 3, failed: 0, unanswered: 0 });
    assert_eq!(log(&cluster), ["0", "1", "2"]);
}

#[tokio::test]
async fn dropping_a_publisher_does_not_block_and_its_records_still_get_their_answers() {
    let (publisher, client) = by_hand(Manner::Keep, 10);
    let handle = publisher.enqueue_record(record("1")).await.unwrap();
    let weak = Arc::downgrade(&client);
    drop(publisher); // would hang here if it waited: only the next line answers
    client.answer();
    handle.await.unwrap();
    drop(client);
    // The thread that waited lets the client go.
    while weak.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn dropping_a_publisher_with_nothing_under_way_lets_the_client_go_at_once() {
    let (publisher, client) = by_hand(Manner::AnswerAtOnce, 10);
    publisher.publish_record(record("1")).await.unwrap();
    drop(publisher);
    assert_eq!(Arc::strong_count(&client), 1);
}
