//! One member's side of its group: what it believes to have, where it reads, and the tasks that serve its mailbox. It
//! must never decide who owns what.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::log::Log;
use super::state::Shared;
use super::transactions::Committing;
use super::{MemberId, instance};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::transport::{
    Assignment, Batch, Command, Commands, Commit, CommitEntry, CommitError, CommitReply, Committed,
    GroupEvent, JoinOptions, OutOfRange, StartAt,
};

#[derive(Debug)]
pub(super) struct Member {
    pub options: JoinOptions,
    pub events: mpsc::UnboundedSender<GroupEvent>,
    pub epoch: u64,
    /// Revocations it was told of, and releases it has sent: the nth answers the nth.
    pub revocations: u64,
    pub releases: u64,
    /// What it believes to have. The coordinator's word is in the group's owners.
    pub fetching: BTreeMap<TopicPartition, Position>,
    /// The partition served last: the next one gets its turn.
    pub served: Option<TopicPartition>,
    /// The coordinator has forgotten it, and it does not know.
    pub expelled: bool,
    /// Expelled for good: another has joined under its name.
    pub fenced: bool,
    /// The topics it was last told are not there.
    pub missing: Vec<String>,
    /// Batches a script holds back.
    pub held: Vec<Batch>,
    /// Held batches on their way, whatever has become of their epoch.
    pub late: VecDeque<Batch>,
}

/// Where a member reads a partition.
#[derive(Debug)]
pub(super) struct Position {
    pub epoch: u64,
    pub offset: i64,
    /// Where reading began.
    pub start: i64,
    pub paused: bool,
    /// A reset the policy did not allow: nothing more is fetched.
    pub failed: bool,
    /// The next batch is held back by a script.
    pub hold_next: bool,
    /// It is held back, and so is what follows.
    pub holding: bool,
}

impl Member {
    pub(super) fn new(options: JoinOptions, events: mpsc::UnboundedSender<GroupEvent>) -> Self {
        Self {
            options,
            events,
            epoch: 0,
            revocations: 0,
            releases: 0,
            fetching: BTreeMap::new(),
            served: None,
            expelled: false,
            fenced: false,
            missing: Vec::new(),
            held: Vec::new(),
            late: VecDeque::new(),
        }
    }

    pub(super) fn subscribes(&self, topic: &str) -> bool {
        self.options.topics.iter().any(|subscribed| subscribed == topic)
    }

    /// Tells the runtime. One that does not listen any more is on its way out.
    pub(super) fn tell(&self, event: GroupEvent) {
        let _ = self.events.send(event);
    }

    pub(super) fn tell_missing(&mut self, is_there: impl Fn(&str) -> bool) {
        let topics = self.options.topics.iter();
        let missing: Vec<String> = topics.filter(|topic| !is_there(topic)).cloned().collect();
        if missing != self.missing {
            self.missing.clone_from(&missing);
            self.tell(GroupEvent::Missing { topics: missing });
        }
    }

    /// Begins to read partitions, in a new epoch.
    pub(super) fn assign(
        &mut self,
        partitions: Vec<TopicPartition>,
        committed: &BTreeMap<TopicPartition, Committed>,
        topics: &BTreeMap<Arc<str>, Vec<Log>>,
    ) {
        self.epoch += 1;
        let mut assigned = Vec::new();
        let mut out_of_range = Vec::new();
        for partition in partitions {
            let Some(log) =
                topics.get(&partition.topic).and_then(|logs| logs.get(partition.partition as usize))
            else {
                continue;
            };
            let committed = committed.get(&partition).cloned();
            let offset = match (&committed, self.options.start) {
                (Some(committed), _) => committed.offset,
                (None, StartAt::Earliest) => log.low(),
                (None, StartAt::Latest) => log.end(),
                (None, StartAt::Timestamp { unix_ms }) => log.offset_at(unix_ms),
            };
            let epoch = self.epoch;
            let mut position = Position {
                epoch,
                offset,
                start: offset,
                paused: false,
                failed: false,
                hold_next: false,
                holding: false,
            };
            out_of_range.extend(position.check(&partition, log, self.options.out_of_range));
            position.start = position.offset;
            self.fetching.insert(partition.clone(), position);
            assigned.push(Assignment { partition, committed });
        }
        self.tell(GroupEvent::Assigned { epoch: self.epoch, partitions: assigned });
        out_of_range.into_iter().for_each(|event| self.tell(event));
    }

