//! Reads ranges of partitions without a group. It must never commit.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::state::Shared;
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::{Record, TopicPartition};
use crate::transport::record_stream::{self, Item};
use crate::transport::{ReadRange, RecordStream};

/// Records that are handed over at once.
const CAPACITY: usize = 256;

/// Starts reading on `runtime`.
pub(super) fn read(
    shared: Arc<Shared>,
    ranges: Vec<ReadRange>,
    runtime: &tokio::runtime::Handle,
) -> RecordStream {
    let (items, receiver) = record_stream::channel(1);
    runtime.spawn(async move {
        for range in ranges {
            if read_range(&shared, range, &items).await.is_none() {
                return;
            }
        }
    });
    receiver
}

/// Starts reading on `runtime`, without an end.
pub(super) fn follow(
    shared: Arc<Shared>,
    starts: Vec<(TopicPartition, i64)>,
    runtime: &tokio::runtime::Handle,
) -> RecordStream {
    let (items, receiver) = record_stream::channel(1);
    for (partition, start) in starts {
        let (shared, items) = (shared.clone(), items.clone());
        runtime.spawn(async move {
            read_range(&shared, ReadRange { partition, start, end: i64::MAX }, &items).await;
        });
    }
    receiver
}

/// Reads one range to its end; `None` when nobody listens any more.
async fn read_range(shared: &Shared, range: ReadRange, items: &mpsc::Sender<Vec<Item>>) -> Option<()> {
    let ReadRange { partition, mut start, end } = range;
    let mut changes = shared.changes();
    while start < end {
        changes.hear();
        match fetch(shared, &partition, start) {
            Err(error) => return items.send(vec![Err(error)]).await.ok(),
            Ok((records, next)) => {
                let waiting = next == start;
                start = next;
                let records = records.into_iter().take_while(|record| record.offset < end);
                let batch: Vec<Item> = records.map(|record| Ok((partition.clone(), record))).collect();
                if !batch.is_empty() {
                    items.send(batch).await.ok()?;
                }
                if waiting {
                    tokio::select! {
                        biased;
                        () = items.closed() => return None,
                        () = changes.changed() => {}
                    }
                }
            }
        }
    }
    Some(())
}

fn fetch(shared: &Shared, partition: &TopicPartition, start: i64) -> Result<(Vec<Record>, i64), ClientError> {
    let state = shared.lock();
    if state.broker_away {
        return Ok((Vec::new(), start));
    }
    let log = state.log(partition)?;
    if start < log.low() {
        let text = format!(
            "offset {start} of {partition} is not in the log any more, which begins at {}",
            log.low()
        );
        return Err(ClientError::new(ClientErrorKind::OffsetOutOfRange, text));
    }
    Ok(log.read(start, CAPACITY))
}
