//! `events`: the platform's events as the types declare them. It talks to no cluster.

use clap::{Args, Subcommand};
use serde::Serialize;
use txova_events::example::Ride;
use txova_events::topics::{self, CATALOGUE, CatalogueEntry};
use txova_events::{Field, RawEnvelope, Shape};

use crate::failure::{Failure, Verdict};
use crate::nearest::did_you_mean;
use crate::output::{Column, Output, OutputArgs, Table};

#[derive(Clone, Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Every event with its topic and its key.
    Ls {
        /// Only types that begin so: `ride.`.
        #[arg(value_name = "PREFIX")]
        prefix: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// One event: its fields, their shapes, and an example.
    Show {
        /// The event's type, as `events ls` lists it.
        #[arg(value_name = "TYPE")]
        event_type: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Envelopes that keep the contract, one a line, as `publish` takes them.
    ///
    /// They tell of an imagined ride in Maputo. The same seed gives the same bytes; ids are as old as the ride.
    Example {
        /// Event types; one of each of the 28 where none is given.
        #[arg(value_name = "TYPE")]
        event_types: Vec<String>,
        /// Of another ride.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Of so many rides, of this seed and the next ones.
        #[arg(long, value_name = "N", default_value_t = 1)]
        rides: u64,
    },
}

pub(crate) fn run(args: EventsArgs) -> Result<Verdict, Failure> {
    match args.command {
        Command::Ls { prefix, output } => ls(&prefix.unwrap_or_default(), &Output::new(output)),
        Command::Show { event_type, output } => show(entry(&event_type)?, &Output::new(output)),
        Command::Example { event_types, seed, rides } => example(&event_types, seed, rides),
    }
}

fn entry(event_type: &str) -> Result<&'static CatalogueEntry, Failure> {
    topics::catalogue_entry(event_type).ok_or_else(|| {
        let hint = did_you_mean(event_type, CATALOGUE.map(|entry| entry.event_type));
        Failure::Usage(format!("{event_type} is none of the platform's events{hint}; `events ls` lists them"))
    })
}

/// An event of the catalogue, for machines.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    version: &'a str,
    topic: &'a str,
    key: &'a str,
    about: &'a str,
}

impl<'a> From<&'a CatalogueEntry> for Listed<'a> {
    fn from(entry: &'a CatalogueEntry) -> Self {
        let &CatalogueEntry { event_type, version, topic, key_field: key, about, .. } = entry;
        Self { event_type, version, topic, key, about }
    }
}

fn ls(prefix: &str, output: &Output) -> Result<Verdict, Failure> {
    let entries: Vec<_> = CATALOGUE.iter().filter(|entry| entry.event_type.starts_with(prefix)).collect();
    if entries.is_empty() {
        return Err(Failure::Usage(format!("no event's type begins with {prefix}; `events ls` lists all")));
    }
    if output.json {
        entries.into_iter().try_for_each(|entry| output.object(&Listed::from(entry)))?;
        return Ok(Verdict::Yes);
    }
    let columns =
        [Column::text("type"), Column::text("topic"), Column::text("key"), Column::long("what happened")];
    let mut table = Table::new(columns);
    for entry in entries {
        table.row([entry.event_type, entry.topic, entry.key_field, entry.about].map(Into::into));
    }
    output.table(&table)?;
    Ok(Verdict::Yes)
}

/// A field, for machines.
#[derive(Serialize)]
struct ListedField<'a> {
    name: &'a str,
    shape: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<&'a [&'a str]>,
    optional: bool,
    about: &'a str,
}

impl<'a> From<&'a Field> for ListedField<'a> {
    fn from(field: &'a Field) -> Self {
        let words = match field.shape {
            Shape::Word { words, .. } => Some(words),
            _ => None,
        };
        let (name, about) = (field.name, field.about);
        Self { name, shape: field.shape.to_string(), words, optional: field.is_optional, about }
    }
}

