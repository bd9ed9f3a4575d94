//! The members of the group and what is done to them. It plans by chance and decides nothing about records.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::check::{Rule, Story};
use crate::clock::At;
use crate::dice::Dice;
use crate::event::Promise;
use crate::failure::Result;
use crate::journal::{self, Note};
use crate::member::LAST_COMMIT_FAILED;
use crate::process::{Faults, Member, Setup};

/// No more members than this at a time.
const MOST: usize = 5;
/// Members the group comes back to.
const USUAL: usize = 3;
/// How much longer than its session the first member is stopped.
const ZOMBIE_STOP: Duration = Duration::from_secs(4);
const TICK: Duration = Duration::from_millis(50);
/// What a member that is asked to leave may take; its own limits add up to less.
const LEAVE_WITHIN: Duration = Duration::from_secs(60);

/// What was done, by number.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) members: usize,
    pub(crate) kills: usize,
    pub(crate) long_stops: usize,
    pub(crate) short_stops: usize,
    pub(crate) joins: usize,
    pub(crate) leaves: usize,
    pub(crate) rebalances: usize,
    pub(crate) commits_refused: usize,
}

pub(super) struct Group {
    setup: Setup,
    dice: Dice,
    up: Vec<Up>,
    leaving: Vec<Member>,
    starts: Vec<Instant>,
    known: Vec<(String, Faults)>,
    pub(super) counts: Counts,
    ended_alone: Rule,
    left_well: Rule,
}

struct Up {
    member: Member,
    /// When it is woken, where it is stopped.
    wake: Option<Instant>,
}

impl Group {
    pub(super) fn start(setup: Setup, dice: Dice, members: usize) -> Result<Self> {
        let mut group = Self {
            setup,
            dice,
            up: Vec::new(),
            leaving: Vec::new(),
            starts: Vec::new(),
            known: Vec::new(),
            counts: Counts::default(),
            ended_alone: Rule::new("no member ends unless it is killed or asked to"),
            left_well: Rule::new(
                "a member that is asked to leave commits, or says that its broker did not answer, leaves and ends",
            ),
        };
        (0..members).try_for_each(|_| group.join())?;
        Ok(group)
    }

    fn join(&mut self) -> Result<()> {
        self.counts.members += 1;
        self.log(format_args!("start member-{:02}", self.counts.members));
        let member = self.setup.start(&format!("member-{:02}", self.counts.members), &[])?;
        self.remember(&member);
        self.up.push(Up { member, wake: None });
        Ok(())
    }

    /// Beside the members' own logs, on the same clock.
    fn log(&self, what: fmt::Arguments<'_>) {
        let path = self.setup.folder.join("faults.log");
        if let Ok(mut file) = File::options().create(true).append(true).open(path) {
            let _ = writeln!(file, "{} {what}", At::now().0);
        }
    }

    /// Its journal counts.
    pub(super) fn remember(&mut self, member: &Member) {
        self.known.push((member.name.clone(), member.faults.clone()));
    }

    /// Faults by chance, for so long.
    pub(super) async fn strike(&mut self, window: Duration) -> Result<()> {
        let end = Instant::now() + window;
        self.all_at_work().await?;
        // In the middle of the first burst; left alone until the group has gone on without it, so that its repetitions are
        // known. Where there must be none it is not spared more.
        self.stop_long(0, ZOMBIE_STOP)?;
        let mut next = Instant::now()
            + match self.setup.promise {
                Promise::AtLeastOnce => self.setup.session_timeout + ZOMBIE_STOP,
                Promise::ExactlyOnce => Duration::from_secs(3),
            };
        while Instant::now() < end {
            sleep(TICK).await;
            self.look_after()?;
            if Instant::now() >= next {
                self.fault().await?;
                next = Instant::now() + Duration::from_millis(self.dice.between(1_000, 4_000));
            }
        }
        Ok(())
    }

