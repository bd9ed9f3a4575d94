//! A member whose first record never ends is killed, and the next counts what comes again.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use txova_events::RideCompleted;
use txova_kafka::{Event, Meta, State};

use super::ours::{Progress, kafka};
use super::{Task, measured};
use crate::failure::{Context, Failure, Result};
use crate::measured::Measured;

/// Nothing more comes after so long.
const QUIET: Duration = Duration::from_secs(5);

async fn two_ms(Event(_): Event<RideCompleted>, meta: Meta, State(progress): State<Progress>) {
    if meta.offset == 0 {
        std::future::pending::<()>().await;
    }
    sleep(Duration::from_millis(2)).await;
    progress.handled();
}

async fn at_once(Event(_): Event<RideCompleted>, State(progress): State<Progress>) {
    progress.handled();
}

/// Says so when half is done, and waits to be killed.
pub(super) async fn stuck(task: &Task) -> Result<Measured> {
    let enough = u64::from(task.records() / 2);
    let progress = Progress::new(Instant::now(), enough);
    let app = kafka(task)?.app("bench").state(progress.clone()).handle(two_ms).topics([task.topic.clone()]);
    let app = app.consumer(|consumer| {
        consumer.group = Some(task.group.clone());
        consumer.processing_timeout_ms = 3_600_000;
    });
    let run = tokio::spawn(app.build().context(|| "no app".to_owned())?.run());
    tokio::select! {
        () = progress.all() => println!("reached {}", progress.seen()),
        ended = run => return Err(Failure::new(format!("the run ended: {ended:?}"))),
    }
    std::future::pending().await
}

/// Handles what comes until nothing has for a while.
pub(super) async fn recount(task: &Task) -> Result<Measured> {
    let began = Instant::now();
    let progress = Progress::new(began, u64::MAX);
    let app = kafka(task)?.app("bench").state(progress.clone()).handle(at_once).topics([task.topic.clone()]);
    let app = app.consumer(|consumer| consumer.group = Some(task.group.clone()));
    let app = app.build().context(|| "no app".to_owned())?;
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let (mut before, mut since) = (0, Instant::now());
    while before == 0 || since.elapsed() < QUIET {
        sleep(Duration::from_millis(100)).await;
        if progress.seen() != before {
            (before, since) = (progress.seen(), Instant::now());
        }
    }
    println!("handled {}", progress.seen());
    handle.begin_close(Duration::from_secs(10));
    run.await.context(|| "the run".to_owned())?.context(|| "the run".to_owned())?;
    Ok(measured("defaults", progress.seen() as u32, began.elapsed()))
}