fn show(entry: &CatalogueEntry, output: &Output) -> Result<Verdict, Failure> {
    let example = drawn(entry, 1)?;
    let example: Box<serde_json::value::RawValue> = serde_json::from_slice(&example.encode())
        .map_err(|error| Failure::Usage(format!("the example of {}: {error}", entry.event_type)))?;
    if output.json {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            listed: Listed<'a>,
            accepted_from: Vec<&'a str>,
            fields: Vec<ListedField<'a>>,
            example: &'a serde_json::value::RawValue,
        }
        output.object(&Shown {
            listed: entry.into(),
            accepted_from: topics::accepted_topics(entry.event_type),
            fields: entry.fields.iter().map(Into::into).collect(),
            example: &example,
        })?;
        return Ok(Verdict::Yes);
    }
    let paint = output.paint;
    output.line(format!("{}  {}", paint.bold(entry.event_type), entry.about))?;
    output.line(format!(
        "version {}, published to {}, keyed by {}",
        entry.version, entry.topic, entry.key_field
    ))?;
    let others = &topics::accepted_topics(entry.event_type)[1..];
    if !others.is_empty() {
        output.line(format!("also accepted from {}, where Go services send it", others.join(", ")))?;
    }
    output.line("")?;
    let columns =
        [Column::text("field"), Column::text("value"), Column::text(""), Column::long("what it says")];
    let mut table = Table::new(columns);
    for field in entry.fields {
        let optional = if field.is_optional { "optional" } else { "" };
        table.row([field.name.into(), field.shape.to_string().into(), optional.into(), field.about.into()]);
    }
    output.table(&table)?;
    output.line(paint.faint("\nAn example:"))?;
    output.line(indented(example.get()))?;
    Ok(Verdict::Yes)
}

fn example(event_types: &[String], seed: u64, rides: u64) -> Result<Verdict, Failure> {
    let entries = match event_types {
        [] => CATALOGUE.iter().collect(),
        some => some.iter().map(|event_type| entry(event_type)).collect::<Result<Vec<_>, _>>()?,
    };
    let output = Output::new(OutputArgs::default());
    for seed in (0..rides).map(|ride| seed.wrapping_add(ride)) {
        for entry in &entries {
            output.line(String::from_utf8_lossy(&drawn(entry, seed)?.encode()))?;
        }
    }
    Ok(Verdict::Yes)
}

fn drawn(entry: &CatalogueEntry, seed: u64) -> Result<RawEnvelope, Failure> {
    let event = Ride::seeded(seed).event(entry.event_type);
    event.ok_or_else(|| Failure::Usage(format!("there is no example of {}", entry.event_type)))
}

/// JSON over several lines, its fields in the order they came in.
pub(crate) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    let mut chars = json.chars().peekable();
    while let Some(char) = chars.next() {
        if in_text {
            text.push(char);
            (in_text, escaped) = (escaped || char != '"', !escaped && char == '\\');
            continue;
        }
        let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
        match char {
            '{' | '[' => {
                text.push(char);
                let close = if char == '{' { '}' } else { ']' };
                if chars.peek() == Some(&close) {
                    text.extend(chars.next());
                } else {
                    depth += 1;
                    text += &line(depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                text += &line(depth);
                text.push(char);
            }
            ',' => {
                text.push(char);
                text += &line(depth);
            }
            ':' => text += ": ",
            char if char.is_ascii_whitespace() => {}
            char => {
                in_text = char == '"';
                text.push(char);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_json_is_the_same_json_in_the_same_order() {
        let json = r#"{"z":1.50,"a":{"t":"a, \"b\": {c}","e":[],"l":[1,{"x":null}]},"o":{}}"#;
        let shown = indented(json);
        let back: String = {
            let mut in_text = false;
            let mut before = ' ';
            shown
                .chars()
                .filter(|char| {
                    in_text ^= *char == '"' && before != '\\';
                    before = *char;
                    in_text || !char.is_whitespace()
                })
                .collect()
        };
        assert_eq!(back, json);
        assert!(shown.contains("\n    \"l\": [\n      1,"), "{shown}");
    }
}
