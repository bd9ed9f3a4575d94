//! A publisher of one type of event: what a service is given that may publish nothing else. It must never do anything
//! that [`Publisher`] does not.

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use txova_events::Event;

use super::{PublishError, PublishHandle, Published, Publisher};
use crate::client_error::ClientError;

/// Publishes events of one type; see [`Publisher::of`].
pub struct EventPublisher<E> {
    publisher: Publisher,
    event: PhantomData<fn(&E)>,
}

impl Publisher {
    /// The same publisher, for events of one type only: one connection, one buffer, one order with all others.
    ///
    /// ```
    /// use txova_events::{PaymentCompleted, PaymentId};
    /// use txova_kafka::publisher::EventPublisher;
    /// use txova_kafka::testing::Cluster;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let publisher = Cluster::new().kafka().publisher("payment-service")?;
    /// let completed: EventPublisher<PaymentCompleted> = publisher.of();
    /// let event = PaymentCompleted { payment_id: PaymentId::new(), transaction_ref: "T1".to_owned() };
    /// assert_eq!(completed.publish(&event).await?.offset, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn of<E: Event>(&self) -> EventPublisher<E> {
        EventPublisher { publisher: self.clone(), event: PhantomData }
    }
}

impl<E: Event> EventPublisher<E> {
    /// See [`Publisher::publish`].
    ///
    /// # Errors
    /// As there.
    pub fn publish(&self, event: &E) -> impl Future<Output = Result<Published, PublishError>> + Send {
        self.publisher.publish(event)
    }

    /// See [`Publisher::enqueue`].
    ///
    /// # Errors
    /// As there.
    pub fn enqueue(&self, event: &E) -> impl Future<Output = Result<PublishHandle, PublishError>> + Send {
        self.publisher.enqueue(event)
    }

    /// See [`Publisher::publish_async`].
    ///
    /// # Errors
    /// As there.
    pub fn publish_async(
        &self,
        event: &E,
        callback: impl FnOnce(Result<Published, PublishError>) + Send + 'static,
    ) -> impl Future<Output = Result<(), PublishError>> + Send {
        self.publisher.publish_async(event, callback)
    }

    /// See [`Publisher::publish_batch`].
    pub fn publish_batch<'e>(
        &self,
        events: impl IntoIterator<Item = &'e E>,
    ) -> impl Future<Output = Vec<Result<Published, PublishError>>> + Send
    where
        E: 'e,
    {
        self.publisher.publish_batch(events)
    }

    /// See [`Publisher::warm_up`]; the topic is the event's own.
    ///
    /// # Errors
    /// As there.
    pub async fn warm_up(&self, timeout: Duration) -> Result<(), ClientError> {
        self.publisher.warm_up([E::TOPIC], timeout).await
    }
}

impl<E> Clone for EventPublisher<E> {
    fn clone(&self) -> Self {
        Self { publisher: self.publisher.clone(), event: PhantomData }
    }
}

impl<E> std::fmt::Debug for EventPublisher<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventPublisher").field("publisher", &self.publisher).finish_non_exhaustive()
    }
}
