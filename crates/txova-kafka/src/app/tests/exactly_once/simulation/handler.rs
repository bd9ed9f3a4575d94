//! The handlers: how long they take, what they publish and how they end comes from the seed, the record and the number of
//! the run. They publish before they fail, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::super::Forwarded;
use crate::batch::BatchError;
use crate::engine::tests::simulation::dice::Dice;
use crate::extract::{Attempt, Meta, State, Tx};
use crate::outcome::HandlerError;

/// Partition and offset.
pub(super) type At = (i32, i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Fails by chance.
    Sound,
    /// Every attempt fails for good.
    Poison,
    /// Every attempt says skip.
    Skipped,
    /// No event.
    Garbage,
    /// No value: ignored.
    Tombstone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Handled,
    Failed,
}

pub(super) struct Written {
    pub nature: Nature,
    /// How many events its handler publishes.
    pub outputs: usize,
}

pub(super) struct Run {
    pub at: At,
    pub attempt: u32,
    /// What the handler said; `None` where it was ended from outside.
    pub end: Option<End>,
}

pub(super) struct Facts {
    pub written: BTreeMap<At, Written>,
    pub runs: Vec<Run>,
    pub events: BTreeMap<&'static str, usize>,
    pub calm: bool,
    pub processing_timeout: Duration,
}

impl Facts {
    pub(super) fn saw(&mut self, event: &'static str) {
        *self.events.entry(event).or_default() += 1;
    }
}

#[derive(Clone)]
pub(super) struct Post {
    pub facts: Arc<Mutex<Facts>>,
    pub seed: u64,
}

impl Post {
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A run of one record begins: its number, its dice, and how long it takes.
    fn begin(&self, meta: &Meta) -> (usize, Dice, Duration) {
        let at = (meta.partition, meta.offset);
        let mut facts = self.facts();
        let before = facts.runs.iter().filter(|run| run.at == at).count();
        facts.runs.push(Run { at, attempt: meta.attempt, end: None });
        let mut dice = Dice::new(self.seed ^ (at.1 as u64) << 20 ^ (at.0 as u64) << 12 ^ before as u64);
        let ms = |ms: usize| Duration::from_millis(ms as u64);
        let lasts = match dice.below(100) {
            0..50 => Duration::ZERO,
            50..80 => ms(dice.between(1, 30)),
            80..96 => ms(dice.between(30, 900)),
            _ => facts.processing_timeout + ms(dice.below(2000)),
        };
        (facts.runs.len() - 1, dice, lasts)
    }

    /// Publishes what the record causes, or a part of it where the run is to fail.
    fn publish(&self, run: usize, meta: &Meta, tx: &Tx, dice: &mut Dice, ends: End) {
        let of = |number: usize| format!("{} {} {number} {run}", meta.partition, meta.offset);
        let mut outputs = self.facts().written[&(meta.partition, meta.offset)].outputs;
        if ends == End::Failed {
            outputs = dice.below(outputs + 1);
            if outputs > 0 {
                self.facts().saw("failed after it had published");
            }
        }
        for number in 0..outputs {
            let key = meta.key_text().unwrap_or_default().to_owned();
            tx.publish(&Forwarded { key, of: of(number) }).expect("the attempt goes on");
        }
    }

    fn verdict(&self, meta: &Meta, dice: &mut Dice) -> Result<(), HandlerError> {
        let facts = self.facts();
        match (facts.written[&(meta.partition, meta.offset)].nature, dice.below(1000)) {
            (Nature::Poison, _) => Err(HandlerError::permanent("by nature")),
            (Nature::Skipped, _) => Err(HandlerError::skip("by nature")),
            _ if facts.calm => Ok(()),
            (_, 0..150) => Err(HandlerError::transient("by the seed")),
            (_, 150..170) => Err(HandlerError::permanent("by the seed")),
            _ => Ok(()),
        }
    }
}

pub(super) async fn one(State(post): State<Post>, meta: Meta, tx: Tx) -> Result<(), HandlerError> {
    let (run, mut dice, lasts) = post.begin(&meta);
    let verdict = post.verdict(&meta, &mut dice);
    let end = if verdict.is_ok() { End::Handled } else { End::Failed };
    let early = dice.chance(50);
    if early {
        post.publish(run, &meta, &tx, &mut dice, end);
    }
    tokio::time::sleep(lasts).await;
    if !early {
        post.publish(run, &meta, &tx, &mut dice, end);
    }
    let panics = verdict.is_err()
        && dice.chance(20)
        && post.facts().written[&(meta.partition, meta.offset)].nature == Nature::Sound;
    post.facts().runs[run].end = Some(end);
    if panics {
        std::panic::resume_unwind(Box::new("by the seed")); // no noise from the panic hook
    }
    verdict
}

pub(super) async fn batch(
    events: Vec<(Meta, Tx)>,
    State(post): State<Post>,
    attempt: Attempt,
) -> Result<(), HandlerError> {
    let mut failed = BatchError::new();
    let mut ends = Vec::new();
    let mut longest = Duration::ZERO;
    for (place, (meta, tx)) in events.iter().enumerate() {
        let (run, mut dice, lasts) = post.begin(meta);
        let verdict = post.verdict(meta, &mut dice);
        let end = if verdict.is_ok() { End::Handled } else { End::Failed };
        post.publish(run, meta, tx, &mut dice, end);
        if let Err(error) = verdict {
            failed.add(place, error);
        }
        ends.push((run, end));
        longest = longest.max(lasts);
    }
    if events.len() > 1 {
        post.facts().saw("batch");
    }
    tokio::time::sleep(longest.min(attempt.remaining() * 2)).await;
    for (run, end) in ends {
        post.facts().runs[run].end = Some(end);
    }
    Ok(failed.into_result()?)
}
