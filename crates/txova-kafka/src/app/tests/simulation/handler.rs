//! The handler of every app: how long it takes and how it ends comes from the seed, the record and the number of the run.

use std::time::Duration;

use super::story::{At, End, Facts, Nature, Story};
use crate::batch::BatchError;
use crate::engine::tests::simulation::dice::Dice;
use crate::extract::{Attempt, FromEvent, Incoming, Meta, State};
use crate::outcome::{ErrorClass, HandlerError};

/// What a handler knows of its world.
#[derive(Clone)]
pub(super) struct Post {
    pub story: Story,
    pub member: usize,
    pub seed: u64,
}

pub(super) async fn handle(
    State(post): State<Post>,
    meta: Meta,
    attempt: Attempt,
) -> Result<(), HandlerError> {
    let (mut watched, mut dice) = Watched::begin(&post, &[as_given(&meta)], &attempt);
    last(&post, &attempt, &mut dice).await;
    let ends = verdicts(&post, &mut watched, &mut dice);
    drop(watched);
    match ends[0] {
        End::Handled => Ok(()),
        End::Failed(class) => Err(error(class, &mut dice)),
        _ => std::panic::resume_unwind(Box::new("by the seed")), // no noise from the panic hook
    }
}

/// The same of the events of a batch, each of which must be legible.
pub(super) async fn handle_all(
    events: Vec<(Meta, Weighed)>,
    State(post): State<Post>,
    attempt: Attempt,
) -> Result<(), HandlerError> {
    let batch: Vec<(At, u32)> = events.iter().map(|(meta, _)| as_given(meta)).collect();
    if batch.len() > 1 {
        post.story.facts().saw("batch");
    }
    let (mut watched, mut dice) = Watched::begin(&post, &batch, &attempt);
    last(&post, &attempt, &mut dice).await;
    let ends = verdicts(&post, &mut watched, &mut dice);
    let failed = ends.iter().enumerate().filter_map(|(place, end)| match end {
        End::Failed(class) => Some((place, *class)),
        _ => None,
    });
    let failed: Vec<(usize, ErrorClass)> = failed.collect();
    if ends.contains(&End::Panicked) {
        watched.all_end(End::Panicked);
        drop(watched);
        std::panic::resume_unwind(Box::new("by the seed"));
    }
    if let Some((_, class)) = failed.first().filter(|_| dice.chance(40)) {
        let together = batch.len() > 1 && matches!(class, ErrorClass::Transient | ErrorClass::Permanent);
        watched.all_end(if together { End::FailedTogether(*class) } else { End::Failed(*class) });
        return Err(error(*class, &mut dice));
    }
    let mut said = BatchError::new();
    for (place, class) in failed {
        said.add(place, error(class, &mut dice));
    }
    Ok(said.into_result()?)
}

/// A record, and which attempt it is: those of a batch need not be alike after an outage.
fn as_given(meta: &Meta) -> (At, u32) {
    ((meta.partition, meta.offset), meta.attempt)
}

/// What is illegible is refused before the handler runs.
pub(super) struct Weighed;

impl FromEvent for Weighed {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        let payload = incoming.envelope().payload.as_deref().unwrap_or_default();
        match payload == br#"{"weight_g":"0"}"# {
            true => Ok(Self),
            false => Err(HandlerError::permanent("illegible")),
        }
    }
}

fn error(class: ErrorClass, dice: &mut Dice) -> HandlerError {
    let error = HandlerError::new(class, "by the seed");
    match dice.chance(10) {
        true => error.retry_after(Duration::from_millis(dice.below(3000) as u64)),
        false => error,
    }
}

/// Most handlers take no time, some take a while, a few too long, and a few go on until they are told.
async fn last(post: &Post, attempt: &Attempt, dice: &mut Dice) {
    let ms = |ms: usize| Duration::from_millis(ms as u64);
    let limit = post.story.facts().processing_timeout;
    match dice.below(100) {
        0..40 => {}
        40..45 => tokio::task::yield_now().await,
        45..75 => tokio::time::sleep(ms(dice.between(1, 30))).await,
        75..90 => tokio::time::sleep(ms(dice.between(30, 900)).min(limit / 2)).await,
        90..95 => tokio::time::sleep(limit + ms(dice.below(2000))).await,
        _ => {
            attempt.cancelled().await;
            post.story.facts().saw("told while running");
            tokio::time::sleep(ms(dice.below(50))).await;
        }
    }
}

/// How each record of a run ends.
fn verdicts(post: &Post, watched: &mut Watched, dice: &mut Dice) -> Vec<End> {
    let facts = post.story.facts();
    for (run, end) in &mut watched.runs {
        *end = verdict(&facts, facts.runs[*run].at, dice);
    }
    watched.runs.iter().map(|(_, end)| *end).collect()
}

fn verdict(facts: &Facts, at: At, dice: &mut Dice) -> End {
    let nature = facts.written.get(&at).map(|written| written.nature);
    match (nature, dice.below(1000)) {
        _ if facts.is_away => End::Failed(ErrorClass::Transient),
        (Some(Nature::Poison), _) => End::Failed(ErrorClass::Permanent),
        // Where all that is left fails, nothing ever heals: that is an outage.
        (Some(Nature::Flawed), luck) if luck < 200 && facts.calm && facts.can_be_held => End::Handled,
        (Some(Nature::Flawed), luck) if luck < 200 => End::Panicked,
        (Some(Nature::Flawed), _) => End::Failed(ErrorClass::Transient),
        _ if facts.calm => End::Handled,
        (_, 0..120) => End::Failed(ErrorClass::Transient),
        (_, 120..145) => End::Failed(ErrorClass::Permanent),
        (_, 145..175) => End::Failed(ErrorClass::Skip),
        (_, 175..215) => End::Panicked,
        (_, 215..219) => End::Failed(ErrorClass::Stop),
        _ => End::Handled,
    }
}

/// Tells the story how a run ended, also when it is ended from outside.
struct Watched {
    story: Story,
    runs: Vec<(usize, End)>,
}

impl Watched {
    fn begin(post: &Post, batch: &[(At, u32)], attempt: &Attempt) -> (Self, Dice) {
        let started = post.story.started(post.member, batch, attempt);
        let (at, before) = (batch[0].0, started[0].1);
        let runs = started.into_iter().map(|(run, _)| (run, End::Aborted)).collect();
        let dice = Dice::new(post.seed ^ (at.1 as u64) << 20 ^ (at.0 as u64) << 12 ^ before as u64);
        (Self { story: post.story.clone(), runs }, dice)
    }

    fn all_end(&mut self, so: End) {
        self.runs.iter_mut().for_each(|(_, end)| *end = so);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.story.ended(&self.runs);
    }
}