    /// Gives up what it has of `partitions` and says that they are lost.
    pub(super) fn lose(&mut self, mut partitions: Vec<TopicPartition>) {
        partitions.retain(|partition| self.fetching.remove(partition).is_some());
        if !partitions.is_empty() {
            self.tell(GroupEvent::Lost { partitions });
        }
    }
}

impl Position {
    /// Applies the policy where the position is not in the log. Answers what the member must be told.
    pub(super) fn check(
        &mut self,
        partition: &TopicPartition,
        log: &Log,
        policy: OutOfRange,
    ) -> Option<GroupEvent> {
        if self.failed || log.is_in_range(self.offset) {
            return None;
        }
        let mut text = format!(
            "offset {} of {partition} is not in the log, which goes from {} to before {}",
            self.offset,
            log.low(),
            log.end()
        );
        let go_on_at = match policy {
            OutOfRange::Fail => {
                self.failed = true;
                return Some(GroupEvent::Fatal(ClientError::new(ClientErrorKind::OffsetOutOfRange, text)));
            }
            OutOfRange::Earliest => log.low(),
            OutOfRange::Latest => log.end(),
        };
        self.offset = go_on_at;
        text.push_str(&format!("; reading goes on at {go_on_at}"));
        tracing::warn!(%partition, "{text}");
        Some(GroupEvent::Trouble(ClientError::new(ClientErrorKind::OffsetOutOfRange, text)))
    }
}

/// Where the runtime puts its commands.
pub(super) struct Mailbox(pub(super) mpsc::UnboundedSender<Command>);

impl Commands for Mailbox {
    fn send(&self, command: Command) {
        if let Err(mpsc::error::SendError(command)) = self.0.send(command) {
            refuse(command);
        }
    }
}

/// Carries out a member's commands in order until it closes or its mailbox is dropped.
pub(super) async fn serve(
    shared: Arc<Shared>,
    group: String,
    id: MemberId,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Commit { commit, reply } => {
                answer(reply, committed(&shared, &group, id, commit, &commands).await);
            }
            Command::Pause { partition, epoch } => set_paused(&shared, &group, id, &partition, epoch, true),
            Command::Resume { partition, epoch } => set_paused(&shared, &group, id, &partition, epoch, false),
            Command::Release { commit, reply } => {
                if is_asked_for(&shared, &group, id, true) {
                    let committed = committed(&shared, &group, id, commit, &commands).await;
                    if is_asked_for(&shared, &group, id, false) {
                        give_back(&shared, &group, id); // else it was over before the commit was answered
                    }
                    answer(reply, committed);
                } else {
                    let text =
                        "no revocation is waiting for a release: the partitions are given back already";
                    answer(reply, Err(ClientError::new(ClientErrorKind::StaleMember, text).into()));
                }
            }
            Command::Close { commit, reply } => {
                let committing = committed(&shared, &group, id, commit, &commands);
                let in_time = tokio::time::timeout(LAST_COMMIT, committing).await;
                answer(reply, in_time.unwrap_or_else(|_| Err(late().into())));
                leave(&shared, &group, id);
                while let Some(command) = commands.recv().await {
                    refuse(command);
                }
                return;
            }
        }
    }
    leave(&shared, &group, id);
}

/// Gives a member's revoked partitions to the group when it does not answer in time. Ends with the member.
pub(super) async fn watch_revocations(shared: Arc<Shared>, group: String, id: MemberId) {
    let mut changes = shared.changes();
    loop {
        changes.hear();
        let deadline = match shared.lock().groups.get(&group) {
            Some(group) if group.members.contains_key(&id) => group.revoke_deadline(id),
            _ => return,
        };
        let expired = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changes.changed() => {}
            () = expired => {
                tracing::warn!(%group, %id, "a revocation was not answered in time; the partitions go back uncommitted");
                give_back(&shared, &group, id);
            }
        }
    }
}

/// How long the last commit may take.
const LAST_COMMIT: Duration = Duration::from_secs(10);

fn late() -> ClientError {
    let message = format!("the last commit had no answer within {LAST_COMMIT:?}; it may still be made");
    ClientError::new(ClientErrorKind::TimedOut, message)
}

