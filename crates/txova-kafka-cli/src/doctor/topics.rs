//! The platform's topics beside their layout, and whether each of their partitions is well.

use txova_kafka::Kafka;
use txova_kafka::admin::ClusterInfo;

use super::{Check, State, TIMEOUT};
use crate::paint::plural;
use crate::topics::layout::Layout;
use crate::topics::{Ailment, ailments, compare};

/// So many findings are told one by one.
const TOLD: usize = 3;

/// `tells` is whether the brokers tell settings at all.
pub(super) async fn examine(kafka: &Kafka, cluster: &ClusterInfo, layout: Layout, tells: bool) -> Vec<Check> {
    let wanted = layout.topics();
    let there =
        wanted.iter().filter(|wanted| cluster.topics.iter().any(|topic| topic.name == wanted.name)).count();
    let name = layout.name();
    let mut checks = Vec::new();
    if there == 0 {
        let advice = format!(
            "Make them with `txova-kafka topics apply {name}`; or may this user not see them? It needs Describe."
        );
        return vec![Check::fail("topics", "the cluster has none of the platform's topics", advice)];
    }
    if !tells {
        let found =
            format!("{there} of {} are there; the cluster does not tell their settings", wanted.len());
        checks.push(Check::new("topics", State::Skip, found));
        checks.extend(health(&ailments(&wanted, cluster), there));
        return checks;
    }
    match compare(&kafka.admin(), &wanted, cluster, TIMEOUT).await {
        Ok(findings) if findings.is_empty() => {
            let topics = plural(wanted.len() as u64, "topic", "topics");
            checks.push(Check::ok("topics", format!("{topics} as the {name} layout says")));
        }
        Ok(findings) => {
            let told = findings.iter().take(TOLD).map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let more = findings.len().saturating_sub(TOLD);
            let more = if more > 0 { format!(" … and {more} more") } else { String::new() };
            let advice = format!("`txova-kafka topics plan {name}` shows all of it.");
            checks.push(Check::warn(
                "topics",
                format!("not as the {name} layout says: {told}{more}"),
                advice,
            ));
        }
        Err(error) => checks.push(Check::unanswered("topics", &error)),
    }
    checks.extend(health(&ailments(&wanted, cluster), there));
    checks
}

fn health(ailments: &[Ailment], topics: usize) -> Vec<Check> {
    let Some(first) = ailments.first() else {
        let topics = plural(topics as u64, "topic", "topics");
        let found = format!("{topics}, every partition with its leader and all its copies");
        return vec![Check::ok("partitions", found)];
    };
    let closed = ailments.iter().filter(|ailment| ailment.is_closed).count();
    let worst = ailments.iter().find(|ailment| ailment.is_closed).unwrap_or(first);
    let many = plural(ailments.len() as u64, "partition is", "partitions are");
    let found = format!("{many} not well, of which {closed} take nothing: {worst}");
    vec![match closed {
        0 => Check::warn(
            "partitions",
            found,
            "Is a broker down, or catching up? One more must not fail meanwhile.",
        ),
        _ => Check::fail(
            "partitions",
            found,
            "Start the brokers that have the copies: events of these keys wait.",
        ),
    }]
}
