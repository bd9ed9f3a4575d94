//! Blocking calls on threads of their own. Not the runtime's blocking pool: a runtime that shuts down waits for that
//! one, and a broker that does not answer would hold it.

use std::thread;

use tokio::sync::oneshot;

use crate::client_error::{ClientError, ClientErrorKind};

/// Starts a named thread.
pub(super) fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), ClientError> {
    match thread::Builder::new().name(name.to_owned()).spawn(body) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(ClientError::new(ClientErrorKind::Other, format!("the thread {name} did not start: {error}")))
        }
    }
}

/// Runs `body` on a thread of its own and waits for its answer. A dropped future leaves the thread to its time limit.
pub(super) async fn call<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    let (answer, answered) = oneshot::channel();
    start(name, move || {
        let _ = answer.send(body()); // nobody waits any more: the answer is of no use
    })?;
    match answered.await {
        Ok(result) => result,
        Err(_) => Err(ClientError::new(
            ClientErrorKind::Other,
            format!("the thread {name} ended without an answer"),
        )),
    }
}
