//! The thread that owns the consumer and polls it without pause: records become batches, notices become events, the
//! engine's orders are carried out. It must never wait for a broker or for the engine.
//!
//! Back-pressure. When the channel to the engine is full, the last batches wait here and polling stops for at most
//! half a second, far below `max.poll.interval.ms`: a short stall costs nothing. If it lasts, all partitions are
//! paused and polling goes on. That is right because a paused partition gives no records and loses none: librdkafka
//! keeps its position behind the last record it handed out, throws the prefetched ones away and fetches them again on
//! resume; pausing happens on this thread, so no record can be handed out in between. Group membership, errors and
//! rebalances come by the same queue and go on being served. Pausing at once would be right too, but would fetch
//! everything prefetched again at every full channel.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;

use super::super::{Commit, GroupEvent, JoinOptions, OutOfRange, fenced};
use super::committer::Committer;
use super::context::{self, Context, Notice};
use super::member::{Order, Owned, Reply, closed};
use super::missing::Missing;
use super::outbox::Outbox;
use super::pass::Pass;
use super::rebalance::{Step, answer};
use super::slots::{Slots, partitions};
use super::worker::Worker;
use super::{errors, metadata_calls};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;

/// How long one poll waits when there is nothing: the longest an order waits, too.
const POLL: Duration = Duration::from_millis(10);
/// One pass reads at most so many bytes.
const PASS_BYTES: usize = 1 << 20;
/// How long polling may stop for a full channel before the partitions are paused.
const STALL: Duration = Duration::from_millis(500);
/// How long a commit of a release or a close may take.
const LAST_COMMIT: Duration = Duration::from_secs(10);
/// How long leaving the group may take.
const LEAVE: Duration = Duration::from_secs(5);
/// When no broker has answered for so long after joining, the engine is told.
const FIRST_ANSWER: Duration = Duration::from_secs(4);

pub(super) struct PollLoop {
    consumer: Arc<BaseConsumer<Context>>,
    worker: Worker,
    committer: Committer,
    orders: Receiver<Order>,
    events: UnboundedSender<GroupEvent>,
    pass: Pass,
    outbox: Outbox,
    owned: Owned,
    options: JoinOptions,
    brokers: String,
    slots: Slots,
    epoch: u64,
    step: Step,
    /// Revocations the engine was told of, and releases it has sent: the nth answers the nth.
    revocations: u64,
    releases: u64,
    /// All partitions are paused because the engine does not keep up.
    choked: bool,
    missing: Missing,
    /// Partitions have been assigned once: from then on refused credentials may pass by themselves.
    joined: bool,
}

impl PollLoop {
    #[expect(clippy::too_many_arguments, reason = "called once, right where these are made")]
    pub(super) fn new(
        consumer: Arc<BaseConsumer<Context>>,
        worker: Worker,
        committer: Committer,
        orders: Receiver<Order>,
        events: UnboundedSender<GroupEvent>,
        outbox: Outbox,
        owned: Owned,
        options: JoinOptions,
        brokers: String,
    ) -> Self {
        let (slots, step) = (Slots::default(), Step::None);
        Self {
            consumer,
            worker,
            committer,
            orders,
            events,
            pass: Pass::default(),
            outbox,
            owned,
            options,
            brokers,
            slots,
            epoch: 0,
            step,
            revocations: 0,
            releases: 0,
            choked: false,
            missing: Missing::default(),
            joined: false,
        }
    }

