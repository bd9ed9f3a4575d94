//! The apps of the group: how they come, go, and are thrown out, and what is asked of them when they end.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::{GROUP, TOPIC, kafka};
use super::handler::{Post, handle, handle_all};
use super::letters::service;
use super::story::{End, MemberFacts};
use super::world::World;
use crate::app::{AppHandle, RunError};
use crate::engine::CloseReport;
use crate::testing::MemberId;

type Ended = Result<CloseReport, RunError>;

pub(super) struct Member {
    /// `None` where it has stopped before anybody saw it.
    pub id: Option<MemberId>,
    pub handle: AppHandle,
    run: Option<JoinHandle<Ended>>,
    closing: Option<Closing>,
}

struct Closing {
    began: Instant,
    jumps: usize,
    answer: JoinHandle<bool>,
}

impl Member {
    pub(super) fn is_living(&self) -> bool {
        self.run.is_some() && self.closing.is_none()
    }
}

impl World {
    pub(super) fn living(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|m| self.members[*m].is_living()).collect()
    }

    pub(super) fn pick_living(&mut self) -> Option<usize> {
        let living = self.living();
        self.dice.pick(&living)
    }

    pub(super) async fn join(&mut self) {
        self.saw("joined");
        let (story, number) = (self.story(), self.members.len());
        let post = Post { story: story.clone(), member: number, seed: self.seed };
        let (consumer, group) = (self.consumer.clone(), GROUP.to_owned());
        let edit = move |settings: &mut crate::config::ConsumerConfig| {
            *settings = crate::config::ConsumerConfig { group: Some(group), ..consumer }
        };
        let app = kafka(&self.cluster).app(service(number)).on("*", handle).topics([TOPIC]);
        let app = app.on("parcel.weighed", handle_all).topics([TOPIC]).batch(self.batching);
        let mut app = app.state(post).consumer(edit).build().expect("the settings are sound");
        app.settings.engine.retry.seed = self.seed; // else the process's number
        let handle = app.handle();
        let facts = MemberFacts {
            id: None,
            joined: Instant::now(),
            crashed: false,
            stopped: false,
            must_stop: false,
            ended: false,
            forced: BTreeMap::new(),
            back: BTreeMap::new(),
            rows: Default::default(),
            is_paused: false,
        };
        story.facts().members.push(facts);
        let run = tokio::spawn(app.run());
        let known = |id: &MemberId| self.members.iter().any(|member| member.id == Some(*id));
        let id = loop {
            let members = self.cluster.members(GROUP);
            if let Some(new) = members.iter().map(|member| member.id).find(|id| !known(id)) {
                break Some(new);
            }
            if run.is_finished() {
                break None;
            }
            tokio::task::yield_now().await;
        };
        story.facts().members[number].id = id;
        self.members.push(Member { id, handle, run: Some(run), closing: None });
    }

    /// A member closes; it has some time.
    pub(super) fn close(&mut self) {
        let Some(m) = self.pick_living() else { return };
        let deadline = Duration::from_millis(self.dice.below(6000) as u64);
        self.close_within(m, deadline);
    }

    pub(super) fn close_within(&mut self, m: usize, deadline: Duration) {
        self.saw("close");
        let handle = self.members[m].handle.clone();
        let answer = tokio::spawn(async move { handle.close(deadline).await });
        self.members[m].closing = Some(Closing { began: Instant::now(), jumps: self.jumps, answer });
    }

    /// A member is gone without a word.
    pub(super) fn crash(&mut self) {
        let Some(m) = self.pick_living() else { return };
        self.saw("crash");
        self.story().facts().members[m].crashed = true;
        if let Some(run) = self.members[m].run.take() {
            run.abort();
        }
    }

    /// A handler that was told that its partition goes has the time a revocation gives, and no more.
    pub(super) fn watch_told(&self) {
        let limit = Duration::from_millis(self.consumer.revoke_timeout_ms + 1);
        let story = self.story();
        let mut facts = story.facts();
        for run in facts.running.clone() {
            let m = facts.runs[run].member;
            let leaves = facts.members[m].stopped || !self.members[m].is_living();
            let lands = facts.landings.contains(&Instant::now());
            if let Some(told) = facts.runs[run].told().filter(|_| !leaves && !lands) {
                let at = facts.runs[run].at;
                facts.holds(told.elapsed() <= limit, || {
                    format!("epoch: {at:?} still runs at member {m}, {:?} after it was told", told.elapsed())
                });
            }
        }
    }

    /// Hears of the runs that have ended.
    pub(super) async fn gather(&mut self) {
        for m in 0..self.members.len() {
            let member = &mut self.members[m];
            let Some(run) = member.run.take_if(|run| run.is_finished()) else { continue };
            let closing = member.closing.take();
            match run.await {
                Ok(ended) => self.ended(m, ended, closing).await,
                Err(error) => self.holds(false, || format!("the run of member {m} panicked: {error}")),
            }
        }
    }

    /// Whether every run that was asked to end has.
    pub(super) fn all_closed(&self) -> bool {
        self.members.iter().all(|member| member.run.is_none())
    }

    pub(super) fn holds(&self, truth: bool, sentence: impl FnOnce() -> String) {
        self.story().facts().holds(truth, sentence);
    }

    async fn ended(&mut self, m: usize, ended: Ended, closing: Option<Closing>) {
        let asked = closing.is_some();
        if let Some(closing) = closing {
            let in_time = closing.answer.await.unwrap_or_default();
            let jumped = closing.jumps != self.jumps;
            let took = closing.began.elapsed();
            self.holds(in_time || jumped, || format!("close is bounded: member {m} took {took:?}"));
        }
        let story = self.story();
        let mut facts = story.facts();
        facts.tell(&format!("ended {m}"));
        facts.members[m].ended = true;
        let stopped = facts.members[m].stopped;
        let report = match ended {
            Ok(report) => {
                facts.holds(asked, || format!("member {m} ended, and nobody asked it to"));
                report
            }
            Err(error) => {
                facts.saw("stopped by a handler");
                facts.holds(stopped, || format!("member {m} stopped, and no handler said so: {error}"));
                error.report
            }
        };
        let left = facts.running.iter().map(|run| &facts.runs[*run]).find(|run| run.member == m);
        let left = left.map(|run| run.at);
        facts.holds(left.is_none(), || format!("close is bounded: member {m} ended and still runs {left:?}"));
        drop(facts);
        self.check_report(m, &report);
    }

    /// What a report says is what happened.
    fn check_report(&self, m: usize, report: &CloseReport) {
        // One that was over before it was seen in the group is whoever is not known.
        let known = |id: MemberId| self.members.iter().any(|member| member.id == Some(id));
        let is_own = |id: MemberId| self.members[m].id.map_or_else(|| !known(id), |own| own == id);
        let commits = self.cluster.commits();
        for (partition, offset) in &report.committed {
            let last =
                commits.iter().rev().find(|commit| is_own(commit.member) && commit.partition == *partition);
            let found = last.map(|commit| commit.offset);
            self.holds(found == Some(*offset), || {
                format!("the report of member {m} says {partition} is committed at {offset}, and it is at {found:?}")
            });
        }
        if !report.abandoned.is_empty() {
            self.saw("close with abandoned records");
        }
        for (partition, offset) in &report.abandoned {
            let at = (partition.partition, *offset);
            let story = self.story();
            let facts = story.facts();
            let Some(written) = facts.written.get(&at) else { continue };
            let cut_off = written.runs.iter().map(|run| &facts.runs[*run]).any(|run| {
                // Whenever it hears of it: that can be in the moment in which the run ends.
                let taken = facts.members[m].forced.get(&partition.partition);
                let cut_off = |(when, end)| {
                    let ended = matches!(end, End::Aborted | End::TimedOut);
                    let is_taken = taken.is_some_and(|at| run.began <= *at && *at <= when);
                    ended || facts.landings.contains(&when) || is_taken
                };
                run.member == m && run.end.is_some_and(cut_off)
            });
            let no_event = written.nature.is_no_event();
            let given_up =
                no_event || written.failed_for_good || written.failures > self.consumer.max_retries;
            let given_up = given_up || facts.may_follow(at);
            drop(facts);
            self.holds(cut_off || given_up, || {
                format!("the report of member {m} says {at:?} was abandoned, and no run of it was ended")
            });
        }
    }
}
