//! Opens when no record gets through any more, so that calls fail at once and not each after `delivery_timeout_ms`. A
//! state machine that is told the time; it must never know records or locks.
//!
//! It guards a cluster and not a partition: a failure counts only where nothing at all was acknowledged while the record
//! was under way, and any acknowledgement closes it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// Answers of which a share is taken.
const RECENT: u32 = 100;
/// When to ask again while a probe is under way: its answer may come any moment.
const PROBE_RETRY: Duration = Duration::from_secs(1);

/// What a publisher's circuit breaker does with new events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Takes them.
    #[default]
    Closed,
    /// Refuses them.
    Open,
    /// Takes one, the probe, and refuses the others until it is answered.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half open",
        })
    }
}

/// When a [`Breaker`] opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub failures: u32,
    pub failure_share: f64,
    pub open: Duration,
}

/// A call that was let through. Its end must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    is_probe: bool,
}

/// What the end of a call says of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A broker acknowledged or refused the record: it is there.
    Answered,
    /// No broker did.
    Away,
    /// Nothing: the record never went out.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Breaker {
    /// `None` never opens.
    rules: Option<Rules>,
    state: State,
    failures_in_a_row: u32,
    /// The last answers, one bit each, set for a failure.
    recent: u128,
    recent_known: u32,
    last_answered: Option<Instant>,
    times_opened: u64,
}

#[derive(Debug)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

impl Breaker {
    pub(super) fn new(rules: Option<Rules>) -> Self {
        Self {
            rules,
            state: State::Closed,
            failures_in_a_row: 0,
            recent: 0,
            recent_known: 0,
            last_answered: None,
            times_opened: 0,
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    pub(super) fn times_opened(&self) -> u64 {
        self.times_opened
    }

    /// When a broker last acknowledged or refused anything.
    pub(super) fn last_answered(&self) -> Option<Instant> {
        self.last_answered
    }

    /// Lets a call through, or says when to try again.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        match self.state {
            State::Closed => Ok(Pass { is_probe: false }),
            State::Open { until } if now < until => Err(until - now),
            State::Open { .. } => {
                self.state = State::HalfOpen;
                Ok(Pass { is_probe: true })
            }
            State::HalfOpen => Err(PROBE_RETRY),
        }
    }

    /// A call that was let through, and was under way since then, has ended.
    pub(super) fn end(&mut self, pass: Pass, since: Instant, verdict: Verdict, now: Instant) {
        if verdict == Verdict::Answered {
            self.last_answered = Some(now);
        }
        let Some(rules) = self.rules else { return };
        match verdict {
            Verdict::Answered => {
                self.failures_in_a_row = 0;
                match self.state {
                    State::Closed => self.remember(false),
                    State::Open { .. } | State::HalfOpen => {
                        (self.recent, self.recent_known) = (0, 0);
                        self.state = State::Closed;
                    }
                }
            }
            // The cluster took others meanwhile: a partition is away, or this record's turn never came.
            Verdict::Away if self.last_answered.is_some_and(|answered| answered >= since) => {}
            Verdict::Away if pass.is_probe => self.open(rules, now),
            Verdict::Away => {
                self.failures_in_a_row += 1;
                self.remember(true);
                let is_closed = matches!(self.state, State::Closed);
                if is_closed
                    && (self.failures_in_a_row >= rules.failures || self.share() >= rules.failure_share)
                {
                    self.open(rules, now);
                }
            }
            // The next call is the probe.
            Verdict::Unknown if pass.is_probe && matches!(self.state, State::HalfOpen) => {
                self.state = State::Open { until: now };
            }
            Verdict::Unknown => {}
        }
    }

    fn open(&mut self, rules: Rules, now: Instant) {
        self.state = State::Open { until: now + rules.open };
        self.times_opened += 1;
        self.failures_in_a_row = 0;
        (self.recent, self.recent_known) = (0, 0);
    }

    fn remember(&mut self, is_failure: bool) {
        self.recent = self.recent << 1 | u128::from(is_failure);
        self.recent_known = (self.recent_known + 1).min(RECENT);
    }

