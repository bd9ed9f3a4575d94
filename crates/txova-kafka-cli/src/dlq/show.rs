//! `dlq show`: all that is known about one entry. It must never change anything.

use clap::Args;
use serde_json::{Value, json};
use txova_events::DeadLetter;
use txova_kafka::{AuditRecord, DeadLetterEntry, EntryPlace, Selection};

use crate::connection::ConnectionArgs;
use crate::events::indented;
use crate::failure::{Failure, Verdict};
use crate::output::{Output, OutputArgs};
use crate::paint::Paint;

use super::export::listed;
use super::filter::origin;
use super::words::{came_from, moment, optional, or_unknown};

#[derive(Clone, Debug, Args)]
pub(crate) struct ShowArgs {
    /// The entry, as `ls --each` names it (txova.rides.v1.dlq/3/42), or an event's id.
    #[arg(value_name = "ENTRY|EVENT ID")]
    what: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: ShowArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let place = args.what.parse::<EntryPlace>().ok();
    let kafka = args.connection.connect().await?;
    let topics: Vec<String> = place.iter().map(|place| origin(&place.topic).to_owned()).collect();
    let selection = match place {
        Some(place) => Selection { entries: vec![place], ..Selection::default() },
        None => Selection { event_ids: vec![args.what.clone()], ..Selection::default() },
    };
    let mut found: Vec<DeadLetterEntry> = Vec::new();
    let scan = kafka.each_dead_letter(topics.clone(), |entry| {
        if selection.matches(&entry) {
            found.push(entry);
        }
    });
    scan.await?;
    let Some(entry) = found.into_iter().max_by_key(redrives) else {
        output.note(format!("there is no entry {}; `dlq ls --each` lists them", args.what));
        return Ok(Verdict::No);
    };
    let mut family = Vec::new();
    if let Ok(letter) = &entry.letter
        && !letter.event_id().is_empty()
    {
        let same = |other: &DeadLetter| {
            other.event_id() == letter.event_id() && other.consumer_group == letter.consumer_group
        };
        let scan = kafka.each_dead_letter([origin(&entry.place.topic)], |other| {
            if other.place != entry.place && other.letter.as_ref().is_ok_and(same) {
                family.push(other);
            }
        });
        scan.await?;
        family.sort_by_key(redrives);
    }
    let name = entry.place.to_string();
    let audit: Vec<AuditRecord> =
        kafka.dead_letter_audit().await?.into_iter().filter(|record| record.entry == name).collect();
    if output.json {
        let mut shown = listed(&entry);
        if let Value::Object(fields) = &mut shown {
            fields.insert("audit".to_owned(), json!(audit));
            fields.insert("same_event".to_owned(), family.iter().map(listed).collect());
        }
        output.object(&shown)?;
        return Ok(Verdict::Yes);
    }
    let mut text = String::new();
    told(&mut text, &entry, output.paint);
    history(&mut text, &audit, output.paint);
    redriven(&mut text, &entry, &family, output.paint);
    output.line(text.trim_end())?;
    Ok(Verdict::Yes)
}

fn redrives(entry: &DeadLetterEntry) -> u32 {
    entry.letter.as_ref().map_or(0, |letter| letter.redrive_count)
}

fn told(text: &mut String, entry: &DeadLetterEntry, paint: Paint) {
    let mut line = |name: &str, value: String| {
        *text += &format!("{} {}\n", paint.faint(format!("{name:<12}")), safe(&value));
    };
    line("entry", entry.place.to_string());
    let state = entry.resolution.as_ref().map_or_else(
        || "open".to_owned(),
        |it| format!("{}, by {}, {}", it.state, or_unknown(&it.by), or_unknown(&it.why)),
    );
    line("state", state);
    let letter = match &entry.letter {
        Ok(letter) => letter,
        Err(error) => {
            line("no dead letter", error.to_string());
            return;
        }
    };
    line("event", format!("{} {}", or_unknown(letter.event_type()), or_unknown(letter.event_id())));
    line("from", came_from(letter));
    line("key", letter.original_key.as_deref().map_or_else(|| "none".to_owned(), in_words));
    line("group", optional(letter.consumer_group.as_ref()));
    line("handler", optional(letter.handler.as_ref()));
    line("service", format!("{} {}", optional(letter.service.as_ref()), optional(letter.instance.as_ref())));
    line("written by", optional(letter.library_version.as_ref()));
    line("attempts", format!("{}, sent back {} times", letter.attempt_count, letter.redrive_count));
    line("failed", format!("{} to {}", moment(letter.first_failure), moment(letter.last_failure)));
    line("fingerprint", letter.fingerprint().into_owned());
    let class = letter.error_class.as_ref().map(|class| format!("{class}: ")).unwrap_or_default();
    line("error", format!("{class}{}", letter.error_message));
    letter.error_chain.iter().for_each(|cause| line("  because", cause.clone()));
    for (name, value) in &letter.original_headers {
        let value = value.as_deref().map_or_else(|| "no value".to_owned(), in_words);
        line("header", format!("{name}: {value}"));
    }
    if let Some(cut) = &letter.cut {
        let fields = cut.fields.join(", ");
        line(
            "cut",
            format!("{fields}; the record's value has {} bytes, SHA-256 {}", cut.body_bytes, cut.body_sha256),
        );
    }
    if let Some(backtrace) = &letter.backtrace {
        *text += &format!("{}\n{}\n", paint.faint("backtrace"), safe_lines(backtrace));
    }
    *text += &format!("{}\n{}\n", paint.faint("value"), safe_lines(&value_of(letter)));
}