    /// Waits until every member has begun.
    async fn all_at_work(&mut self) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while self.up.iter().any(|up| up.member.says().started == 0) && Instant::now() < until {
            sleep(TICK).await;
            self.look_after()?;
        }
        Ok(())
    }

    /// Longer than the group waits for it.
    fn stop_long(&mut self, index: usize, more: Duration) -> Result<()> {
        let stop = self.setup.session_timeout + more;
        self.counts.long_stops += 1;
        self.log(format_args!("stop {} for {stop:?}", self.up[index].member.name));
        self.up[index].member.stop()?;
        self.up[index].wake = Some(Instant::now() + stop);
        Ok(())
    }

    async fn fault(&mut self) -> Result<()> {
        let awake: Vec<usize> = (0..self.up.len()).filter(|index| self.up[*index].wake.is_none()).collect();
        let (what, which) = (self.dice.below(100), self.dice.next() as usize);
        let hold_ms = self.dice.between(0, 2_500);
        if awake.is_empty() || what < 15 && self.up.len() < MOST {
            if self.up.len() < MOST {
                self.counts.joins += 1;
                self.join()?;
            }
            return Ok(());
        }
        let index = awake[which % awake.len()];
        match what {
            0..50 => {
                self.counts.kills += 1;
                self.log(format_args!("kill {}", self.up[index].member.name));
                self.up.swap_remove(index).member.kill().await?;
                self.replace(hold_ms);
            }
            50..60 => {
                self.counts.leaves += 1;
                self.log(format_args!("ask {} to leave", self.up[index].member.name));
                let leaving = self.up.swap_remove(index).member;
                leaving.ask_to_leave()?;
                self.leaving.push(leaving);
                self.replace(hold_ms);
            }
            60..70 => {
                let stop = Duration::from_millis(500 + hold_ms);
                self.counts.short_stops += 1;
                self.log(format_args!("stop {} for {stop:?}", self.up[index].member.name));
                self.up[index].member.stop()?;
                self.up[index].wake = Some(Instant::now() + stop);
            }
            _ => self.stop_long(index, Duration::from_millis(1_000 + hold_ms))?,
        }
        Ok(())
    }

    fn replace(&mut self, after_ms: u64) {
        if self.up.len() + self.starts.len() < USUAL {
            self.starts.push(Instant::now() + Duration::from_millis(after_ms));
        }
    }

    /// Does what is due, and notices who has ended.
    pub(super) fn look_after(&mut self) -> Result<()> {
        let now = Instant::now();
        for up in &mut self.up {
            if up.wake.is_some_and(|at| at <= now) {
                up.wake = None;
                up.member.wake()?;
            }
        }
        let due = self.starts.len();
        self.starts.retain(|at| *at > now);
        (self.starts.len()..due).try_for_each(|_| self.join())?;
        let mut ended = 0;
        for index in (0..self.up.len()).rev() {
            let status = self.up[index].member.has_ended();
            if let Some(status) = status {
                let name = self.up.swap_remove(index).member.name;
                self.ended_alone.look(false, || format!("{name}: {status}"));
                ended += 1;
            }
        }
        (0..ended).try_for_each(|_| self.join())
    }

    /// Waits until all are awake and fills the group up.
    pub(super) async fn recover(&mut self, members: usize) -> Result<()> {
        while self.up.iter().any(|up| up.wake.is_some()) {
            sleep(TICK).await;
            self.look_after()?;
        }
        self.starts.clear();
        while self.up.len() < members {
            self.join()?;
        }
        for mut member in std::mem::take(&mut self.leaving) {
            self.leave_ended(&mut member).await;
        }
        Ok(())
    }

    /// Asks all to leave.
    pub(super) async fn close(&mut self) -> Result<Vec<Rule>> {
        let mut leaving: Vec<_> = std::mem::take(&mut self.up).into_iter().map(|up| up.member).collect();
        leaving.iter().try_for_each(Member::ask_to_leave)?;
        for member in &mut leaving {
            self.leave_ended(member).await;
        }
        self.ended_alone.looked_at = self.counts.members;
        Ok(vec![self.ended_alone.clone(), self.left_well.clone()])
    }

    async fn leave_ended(&mut self, member: &mut Member) {
        let ended = member.ended(LEAVE_WITHIN).await;
        let may_be_without_commit = self.setup.brokers_are_struck;
        let well = ended.as_ref().is_ok_and(|status| {
            status.success() || may_be_without_commit && status.code() == Some(LAST_COMMIT_FAILED.into())
        });
        self.left_well.look(well, || match ended {
            Ok(status) => format!("{}: {status}", member.name),
            Err(error) => error.to_string(),
        });
    }

    /// What the members that are up say of themselves.
    pub(super) fn said(&self) -> String {
        let said = |up: &Up| format!("{}: {:?}", up.member.name, up.member.says());
        self.up.iter().map(said).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn stories(&self, session_seconds: f64) -> Result<Vec<Story>> {
        let read = |(name, faults): &(String, Faults)| {
            let lines = journal::read(&self.setup.journal(name))?;
            Ok(Story::new(name, &lines, faults, session_seconds))
        };
        self.known.iter().map(read).collect()
    }
}

impl Counts {
    pub(crate) fn add_notes(&mut self, stories: &[Story]) {
        let count = |note| stories.iter().map(|story| story.noted(note).count()).sum::<usize>();
        self.rebalances = count(Note::Assigned) + count(Note::Revoked) + count(Note::Lost);
        self.commits_refused = count(Note::CommitFailed) + count(Note::LastCommitFailed);
    }
}
