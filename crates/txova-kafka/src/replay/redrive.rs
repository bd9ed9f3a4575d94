//! Sends letters back to their topics, for the group that failed. It must never write a record apart from the letter's
//! resolution: one without the other would send it back twice, or never.

use txova_events::dlq::redrive;

use crate::dead_letter::ResolutionState;
use crate::dead_letter::desk::{Act, Desk, DeskError};
use crate::record::{OutgoingRecord, Record};

use super::letter::Picked;
use super::origin;
use super::pick::Pick;
use super::run::{Run, Stop};

/// Bytes of records that go in one transaction, beyond the one that reaches it.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// A letter with all that is to be written about it.
struct Ready {
    pick: Pick,
    picked: Picked,
    act: Act,
    fate: Fate,
}

enum Fate {
    SentBack,
    SetAside,
    /// It stays open; only the audit hears of it.
    Failed(String),
}

impl Run {
    pub(super) async fn send_back(
        &mut self,
        desk: &mut Desk,
        piece: Vec<Pick>,
    ) -> Result<(), (Stop, Vec<Pick>)> {
        let mut picks = piece.into_iter().peekable();
        while picks.peek().is_some() {
            let (mut ready, mut bytes) = (Vec::new(), 0);
            while bytes < PIECE_BYTES
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
                let ready_one = self.ready(desk, pick, picked).await;
                bytes += ready_one.act.record.as_ref().map_or(0, |record| record.size_bytes());
                if let Fate::Failed(error) = &ready_one.fate {
                    self.failed(&ready_one.picked, error.clone());
                }
                ready.push(ready_one);
            }
            if let Err(stop) = self.write_all(desk, &mut ready).await {
                let unsent = ready.into_iter().filter(|ready| !matches!(ready.fate, Fate::Failed(_)));
                return Err((stop, unsent.map(|ready| ready.pick).chain(picks).collect()));
            }
        }
        Ok(())
    }

    /// In one transaction, without what no broker takes.
    async fn write_all(&mut self, desk: &mut Desk, ready: &mut [Ready]) -> Result<(), Stop> {
        loop {
            let acts: Vec<Act> = ready.iter().map(|ready| ready.act.clone()).collect();
            match desk.write(acts).await {
                Ok(()) => break,
                Err(DeskError::Refused(at, error))
                    if ready.get(at).is_some_and(|it| it.act.record.is_some()) =>
                {
                    let Some(refused) = ready.get_mut(at) else { continue };
                    let error = format!("its topic does not take it: {error}");
                    let act = ("redrive", format!("failed: {error}"));
                    refused.act = self.act(desk, (&refused.pick, &refused.picked), act, None);
                    self.failed(&refused.picked, error.clone());
                    refused.fate = Fate::Failed(error);
                }
                Err(error) => {
                    let topic =
                        ready.first().map(|ready| ready.pick.place.topic.to_string()).unwrap_or_default();
                    return Err(self.stopped("sending dead letters back", &topic, error));
                }
            }
        }
        for ready in ready.iter() {
            match ready.fate {
                Fate::SentBack => self.report.replayed += 1,
                Fate::SetAside => self.report.quarantined += 1,
                Fate::Failed(_) => {}
            }
        }
        Ok(())
    }

    async fn ready(&mut self, desk: &Desk, pick: Pick, picked: Picked) -> Ready {
        let times = picked.letter.redrive_count;
        if times >= self.replay.max_redrives {
            let result = format!("sent back {times} times already, and failed each time");
            let act = ("quarantine", result);
            let act = self.act(desk, (&pick, &picked), act, Some(ResolutionState::Quarantined));
            return Ready { pick, picked, act, fate: Fate::SetAside };
        }
        let record = match picked.missing() {
            None => picked.record(),
            Some(cut) => origin::fetch(&self.kafka, &picked.letter, cut).await,
        };
        let record = record.and_then(|record| picked.changed(record, self.replay.transform.as_ref()));
        match record.and_then(|record| self.outgoing(&pick, &picked, record)) {
            Ok(record) => {
                let act = ("redrive", String::new()); // where to is told when it is there
                let mut act = self.act(desk, (&pick, &picked), act, Some(ResolutionState::Replayed));
                act.record = Some(record.into());
                Ready { pick, picked, act, fate: Fate::SentBack }
            }
            Err(error) => {
                let act = self.act(desk, (&pick, &picked), ("redrive", format!("failed: {error}")), None);
                Ready { pick, picked, act, fate: Fate::Failed(error) }
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
        let mut headers: Vec<_> =
            kept.map(|(name, value)| (name.to_owned(), value.map(|value| value.to_vec().into()))).collect();
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), Some(value.into())));
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
