//! From what was counted while the demo ran to its report.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::ledger::Service;
use super::repair::{Letters, Repaired};
use super::report::{
    ChainsReport, DeadLettersReport, EventsReport, OutageReport, Report, ServiceReport, TripsReport,
};
use super::settle;
use super::stage::Stage;
use super::targets::{Measured, Targets};
use super::watch::{ServicePicture, Watch};

/// What only a running demo can tell, taken at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    pub services: [ServicePicture; 3],
    pub repaired: Repaired,
    pub letters: [Letters; 3],
    pub lag_at_end: i64,
    /// From the first event sent until all was settled.
    pub busy: Duration,
    pub elapsed: Duration,
}

impl Stage {
    pub(crate) fn report(&self, sums: Sums) -> Report {
        let (watch, world) = (&self.watch, &self.watch.world);
        let poison = watch.traffic.poison.load(Relaxed);
        let services = self.services(&sums, poison);
        let total = |of: fn(&ServiceReport) -> u64| services.values().map(of).sum::<u64>();
        let (lost, out_of_order, written) =
            (total(|it| it.lost), total(|it| it.out_of_order), total(|it| it.dead_lettered));
        let refused = world.ledger.refused_trips(&world.lives);
        let trips = TripsReport::account(
            self.source.clone(),
            world.ledger.accepted(),
            refused.map(|(trip, flaw)| (world.lives.trip(trip).line, flaw)),
            self.unreadable.clone(),
            self.read_lines,
            Service::Payment.name(),
        );
        let events = events(watch, poison, &sums);
        let planted = written.min(poison * Service::ALL.len() as u64);
        let targets = Targets::judge(&Measured {
            publish_p99_us: watch.stats().iter().filter_map(|stats| stats.latency_p99_us).max(),
            lag: watch.lags.highest.load(Relaxed),
            lag_in_outage: watch.lags.highest_in_outage.load(Relaxed),
            recovered_after: watch.lags.recovered_after.get().copied(),
            lag_at_end: sums.lag_at_end,
            handled: total(|it| it.handled),
            dead_lettered: written,
            planted,
            expected: Service::ALL.iter().map(|service| world.ledger.expected(*service)).sum(),
            out_of_order,
        });
        let open: u64 = sums.letters.iter().map(|letters| letters.open).sum();
        let due = poison + world.ledger.refusals(Service::Payment);
        let by_outage = sums.letters[Service::Payment as usize].written.saturating_sub(due);
        let chains = ChainsReport {
            checked: world.chains.checked.load(Relaxed),
            broken: world.chains.broken.load(Relaxed),
        };
        Report {
            cluster: self.cluster.name.clone(),
            run: self.cluster.run.to_string(),
            duration_ms: sums.elapsed.as_millis() as u64,
            ok: lost + out_of_order + chains.broken + events.failed + trips.unfinished == 0
                && open <= planted,
            trips,
            events,
            lost,
            out_of_order,
            repeated: total(|it| it.repeated),
            services,
            chains,
            outage: OutageReport {
                service: Service::Payment.name(),
                unanswered_calls: world.gateway.unanswered.load(Relaxed),
                dead_lettered: by_outage,
            },
            dead_letters: DeadLettersReport {
                written,
                replayed: sums.repaired.replayed,
                replay_failed: sums.repaired.failed,
                open,
                open_poison: open.min(planted),
            },
            targets,
        }
    }

    fn services(&self, sums: &Sums, poison: u64) -> BTreeMap<&'static str, ServiceReport> {
        let ledger = &self.watch.world.ledger;
        let stats = self.watch.stats();
        // What counts is what lies in the dead-letter topics, not what anybody says to have written.
        let dead_lettered = sums.letters.map(|letters| letters.written);
        let reports = sums.services.iter().map(|picture| {
            let (service, counts) = (picture.service, &picture.counts);
            let (published, replayed) = match service {
                Service::Ride => (stats[0].published - poison.min(stats[0].published), 0),
                Service::Payment => (stats[1].published, sums.repaired.replayed),
                Service::Notification => (0, 0),
            };
            let report = ServiceReport {
                group: self.groups[service as usize].clone(),
                published,
                handled: counts.handled,
                skipped: counts.skipped,
                retried: counts.retried,
                dead_lettered: dead_lettered[service as usize],
                replayed,
                lost: settle::missing(&self.watch.world, service, dead_lettered, poison),
                out_of_order: ledger.too_late(service),
                repeated: ledger.again(service),
            };
            (service.name(), report)
        });
        reports.collect()
    }
}

fn events(watch: &Watch, poison: u64, sums: &Sums) -> EventsReport {
    let stats = watch.stats();
    let published = stats.iter().map(|stats| stats.published).sum::<u64>().saturating_sub(poison);
    let worst_ms = |of: [Option<u64>; 2]| of.into_iter().flatten().max().map(|us| us as f64 / 1_000.0);
    EventsReport {
        published,
        failed: watch.traffic.failed.load(Relaxed),
        poison,
        per_second: (published as f64 / sums.busy.as_secs_f64().max(0.001)) as u64,
        publish_p50_ms: worst_ms(stats.each_ref().map(|stats| stats.latency_p50_us)),
        publish_p99_ms: worst_ms(stats.each_ref().map(|stats| stats.latency_p99_us)),
    }
}
