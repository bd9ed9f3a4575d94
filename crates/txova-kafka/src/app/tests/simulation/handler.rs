//! The handler of every app: how long it takes and how it ends comes from the seed, the record and the number of the run.

use std::time::Duration;

use super::story::{At, End, Nature, Story};
use crate::engine::tests::simulation::dice::Dice;
use crate::extract::{Attempt, Meta, State};
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
    let at = (meta.partition, meta.offset);
    let (run, before) = post.story.started(post.member, at, &attempt);
    let mut watched = Watched { story: post.story.clone(), run, end: End::Aborted };
    let mut dice = Dice::new(post.seed ^ (at.1 as u64) << 20 ^ (at.0 as u64) << 12 ^ before as u64);
    last(&post, &attempt, &mut dice).await;
    let end = verdict(&post, at, &mut dice);
    watched.end = end;
    drop(watched);
    match end {
        End::Handled => Ok(()),
        End::Failed(class) => {
            let error = HandlerError::new(class, "by the seed");
            match dice.chance(10) {
                true => Err(error.retry_after(Duration::from_millis(dice.below(3000) as u64))),
                false => Err(error),
            }
        }
        _ => std::panic::resume_unwind(Box::new("by the seed")), // no noise from the panic hook
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

fn verdict(post: &Post, at: At, dice: &mut Dice) -> End {
    let facts = post.story.facts();
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
    run: usize,
    end: End,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.story.ended(self.run, self.end);
    }
}