    /// Runs until the member is closed or dropped.
    pub(super) fn run(mut self) {
        self.ask_for_a_broker();
        loop {
            self.options.pulse.beat();
            loop {
                match self.orders.try_recv() {
                    Ok(Order::Close { commit, reply }) => return self.close(commit, Some(reply)),
                    Ok(order) => self.carry_out(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return self.close(Commit::default(), None),
                }
            }
            self.advance();
            if let Some(topics) = self.missing.news(&self.options.topics, &self.worker) {
                self.tell(GroupEvent::Missing { topics });
            }
            if self.outbox.send() {
                self.breathe();
            } else if self.outbox.full_for() < STALL && !self.choked {
                match self.orders.recv_timeout(Duration::from_millis(1)) {
                    Ok(Order::Close { commit, reply }) => return self.close(commit, Some(reply)),
                    Ok(order) => self.carry_out(order),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return self.close(Commit::default(), None),
                }
                continue;
            } else {
                self.choke();
            }
            self.read();
            self.hear();
        }
    }

    fn tell(&self, event: GroupEvent) {
        let _ = self.events.send(event); // the engine has dropped its end: it wants to know no more
    }

    /// librdkafka reports a refused connection at once, a silent address only after half a minute.
    fn ask_for_a_broker(&self) {
        let Some(topic) = self.options.topics.first().cloned() else { return };
        let (events, brokers) = (self.events.clone(), self.brokers.clone());
        self.worker.run(move |consumer| {
            let Err(error) = consumer.fetch_metadata(Some(&topic), FIRST_ANSWER) else { return };
            let kind = errors::code_of(&error).map(errors::kind_of);
            if matches!(kind, Some(ClientErrorKind::TimedOut | ClientErrorKind::Unreachable)) {
                let message =
                    format!("no broker has answered at {brokers} within {FIRST_ANSWER:?}; going on trying");
                let error = ClientError::new(ClientErrorKind::Unreachable, message);
                let _ = events.send(GroupEvent::Trouble(error));
            }
        });
    }

    // Records.

    /// One pass: waits for the first record, takes what is ready behind it, and hands it over by partition.
    fn read(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        let (mut records, mut bytes) = (0, 0);
        let mut wait = POLL;
        while records < self.options.max_poll_records && bytes < PASS_BYTES {
            match consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    records += 1;
                    bytes += self.take(&message);
                }
                // What it says has come as a notice, with the words; this way only the code comes.
                Some(Err(KafkaError::MessageConsumption(_) | KafkaError::MessageConsumptionFatal(_))) => {
                    break;
                }
                Some(Err(error)) => {
                    self.tell(GroupEvent::Trouble(errors::at(&self.brokers, &error)));
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        for batch in self.pass.end() {
            self.outbox.put(batch);
        }
    }

    /// Adds a record to its partition's batch; returns its size.
    fn take(&mut self, message: &BorrowedMessage<'_>) -> usize {
        let (topic, partition) = (message.topic(), message.partition());
        let current = self.pass.current(topic, partition);
        let Some(place) = current.or_else(|| self.slots.position(topic, partition)) else { return 0 };
        let Some(slot) = self.slots.at(place).filter(|slot| !slot.leaving) else { return 0 };

        if let Some(next) = slot.next.filter(|next| slot.began && message.offset() < *next)
            && self.consumer.context().has_reset()
        {
            slot.leaving = true;
            let error = went_back(&slot.partition, next, message.offset());
            self.tell(GroupEvent::Fatal(error));
            return 0;
        }
        slot.next = Some(message.offset() + 1);
        slot.began = true;
        if current.is_none() {
            self.pass.turn_to(place, slot);
        }
        self.pass.add(message)
    }

    fn choke(&mut self) {
        if !self.choked {
            self.choked = true;
            self.pause(&self.slots.running(), true);
        }
    }

    fn breathe(&mut self) {
        if self.choked {
            self.choked = false;
            self.pause(&self.slots.running(), false);
        }
    }

    fn pause(&self, list: &TopicPartitionList, pause: bool) {
        if list.count() == 0 {
            return;
        }
        let result = if pause { self.consumer.pause(list) } else { self.consumer.resume(list) };
        if let Err(error) = result {
            self.tell(GroupEvent::Trouble(errors::at(
                format_args!("pausing {:?}", partitions(list)),
                &error,
            )));
        }
    }

    // Orders.

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Pause(partition, epoch) => {
                let list = self.slots.pause(&partition, epoch, true);
                self.pause(&list, true);
            }
            Order::Resume(partition, epoch) => {
                let list = self.slots.pause(&partition, epoch, false);
                if !self.choked {
                    self.pause(&list, false);
                }
            }
            Order::Release { commit, reply } => self.release(commit, reply),
            Order::Close { .. } => {} // invariant: `run` takes these itself
        }
    }

    fn release(&mut self, commit: Commit, reply: Reply) {
        self.releases += 1;
        match std::mem::replace(&mut self.step, Step::None) {
            // A late answer to one that is over must not be taken for that to the next.
            Step::Revoking { list, .. } if self.releases == self.revocations => {
                let until = Instant::now() + LAST_COMMIT;
                let committing = self.committer.ask_last(commit, until);
                self.step = Step::Releasing { list, committing, reply, until };
            }
            step => {
                self.step = step;
                let message = "no revocation is waiting for a release: the partitions are given back already";
                reply.send(Err(ClientError::new(ClientErrorKind::StaleMember, message).into()));
            }
        }
    }

    // Rebalances.

