//! The load on a publisher: events at a steady pace, whatever becomes of them, and what was said of each.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use txova_kafka::publisher::{PublishError, PublishHandle, Published, Publisher, Written};

use crate::event::{Kind, Numbered};
use crate::failure::{Context, Result};

/// What a publisher said of an event in the end.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Written { partition: i32, offset: i64, maybe_twice: bool },
    Maybe { why: String, maybe_twice: bool },
    No(String),
}

/// An event and what was said of it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) key: u32,
    pub(super) number: u32,
    pub(super) said: Said,
}

/// Events of so many keys in turn, each numbered for its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) per_second: u32,
    pub(super) keys: u32,
    pub(super) filler_bytes: usize,
}

const TICK: Duration = Duration::from_millis(5);

/// Everything that was said.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) told: Vec<Told>,
    /// Failures by kind and by whether they may be in the log.
    pub(super) failures: BTreeMap<String, u64>,
}

impl Load {
    /// Publishes until `end`, and comes back with what that gave when each event is answered.
    pub(super) async fn publish<T>(
        self,
        publisher: &Publisher,
        end: impl Future<Output = Result<T>>,
    ) -> Result<(Account, T)> {
        let mut end = std::pin::pin!(end);
        let (sender, handles) = mpsc::unbounded_channel();
        let answers = tokio::spawn(collect(handles));
        let mut refused = Account::default();
        let (began, mut sent) = (Instant::now(), 0_u32);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut end => break ended?,
                _ = ticks.tick() => {}
            }
            let due = (began.elapsed().as_secs_f64() * f64::from(self.per_second)) as u32;
            // A call that waits for a place must not be made up for by a burst.
            let due = due.min(sent + self.per_second / 10);
            while sent < due {
                let (key, number) = (sent % self.keys, sent / self.keys);
                let filler = "x".repeat(self.filler_bytes);
                let event = Numbered { key, number, kind: Kind::Plain, work_ms: 0, filler };
                sent += 1;
                match publisher.enqueue(&event).await {
                    Ok(handle) => {
                        let _ = sender.send((key, number, handle));
                    }
                    Err(error) => refused.add_error(key, number, &error),
                }
            }
        };
        drop(sender);
        let mut all = answers.await.context(|| "the answers ended".to_owned())?;
        all.told.append(&mut refused.told);
        for (kind, count) in refused.failures {
            *all.failures.entry(kind).or_default() += count;
        }
        Ok((all, ended))
    }
}

async fn collect(mut handles: mpsc::UnboundedReceiver<(u32, u32, PublishHandle)>) -> Account {
    let mut account = Account::default();
    while let Some((key, number, handle)) = handles.recv().await {
        match handle.await {
            Ok(published) => {
                let Published { partition, offset, maybe_twice, .. } = published;
                let said = Said::Written { partition, offset, maybe_twice };
                account.told.push(Told { key, number, said });
            }
            Err(error) => account.add_error(key, number, &error),
        }
    }
    account
}

impl Account {
    /// Key and number of what was told as maybe there twice.
    pub(super) fn maybe_twice(&self) -> impl Iterator<Item = (u32, u32)> {
        let is_told = |told: &&Told| {
            matches!(
                told.said,
                Said::Written { maybe_twice: true, .. } | Said::Maybe { maybe_twice: true, .. }
            )
        };
        self.told.iter().filter(is_told).map(|told| (told.key, told.number))
    }

    fn add_error(&mut self, key: u32, number: u32, error: &PublishError) {
        let (text, name) = match error.written() {
            Written::No => (Said::No(error.to_string()), "certainly not written"),
            Written::Maybe => {
                let said = Said::Maybe { why: error.to_string(), maybe_twice: error.maybe_twice() };
                (said, "possibly written")
            }
        };
        *self.failures.entry(format!("{}, {name}", error.kind().as_str())).or_default() += 1;
        self.told.push(Told { key, number, said: text });
    }
}
