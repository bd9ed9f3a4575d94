//! The calls of tools over librdkafka. Each makes a client of its own and lets it go: tools ask seldom.

mod alter;
mod cluster;
mod groups;
mod speech;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::admin::{AdminCalls, BrokerDetails, ClusterInfo, GroupInfo, Setting};
use super::{Librdkafka, own_thread};
use crate::client_error::ClientError;
use crate::record::TopicPartition;

pub(super) use self::topics::create_topics;

impl AdminCalls for Librdkafka {
    fn cluster(&self, timeout: Duration) -> BoxFuture<'static, Result<ClusterInfo, ClientError>> {
        let settings = Arc::clone(&self.settings);
        own_thread::call("txova-kafka-cluster", move || cluster::cluster(&settings, timeout)).boxed()
    }

    fn topic_settings(
        &self,
        topics: Vec<String>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Vec<Setting>>, ClientError>> {
        topics::topic_settings(Arc::clone(&self.settings), topics, timeout).boxed()
    }

    fn broker(&self, id: i32, timeout: Duration) -> BoxFuture<'static, Result<BrokerDetails, ClientError>> {
        cluster::broker(Arc::clone(&self.settings), id, timeout).boxed()
    }

    fn change_topic(
        &self,
        topic: String,
        settings: Vec<(String, String)>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>> {
        let client = Arc::clone(&self.settings);
        let change = move || alter::change_topic(&client, &topic, &settings, timeout);
        own_thread::call("txova-kafka-alter", change).boxed()
    }

    fn add_partitions(
        &self,
        topic: String,
        total: i32,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>> {
        topics::add_partitions(Arc::clone(&self.settings), topic, total, timeout).boxed()
    }

    fn groups(&self, timeout: Duration) -> BoxFuture<'static, Result<Vec<GroupInfo>, ClientError>> {
        let settings = Arc::clone(&self.settings);
        own_thread::call("txova-kafka-groups", move || groups::groups(&settings, timeout)).boxed()
    }

    fn set_offsets(
        &self,
        group: String,
        offsets: Vec<(TopicPartition, i64)>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>> {
        let settings = Arc::clone(&self.settings);
        let set = move || groups::set_offsets(&settings, &group, &offsets, timeout);
        own_thread::call("txova-kafka-offsets", set).boxed()
    }
}
