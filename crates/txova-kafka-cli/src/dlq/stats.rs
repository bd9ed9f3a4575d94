//! `dlq stats`: how many letters, of how many records, and when. It must never hold the letters.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use txova_events::Time;
use txova_kafka::{Kafka, TopicPartition};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Cell, Column, Output, OutputArgs, Table};
use crate::paint::thousands;

use super::filter::origin;
use super::words::{optional, or_unknown};

/// The platform's target: of a thousand records, one.
const TARGET: f64 = 0.001;
const TIMEOUT: Duration = Duration::from_secs(10);
const BUCKETS: usize = 24;

#[derive(Clone, Debug, Args)]
pub(crate) struct StatsArgs {
    /// Topics the letters are about; every topic with a dead-letter topic where none is given.
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// How far back the line of failures goes: 24h, 7d.
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = crate::place::span_or_seconds)]
    over: Duration,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Letters about one topic by one group, for machines.
#[derive(Serialize)]
struct Part {
    topic: String,
    group: Option<String>,
    letters: u64,
    open: u64,
    /// Letters about records that are still in the topic.
    of_these: u64,
    /// Records in the topic.
    records: u64,
    /// The one by the other; `null` where the topic is empty.
    share: Option<f64>,
    above_target: bool,
    /// Last failures, from old to new.
    failures: Vec<u64>,
}

pub(crate) async fn run(args: StatsArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let kafka = args.connection.connect().await?;
    let logs = logs(&kafka).await?;
    let now_ms = Time::now().unix_ms();
    let bucket_ms = (args.over.as_millis() as i64 / BUCKETS as i64).max(1);
    let mut parts: BTreeMap<(String, Option<String>), Part> = BTreeMap::new();
    let mut unreadable: BTreeMap<String, u64> = BTreeMap::new();
    kafka
        .each_dead_letter(args.topics, |entry| {
            let topic = origin(&entry.place.topic).to_owned();
            let Ok(letter) = &entry.letter else {
                *unreadable.entry(topic).or_default() += 1;
                return;
            };
            let group = letter.consumer_group.clone();
            let part = parts.entry((topic.clone(), group.clone())).or_insert_with(|| Part {
                records: logs
                    .get(&topic)
                    .map_or(0, |log| log.iter().map(|(first, end)| (end - first) as u64).sum()),
                topic: topic.clone(),
                group,
                letters: 0,
                open: 0,
                of_these: 0,
                share: None,
                above_target: false,
                failures: vec![0; BUCKETS],
            });
            part.letters += 1;
            part.open += u64::from(entry.is_open());
            let log =
                logs.get(&topic).and_then(|log| log.get(usize::try_from(letter.original_partition).ok()?));
            let is_there = log.is_some_and(|(first, end)| (*first..*end).contains(&letter.original_offset));
            part.of_these += u64::from(is_there);
            let age = (now_ms - letter.last_failure.unix_ms()).max(0) / bucket_ms;
            let bucket = usize::try_from(age).ok().and_then(|age| BUCKETS.checked_sub(age + 1));
            if let Some(count) = bucket.and_then(|bucket| part.failures.get_mut(bucket)) {
                *count += 1;
            }
        })
        .await?;
    for part in parts.values_mut() {
        part.share = (part.records > 0).then(|| part.of_these as f64 / part.records as f64);
        part.above_target = part.share.is_some_and(|share| share > TARGET);
    }
    let is_well = parts.values().all(|part| !part.above_target);
    if output.json {
        parts.values().try_for_each(|part| output.object(part))?;
        return Ok(Verdict::of(is_well));
    }
    let columns = [
        Column::long("topic"),
        Column::long("group"),
        Column::number("letters"),
        Column::number("open"),
        Column::number("records"),
        Column::number("share"),
        Column::text("failures"),
    ];
    let mut table = Table::new(columns);
    for part in parts.values() {
        let share = part.share.map_or_else(|| "–".to_owned(), |share| format!("{:.3} %", share * 100.0));
        table.row([
            or_unknown(&part.topic).into(),
            optional(part.group.as_ref()).into(),
            thousands(part.letters).into(),
            if part.open > 0 { Cell::warm(thousands(part.open)) } else { Cell::good("0") },
            thousands(part.records).into(),
            if part.above_target { Cell::bad(share) } else { Cell::good(share) },
            sparkline(&part.failures).into(),
        ]);
    }
    if !parts.is_empty() {
        output.table(&table)?;
    }
    for (topic, count) in &unreadable {
        output.line(format!("{} entries about {topic} are no dead letters", thousands(*count)))?;
    }
    let span = crate::place::said(args.over);
    output.line(format!("target: {:.1} %; failures: the last {span}, in {BUCKETS} parts", TARGET * 100.0))?;
    Ok(Verdict::of(is_well))
}

/// First and next offset of each partition, by topic.
async fn logs(kafka: &Kafka) -> Result<BTreeMap<String, Vec<(i64, i64)>>, Failure> {
    let topics = kafka.topics(&[], TIMEOUT).await?;
    let topics = topics.into_iter().filter(|(name, _)| !name.starts_with("__"));
    let places: Vec<TopicPartition> = topics
        .flat_map(|(topic, partitions)| {
            (0..partitions).map(move |at| TopicPartition::new(topic.as_str(), at))
        })
        .collect();
    let mut logs: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for (place, ends) in places.iter().zip(kafka.admin().log_ends(&places, TIMEOUT).await?) {
        logs.entry(place.topic.to_string()).or_default().push((ends.first, ends.end));
    }
    Ok(logs)
}

fn sparkline(counts: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = counts.iter().copied().max().unwrap_or(0);
    let bar = |count: &u64| match *count {
        0 => ' ',
        count => BARS[((count * 7).div_ceil(most) as usize).min(7)],
    };
    counts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_tells_nothing_from_a_little() {
        assert_eq!(sparkline(&[0, 1, 50, 100]), " ▂▅█");
        assert_eq!(sparkline(&[0, 0]), "  ");
    }
}
