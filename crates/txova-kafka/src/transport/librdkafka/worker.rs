//! A thread for the calls that wait for a broker, so that the polling thread never does. It runs them one after the
//! other, in the order given, and knows nothing of what they are.

use std::sync::{Arc, mpsc};

use rdkafka::consumer::BaseConsumer;

use super::context::Context;
use super::own_thread;
use crate::client_error::ClientError;

pub(super) type Consumer = BaseConsumer<Context>;
type Job = Box<dyn FnOnce(&Consumer) + Send>;

enum Message {
    Run(Job),
    Leave(Arc<Consumer>, mpsc::SyncSender<()>),
}

/// Hands calls to the thread. Cheap to clone.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Message>,
}

impl Worker {
    pub(super) fn start(consumer: Arc<Consumer>) -> Result<Self, ClientError> {
        let (jobs, inbox) = mpsc::channel();
        own_thread::start("txova-kafka-calls", move || {
            while let Ok(message) = inbox.recv() {
                match message {
                    Message::Run(job) => job(&consumer),
                    Message::Leave(last, left) => {
                        drop(last);
                        drop(consumer);
                        drop(left);
                        return;
                    }
                }
            }
        })?;
        Ok(Self { jobs })
    }

    /// Queues a call. After [`Worker::leave`] it is dropped unrun, with all it holds.
    pub(super) fn run(&self, job: impl FnOnce(&Consumer) + Send + 'static) {
        let _ = self.jobs.send(Message::Run(Box::new(job))); // what comes back is dropped: see above
    }

    /// Queues a call whose answer can be looked for. The answer's channel is closed where the call is dropped unrun.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Consumer) -> T + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let (answer, answers) = mpsc::sync_channel(1);
        self.run(move |consumer| {
            let _ = answer.send(job(consumer)); // the asker has given up
        });
        answers
    }

    /// Ends the thread after what is queued, and drops the consumer there: that leaves the group, and waits without
    /// bound for a broker that does not answer. The channel returned is closed when it is done.
    pub(super) fn leave(&self, consumer: Arc<Consumer>) -> mpsc::Receiver<()> {
        let (left, leaving) = mpsc::sync_channel(0);
        let _ = self.jobs.send(Message::Leave(consumer, left)); // it has ended already, and `left` is dropped
        leaving
    }
}
