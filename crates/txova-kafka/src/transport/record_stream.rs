//! Records on their way from whoever reads them: in batches, for a channel wakes its reader for each thing it is given. It
//! must never hold a record back that somebody waits for.

use std::vec;

use tokio::sync::mpsc;

use crate::client_error::ClientError;
use crate::record::{Record, TopicPartition};

/// A record with its place, or why there are no more.
pub(crate) type Item = Result<(TopicPartition, Record), ClientError>;

/// Records that are read without a group; where nothing else is said an error is the last of it.
#[derive(Debug)]
pub(crate) struct RecordStream {
    batches: mpsc::Receiver<Vec<Item>>,
    at_hand: vec::IntoIter<Item>,
}

/// Holds `batches` batches at most; none of them may be empty.
pub(crate) fn channel(batches: usize) -> (mpsc::Sender<Vec<Item>>, RecordStream) {
    let (sender, receiver) = mpsc::channel(batches);
    (sender, RecordStream { batches: receiver, at_hand: Vec::new().into_iter() })
}

impl RecordStream {
    /// The next one, as soon as there is one; `None` at the end.
    ///
    /// # Cancellation
    /// A future that is dropped loses nothing.
    pub(crate) async fn recv(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.at_hand.next() {
                return Some(item);
            }
            self.at_hand = self.batches.recv().await?.into_iter();
        }
    }

    /// The next one, where it is there already.
    pub(crate) fn try_recv(&mut self) -> Option<Item> {
        self.at_hand.next().or_else(|| {
            self.at_hand = self.batches.try_recv().ok()?.into_iter();
            self.at_hand.next()
        })
    }
}
