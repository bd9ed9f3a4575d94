//! A client that a test answers by hand, and what only such a client can show.

use std::sync::Arc;

use futures_util::FutureExt;

use super::*;
use crate::client_error::ClientErrorKind;
use crate::lifecycle::Initializer;
use crate::record::TopicPartition;
use crate::transport::{Committed, GroupMember, NewTopic, ReadRange, Transport, Undelivered, Watermarks};

/// What a client does with each record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Manner {
    /// Keeps it until the test answers.
    Keep,
    /// Answers before `send` comes back.
    AnswerAtOnce,
    /// Does not take it.
    Refuse,
    /// Takes it, and lets it go without a word.
    Forget,
}

pub(super) struct HandClient {
    manner: Manner,
    pub(super) kept: Mutex<Vec<(OutgoingRecord, DeliveryCallback)>>,
    pub(super) taken: Mutex<Vec<Bytes>>,
    /// The topics it was asked to be ready for.
    pub(super) warmed_up: Mutex<Vec<String>>,
    /// Runs inside the next `send`.
    pub(super) meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[derive(Clone)]
pub(super) struct HandTransport(pub(super) Arc<HandClient>);

impl std::fmt::Debug for HandTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandTransport")
    }
}

/// A publisher over a client of that manner.
pub(super) fn by_hand(manner: Manner, buffer_records: usize) -> (Publisher, Arc<HandClient>) {
    let client = Arc::new(HandClient {
        manner,
        kept: Mutex::default(),
        taken: Mutex::default(),
        warmed_up: Mutex::default(),
        meanwhile: Mutex::default(),
    });
    let mut config = KafkaConfig::default();
    (config.publisher.buffer_records, config.publisher.buffer_bytes) = (buffer_records, 3_000);
    config.publisher.max_message_bytes = 3_000;
    let transport = Arc::new(HandTransport(Arc::clone(&client)));
    (Kafka::over(transport, config).publisher("test").unwrap(), client)
}

impl HandClient {
    /// Answers the record that has waited longest.
    pub(super) fn answer(&self) {
        let (_, done) = self.kept.lock().unwrap().remove(0);
        done(Ok(Delivery { partition: 0, offset: 0, maybe_twice: false }));
    }

    pub(super) fn taken(&self) -> Vec<Bytes> {
        self.taken.lock().unwrap().clone()
    }
}

impl Producer for HandClient {
    fn send(&self, record: &OutgoingRecord, done: DeliveryCallback) -> Result<(), NotTaken> {
        if self.manner == Manner::Refuse {
            return Err(NotTaken { error: ClientError::new(ClientErrorKind::Other, "not taken"), done });
        }
        self.taken.lock().unwrap().push(record.value.clone().unwrap());
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        match self.manner {
            Manner::Keep => self.kept.lock().unwrap().push((record.clone(), done)),
            Manner::AnswerAtOnce => done(Ok(Delivery { partition: 0, offset: 0, maybe_twice: false })),
            Manner::Refuse | Manner::Forget => drop(done),
        }
        Ok(())
    }

    fn flush(&self, _: Duration) -> BoxFuture<'static, Result<(), ClientError>> {
        Box::pin(async { Ok(()) })
    }

    fn log_ends(
        &self,
        _: Vec<TopicPartition>,
        _: Duration,
    ) -> BoxFuture<'static, Result<Vec<i64>, ClientError>> {
        unreachable!("a publisher does not ask")
    }

    fn warm_up(&self, topics: Vec<String>, _: Duration) -> BoxFuture<'static, Result<(), ClientError>> {
        self.warmed_up.lock().unwrap().extend(topics);
        Box::pin(async { Ok(()) })
    }
}

impl Transport for HandTransport {
    fn producer(&self) -> Result<Arc<dyn Producer>, ClientError> {
        Ok(Arc::clone(&self.0) as _)
    }

    fn join(&self, _: JoinOptions) -> Result<GroupMember, ClientError> {
        unreachable!("only a producer is asked for")
    }

    fn ledger(&self, _: &str) -> Result<Arc<dyn crate::transport::Ledger>, ClientError> {
        unreachable!("only a producer is asked for")
    }

    fn read(&self, _: Vec<ReadRange>) -> Result<crate::transport::RecordStream, ClientError> {
        unreachable!("only a producer is asked for")
    }

    fn follow(&self, _: Vec<(TopicPartition, i64)>) -> Result<crate::transport::RecordStream, ClientError> {
        unreachable!("only a producer is asked for")
    }

    fn admin(&self) -> Arc<dyn crate::transport::admin::AdminCalls> {
        unreachable!("only a producer is asked for")
    }

    fn topics(
        &self,
        _: Vec<String>,
        _: Duration,
    ) -> BoxFuture<'static, Result<Vec<(String, i32)>, ClientError>> {
        unreachable!("only a producer is asked for")
    }

    fn create_topics(&self, _: Vec<NewTopic>, _: Duration) -> BoxFuture<'static, Result<(), ClientError>> {
        unreachable!("only a producer is asked for")
    }

    fn watermarks(
        &self,
        _: Vec<TopicPartition>,
        _: Duration,
    ) -> BoxFuture<'static, Result<Vec<Watermarks>, ClientError>> {
        unreachable!("only a producer is asked for")
    }

    fn offsets_at(
        &self,
        _: Vec<TopicPartition>,
        _: i64,
        _: Duration,
    ) -> BoxFuture<'static, Result<Vec<i64>, ClientError>> {
        unreachable!("only a producer is asked for")
    }

    fn committed(
        &self,
        _: String,
        _: Vec<TopicPartition>,
        _: Duration,
    ) -> BoxFuture<'static, Result<Vec<Option<Committed>>, ClientError>> {
        unreachable!("only a producer is asked for")
    }
}

