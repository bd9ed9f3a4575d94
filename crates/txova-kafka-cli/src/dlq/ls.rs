//! `dlq ls`: what failed, like with like. Holds a line for each kind of failure, never the letters.

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use serde::Serialize;
use txova_events::Time;
use txova_kafka::{DeadLetterEntry, Kafka};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Cell, Column, Output, OutputArgs, Table};
use crate::paint::{plural, thousands};

use super::filter::{Filter, FilterArgs};
use super::words::{came_from, moment, optional, or_unknown, state};

#[derive(Clone, Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only entries in this state.
    #[arg(long, value_enum, default_value_t)]
    state: State,
    /// Every entry on a line of its own, in the order of topic, partition and offset.
    #[arg(long)]
    each: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Something is still to be done.
    #[default]
    Open,
    /// Handled since, or sent back.
    Replayed,
    /// Nothing is to be done.
    Discarded,
    /// Set aside.
    Quarantined,
    /// Whatever.
    All,
}

impl State {
    pub(crate) fn takes(self, entry: &DeadLetterEntry) -> bool {
        let state = entry.resolution.as_ref().map_or("open", |resolution| resolution.state.as_str());
        let wanted = match self {
            Self::All => return true,
            Self::Open => "open",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
            Self::Quarantined => "quarantined",
        };
        wanted == state
    }
}

/// Entries that failed alike, for machines.
#[derive(Serialize)]
struct Alike {
    /// Empty where the entries cannot be read.
    fingerprint: String,
    topic: String,
    group: Option<String>,
    handler: Option<String>,
    error_class: Option<String>,
    count: u64,
    first: Option<Time>,
    last: Option<Time>,
    example_entry: String,
    example: String,
}

pub(crate) async fn run(args: LsArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let filter = args.filter.read()?;
    let kafka = args.connection.connect().await?;
    match args.each {
        true => each(&kafka, &filter, args.state, &output).await,
        false => alike(&kafka, &filter, args.state, &output).await,
    }
}

async fn alike(kafka: &Kafka, filter: &Filter, wanted: State, output: &Output) -> Result<Verdict, Failure> {
    let (mut kinds, mut read) = (HashMap::<(String, String, Option<String>), Alike>::new(), 0u64);
    kafka
        .each_dead_letter(filter.topics.clone(), |entry| {
            read += 1;
            if wanted.takes(&entry) && (filter.wants(&entry) || is_unreadable_of_all(&entry, filter)) {
                count(&mut kinds, &entry);
            }
        })
        .await?;
    let mut kinds: Vec<Alike> = kinds.into_values().collect();
    kinds.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
    if output.json {
        kinds.iter().try_for_each(|kind| output.object(kind))?;
        return Ok(Verdict::Yes);
    }
    let columns = [
        Column::number("count"),
        Column::text("fingerprint"),
        Column::long("topic"),
        Column::long("group"),
        Column::long("handler").spared(3),
        Column::text("class").spared(2),
        Column::text("first").spared(1),
        Column::text("last").spared(4),
        Column::long("example"),
    ];
    let mut table = Table::new(columns);
    let mut all = 0;
    for kind in &kinds {
        all += kind.count;
        let name = match kind.fingerprint.is_empty() {
            true => Cell::bad("no dead letter"),
            // Enough to tell them apart, and to be taken by --fingerprint.
            false => kind.fingerprint.get(..8).unwrap_or(&kind.fingerprint).into(),
        };
        table.row([
            thousands(kind.count).into(),
            name,
            kind.topic.as_str().into(),
            optional(kind.group.as_ref()).into(),
            optional(kind.handler.as_ref()).into(),
            optional(kind.error_class.as_ref()).into(),
            moment(kind.first.unwrap_or(Time::ZERO)).into(),
            moment(kind.last.unwrap_or(Time::ZERO)).into(),
            kind.example.as_str().into(),
        ]);
    }
    if !kinds.is_empty() {
        output.table(&table)?;
    }
    let kinds = plural(kinds.len() as u64, "kind", "kinds");
    output.line(format!(
        "{} of {kinds}, of {}",
        plural(all, "entry", "entries"),
        plural(read, "entry", "entries")
    ))?;
    Ok(Verdict::Yes)
}

