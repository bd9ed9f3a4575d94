//! What a run found, for a person and for a program.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::check::{Duplicates, Rule, World};
use crate::event::Kind;
use crate::failure::{Context, Result};
use crate::faults::{BrokerFaults, Counts};

/// One phase.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    nodes: u8,
    seconds: f64,
    records: usize,
    not_acknowledged: usize,
    poison: usize,
    dead_letters: usize,
    handlings: usize,
    commits_looked_at: usize,
    members: Counts,
    broker_kills: usize,
    broker_stops: usize,
    duplicates: Duplicates,
    rules: Vec<Rule>,
}

impl Report {
    #[expect(clippy::too_many_arguments, reason = "the parts of a report, brought together once")]
    pub(crate) fn new(
        seed: u64,
        nodes: u8,
        world: &World,
        mut members: Counts,
        brokers: &BrokerFaults,
        duplicates: Duplicates,
        rules: Vec<Rule>,
        took: Duration,
    ) -> Self {
        members.add_notes(&world.members);
        Self {
            seed,
            nodes,
            seconds: took.as_secs_f64(),
            records: world.records.len(),
            not_acknowledged: world.produced.iter().filter(|produced| produced.place.is_none()).count(),
            poison: world.records.iter().filter(|record| record.event.kind == Kind::Poison).count(),
            dead_letters: world.letters.len(),
            handlings: world.members.iter().map(|story| story.handlings.len()).sum(),
            commits_looked_at: world.samples.len(),
            members,
            broker_kills: brokers.kills,
            broker_stops: brokers.stops,
            duplicates,
            rules,
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.rules.iter().all(|rule| rule.broken == 0)
    }

    pub(crate) fn print(&self) {
        let (members, again) = (&self.members, &self.duplicates);
        println!("\n{} node(s), seed of the phase {}, {:.0} s", self.nodes, self.seed, self.seconds);
        let row = |name: &str, value: String| println!("  {name:<22} {value}");
        row("records", format!("{} ({} not acknowledged)", self.records, self.not_acknowledged));
        row("dead letters", format!("{} for {} poisons", self.dead_letters, self.poison));
        row(
            "members",
            format!(
                "{}: {} killed, {} stopped past the session, {} stopped shortly, {} joined, {} left",
                members.members,
                members.kills,
                members.long_stops,
                members.short_stops,
                members.joins,
                members.leaves
            ),
        );
        row("brokers", format!("{} killed, {} stopped", self.broker_kills, self.broker_stops));
        row("rebalance steps", members.rebalances.to_string());
        row(
            "commits",
            format!("looked at {} times, {} failed", self.commits_looked_at, members.commits_refused),
        );
        row("handler runs", self.handlings.to_string());
        row(
            "repeated runs",
            format!(
                "{} by kill, {} by stop, {} by lost partitions, {} by a failed last commit, {} unexplained",
                again.by_kill,
                again.by_stop,
                again.by_lost_partitions,
                again.by_failed_last_commit,
                again.unexplained
            ),
        );
        row(
            "handled well again",
            format!("{}; dead letters again {}", again.handled_again, again.letters_again),
        );
        row(
            "zombies",
            format!(
                "began {} records; {} times a key was at two members",
                again.begun_by_zombies, again.keys_at_two_members
            ),
        );
        row("oldest taken back", format!("{:.3} s before a kill", again.oldest_uncommitted_at_kill_seconds));
        for rule in &self.rules {
            let how = if rule.broken == 0 { "holds" } else { "BROKEN" };
            println!("  {how:<6} {} ({} of {})", rule.rule, rule.looked_at - rule.broken, rule.looked_at);
            for example in &rule.examples {
                println!("         {example}");
            }
        }
    }
}

pub(crate) fn write_json(path: &Path, what: &impl Serialize) -> Result<()> {
    let shown = || format!("cannot write {}", path.display());
    let text = serde_json::to_string_pretty(what).context(shown)?;
    fs::write(path, text + "\n").context(shown)
}
