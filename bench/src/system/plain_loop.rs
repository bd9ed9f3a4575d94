//! The bound of a workload that waits: the same sleeps, one of a key at a time and so many at once, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Task, measured};
use crate::failure::{Context, Result};
use crate::measured::Measured;

pub(super) async fn consume(task: &Task) -> Result<Measured> {
    let mut keys: HashMap<u32, Vec<u64>> = HashMap::new();
    for (key, work_us) in task.workload.shape.waits() {
        keys.entry(key).or_default().push(work_us);
    }
    // The longest key first: the best that can be done where it alone decides.
    let mut keys: Vec<Vec<u64>> = keys.into_values().collect();
    keys.sort_by_key(|works| std::cmp::Reverse(works.iter().sum::<u64>()));
    let permits = Arc::new(Semaphore::new(task.concurrency()));
    let began = Instant::now();
    let mut running = JoinSet::new();
    for works in keys {
        let permits = permits.clone();
        running.spawn(async move {
            let _turn = permits.acquire().await;
            for us in works {
                sleep(Duration::from_micros(us)).await;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.context(|| "a sleep".to_owned())?;
    }
    let told = format!("tokio sleeps, one task a key, {} at once, the longest key first", task.concurrency());
    Ok(measured(told, task.records(), began.elapsed()))
}
