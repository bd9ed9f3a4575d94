//! Brokers are killed and stopped, one at a time: with three copies and two in sync nothing acknowledged may be lost.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::brokers::Brokers;
use crate::clock::At;
use crate::dice::Dice;
use crate::failure::Result;

#[derive(Debug, Default)]
pub(crate) struct BrokerFaults {
    pub(crate) kills: usize,
    pub(crate) stops: usize,
    /// From the fault until the cluster has had time to settle.
    pub(crate) away: Vec<(At, At)>,
}

/// How long a cluster goes on being troubled after its node is back.
const AFTERMATH_SECONDS: u64 = 15;

pub(super) async fn strike_brokers(
    brokers: &Brokers,
    mut dice: Dice,
    window: Duration,
) -> Result<BrokerFaults> {
    let end = Instant::now() + window;
    let mut faults = BrokerFaults::default();
    loop {
        let next = Instant::now() + Duration::from_millis(dice.between(3_000, 8_000));
        if next + Duration::from_secs(5) > end {
            sleep_until(end).await;
            return Ok(faults);
        }
        sleep_until(next).await;
        let node = dice.between(1, u64::from(brokers.nodes)) as u8;
        let from = At::now();
        let hold = if dice.below(2) == 0 {
            faults.kills += 1;
            brokers.act("kill", node).await?;
            dice.between(1_000, 6_000)
        } else {
            faults.stops += 1;
            brokers.act("pause", node).await?;
            dice.between(2_000, 14_000)
        };
        sleep(Duration::from_millis(hold)).await;
        brokers.act("resume", node).await?;
        faults.away.push((from, At(At::now().0 + AFTERMATH_SECONDS * 1_000_000_000)));
    }
}