/// Makes a commit, as a transaction where the member has them.
async fn committed(
    shared: &Arc<Shared>,
    group: &str,
    id: MemberId,
    commit: Commit,
    commands: &mpsc::UnboundedReceiver<Command>,
) -> Result<(), CommitError> {
    let transactions = {
        let state = shared.lock();
        let member = state.groups.get(group).and_then(|group| group.members.get(&id));
        member.and_then(|member| member.options.transactions.clone())
    };
    match transactions {
        Some(transactions) => {
            let whose = Committing { shared: shared.clone(), group: group.to_owned(), member: id };
            whose.transact(transactions, commit, || commands.is_closed()).await
        }
        None if !commit.records.is_empty() => {
            let text = "the member was joined without transactions: records cannot be committed with offsets";
            Err(ClientError::new(ClientErrorKind::Config, text).into())
        }
        None => Ok(commit_plainly(shared, group, id, commit.entries).await?),
    }
}

async fn commit_plainly(
    shared: &Shared,
    group: &str,
    id: MemberId,
    entries: Vec<CommitEntry>,
) -> Result<(), ClientError> {
    if entries.is_empty() {
        return Ok(());
    }
    let timeout = shared.lock().settings.request_timeout;
    shared.broker(timeout, &format!("commit of group {group}")).await?;
    let (answer, delay) = shared.update(|state| {
        let Some(kept) = state.groups.get_mut(group) else {
            let text = format!("there is no group {group}");
            return (Err(ClientError::new(ClientErrorKind::StaleMember, text)), Default::default());
        };
        let answer = kept.commit(group, id, &entries, &mut state.commits);
        let delay = kept.commit_delay;
        if kept.members.get(&id).is_some_and(|member| member.expelled) {
            kept.find_out(id);
            state.rebalance(group);
        }
        (answer, delay)
    });
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    answer
}

fn set_paused(
    shared: &Shared,
    group: &str,
    id: MemberId,
    partition: &TopicPartition,
    epoch: u64,
    paused: bool,
) {
    shared.update(|state| {
        let Some(kept) = state.groups.get_mut(group) else { return };
        let Some(member) = kept.members.get_mut(&id) else { return };
        let position = member.fetching.get_mut(partition);
        if let Some(position) = position.filter(|position| position.epoch == epoch) {
            position.paused = paused;
        }
    });
}

/// Whether a release answers the revocation that waits. One that was lost or not answered in time is over, and its late
/// answer must not be taken for that of the next. `is_new` counts the release.
fn is_asked_for(shared: &Shared, group: &str, id: MemberId, is_new: bool) -> bool {
    let mut state = shared.lock();
    let Some(kept) = state.groups.get_mut(group) else { return false };
    let waits = kept.revoke_deadline(id).is_some();
    let Some(member) = kept.members.get_mut(&id) else { return false };
    member.releases += u64::from(is_new);
    waits && member.releases == member.revocations
}

fn give_back(shared: &Shared, group: &str, id: MemberId) {
    shared.update(|state| {
        if state.groups.get_mut(group).is_some_and(|kept| kept.take_back(id)) {
            state.rebalance(group);
        }
    });
}

fn leave(shared: &Arc<Shared>, group: &str, id: MemberId) {
    let left_behind = shared.update(|state| {
        let session = state.settings.session_timeout;
        let kept = state.groups.get_mut(group)?;
        let member = kept.members.remove(&id)?;
        member.tell(GroupEvent::Closed);
        kept.pins.retain(|_, member| *member != id);
        match member.options.instance {
            Some(instance) if !member.expelled => {
                kept.away.insert(instance.clone(), id);
                return Some((instance, session));
            }
            _ if member.fenced => {} // the group has gone on without it
            _ => {
                kept.forget(id);
                state.rebalance(group);
            }
        }
        None
    });
    if let Some((instance, session)) = left_behind {
        tokio::spawn(instance::wait_for(shared.clone(), group.to_owned(), instance, id, session));
    }
}

fn refuse(command: Command) {
    let closed = || Err(ClientError::new(ClientErrorKind::Closed, "the group member is closed").into());
    match command {
        Command::Commit { reply, .. } | Command::Release { reply, .. } | Command::Close { reply, .. } => {
            answer(reply, closed());
        }
        Command::Pause { .. } | Command::Resume { .. } => {}
    }
}

/// The asker may have stopped waiting: its answer is then nobody's.
fn answer(reply: CommitReply, result: Result<(), CommitError>) {
    let _ = reply.send(result);
}
