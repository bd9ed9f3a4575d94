//! Sends letters back to their topics, for the group that failed. It must never write a record apart from the letter's
//! resolution: one without the other would send it back twice, or never.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join;
use txova_events::dlq::redrive;

use crate::client_error::ClientError;
use crate::dead_letter::desk::{Act, Desk, DeskError};
use crate::dead_letter::{AuditRecord, ResolutionState};
use crate::record::{OutgoingRecord, Record};

use super::letter::Picked;
use super::origin;
use super::pick::Pick;
use super::run::{Run, Stop};

/// Letters of one transaction. What is said about so many fits into one batch for each of the two topics it is said on,
/// and a partition has one batch under way at a time.
pub(super) const MOST_LETTERS: usize = 1_500;
/// Bytes of records that go in one transaction, beyond the one that reaches it.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What goes in one transaction.
#[derive(Default)]
struct Batch {
    letters: Vec<Ready>,
    /// What is written about each letter, in the same order.
    acts: Arc<Vec<Act>>,
}

struct Ready {
    pick: Pick,
    picked: Picked,
    fate: Fate,
}

#[derive(PartialEq, Eq)]
enum Fate {
    SentBack,
    SetAside,
    /// It stays open; only the audit hears of it.
    Failed,
}

impl Batch {
    /// Keeps only the letters that `keep` says true for, asked in their order; the others.
    fn split(&mut self, mut keep: impl FnMut(usize, &Ready) -> bool) -> Vec<Pick> {
        let acts = std::mem::take(Arc::make_mut(&mut self.acts));
        let letters = std::mem::take(&mut self.letters);
        let (mut kept, mut others) = (Vec::with_capacity(acts.len()), Vec::new());
        for (at, (letter, act)) in letters.into_iter().zip(acts).enumerate() {
            match keep(at, &letter) {
                true => {
                    self.letters.push(letter);
                    kept.push(act);
                }
                false => others.push(letter.pick),
            }
        }
        self.acts = Arc::new(kept);
        others
    }
}

impl Run {
    pub(super) async fn send_back(
        &mut self,
        desk: &mut Desk,
        piece: Vec<Pick>,
    ) -> Result<(), (Stop, Vec<Pick>)> {
        let mut picks = piece.into_iter();
        let mut next = Batch::default();
        loop {
            if next.letters.is_empty() {
                next = self.ready(&desk.audit("redrive", ""), &mut picks).await;
            }
            if next.letters.is_empty() {
                let unsent: Vec<Pick> = picks.collect();
                return if unsent.is_empty() { Ok(()) } else { Err((Stop::Told, unsent)) };
            }
            let mut batch = next;
            // While the brokers take one transaction, the next is made ready.
            let audit = desk.audit("redrive", "");
            let writing = desk.write(Arc::clone(&batch.acts));
            let written;
            (written, next) = join(writing, self.ready(&audit, &mut picks)).await;
            let result = self.settle(desk, &mut batch, written).await;
            self.tell();
            // What the brokers refused holds up what was made ready meanwhile.
            if let Err(stop) = result {
                let unsent =
                    [&mut batch, &mut next].map(|batch| batch.split(|_, it| it.fate == Fate::Failed));
                return Err((stop, unsent.into_iter().flatten().chain(picks).collect()));
            }
            if let Some(stop) = self.is_over() {
                let unsent = next.split(|_, it| it.fate == Fate::Failed);
                let failed = self.note_failed(desk, &mut next).await;
                return Err((failed.err().unwrap_or(stop), unsent.into_iter().chain(picks).collect()));
            }
            // What failed in `next` itself is younger than what of its key is still in it.
            let failed = batch.letters.iter().filter(|it| it.fate == Fate::Failed);
            let failed: HashSet<_> = failed.filter_map(|it| self.ordered_by(&it.picked.letter)).collect();
            let is_held =
                |it: &Ready| self.ordered_by(&it.picked.letter).is_some_and(|key| failed.contains(&key));
            let held = next.split(|_, it| it.fate != Fate::SentBack || !is_held(it));
            self.report.not_reached.extend(held.into_iter().map(|pick| pick.place));
        }
    }

    /// Makes ready as many letters as go in one transaction; none where there are none left, or enough has failed.
    async fn ready(&mut self, audit: &AuditRecord, picks: &mut impl Iterator<Item = Pick>) -> Batch {
        let (mut letters, mut acts, mut bytes) = (Vec::new(), Vec::new(), 0);
        while letters.len() < self.replay.letters_at_once
            && bytes < MOST_BYTES
            && self.is_over().is_none()
            && let Some(pick) = picks.next()
        {
            let Ok(picked) = pick.letter() else {
                self.report.not_reached.push(pick.place); // it was readable a moment ago
                continue;
            };
            if self.is_held(&picked.letter) {
                self.report.not_reached.push(pick.place);
                continue;
            }
            let (fate, act) = self.prepared(audit, &pick, &picked).await;
            bytes += act.record.as_ref().map_or(0, |record| record.size_bytes());
            letters.push(Ready { pick, picked, fate });
            acts.push(act);
        }
        Batch { letters, acts: Arc::new(acts) }
    }