/// Of what cannot be read nothing can be said that a filter asks for; without one it is listed.
fn is_unreadable_of_all(entry: &DeadLetterEntry, filter: &Filter) -> bool {
    entry.letter.is_err() && filter.is_everything()
}

fn count(kinds: &mut HashMap<(String, String, Option<String>), Alike>, entry: &DeadLetterEntry) {
    let (fingerprint, topic, group) = match &entry.letter {
        Ok(letter) => {
            (letter.fingerprint().into_owned(), letter.original_topic.clone(), letter.consumer_group.clone())
        }
        Err(_) => (String::new(), super::filter::origin(&entry.place.topic).to_owned(), None),
    };
    let kind = kinds.entry((fingerprint.clone(), topic.clone(), group.clone())).or_insert_with(|| {
        let letter = entry.letter.as_ref().ok();
        let example = match &entry.letter {
            Ok(letter) => letter.error_message.clone(),
            Err(error) => error.to_string(),
        };
        Alike {
            fingerprint,
            topic,
            group,
            handler: letter.and_then(|letter| letter.handler.clone()),
            error_class: letter.and_then(|letter| letter.error_class.clone()),
            count: 0,
            first: None,
            last: None,
            example_entry: entry.place.to_string(),
            example,
        }
    });
    kind.count += 1;
    if let Ok(letter) = &entry.letter {
        kind.first = Some(kind.first.map_or(letter.first_failure, |first| first.min(letter.first_failure)));
        kind.last = Some(kind.last.map_or(letter.last_failure, |last| last.max(letter.last_failure)));
    }
}

async fn each(kafka: &Kafka, filter: &Filter, wanted: State, output: &Output) -> Result<Verdict, Failure> {
    let mut entries = Vec::new();
    let mut failed = None;
    kafka
        .each_dead_letter(filter.topics.clone(), |entry| {
            if !wanted.takes(&entry) || !(filter.wants(&entry) || is_unreadable_of_all(&entry, filter)) {
                return;
            }
            match output.json {
                // A machine gets each as it comes, in order within a partition.
                true if failed.is_none() => failed = output.object(&super::export::listed(&entry)).err(),
                true => {}
                false => {
                    let row = row(&entry);
                    entries.push((entry.place, row));
                }
            }
        })
        .await?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if !output.json && !entries.is_empty() {
        let columns = [
            Column::text("entry"),
            Column::text("state"),
            Column::text("last").spared(4),
            Column::text("type").spared(5),
            Column::long("from").spared(1),
            Column::long("group").spared(3),
            Column::text("fingerprint").spared(2),
            Column::long("error"),
        ];
        let mut table = Table::new(columns);
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.into_iter().for_each(|(_, row)| table.row(row));
        output.table(&table)?;
    }
    Ok(Verdict::Yes)
}

fn row(entry: &DeadLetterEntry) -> [Cell; 8] {
    let place = entry.place.to_string().into();
    let state = state(entry.resolution.as_ref());
    match &entry.letter {
        Ok(letter) => [
            place,
            state,
            moment(letter.last_failure).into(),
            or_unknown(letter.event_type()).into(),
            came_from(letter).into(),
            optional(letter.consumer_group.as_ref()).into(),
            letter.fingerprint().get(..8).unwrap_or_default().into(),
            letter.error_message.as_str().into(),
        ],
        Err(error) => {
            let unknown = || Cell::faint(super::words::UNKNOWN);
            let what = Cell::bad(format!("no dead letter: {error}"));
            [place, state, unknown(), unknown(), unknown(), unknown(), unknown(), what]
        }
    }
}
