//! A report as one page that needs nothing else: no script, no font, no network.

use super::chart::{Line, chart};
use super::report::{Report, Settings, Spread, Totals};
use super::watch::{Second, ms};
use crate::paint::thousands;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --faint: #6b7685; --rule: #d8dee6; --page: #fff; --good: #1a7f4b; --bad: #c0392b; --a: #2463c5; --b: #e08a1e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --faint: #94a0b0; --rule: #323c4a; --page: #141a22; --good: #4cc38a; --bad: #ff7b6b; --a: #6ea8ff; --b: #f5b35c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 760px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; color: var(--faint); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--rule); font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } th { color: var(--faint); font-weight: 500; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
figure { margin: 0; } svg { width: 100%; height: auto; } figcaption { color: var(--faint); font-size: .85rem; }
.grid { stroke: var(--rule); stroke-width: 1; } .tick { fill: var(--faint); font-size: 11px; }
.line { fill: none; stroke-width: 1.75; stroke-linejoin: round; } .line.a { stroke: var(--a); } .line.b { stroke: var(--b); }
.key { display: inline-block; width: .8em; height: .25em; margin: 0 .35em .25em .6em; } .key.a { background: var(--a); } .key.b { background: var(--b); }
.unit { float: right; }
";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let Settings { brokers, rate, duration_s, keys, bytes, partitions } = &report.settings;
    let (class, verdict) = match report.ok {
        true => ("good", "Every target is met; nothing was lost, and all of it was in order."),
        false => ("bad", "Not every target is met."),
    };
    let settings = format!(
        "{} events a second for {duration_s:.0} s, {} keys, {bytes} bytes beside what each says, {partitions} partitions, at {}; ended {}",
        thousands(u64::from(*rate)),
        thousands(u64::from(*keys)),
        escaped(brokers),
        report.ended
    );
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>txova-kafka soak</title>\n<style>{STYLE}</style>\n<h1>txova-kafka soak</h1>\n<p class=\"{class}\">{verdict}</p>\n\
         <p>{settings}</p>\n<h2>Targets</h2>\n{}<h2>Times</h2>\n{}<h2>Totals</h2>\n{}{}</html>\n",
        targets(report),
        times(report),
        totals(&report.totals),
        charts(&report.seconds)
    )
}

fn targets(report: &Report) -> String {
    let row = |target: &super::report::Target| {
        let (class, word) = if target.met { ("good", "met") } else { ("bad", "missed") };
        format!("<tr><td>{}<td>{}<td class=\"{class}\">{word}\n", escaped(&target.target), target.shown())
    };
    let rows: String = report.targets.iter().map(row).collect();
    format!("<table><tr><th>target<th>measured<th>\n{rows}</table>\n")
}

fn times(report: &Report) -> String {
    let row = |name: &str, spread: &Spread| {
        let Spread { p50_ms, p99_ms, p999_ms, max_ms } = spread;
        let cells: String =
            [p50_ms, p99_ms, p999_ms, max_ms].map(|value| format!("<td>{}", ms(*value))).concat();
        format!("<tr><td>{name}{cells}\n")
    };
    format!(
        "<table><tr><th><th>p50<th>p99<th>p99.9<th>max\n{}{}</table>\n<p>From when an event was due, so that one that could \
         not be sent in time counts as late.</p>\n",
        row("to the acknowledgement", &report.publish),
        row("to the handler", &report.through)
    )
}

fn totals(totals: &Totals) -> String {
    let Totals {
        sent,
        acknowledged,
        failed,
        handled,
        handled_again,
        retried,
        dead_lettered,
        lost,
        out_of_order,
    } = *totals;
    let all = [
        ("sent", sent),
        ("acknowledged", acknowledged),
        ("refused", failed),
        ("handled", handled),
        ("handled again", handled_again),
        ("retried", retried),
        ("dead letters", dead_lettered),
        ("lost", lost),
        ("out of order", out_of_order),
    ];
    let names: String = all.iter().map(|(name, _)| format!("<th>{name}")).collect();
    let counts: String = all.iter().map(|(_, count)| format!("<td>{}", thousands(*count))).collect();
    format!("<table><tr>{names}\n<tr>{counts}\n</table>\n")
}

fn charts(seconds: &[Second]) -> String {
    let at: Vec<f64> = seconds.iter().map(|second| second.at_s).collect();
    let values = |of: fn(&Second) -> Option<f64>| seconds.iter().map(of).collect::<Vec<_>>();
    let line = |name, class, of| Line { name, class, values: values(of) };
    let throughput = chart(
        &at,
        "events a second",
        &[
            line("published", "a", |it| Some(it.acknowledged_per_s)),
            line("handled", "b", |it| Some(it.handled_per_s)),
        ],
    );
    let publish = chart(
        &at,
        "ms",
        &[line("p50", "a", |it| it.publish_p50_ms), line("p99", "b", |it| it.publish_p99_ms)],
    );
    let through = chart(
        &at,
        "ms",
        &[line("p50", "a", |it| it.through_p50_ms), line("p99", "b", |it| it.through_p99_ms)],
    );
    let lag = chart(&at, "records", &[line("lag", "a", |it| it.lag.map(|lag| lag as f64))]);
    format!(
        "<h2>Throughput</h2>\n{throughput}\n<h2>From due to acknowledged</h2>\n{publish}\n<h2>From due to handled</h2>\n\
         {through}\n<h2>Lag</h2>\n{lag}\n<p>Records the group had not committed: commits follow within 200 ms or 1,000 \
         records.</p>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
