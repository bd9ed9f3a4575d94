//! What is counted and measured, for whichever recorder of the [`metrics`](https://docs.rs/metrics) facade is installed.
//! It must never know an exporter (only `prometheus.rs` does), and never carry an id, a key or an offset as a label.
//!
//! Install the recorder before publishers and apps are made: they keep their handles. Without one, all of this costs a
//! comparison here and there. The facade has one recorder a process; two apps of the same group in one process share
//! their gauges.
//!
//! Names begin with `metrics.namespace` (`txova`) and, where `metrics.subsystem` is set, that:
//! `txova_ride_service_kafka_consumer_lag`. The five that dashboards of other services use already are
//! `kafka_messages_produced_total`, `kafka_messages_consumed_total`, `kafka_consumer_lag`, `kafka_produce_errors_total`
//! and `kafka_consume_errors_total`.
//!
#![doc = include_str!("metrics/table.md")]

mod consumer;
mod handlers;
mod lag;
mod namespace;
#[cfg(feature = "prometheus")]
mod prometheus;
mod table;

#[cfg(test)]
mod tests;

pub(crate) use self::consumer::ConsumerMetrics;
pub(crate) use self::handlers::HandlerMetrics;
pub(crate) use self::namespace::Namespace;
#[cfg(feature = "prometheus")]
pub use self::prometheus::{Prometheus, PrometheusError};
pub(crate) use self::table::*;
pub use self::table::{Kind, Metric, SECONDS_BUCKETS, TABLE};