    /// Moves a rebalance on if what it waits for has come.
    fn advance(&mut self) {
        if let Some(list) = self.step.taken_back()
            && self.consumer.assignment_lost()
        {
            let list = list.clone();
            if let Step::Releasing { reply, .. } = std::mem::replace(&mut self.step, Step::None) {
                reply.send(Err(lost().into()));
            }
            return self.lose(&list);
        }
        self.step = match std::mem::replace(&mut self.step, Step::None) {
            Step::Assigning { list, reading } => match answer(&reading, || Err(closed())) {
                None => Step::Assigning { list, reading },
                Some(Ok((list, assignments))) => {
                    self.begin(&list, assignments);
                    Step::None
                }
                Some(Err(error)) => {
                    self.tell(GroupEvent::Trouble(error));
                    Step::assign_later(list)
                }
            },
            Step::AssigningAgain { list, at } if Instant::now() >= at => {
                Step::assign(list, &self.worker, &self.options.group, self.options.start)
            }
            Step::Revoking { list, until } if Instant::now() >= until => {
                self.give_back(&list);
                Step::None
            }
            Step::Releasing { list, committing, reply, until } => {
                let done = answer(&committing, || Err(closed().into()));
                let late =
                    (Instant::now() >= until).then(|| Err(late("the last commit before giving back").into()));
                match done.or(late) {
                    None => Step::Releasing { list, committing, reply, until },
                    Some(result) => {
                        self.give_back(&list);
                        reply.send(result);
                        Step::None
                    }
                }
            }
            step => step,
        };
    }

