//! Writes dead letters.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::client_error::{ClientError, ClientErrorKind};
use crate::driver::DeadLetters;
use crate::engine::DeadLetterOrder;
use crate::kafka::Kafka;
use crate::record::{OutgoingRecord, Record};
use crate::transport::Producer;

/// Writes the dead letters of one group.
pub(crate) struct DeadLetterWriter {
    producer: Arc<dyn Producer>,
    service: Arc<str>,
    group: Arc<str>,
}

impl DeadLetterWriter {
    pub(crate) fn connect(kafka: &Kafka, service: Arc<str>, group: Arc<str>) -> Result<Self, ClientError> {
        Ok(Self { producer: kafka.transport.producer()?, service, group })
    }
}

impl DeadLetters for DeadLetterWriter {
    fn write(&self, order: DeadLetterOrder<Record>) -> BoxFuture<'static, Result<(), ClientError>> {
        let record = OutgoingRecord {
            topic: format!("{}.dlq", order.partition.topic).into(),
            value: order.record.value,
            key: order.record.key,
            ..Default::default()
        };
        let _ = (&self.service, &self.group);
        let (reply, answer) = oneshot::channel();
        let sent = self.producer.send(
            record,
            Box::new(move |result| {
                let _ = reply.send(result);
            }),
        );
        async move {
            sent?;
            let answer = answer.await.unwrap_or_else(|_| {
                Err(ClientError::new(ClientErrorKind::Closed, "the producer ended before it answered"))
            });
            answer.map(|_| ())
        }
        .boxed()
    }
}
