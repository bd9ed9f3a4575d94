//! How a record's end reaches whoever waits for it. It must never let a caller's panic into the client's thread.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Published;
use super::error::{PublishError, PublishErrorKind};

/// What a caller of [`publish_async`](super::Publisher::publish_async) gives.
pub(super) type Callback = Box<dyn FnOnce(Result<Published, PublishError>) + Send>;

/// Where the end of a record is told.
pub(super) enum Answer {
    Handle(oneshot::Sender<Result<Published, PublishError>>),
    Callback(Callback),
}

impl Answer {
    pub(super) fn give(self, result: Result<Published, PublishError>) {
        match self {
            Self::Handle(sender) => {
                if let Err(Err(error)) = sender.send(result) {
                    tracing::warn!(%error, "an event that nobody waits for was not published");
                }
            }
            Self::Callback(callback) => {
                if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
                    tracing::error!("the callback of a published event panicked");
                }
            }
        }
    }
}

/// The acknowledgement of an event that has its place in the buffer: a future of it.
///
/// # Cancellation
/// Dropping it takes nothing back: the event is sent, and counted in [`stats`](super::Publisher::stats). If it fails
/// then, the log says so.
#[derive(Debug)]
#[must_use = "the event is sent, but whether it was written only the handle says"]
pub struct PublishHandle {
    receiver: oneshot::Receiver<Result<Published, PublishError>>,
}

impl PublishHandle {
    pub(super) fn new() -> (Answer, Self) {
        let (sender, receiver) = oneshot::channel();
        (Answer::Handle(sender), Self { receiver })
    }
}

impl Future for PublishHandle {
    type Output = Result<Published, PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|told| {
            // The sender answers even when it is dropped; this is for the day it does not.
            let lost = || PublishError::unwritten(PublishErrorKind::Closed, None, "the publisher is gone");
            told.unwrap_or_else(|_| Err(lost()))
        })
    }
}