#[tokio::test]
async fn a_record_the_client_forgets_ends_with_maybe_and_gives_its_place_back() {
    let (publisher, _client) = by_hand(Manner::Forget, 1);
    for _ in 0..3 {
        let error = publisher.publish_record(record("1")).await.unwrap_err();
        assert_eq!((error.kind(), error.written()), (PublishErrorKind::Closed, Written::Maybe));
    }
    assert_eq!((publisher.stats().failed, publisher.stats().in_flight), (3, 0));
}

#[tokio::test]
async fn a_services_start_is_ready_for_the_topics_that_are_expected() {
    let (publisher, client) = by_hand(Manner::Keep, 10);
    publisher.expect_topics(["rides", "payments"]);
    publisher.clone().expect_topics(["rides"]);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    Initializer::init(&publisher, deadline).await.unwrap();
    assert_eq!(*client.warmed_up.lock().unwrap(), ["payments", "rides"]);
}

#[tokio::test]
async fn what_may_be_in_the_log_twice_is_told_as_that() {
    let (publisher, client) = by_hand(Manner::Keep, 10);
    let handle = publisher.enqueue_record(record("1")).await.unwrap();
    let (_, done) = client.kept.lock().unwrap().remove(0);
    done(Ok(Delivery { partition: 0, offset: 7, maybe_twice: true }));
    let published = handle.await.unwrap();
    assert_eq!((published.offset, published.maybe_twice), (7, true));
    let handle = publisher.enqueue_record(record("2")).await.unwrap();
    let (_, done) = client.kept.lock().unwrap().remove(0);
    let error = ClientError::new(ClientErrorKind::TimedOutMaybeWritten, "late");
    let (written, is_taken, maybe_twice) = (Written::Maybe, true, true);
    done(Err(Undelivered { error, written, is_taken, maybe_twice, key: None, record: None }));
    let error = handle.await.unwrap_err();
    assert!(error.maybe_twice() && error.to_string().ends_with("also twice)"), "{error}");
}

#[tokio::test]
async fn a_record_the_client_does_not_take_was_not_written_and_gives_its_place_back() {
    let (publisher, _client) = by_hand(Manner::Refuse, 1);
    for _ in 0..3 {
        let error = publisher.publish_record(record("1")).await.unwrap_err();
        assert_eq!((error.kind(), error.written()), (PublishErrorKind::Failed, Written::No));
        assert!(error.to_string().contains("not taken"), "{error}");
        assert_eq!((error.topic(), error.key()), (Some(TOPIC), Some(&b"k"[..])));
    }
    assert_eq!(publisher.stats().in_flight, 0);
}

#[tokio::test]
async fn a_client_that_answers_on_the_spot_does_no_harm() {
    let (publisher, client) = by_hand(Manner::AnswerAtOnce, 1);
    for number in 0..1_000 {
        publisher.publish_record(record(number.to_string())).await.unwrap();
    }
    assert_eq!((publisher.stats().published, client.taken().len()), (1_000, 1_000));
}

#[tokio::test]
async fn an_answer_on_a_thread_without_a_runtime_reaches_the_caller() {
    let (publisher, client) = by_hand(Manner::Keep, 10);
    let handle = publisher.enqueue_record(record("1")).await.unwrap();
    std::thread::spawn(move || client.answer()).join().unwrap();
    handle.await.unwrap();
}

#[tokio::test]
async fn what_comes_while_another_is_handing_over_is_handed_over_too_however_much_it_is() {
    for manner in [Manner::AnswerAtOnce, Manner::Keep] {
        let (publisher, client) = by_hand(manner, 1_000);
        let numbers: Vec<String> = (0..900).map(|number| number.to_string()).collect();
        let (first, rest) = (numbers[0].clone(), numbers[1..].to_vec());
        let clone = publisher.clone();
        *client.meanwhile.lock().unwrap() = Some(Box::new(move || {
            for number in rest {
                let record = OutgoingRecord { key: None, value: Some(number.into()), ..record("") };
                drop(clone.enqueue_record(record).now_or_never().expect("there is room").unwrap());
            }
        }));
        let record = OutgoingRecord { key: None, ..record(first) };
        drop(publisher.enqueue_record(record).await.unwrap());
        while !client.kept.lock().unwrap().is_empty() {
            client.answer();
        }
        assert_eq!(client.taken(), numbers, "{manner:?}");
        assert_eq!((publisher.stats().published, publisher.stats().in_flight), (900, 0), "{manner:?}");
    }
}

#[tokio::test]
async fn who_has_the_answer_finds_it_counted() {
    let (publisher, client) = by_hand(Manner::Keep, 10);
    let (sender, counted) = tokio::sync::oneshot::channel();
    let event = txova_events::PaymentCompleted {
        payment_id: txova_events::PaymentId::new(),
        transaction_ref: String::new(),
    };
    let clone = publisher.clone();
    publisher.publish_async(&event, move |_| sender.send(clone.stats()).unwrap()).await.unwrap();
    client.answer();
    let stats = counted.await.unwrap();
    assert_eq!((stats.published, stats.in_flight), (1, 0));
}
