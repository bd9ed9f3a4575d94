//! A report as a table for people.

use std::fmt::Write as _;

use super::super::paint::{Paint, plural, thousands};
use super::{Report, ServiceReport};

impl Report {
    /// The whole of it, lines of at most 100 characters but for reasons.
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
            writeln!(out, "          {}", paint.faint(&target.how))?;
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
            let lines = format!("lines {}{more}", lines.join(", "));
            writeln!(
                out,
                "    {:>5}  {}, refused by {} {}",
                reason.trips,
                reason.reason,
                reason.by,
                paint.faint(lines)
            )?;
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
            "  {} published in {:.1} s on {}, {}/s, and {}",
            paint.bold(plural(events.published, "event", "events")),
            self.duration_ms as f64 / 1_000.0,
            self.cluster,
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
        for (name, service) in &self.services {
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
            "       {}: {} repaired by the replay, {} left open, about the poison",
            plural(letters.written, "dead letter", "dead letters"),
            letters.replayed,
            letters.open
        )?;
        let healed = self.services.get(self.outage.service).map_or(0, |service| service.retried);
        writeln!(
            out,
            "       the outage: {} calls unanswered, {} retries, and no dead letter of it",
            thousands(self.outage.unanswered_calls),
            thousands(healed)
        )
    }
}

/// At most four digits behind the point, and no zeros at the end.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