/// What the record held, as far as the letter has it.
fn value_of(letter: &DeadLetter) -> String {
    let bytes =
        letter.raw_body.clone().or_else(|| letter.envelope.as_ref().map(|envelope| envelope.encode()));
    match bytes {
        None => "none".to_owned(),
        Some(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => indented(text),
            _ => in_words(&bytes),
        },
    }
}

fn history(text: &mut String, audit: &[AuditRecord], paint: Paint) {
    if audit.is_empty() {
        return;
    }
    *text += &format!("{}\n", paint.faint("what was done"));
    for it in audit {
        let at = it.at.map_or_else(|| "?".to_owned(), moment);
        let why = if it.why.is_empty() { String::new() } else { format!(" ({})", it.why) };
        *text += &safe(&format!("  {at} {} by {}{why} {}", it.act, it.by, it.result));
        text.push('\n');
    }
}

/// How the event changed from one failure to the next.
fn redriven(text: &mut String, entry: &DeadLetterEntry, family: &[DeadLetterEntry], paint: Paint) {
    let mut all: Vec<&DeadLetterEntry> = family.iter().chain([entry]).collect();
    all.sort_by_key(|entry| redrives(entry));
    for pair in all.windows(2) {
        let [before, after] = pair else { continue };
        let (Ok(old), Ok(new)) = (&before.letter, &after.letter) else { continue };
        *text += &paint.faint(format!("from {} to {}", before.place, after.place));
        text.push('\n');
        if old.error_message != new.error_message {
            *text += &format!("- {}\n+ {}\n", safe(&old.error_message), safe(&new.error_message));
        }
        let changes = changes(&value_of(old), &value_of(new));
        match changes.is_empty() {
            true => *text += "  the same value\n",
            false => changes.iter().for_each(|change| {
                let change = safe(change);
                *text += &if change.starts_with('-') { paint.bad(change) } else { paint.good(change) };
                text.push('\n');
            }),
        }
    }
}

/// The lines that went and came, by the longest lines in common.
fn changes(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let width = new.len() + 1;
    let mut common = vec![0usize; (old.len() + 1) * width];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            common[a * width + b] = match old[a] == new[b] {
                true => common[(a + 1) * width + b + 1] + 1,
                false => common[(a + 1) * width + b].max(common[a * width + b + 1]),
            };
        }
    }
    let (mut a, mut b, mut changes) = (0, 0, Vec::new());
    while a < old.len() || b < new.len() {
        if a < old.len() && b < new.len() && old[a] == new[b] {
            (a, b) = (a + 1, b + 1);
        } else if b == new.len()
            || (a < old.len() && common[(a + 1) * width + b] >= common[a * width + b + 1])
        {
            changes.push(format!("- {}", old[a]));
            a += 1;
        } else {
            changes.push(format!("+ {}", new[b]));
            b += 1;
        }
    }
    changes
}

fn in_words(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{} bytes, no text: {}", bytes.len(), String::from_utf8_lossy(bytes)),
    }
}

/// Texts come from records that anybody may have written: nothing in them moves the cursor.
fn safe(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

fn safe_lines(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {}\n", safe(line)))
        .collect::<String>()
        .trim_end_matches('\n')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_line_by_line() {
        let (old, new) = ("{\n  \"fare\": -5\n}", "{\n  \"fare\": 5,\n  \"tip\": 1\n}");
        assert_eq!(changes(old, new), ["-   \"fare\": -5", "+   \"fare\": 5,", "+   \"tip\": 1"]);
        assert!(changes(old, old).is_empty());
    }
}
