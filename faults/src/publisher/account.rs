//! Compares what a publisher said of each event with what the log has. It trusts neither.

use std::collections::{HashMap, HashSet};

use txova_events::EnvelopeRef;

use super::Found;
use super::load::{Account, Said};
use crate::check::Rule;
use crate::event::Numbered;
use crate::failure::{Context, Result};
use crate::oracle::Logged;

/// The rules, and the counts beside them.
pub(super) fn compare(found: &mut Found, account: &Account, log: &[Logged]) -> Result<()> {
    let mut places: HashMap<(u32, u32), Vec<(i32, i64)>> = HashMap::new();
    let told_twice: HashSet<(u32, u32)> = account.maybe_twice().collect();
    let mut order =
        Rule::new("the log has each key in one partition, its numbers rising but for what was told");
    let mut last: HashMap<u32, (i32, u32)> = HashMap::new();
    for record in log {
        let event = event_of(record)?;
        places.entry((event.key, event.number)).or_default().push((record.partition, record.offset));
        let before = last.insert(event.key, (record.partition, event.number));
        let is_again = told_twice.contains(&(event.key, event.number));
        let fits = before.is_none_or(|(partition, number)| {
            partition == record.partition && (number < event.number || is_again)
        });
        order.look(fits, || format!("key {} number {} behind {before:?}", event.key, event.number));
    }
    let mut there = Rule::new(
        "what was acknowledged is in the log where the acknowledgement says, and once but for what was told as maybe twice",
    );
    let mut once = Rule::new(
        "what was possibly written is in the log once or not at all, but for what was told as maybe twice",
    );
    let mut absent = Rule::new("nothing that was certainly not written is in the log");
    let mut known = Rule::new("nothing is in the log that was not published");
    let (mut written, mut maybe_there, mut twice) = (0, 0, 0);
    for told in &account.told {
        let at = places.remove(&(told.key, told.number)).unwrap_or_default();
        match &told.said {
            Said::Written { partition, offset, maybe_twice } => {
                written += 1;
                twice += usize::from(at.len() > 1);
                // -1: a retry was written before, and the broker said no more than that.
                let is_there = at.iter().any(|(p, o)| p == partition && (o == offset || *offset == -1));
                let fits = is_there && (at.len() == 1 || *maybe_twice);
                there.look(fits, || format!("{told:?}: found at {at:?}"));
            }
            Said::Maybe { why, maybe_twice } => {
                maybe_there += usize::from(!at.is_empty());
                twice += usize::from(at.len() > 1);
                once.look(at.len() <= 1 || *maybe_twice, || {
                    format!("key {} number {}: found at {at:?}: {why}", told.key, told.number)
                });
            }
            Said::No(why) => {
                absent.look(at.is_empty(), || {
                    format!("key {} number {}: found at {at:?}: {why}", told.key, told.number)
                });
            }
        }
    }
    known.looked_at = log.len();
    if !places.is_empty() {
        known.look(false, || format!("{places:?}"));
    }
    found.fact("events", account.told.len());
    found.fact("acknowledged", written);
    found.fact("told as maybe twice", told_twice.len());
    found.fact("twice in the log", twice);
    found.fact("in the log", log.len());
    found.fact("possibly written, and in the log", maybe_there);
    for (kind, count) in &account.failures {
        found.fact(kind, count);
    }
    found.rules.extend([there, order, once, absent, known]);
    Ok(())
}

fn event_of(record: &Logged) -> Result<Numbered> {
    let at = || format!("the record at partition {} offset {}", record.partition, record.offset);
    EnvelopeRef::decode(&record.value).context(at)?.decode_payload().context(at)
}
