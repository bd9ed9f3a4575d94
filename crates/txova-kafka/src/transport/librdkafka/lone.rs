//! Sends a record that comes alone at once, and not after `linger.ms`: while nothing else is under way there is nothing
//! to wait for. Those that come while it is under way gather as ever.
//!
//! librdkafka has no such call for one record, but it looks past the linger while a flush is under way. A flush blocks, so
//! it has a thread of its own; it ends with the record's answer, and soon in any case: while it lasts nothing gathers.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use super::producer::Client;
use super::{own_thread, raw};
use crate::client_error::ClientError;

/// Long enough for the client's thread to wake and look.
const LOOK: Duration = Duration::from_millis(5);

/// Wakes the thread.
#[derive(Debug)]
pub(super) struct Lone {
    wake: SyncSender<()>,
}

impl Lone {
    /// The thread ends when this is dropped.
    pub(super) fn start(client: &Arc<Client>, linger: Duration) -> Result<Self, ClientError> {
        let (wake, woken) = sync_channel(1);
        let client = Arc::clone(client);
        own_thread::start("txova-kafka-lone", move || {
            while woken.recv().is_ok() {
                raw::flush(&client, LOOK.min(linger));
            }
        })?;
        Ok(Self { wake })
    }

    /// A record was handed over while nothing else was under way.
    pub(super) fn send_now(&self) {
        let _ = self.wake.try_send(()); // full: it is about to look anyway
    }
}
