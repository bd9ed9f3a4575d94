//! Whether the next handler is polled in place or becomes a task at once: a handler that blocks its thread must not block
//! the driver's. It is told how long polls took, and must never know whose they were.
//!
//! A first poll is long because its handler blocks, or because the machine gave the thread's turn to somebody else. The first
//! comes again and again, and then hardly anything is tried in place any more; the second is rare among so many polls, and
//! is forgotten.

use std::time::Duration;

/// A poll longer than this is work that belongs in a task of its own.
const LONG: Duration = Duration::from_micros(200);
/// So many go straight to tasks after a long poll, before one is tried in place again; twice as many after each further one.
/// Few at first: on a busy machine, where turns are taken away all the time, each of them waits for another thread's.
const TASKS: u32 = 2;
const MOST_TASKS: u32 = 1 << 20;
/// After so many polls in a row that were not long, the long ones before them are forgotten.
const CALM: u32 = 32;

pub(super) struct InPlace {
    tasks_left: u32,
    tasks: u32,
    short_in_a_row: u32,
}

impl InPlace {
    pub(super) fn new() -> Self {
        Self { tasks_left: 0, tasks: TASKS, short_in_a_row: 0 }
    }

    /// Whether the next is polled in place; [`polled`](Self::polled) follows then.
    pub(super) fn is_next(&mut self) -> bool {
        let is_in_place = self.tasks_left == 0;
        self.tasks_left = self.tasks_left.saturating_sub(1);
        is_in_place
    }

    pub(super) fn polled(&mut self, took: Duration) {
        if took > LONG {
            self.tasks_left = self.tasks;
            self.tasks = (self.tasks * 2).min(MOST_TASKS);
            self.short_in_a_row = 0;
            return;
        }
        self.short_in_a_row = self.short_in_a_row.saturating_add(1);
        if self.short_in_a_row == CALM {
            self.tasks = TASKS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `all` are polled in place, where the nth poll in place takes as long as `took` says.
    fn in_place(all: u32, took: impl Fn(u32) -> Duration) -> u32 {
        let (mut in_place, mut polls) = (InPlace::new(), 0);
        for _ in 0..all {
            if in_place.is_next() {
                in_place.polled(took(polls));
                polls += 1;
            }
        }
        polls
    }

    #[test]
    fn handlers_that_block_their_thread_are_hardly_ever_polled_in_place() {
        assert!(in_place(1_000_000, |_| Duration::from_millis(1)) < 20);
        let every_tenth = |poll: u32| Duration::from_millis(u64::from(poll.is_multiple_of(10)));
        assert!(in_place(1_000_000, every_tenth) < 200);
    }

    #[test]
    fn a_machine_that_takes_the_turn_away_now_and_then_changes_little() {
        let every_fiftieth = |poll: u32| Duration::from_millis(u64::from(poll.is_multiple_of(50)));
        let polls = in_place(1_000_000, every_fiftieth);
        assert!(polls > 950_000, "{polls}");
    }
}
