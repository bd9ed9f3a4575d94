//! What the driver makes of what the client says, one thing at a time.

use futures_util::FutureExt as _;

use super::*;
use crate::transport::{Assignment, Command, Commands};

struct Nobody;

impl Commands for Nobody {
    fn send(&self, _: Command) {}
}

impl Dispatch for Nobody {
    fn dispatch(&self, _: crate::attempt::Attempt) -> BoxFuture<'static, Outcome> {
        std::future::pending().boxed()
    }

    fn dispatch_batch(&self, _: Vec<crate::attempt::Attempt>) -> BoxFuture<'static, BatchOutcome> {
        std::future::pending().boxed()
    }

    fn batch_of(&self, _: &Record) -> Option<u32> {
        None
    }

    fn handler_for(&self, _: &Record) -> (Option<crate::outcome::HandlerId>, Arc<str>) {
        (None, "-".into())
    }
}

impl DeadLetters for Nobody {
    fn write(&self, _: DeadLetterOrder<Record>) -> BoxFuture<'static, Result<(), ClientError>> {
        std::future::pending().boxed()
    }
}

/// The client may say it and hand over records between the driver's look at the one channel and at the other.
#[tokio::test]
async fn a_batch_that_is_seen_before_its_assignment_is_not_thrown_away() {
    let settings = DriverSettings {
        engine: Settings::default(),
        group: "group".into(),
        processing_timeout: Duration::from_secs(1),
        revoke_timeout: Duration::from_secs(1),
        shutdown_timeout: Duration::from_secs(1),
        publishing: None,
    };
    let (says, events) = mpsc::unbounded_channel();
    let (_batches, batches) = mpsc::channel(1);
    let (_control, control) = mpsc::unbounded_channel();
    let member = GroupMember { events, batches, commands: Box::new(Nobody) };
    let path = LetterPath::Acknowledged(Arc::new(Nobody));
    let mut driver = Driver::new(settings, member, Arc::new(Nobody), path, control);
    let rides = TopicPartition::new("rides", 0);
    let assignment = Assignment { partition: rides.clone(), committed: None };
    says.send(GroupEvent::Assigned { epoch: 1, partitions: vec![assignment] }).expect("the driver listens");
    let record = Record::copy_from(7, None, None, None, std::iter::empty());
    driver.take(Batch { partition: rides, epoch: 1, records: vec![record] });
    driver.feed();
    assert_eq!(driver.picture().engine.in_flight_records, 1);
}