    fn begin(&mut self, list: &TopicPartitionList, assignments: Vec<super::super::Assignment>) {
        self.joined = true;
        if !assignments.is_empty() {
            self.epoch += 1;
            for element in list.elements() {
                let next = match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                };
                let position = assignments.iter().find(|assignment| {
                    assignment.partition.partition == element.partition()
                        && assignment.partition.topic.as_ref() == element.topic()
                });
                if let Some(assignment) = position {
                    self.slots.add(assignment.partition.clone(), self.epoch, next);
                }
            }
            let epoch = self.epoch;
            self.owned.change(|owned| {
                owned.extend(assignments.iter().map(|each| (each.partition.clone(), epoch)));
            });
            self.tell(GroupEvent::Assigned { epoch: self.epoch, partitions: assignments });
        }
        if let Err(error) = context::take_on(&self.consumer, list) {
            let place = format!("taking on {:?}", partitions(list));
            self.tell(GroupEvent::Fatal(self.fatal_or(errors::at(place, &error))));
        }
        if self.choked {
            self.pause(list, true);
        }
    }

    fn give_back(&mut self, list: &TopicPartitionList) {
        // librdkafka keeps a pause beyond the assignment it was for: who comes back would never be read again. Only what is
        // paused may be resumed: a resume throws away what was fetched before it.
        let going = partitions(list);
        let paused = if self.choked { self.slots.all(&going) } else { self.slots.paused(&going) };
        self.pause(&paused, false);
        self.forget(list);
        if let Err(error) = context::give_back(&self.consumer, list) {
            let place = format!("giving back {:?}", partitions(list));
            self.tell(GroupEvent::Trouble(errors::at(place, &error)));
        }
    }

    fn forget(&mut self, list: &TopicPartitionList) {
        let gone = partitions(list);
        self.owned.change(|owned| owned.retain(|partition, _| !gone.contains(partition)));
        self.slots.remove(&gone);
        self.outbox.forget(&gone);
    }

    fn lose(&mut self, list: &TopicPartitionList) {
        let gone =
            partitions(list).into_iter().filter(|partition| self.slots.has(partition)).collect::<Vec<_>>();
        self.give_back(list);
        if !gone.is_empty() {
            self.tell(GroupEvent::Lost { partitions: gone });
        }
    }

    fn revoke(&mut self, list: TopicPartitionList) {
        let partitions = partitions(&list);
        if self.consumer.assignment_lost() {
            self.lose(&list);
        } else if partitions.iter().all(|partition| !self.slots.has(partition)) {
            self.give_back(&list); // nothing the engine knows of
        } else {
            self.slots.leave(&partitions);
            self.outbox.forget(&partitions);
            self.step = Step::Revoking { list, until: Instant::now() + self.options.revoke_timeout };
            self.revocations += 1;
            self.tell(GroupEvent::Revoked { partitions });
        }
    }

    // Notices.

    fn hear(&mut self) {
        for notice in self.consumer.context().take() {
            match notice {
                Notice::Assign(list) => {
                    self.step = Step::assign(list, &self.worker, &self.options.group, self.options.start);
                }
                Notice::Revoke(list) => self.revoke(list),
                Notice::OffsetReset(words) => {
                    let error = ClientError::new(ClientErrorKind::OffsetOutOfRange, words);
                    self.tell(GroupEvent::Trouble(error));
                }
                Notice::Error(code, reason) => self.error(code, &reason),
            }
        }
    }

    fn error(&mut self, code: RDKafkaErrorCode, reason: &str) {
        let error = errors::event(code, reason);
        if error.kind == ClientErrorKind::UnknownTopic {
            self.missing.look();
        }
        match code {
            RDKafkaErrorCode::AutoOffsetReset if self.options.out_of_range == OutOfRange::Fail => {
                self.out_of_range(error);
            }
            RDKafkaErrorCode::Fatal => self.tell(GroupEvent::Fatal(self.fatal_or(error))),
            RDKafkaErrorCode::AllBrokersDown => {
                let message = format!("{reason} ({})", self.brokers);
                self.tell(GroupEvent::Trouble(ClientError::new(error.kind, message)));
            }
            _ => match error.kind {
                ClientErrorKind::Authentication if !self.joined => self.tell(GroupEvent::Fatal(error)),
                // A session time the broker does not take stays refused.
                ClientErrorKind::Fenced | ClientErrorKind::Config => {
                    self.tell(GroupEvent::Fatal(self.fatal_or(error)));
                }
                _ => self.tell(GroupEvent::Trouble(error)),
            },
        }
    }

    /// librdkafka's own fatal error, which has the true code, or else `error`.
    fn fatal_or(&self, error: ClientError) -> ClientError {
        let error = match self.consumer.client().fatal_error() {
            Some((code, reason)) => ClientError::new(errors::kind_of(code), reason),
            None => error,
        };
        match &self.options.instance {
            Some(instance) if error.kind == ClientErrorKind::Fenced => fenced(&self.options.group, instance),
            _ => error,
        }
    }

    /// librdkafka does not say which partition's offset is out of range: the logs' ends do.
    fn out_of_range(&self, error: ClientError) {
        let positions: Vec<_> =
            self.slots.iter().filter_map(|slot| Some((slot.partition.clone(), slot.next?))).collect();
        let events = self.events.clone();
        self.worker.run(move |consumer| {
            let found = metadata_calls::out_of_range(consumer, &positions);
            let error = match found {
                Some(message) => ClientError::new(ClientErrorKind::OffsetOutOfRange, message),
                None => error,
            };
            let _ = events.send(GroupEvent::Fatal(error));
        });
    }

    // The end.

    /// Commits, leaves the group and ends, each with its own time limit: what takes longer goes on without us.
    fn close(mut self, commit: Commit, reply: Option<Reply>) {
        if let Some(reply) = reply {
            let committing = self.committer.ask_last(commit, Instant::now() + LAST_COMMIT);
            let result = match committing.recv_timeout(LAST_COMMIT) {
                Ok(result) => result,
                Err(_) => Err(late("the last commit before leaving the group").into()),
            };
            reply.send(result);
        }
        self.consumer.context().close();
        for notice in self.consumer.context().take() {
            match notice {
                Notice::Assign(list) => self.step = Step::assign_later(list),
                Notice::Revoke(list) => {
                    let until = Instant::now();
                    self.step = Step::Revoking { list, until };
                }
                Notice::Error(..) | Notice::OffsetReset(_) => {}
            }
        }
        let step = std::mem::replace(&mut self.step, Step::None);
        if let Some(list) = step.taken_back() {
            let _ = context::give_back(&self.consumer, list); // leaving does the same
        }
        if let Step::Assigning { list, .. } | Step::AssigningAgain { list, .. } = &step {
            // librdkafka leaves only after its question is answered; the partitions go back in the next callback.
            let _ = context::take_on(&self.consumer, list);
        }
        drop(step);
        let _ = self.worker.leave(self.consumer).recv_timeout(LEAVE); // closed when it is done
    }
}

/// New records stand where old ones were read: whoever went on would take them for repetitions.
fn went_back(partition: &TopicPartition, next: i64, found: i64) -> ClientError {
    let message = format!(
        "{partition} has gone back from offset {next} to {found} while it was read: the topic was made anew or cut off"
    );
    ClientError::new(ClientErrorKind::OffsetOutOfRange, message)
}

fn late(what: &str) -> ClientError {
    let message = format!("{what} had no answer within {LAST_COMMIT:?}; it may still be made");
    ClientError::new(ClientErrorKind::TimedOut, message)
}

fn lost() -> ClientError {
    let message = "the partitions were lost before they were given back; nothing was committed for them";
    ClientError::new(ClientErrorKind::StaleMember, message)
}
