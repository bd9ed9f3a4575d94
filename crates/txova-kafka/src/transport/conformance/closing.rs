//! How a membership ends.

use tokio::sync::oneshot;

use super::probe::{Probe, entry, numbered, options, within, write};
use super::{Bench, PATIENCE};
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::transport::{Command, Commit, CommitError};

pub(super) async fn close_commits_its_entries_and_ends_with_closed(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 5)).await;
    let mut member = Probe::assigned(bench, options(&group, &topic), 1).await;
    member.close(vec![entry(&partition, 3, "at the end")]).await.expect("the commit");
    assert_eq!(member.revoked, None, "what leaving takes is not announced");
    assert_eq!(within("the end of events", member.next_event()).await, None);
    let committed = bench.transport().committed(group, vec![partition], PATIENCE).await.expect("an answer");
    let committed = committed[0].clone().expect("it was committed");
    assert_eq!((committed.offset, &*committed.metadata), (3, "at the end"));
}

pub(super) async fn commands_after_close_are_answered_with_errors(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let mut member = Probe::assigned(bench, options(&bench.group(), &topic), 1).await;
    member.close(Vec::new()).await.expect("nothing to commit");
    let kind = |answer: Result<(), CommitError>| answer.map_err(|failed| failed.error.kind);
    let refused = member.commit(vec![entry(&partition, 1, "")]).await;
    assert_eq!(refused.map_err(|error| error.kind), Err(ClientErrorKind::Closed));
    let (reply, answer) = oneshot::channel();
    member.send(Command::Release { commit: Commit::default(), reply });
    assert_eq!(kind(within("an answer", answer).await.expect("an answer")), Err(ClientErrorKind::Closed));
    let (reply, answer) = oneshot::channel();
    member.send(Command::Close { commit: Commit::default(), reply });
    assert_eq!(kind(within("an answer", answer).await.expect("an answer")), Err(ClientErrorKind::Closed));
    member.send(Command::Pause { partition, epoch: 1 });
}

pub(super) async fn close_is_bounded_while_nobody_takes_the_records(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 8000)).await;
    let mut member = Probe::join(bench.transport(), options(&bench.group(), &topic));
    while member.owned.is_empty() {
        member.next_event().await.expect("the partition comes");
    }
    member.close(Vec::new()).await.expect("nothing to commit");
}

pub(super) async fn close_is_bounded_with_no_broker_there(bench: &dyn Bench) {
    let transport = bench.unreachable();
    let mut member = Probe::join(&*transport, options("nobody-there", "nowhere"));
    member.until("trouble", |member| !member.troubles.is_empty()).await;
    assert_eq!(member.troubles[0].kind, ClientErrorKind::Unreachable, "{}", member.troubles[0]);
    assert_eq!(member.fatal, None, "the client goes on trying");
    member.close(Vec::new()).await.expect("nothing to commit");
}

pub(super) async fn dropping_a_member_commits_nothing_and_lets_the_group_go_on(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 5)).await;
    let mut dropped = Probe::assigned(bench, options(&group, &topic), 1).await;
    dropped.until("five records", |member| member.seen.len() >= 5).await;
    drop(dropped);
    let mut next = Probe::join(bench.transport(), options(&group, &topic));
    next.until("the same records", |next| next.seen.len() >= 5).await;
    assert_eq!(next.assignment(&partition).committed, None);
    assert_eq!(next.offsets(&partition), (0..5).collect::<Vec<_>>());
}
