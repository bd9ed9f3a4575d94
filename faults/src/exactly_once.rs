//! What exactly-once promises beside all else: what members have published is there once for each record that is done, for
//! whoever reads what is committed. It knows only the logs.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use txova_events::EnvelopeRef;

use crate::check::{Rule, World};
use crate::event::{DLQ, FORWARDED, Forwarded, Kind};
use crate::failure::{Context, Result};
use crate::journal::Place;
use crate::oracle::Oracle;

/// A transaction that its member left open is aborted by the brokers after ten seconds, and looked for every ten.
const ABORTED_WITHIN: Duration = Duration::from_secs(60);

/// One published event, in the order of the log.
struct Output {
    event: Forwarded,
    partition: i32,
}

pub(crate) fn check(brokers: &str, partitions: i32, world: &World) -> Result<Vec<Rule>> {
    let (committed, all) = (Oracle::new(brokers, partitions)?, Oracle::of_all(brokers, partitions)?);
    let mut closed = Rule::new("no transaction is left open");
    for topic in [FORWARDED, DLQ] {
        let until = Instant::now() + ABORTED_WITHIN;
        let open = loop {
            let (stable, end) = (committed.ends(topic)?, all.ends(topic)?);
            if stable == end || Instant::now() > until {
                break (stable != end).then_some((stable, end));
            }
            sleep(Duration::from_millis(500));
        };
        closed.look(open.is_none(), || format!("{topic}: {open:?}"));
    }
    let outputs = read(&committed)?;
    let aborted = all.read(FORWARDED)?.len() - outputs.len();
    println!("{} events published; {aborted} more were written and aborted", outputs.len());
    let mut rules = vec![closed];
    rules.extend(published(world, &outputs));
    rules.push(in_order(&outputs));
    rules.push(letters(world));
    Ok(rules)
}

fn read(oracle: &Oracle) -> Result<Vec<Output>> {
    let logged = oracle.read(FORWARDED)?;
    let output = |it: &crate::oracle::Logged| {
        let at = || format!("the output at partition {} offset {}", it.partition, it.offset);
        let envelope = EnvelopeRef::decode(&it.value).context(at)?;
        let event = envelope.decode_payload::<Forwarded>().context(at)?;
        Ok(Output { event, partition: it.partition })
    };
    logged.iter().map(output).collect()
}

fn published(world: &World, outputs: &[Output]) -> [Rule; 2] {
    let mut once = Rule::new("every record that is done has left its event once, and no poison has");
    let mut own = Rule::new("every published event is of a record of the log");
    let mut left: HashMap<Place, usize> = HashMap::new();
    for Output { event, .. } in outputs {
        let place = Place { partition: event.partition, offset: event.offset };
        *left.entry(place).or_default() += 1;
        let record = world.by_place.get(&place).map(|index| &world.records[*index].event);
        let same = record.is_some_and(|record| (record.key, record.number) == (event.key, event.number));
        own.look(same, || format!("{event:?}, and the log has {record:?}"));
    }
    for (index, record) in world.records.iter().enumerate() {
        let wanted = usize::from(record.event.kind != Kind::Poison);
        let found = left.get(&record.place).copied().unwrap_or(0);
        once.look(found == wanted, || {
            let runs: Vec<_> = world.of(index).map(|(story, it)| (&story.name, it.start, it.end)).collect();
            format!("{:?} {:?} left {found}, ran {runs:?}", record.place, record.event.kind)
        });
    }
    [once, own]
}

fn in_order(outputs: &[Output]) -> Rule {
    let mut order = Rule::new("what is published is in the order of the records for each key");
    let mut last: HashMap<u32, (i32, u32)> = HashMap::new();
    for Output { event, partition } in outputs {
        let before = last.insert(event.key, (*partition, event.number));
        let fits = before.is_none_or(|(other, number)| other == *partition && number < event.number);
        order.look(fits, || format!("{event:?} behind {before:?}"));
    }
    order
}

fn letters(world: &World) -> Rule {
    let mut once = Rule::new("every poison has exactly one dead letter");
    let mut written: HashMap<Place, usize> = HashMap::new();
    world.letters.iter().filter_map(|letter| letter.place()).for_each(|place| {
        *written.entry(place).or_default() += 1;
    });
    for record in world.records.iter().filter(|record| record.event.kind == Kind::Poison) {
        let found = written.get(&record.place).copied().unwrap_or(0);
        once.look(found == 1, || format!("{:?} has {found}", record.place));
    }
    once
}
