//! A report as a table for people.

use std::fmt::Write as _;

use super::super::ledger::Service;
use super::{Report, ServiceReport};
use crate::paint::{Paint, plural, thousands};

/// What is behind the indent of an explanation in 80 columns.
const HOW_WIDTH: usize = 68;

impl Report {
    /// The whole of it, in 100 columns but for long reasons.
    pub(crate) fn table(&self, paint: Paint) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = self.write(&mut text, paint);
        text
    }

    fn write(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        writeln!(out)?;
        self.write_trips(out, paint)?;
        self.write_events(out, paint)?;
        writeln!(out)?;
        self.write_services(out, paint)?;
        writeln!(out)?;
        self.write_promises(out, paint)?;
        writeln!(out)?;
        for (target, unit) in self.targets.all() {
            let verdict = if target.met { paint.good("met   ") } else { paint.bad("missed") };
            let measured = target
                .measured
                .map_or_else(|| "not measured".to_owned(), |it| format!("{} {unit}", short(it)));
            writeln!(out, "  {verdict}  {:<30}{measured:>14}", target.target)?;
            for line in wrapped(&target.how, HOW_WIDTH) {
                writeln!(out, "          {}", paint.faint(line))?;
            }
        }
        writeln!(out)?;
        let verdict = if self.ok {
            paint.good("Nothing was lost, nothing was out of order, every chain is whole.")
        } else {
            paint.bad("A promise was broken: see above.")
        };
        writeln!(out, "  {}", paint.bold(verdict))
    }

    fn write_trips(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let trips = &self.trips;
        writeln!(
            out,
            "  {} of {}: {} accepted, {} refused with a reason",
            paint.bold(plural(trips.read, "line", "lines")),
            trips.source,
            thousands(trips.accepted),
            thousands(trips.refused)
        )?;
        for reason in &trips.reasons {
            let lines: Vec<String> = reason.lines.iter().take(6).map(u64::to_string).collect();
            let more = if reason.lines.len() > 6 { ", …" } else { "" };
            let lines = format!("(lines {}{more})", lines.join(", "));
            let why = format!("{}, refused by {}", reason.reason, reason.by);
            writeln!(out, "    {:>5}  {why} {}", reason.trips, paint.faint(lines))?;
        }
        for line in trips.unreadable.iter().take(5) {
            writeln!(out, "           {}:{}:{}: {}", trips.source, line.line, line.column, line.reason)?;
        }
        if trips.unfinished > 0 {
            writeln!(out, "    {}", paint.bad(format!("{:>5}  not finished", trips.unfinished)))?;
        }
        Ok(())
    }

    fn write_events(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let events = &self.events;
        writeln!(
            out,
            "  {} published in {:.1} s, {}/s, and {}",
            paint.bold(plural(events.published, "event", "events")),
            self.duration_ms as f64 / 1_000.0,
            thousands(events.per_second),
            plural(events.poison, "poisoned record", "poisoned records")
        )?;
        if events.failed > 0 {
            writeln!(out, "    {}", paint.bad(format!("{:>5}  not taken by the broker", events.failed)))?;
        }
        Ok(())
    }

    fn write_services(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let head = ["published", "handled", "retried", "dead letters", "replayed", "lost", "out of order"];
        let widths = [11, 10, 10, 14, 10, 6, 14];
        let row = |name: &str, cells: &[String; 7]| {
            let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}"));
            format!("  {name:<22}{}", cells.collect::<String>())
        };
        writeln!(out, "{}", paint.faint(row("", &head.map(str::to_owned))))?;
        for name in Service::ALL.map(Service::name) {
            let Some(service) = self.services.get(name) else { continue };
            let ServiceReport {
                published,
                handled,
                retried,
                dead_lettered,
                replayed,
                lost,
                out_of_order,
                ..
            } = service;
            let cells = [published, handled, retried, dead_lettered, replayed, lost, out_of_order];
            let line = row(name, &cells.map(|cell| thousands(*cell)));
            let broken = lost + out_of_order > 0;
            writeln!(out, "{}", if broken { paint.bad(line) } else { line })?;
        }
        Ok(())
    }

    fn write_promises(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let verdict = |good: bool| if good { paint.good("yes") } else { paint.bad("NO ") };
        let seen = self.lost == 0;
        writeln!(
            out,
            "  {}  every event was handled or kept as a dead letter: {} lost",
            verdict(seen),
            self.lost
        )?;
        let order = self.out_of_order == 0;
        writeln!(
            out,
            "  {}  every ride's events were seen in order: {} out of order",
            verdict(order),
            self.out_of_order
        )?;
        let chains = &self.chains;
        let whole = chains.broken == 0;
        writeln!(
            out,
            "  {}  every payment names the event that caused it: {} of {} do",
            verdict(whole),
            thousands(chains.checked - chains.broken),
            thousands(chains.checked)
        )?;
        let letters = &self.dead_letters;
        writeln!(
            out,
            "  {}  every dead letter but the poison is repaired: {} of {} by the replay",
            verdict(letters.open == letters.open_poison),
            letters.replayed,
            letters.written - letters.open_poison.min(letters.written)
        )?;
        writeln!(out, "       {} about the poison stay open, for a person to look at", letters.open_poison)?;
        let healed = self.services.get(self.outage.service).map_or(0, |service| service.retried);
        writeln!(
            out,
            "       the outage: {}, {}, {} of it",
            plural(self.outage.unanswered_calls, "call unanswered", "calls unanswered"),
            plural(healed, "retry", "retries"),
            plural(self.outage.dead_lettered, "dead letter", "dead letters")
        )
    }
}

/// At most four digits behind the point, and no zeros at the end.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if last == 0 => line.push_str(word),
            Some(line) if last + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_explanations_are_broken_between_words_and_nothing_is_left_out() {
        let text = "the highest of any group, all partitions together, outside the outage";
        let lines = wrapped(text, 20);
        assert!(lines.iter().all(|line| line.len() <= 20), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrapped("averyverylongword", 5), ["averyverylongword"]);
    }

    #[test]
    fn numbers_have_no_zeros_at_their_end() {
        assert_eq!([0.0, 100.0, 8.703, 0.04631].map(short), ["0", "100", "8.703", "0.0463"]);
    }
}