    /// Writes down what could not be made ready.
    async fn note_failed(&mut self, desk: &mut Desk, batch: &mut Batch) -> Result<(), Stop> {
        if batch.letters.is_empty() {
            return Ok(());
        }
        let written = desk.write(Arc::clone(&batch.acts)).await;
        self.settle(desk, batch, written).await
    }

    /// Goes on until all of it is written, without what no broker takes.
    async fn settle(
        &mut self,
        desk: &mut Desk,
        batch: &mut Batch,
        mut written: Result<(), DeskError>,
    ) -> Result<(), Stop> {
        while let Err(error) = written {
            match error {
                DeskError::Refused(at, error) if batch.acts.get(at).is_some_and(|it| it.record.is_some()) => {
                    self.refused(batch, at, &error, desk);
                }
                error => {
                    let topic = batch.letters.first().map(|it| it.pick.place.topic.to_string());
                    return Err(self.stopped("sending dead letters back", &topic.unwrap_or_default(), error));
                }
            }
            written = desk.write(Arc::clone(&batch.acts)).await;
        }
        for letter in &batch.letters {
            match letter.fate {
                Fate::SentBack => self.report.replayed += 1,
                Fate::SetAside => self.report.quarantined += 1,
                Fate::Failed => {}
            }
        }
        Ok(())
    }

    /// Notes that no broker takes a letter's record.
    fn refused(&mut self, batch: &mut Batch, at: usize, error: &ClientError, desk: &Desk) {
        let Some(letter) = batch.letters.get_mut(at) else { return };
        let error = format!("its topic does not take it: {error}");
        let audit = desk.audit("redrive", &format!("failed: {error}"));
        let act = self.act((&letter.pick, &letter.picked), audit, None);
        letter.fate = Fate::Failed;
        let key = self.ordered_by(&letter.picked.letter);
        self.failed(&letter.picked, error);
        if let Some(refused) = Arc::make_mut(&mut batch.acts).get_mut(at) {
            *refused = act;
        }
        let goes_on = |place: usize, it: &Ready| {
            place <= at
                || it.fate != Fate::SentBack
                || key.is_none()
                || self.ordered_by(&it.picked.letter) != key
        };
        let held = batch.split(goes_on);
        self.report.not_reached.extend(held.into_iter().map(|pick| pick.place));
    }

    /// What becomes of a letter, and what is to be written about that.
    async fn prepared(&mut self, audit: &AuditRecord, pick: &Pick, picked: &Picked) -> (Fate, Act) {
        let times = picked.letter.redrive_count;
        if times >= self.replay.max_redrives {
            let result = format!("sent back {times} times already, and failed each time");
            let audit = AuditRecord { act: "quarantine".to_owned(), result, ..audit.clone() };
            return (Fate::SetAside, self.act((pick, picked), audit, Some(ResolutionState::Quarantined)));
        }
        let record = match picked.missing() {
            None => picked.record(),
            Some(cut) => origin::fetch(&self.kafka, &picked.letter, cut).await,
        };
        let record = record.and_then(|record| picked.changed(record, self.replay.transform.as_ref()));
        match record.and_then(|record| self.outgoing(pick, picked, record)) {
            Ok(record) => {
                // Where to is told when it is there.
                let mut act = self.act((pick, picked), audit.clone(), Some(ResolutionState::Replayed));
                act.record = Some(record.into());
                (Fate::SentBack, act)
            }
            Err(error) => {
                let audit = AuditRecord { result: format!("failed: {error}"), ..audit.clone() };
                self.failed(picked, error);
                (Fate::Failed, self.act((pick, picked), audit, None))
            }
        }
    }

    fn outgoing(&self, pick: &Pick, picked: &Picked, record: Record) -> Result<OutgoingRecord, String> {
        let letter = &picked.letter;
        let topic = picked.topic();
        let Some(partitions) = self.there.partitions(topic) else {
            return Err(format!("the topic `{topic}` does not exist"));
        };
        // A Go service does not say which partition it was; the key does.
        let is_known =
            letter.consumer_group.is_some() && (0..partitions).contains(&letter.original_partition);
        let first = record.headers.text(redrive::ORIGIN).map(str::to_owned);
        let first = first.unwrap_or_else(|| crate::dead_letter::origin_of(letter));
        let is_ours = |name: &str| redrive::ALL.contains(&name);
        let hashes = [redrive::ORIGINAL_SHA256, redrive::CHANGED_SHA256];
        let kept = record.headers.iter().filter(|(name, _)| !is_ours(name) || hashes.contains(name));
        let mut headers: Vec<_> = kept
            .map(|(name, value)| (name.to_owned().into(), value.map(|value| value.to_vec().into())))
            .collect();
        let mut add = |name: &'static str, value: String| headers.push((name.into(), Some(value.into())));
        add(redrive::GROUP, pick.group.to_string());
        add(redrive::COUNT, (letter.redrive_count + 1).to_string());
        add(redrive::ENTRY, pick.place.to_string());
        add(redrive::ORIGIN, first);
        Ok(OutgoingRecord {
            topic: topic.into(),
            partition: is_known.then_some(letter.original_partition),
            key: record.key,
            value: record.value,
            headers,
            timestamp_ms: None, // the original's may be older than what the topic keeps
        })
    }
}
