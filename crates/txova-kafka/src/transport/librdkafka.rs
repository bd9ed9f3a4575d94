//! The client over librdkafka. It is the only place that names the client; it must never know events, handlers or
//! retries. Every call that can block runs on a thread of the client's own, never on a caller's.

mod admin;
mod committer;
mod config;
mod context;
mod deliveries;
mod errors;
mod last_commit;
mod ledger;
mod lone;
mod member;
mod metadata_calls;
mod missing;
pub(crate) mod mock;
mod outbox;
mod own_thread;
mod pass;
mod poll_loop;
mod producer;
mod raw;
mod reader;
mod rebalance;
mod sent_again;
mod slots;
#[cfg(test)]
mod tests;
mod transaction;
mod transactor;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::admin::AdminCalls;
use super::properties::ClientProperties;
use super::{
    Committed, GroupMember, JoinOptions, Ledger, NewTopic, Producer, ReadRange, RecordStream, Transport,
    Watermarks,
};
use crate::client_error::ClientError;
use crate::record::TopicPartition;

/// Opens librdkafka clients with one set of properties.
#[derive(Clone, Debug)]
pub(crate) struct Librdkafka {
    settings: Arc<config::Settings>,
}

impl Librdkafka {
    /// A client with `properties`. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// A property librdkafka does not know or whose value it refuses, and a missing `bootstrap.servers`, are
    /// [`ClientErrorKind::Config`](crate::ClientErrorKind::Config) errors that name the property; a secret's value is
    /// never in them.
    pub(crate) fn new(properties: ClientProperties) -> Result<Self, ClientError> {
        Ok(Self { settings: Arc::new(config::Settings::new(properties)?) })
    }
}

impl Transport for Librdkafka {
    fn join(&self, options: JoinOptions) -> Result<GroupMember, ClientError> {
        member::join(&self.settings, options)
    }

    fn producer(&self) -> Result<Arc<dyn Producer>, ClientError> {
        Ok(Arc::new(producer::LibrdkafkaProducer::new(&self.settings)?))
    }

    fn ledger(&self, name: &str) -> Result<Arc<dyn Ledger>, ClientError> {
        config::check_name("the ledger", name)?;
        Ok(Arc::new(ledger::LibrdkafkaLedger::new(&self.settings, name)))
    }

    fn read(&self, ranges: Vec<ReadRange>) -> Result<RecordStream, ClientError> {
        reader::read(&self.settings, ranges)
    }

    fn follow(&self, starts: Vec<(TopicPartition, i64)>) -> Result<RecordStream, ClientError> {
        reader::follow(&self.settings, starts)
    }

    fn admin(&self) -> Arc<dyn AdminCalls> {
        Arc::new(self.clone())
    }

    fn topics(
        &self,
        topics: Vec<String>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<(String, i32)>, ClientError>> {
        let settings = Arc::clone(&self.settings);
        own_thread::call("txova-kafka-topics", move || metadata_calls::topics(&settings, &topics, timeout))
            .boxed()
    }

    fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>> {
        admin::create_topics(Arc::clone(&self.settings), topics, timeout).boxed()
    }

    fn watermarks(
        &self,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Watermarks>, ClientError>> {
        let settings = Arc::clone(&self.settings);
        own_thread::call("txova-kafka-watermarks", move || {
            metadata_calls::watermarks(&settings, &partitions, timeout)
        })
        .boxed()
    }

    fn offsets_at(
        &self,
        partitions: Vec<TopicPartition>,
        unix_ms: i64,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<i64>, ClientError>> {
        let settings = Arc::clone(&self.settings);
        own_thread::call("txova-kafka-offsets", move || {
            metadata_calls::offsets_at(&settings, &partitions, unix_ms, timeout)
        })
        .boxed()
    }

    fn committed(
        &self,
        group: String,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Option<Committed>>, ClientError>> {
        let settings = Arc::clone(&self.settings);
        own_thread::call("txova-kafka-committed", move || {
            metadata_calls::committed(&settings, &group, &partitions, timeout)
        })
        .boxed()
    }
}