    /// The share of failures among the last answers; 0 before there are enough of them.
    fn share(&self) -> f64 {
        if self.recent_known < RECENT {
            return 0.0;
        }
        let failures = (self.recent & ((1 << RECENT) - 1)).count_ones();
        f64::from(failures) / f64::from(RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(failures: u32, failure_share: f64) -> Breaker {
        Breaker::new(Some(Rules { failures, failure_share, open: OPEN }))
    }

    /// Calls that all begin at one time and end at another.
    fn calls(breaker: &mut Breaker, count: usize, verdict: Verdict, began: Instant, ended: Instant) {
        for _ in 0..count {
            let pass = breaker.admit(began).expect("let through");
            breaker.end(pass, began, verdict, ended);
        }
    }

    #[test]
    fn it_opens_at_the_last_of_so_many_failures_in_a_row() {
        let (mut breaker, now) = (breaker(3, 1.0), Instant::now());
        calls(&mut breaker, 2, Verdict::Away, now, now);
        assert_eq!(breaker.state(), BreakerState::Closed);
        calls(&mut breaker, 1, Verdict::Away, now, now);
        assert_eq!(breaker.admit(now), Err(OPEN));
        assert_eq!(breaker.admit(now + 4 * SECOND), Err(6 * SECOND));
        assert_eq!(breaker.times_opened(), 1);
    }

    #[test]
    fn one_answer_between_them_begins_the_count_anew() {
        let (mut breaker, now) = (breaker(3, 1.0), Instant::now());
        calls(&mut breaker, 2, Verdict::Away, now, now);
        calls(&mut breaker, 1, Verdict::Answered, now, now);
        calls(&mut breaker, 2, Verdict::Away, now + SECOND, now + SECOND);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn it_opens_at_a_share_of_failures_once_it_knows_enough_answers() {
        let (mut breaker, mut now) = (breaker(1_000, 0.5), Instant::now());
        for index in 0..100 {
            assert_eq!(breaker.state(), BreakerState::Closed, "after {index}");
            now += SECOND; // each begins after the answer before it
            let verdict = if index % 2 == 0 { Verdict::Answered } else { Verdict::Away };
            calls(&mut breaker, 1, verdict, now, now);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn a_partition_that_is_away_alone_opens_nothing() {
        let (mut breaker, now) = (breaker(3, 0.5), Instant::now());
        for index in 0..1_000 {
            let ended = now + index * SECOND;
            calls(&mut breaker, 1, Verdict::Answered, ended, ended);
            calls(&mut breaker, 5, Verdict::Away, now, ended);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn after_its_time_one_probe_is_let_through_and_its_answer_decides() {
        for (verdict, then) in
            [(Verdict::Answered, BreakerState::Closed), (Verdict::Away, BreakerState::Open)]
        {
            let (mut breaker, now) = (breaker(1, 1.0), Instant::now());
            calls(&mut breaker, 1, Verdict::Away, now, now);
            let later = now + OPEN;
            let probe = breaker.admit(later).expect("the probe");
            assert_eq!((breaker.state(), breaker.admit(later)), (BreakerState::HalfOpen, Err(PROBE_RETRY)));
            breaker.end(probe, later, verdict, later + SECOND);
            assert_eq!(breaker.state(), then);
        }
    }

    #[test]
    fn a_probe_that_never_went_out_makes_room_for_the_next() {
        let (mut breaker, now) = (breaker(1, 1.0), Instant::now());
        calls(&mut breaker, 1, Verdict::Away, now, now);
        let probe = breaker.admit(now + OPEN).expect("the probe");
        breaker.end(probe, now + OPEN, Verdict::Unknown, now + OPEN);
        assert!(breaker.admit(now + OPEN).is_ok());
    }

    #[test]
    fn an_acknowledgement_of_an_older_record_closes_it_and_an_older_failure_does_not_prolong_it() {
        let (mut breaker, now) = (breaker(1, 1.0), Instant::now());
        let old = breaker.admit(now).expect("let through");
        calls(&mut breaker, 1, Verdict::Away, now, now + SECOND);
        breaker.end(old, now, Verdict::Away, now + 9 * SECOND);
        assert_eq!(breaker.admit(now + 9 * SECOND), Err(2 * SECOND));
        breaker.end(old, now, Verdict::Answered, now + 9 * SECOND);
        assert_eq!((breaker.state(), breaker.times_opened()), (BreakerState::Closed, 1));
    }

    #[test]
    fn without_rules_it_never_opens() {
        let (mut breaker, now) = (Breaker::new(None), Instant::now());
        calls(&mut breaker, 10_000, Verdict::Away, now, now);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
