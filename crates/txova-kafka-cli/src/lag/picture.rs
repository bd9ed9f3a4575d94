//! What was found of the groups' lag: as a table, as JSON, and whether it is above the alert. It must never ask a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use txova_events::Time;
use txova_kafka::Lag;
use txova_kafka::admin::{GroupInfo, GroupState};

use crate::groups::state_name;
use crate::output::{Cell, Column, Output, Table};
use crate::paint::{Paint, plural, thousands};
use crate::place::said;

/// All groups at a moment.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    at: Time,
    /// The alert, where one is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<u64>,
    /// Records still to handle, of all groups.
    open: u64,
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    group: String,
    state: &'static str,
    members: usize,
    topics: Vec<Topic>,
}

#[derive(Debug, Serialize)]
struct Topic {
    topic: String,
    lag: u64,
    done_above: u64,
    open: u64,
    above_alert: bool,
    partitions: Vec<Partition>,
}

#[derive(Debug, Serialize)]
struct Partition {
    partition: i32,
    committed: Option<i64>,
    end: i64,
    lag: u64,
    done_above: u64,
    open: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failing: Vec<Failing>,
}

#[derive(Debug, Serialize)]
struct Failing {
    offset: i64,
    attempts: u32,
    since: Time,
}

impl Picture {
    /// Of each group the topics it has committed something for; all that were asked for where it never has.
    pub(super) fn new(found: impl Iterator<Item = (GroupInfo, Vec<Lag>)>, alert: Option<u64>) -> Self {
        let groups: Vec<Group> = found.map(|(info, lags)| Group::new(info, lags, alert)).collect();
        let open = groups.iter().flat_map(|group| &group.topics).map(|topic| topic.open).sum();
        Self { at: Time::now(), alert, open, groups }
    }

    pub(super) fn is_above(&self) -> bool {
        self.groups.iter().flat_map(|group| &group.topics).any(|topic| topic.above_alert)
    }

    pub(super) fn show(&self, output: &Output, with_partitions: bool) -> String {
        let paint = output.paint;
        let groups = plural(self.groups.len() as u64, "group", "groups");
        let mut text = format!(
            "{}  {groups}, {} to handle\n\n",
            paint.faint(clock(self.at)),
            plural(self.open, "record", "records")
        );
        text += &match with_partitions {
            false => self.topics(),
            true => self.partitions(self.at.unix_ms()),
        }
        .show(output.width, paint);
        text += &self.silent(paint);
        text
    }

    fn topics(&self) -> Table {
        let mut table = Table::new([
            Column::long("group"),
            Column::text("state"),
            Column::number("members"),
            Column::long("topic"),
            Column::number("lag"),
            Column::number("done above"),
            Column::number("to handle"),
            Column::number("failing"),
        ]);
        for group in &self.groups {
            for topic in &group.topics {
                let failing: usize = topic.partitions.iter().map(|partition| partition.failing.len()).sum();
                table.row([
                    group.group.as_str().into(),
                    group.state_cell(),
                    thousands(group.members as u64).into(),
                    topic.topic.as_str().into(),
                    thousands(topic.lag).into(),
                    thousands(topic.done_above).into(),
                    topic.open_cell(),
                    count(failing as u64),
                ]);
            }
        }
        table
    }

    fn partitions(&self, now_ms: i64) -> Table {
        let mut table = Table::new([
            Column::long("group"),
            Column::long("partition"),
            Column::number("committed"),
            Column::number("end"),
            Column::number("done above"),
            Column::number("to handle"),
            Column::text("failing"),
        ]);
        for group in &self.groups {
            for topic in &group.topics {
                let shown = |partition: &&Partition| partition.lag > 0 || !partition.failing.is_empty();
                for partition in topic.partitions.iter().filter(shown) {
                    let failing = partition.failing.first().map_or_else(String::new, |failing| {
                        let age = Duration::from_millis((now_ms - failing.since.unix_ms()).max(0) as u64);
                        let more = match partition.failing.len() {
                            1 => String::new(),
                            more => format!(", and {} more", more - 1),
                        };
                        let times = plural(u64::from(failing.attempts), "time", "times");
                        format!("offset {}, {times} in {}{more}", failing.offset, said(age))
                    });
                    table.row([
                        group.group.as_str().into(),
                        format!("{}-{}", topic.topic, partition.partition).into(),
                        partition.committed.map_or("–".to_owned(), number).into(),
                        number(partition.end).into(),
                        thousands(partition.done_above).into(),
                        thousands(partition.open).into(),
                        Cell::warm(failing),
                    ]);
                }
            }
        }
        table
    }

    /// Groups that have no row above.
    fn silent(&self, paint: Paint) -> String {
        let silent = self.groups.iter().filter(|group| group.topics.is_empty());
        silent.map(|group| paint.faint(format!("{} has committed nothing\n", group.group))).collect()
    }
}

impl Group {
    fn new(info: GroupInfo, lags: Vec<Lag>, alert: Option<u64>) -> Self {
        let mut topics: BTreeMap<String, Vec<Lag>> = BTreeMap::new();
        for lag in lags {
            topics.entry(lag.partition.topic.to_string()).or_default().push(lag);
        }
        topics.retain(|_, lags| lags.iter().any(|lag| lag.committed.is_some()));
        let topics = topics.into_iter().map(|(topic, lags)| Topic::new(topic, lags, alert)).collect();
        Self { group: info.name, state: state_name(info.state), members: info.members.len(), topics }
    }

    fn state_cell(&self) -> Cell {
        match self.state {
            state if state == state_name(GroupState::Stable) => Cell::good(state),
            state if state == state_name(GroupState::Empty) => Cell::warm(state),
            state => state.into(),
        }
    }
}

impl Topic {
    fn new(topic: String, lags: Vec<Lag>, alert: Option<u64>) -> Self {
        let partitions: Vec<Partition> = lags.into_iter().map(Partition::from).collect();
        let sum = |of: fn(&Partition) -> u64| partitions.iter().map(of).sum::<u64>();
        let (lag, done_above, open) = (sum(|it| it.lag), sum(|it| it.done_above), sum(|it| it.open));
        Self {
            topic,
            lag,
            done_above,
            open,
            above_alert: alert.is_some_and(|alert| open > alert),
            partitions,
        }
    }

    fn open_cell(&self) -> Cell {
        let text = thousands(self.open);
        if self.above_alert { Cell::bad(text) } else { text.into() }
    }
}

impl From<Lag> for Partition {
    fn from(lag: Lag) -> Self {
        let count = |number: i64| number.max(0) as u64;
        let failing = lag.failing.iter().map(|failing| Failing {
            offset: failing.offset,
            attempts: failing.attempts,
            since: Time::from_unix_ms(failing.since_unix_ms).unwrap_or(Time::ZERO),
        });
        Self {
            partition: lag.partition.partition,
            committed: lag.committed,
            end: lag.end,
            lag: count(lag.records),
            done_above: count(lag.done_above),
            open: count(lag.open()),
            failing: failing.collect(),
        }
    }
}

fn count(number: u64) -> Cell {
    let text = thousands(number);
    if number > 0 { Cell::warm(text) } else { text.into() }
}

fn number(offset: i64) -> String {
    thousands(offset.max(0) as u64)
}

/// To the second, in UTC.
fn clock(time: Time) -> String {
    let text = time.to_string();
    format!("{}Z", text.split(['.', 'Z']).next().unwrap_or(&text))
}
