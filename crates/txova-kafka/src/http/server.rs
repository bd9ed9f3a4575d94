//! The endpoints on a port of their own, as a part of a service.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Endpoints;
use crate::lifecycle::{BoxError, Closer, Component, Doing, Initializer, Named};

/// How long open connections may keep a closing server.
const LINGER: Duration = Duration::from_secs(2);

/// [`Endpoints`] that are served. As the first part of a [`Lifecycle`](crate::lifecycle::Lifecycle) it is the last to close.
pub struct HttpServer {
    router: Router,
    address: SocketAddr,
    bound: watch::Sender<Option<SocketAddr>>,
    closing: CancellationToken,
    /// Why it ended.
    ended: watch::Sender<Option<String>>,
    serving: Mutex<JoinSet<()>>,
}

impl Endpoints {
    /// Served on an address of their own; port 0 takes any that is free.
    pub fn serve_on(self, address: SocketAddr) -> HttpServer {
        HttpServer {
            router: self.router(),
            address,
            bound: watch::Sender::new(None),
            closing: CancellationToken::new(),
            ended: watch::Sender::new(None),
            serving: Mutex::default(),
        }
    }
}

impl HttpServer {
    /// Tells where it listens, once it does.
    pub fn address(&self) -> impl Future<Output = Option<SocketAddr>> + Send + 'static {
        let mut bound = self.bound.subscribe();
        async move { bound.wait_for(Option::is_some).await.ok().and_then(|bound| *bound) }
    }
}

impl Named for HttpServer {
    fn name(&self) -> &str {
        "http"
    }
}

impl Initializer for HttpServer {
    fn init(&self, _: Instant) -> Doing<'_> {
        Box::pin(async move {
            let address = self.address;
            let listener = TcpListener::bind(address).await;
            let listener =
                listener.map_err(|error| BoxError::from(format!("cannot listen on {address}: {error}")))?;
            self.bound.send_replace(Some(listener.local_addr()?));
            let (closing, ended) = (self.closing.clone(), self.ended.clone());
            let serve = axum::serve(listener, self.router.clone())
                .with_graceful_shutdown(async move { closing.cancelled().await });
            self.serving.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
                let result = serve.await;
                ended.send_replace(Some(result.err().map_or_else(String::new, |error| error.to_string())));
            });
            Ok(())
        })
    }
}

impl Closer for HttpServer {
    /// Connections that stay open are cut after two seconds: a prober's keep-alive is no reason to wait.
    fn close(&self, deadline: Instant) -> Doing<'_> {
        Box::pin(async move {
            self.closing.cancel();
            let mut ended = self.ended.subscribe();
            let deadline = deadline.min(Instant::now() + LINGER);
            let _ = timeout_at(deadline, ended.wait_for(Option::is_some)).await;
            self.serving.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
            Ok(())
        })
    }
}

impl Component for HttpServer {
    fn ended(&self) -> Doing<'_> {
        Box::pin(async move {
            let mut ended = self.ended.subscribe();
            match ended.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(why)) if !why.is_empty() => Err(why.clone().into()),
                _ => Ok(()),
            }
        })
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("address", &self.address).finish_non_exhaustive()
    }
}
