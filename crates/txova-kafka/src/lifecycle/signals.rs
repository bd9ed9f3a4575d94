//! The signals that ask a process to end, each as often as it comes.

use tokio::task::JoinHandle;

/// Listens while it lives.
pub(super) struct Signals(JoinHandle<()>);

impl Signals {
    /// Listens from now on, and calls `hear` with the name of each signal until it answers false.
    pub(super) fn listen(hear: impl Fn(&'static str) -> bool + Send + 'static) -> Self {
        Self(tokio::spawn(listening(hear)))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(unix)]
fn listening(hear: impl Fn(&'static str) -> bool) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = signal(SignalKind::terminate())
        .and_then(|terminate| signal(SignalKind::interrupt()).map(|interrupt| (terminate, interrupt)));
    async move {
        let (mut terminate, mut interrupt) = match signals {
            Ok(signals) => signals,
            Err(error) => {
                tracing::warn!(%error, "signals cannot be listened to: they end the process where it stands");
                return;
            }
        };
        loop {
            let goes_on = tokio::select! {
                Some(()) = terminate.recv() => hear("SIGTERM"),
                Some(()) = interrupt.recv() => hear("SIGINT"),
                else => false,
            };
            if !goes_on {
                return;
            }
        }
    }
}

#[cfg(not(unix))]
async fn listening(hear: impl Fn(&'static str) -> bool) {
    while let Ok(()) = tokio::signal::ctrl_c().await {
        if !hear("Ctrl-C") {
            return;
        }
    }
}
