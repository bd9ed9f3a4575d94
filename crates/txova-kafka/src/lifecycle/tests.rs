//! Goal: whatever a part does, the others are started and closed in order, in bounded time, and the report says who did
//! not make it.
//! Method: parts on script, signals by hand, on a paused clock; an app and a publisher on the in-memory cluster; and once
//! this process's own signals.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

mod live;
mod parts;
mod trouble;
mod whole;

/// What a part does when it is asked to do something.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Does {
    #[default]
    Well,
    Fails,
    Hangs,
    Panics,
}

/// Everything that was asked of parts, in order.
type Diary = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Default)]
struct Part {
    name: &'static str,
    diary: Diary,
    init: Does,
    close: Does,
    /// What it comes to by itself, and when.
    ends: Option<(Duration, Does)>,
}

impl Part {
    fn new(name: &'static str, diary: &Diary) -> Self {
        Self { name, diary: diary.clone(), ..Self::default() }
    }

    async fn play(&self, what: &str, does: Does) -> Result<(), BoxError> {
        self.diary.lock().unwrap().push(format!("{what} {}", self.name));
        match does {
            Does::Well => Ok(()),
            Does::Fails => Err("the disk is full".into()),
            Does::Hangs => std::future::pending().await,
            Does::Panics => panic!("on purpose"),
        }
    }
}

impl Named for Part {
    fn name(&self) -> &str {
        self.name
    }
}

impl Initializer for Part {
    fn init(&self, _: Instant) -> Doing<'_> {
        Box::pin(self.play("init", self.init))
    }
}

impl Closer for Part {
    fn close(&self, _: Instant) -> Doing<'_> {
        Box::pin(self.play("close", self.close))
    }
}

impl Component for Part {
    fn ended(&self) -> Doing<'_> {
        Box::pin(async move {
            let Some((after, does)) = self.ends else { return std::future::pending().await };
            tokio::time::sleep(after).await;
            self.play("end", does).await
        })
    }
}

/// A life that runs, and the hand that gives it signals.
fn begin(
    parts: impl IntoIterator<Item = Part>,
) -> (JoinHandle<LifecycleReport>, UnboundedSender<&'static str>) {
    let (asks, asked) = unbounded_channel();
    let life = parts.into_iter().fold(Lifecycle::new(), Lifecycle::with);
    (tokio::spawn(life.drive(asked)), asks)
}

fn told(diary: &Diary) -> Vec<String> {
    diary.lock().unwrap().clone()
}

/// Until everybody has nothing to do but wait.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
