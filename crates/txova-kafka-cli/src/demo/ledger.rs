//! Who has published what and who has seen what, by event: where lost, repeated and out-of-order events show. Written
//! by publishers and handlers at once, so all of it is atomic. It must never know Kafka.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::flaw::Flaw;
use super::life::{DRIVERS, Lives, Step};

/// The services of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ride,
    Payment,
    Notification,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::Ride, Self::Payment, Self::Notification];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ride => "ride-service",
            Self::Payment => "payment-service",
            Self::Notification => "notification-service",
        }
    }

    /// The steps it has a handler for.
    fn wants(self, step: Step) -> bool {
        match self {
            Self::Ride => !step.is_payment(),
            Self::Payment => matches!(step, Step::Completed | Step::PaymentInitiated),
            Self::Notification => !step.is_location(),
        }
    }
}

/// How an event arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    InOrder,
    /// It was seen before.
    Again,
    /// One of the same key that was published later was seen before.
    TooLate,
}

/// A run's bookkeeping.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The steps of each trip that a broker has acknowledged.
    published: Vec<AtomicU32>,
    /// The place of each location update among those of its driver, from 1.
    location_places: Vec<[u32; 3]>,
    desks: [Desk; 3],
}

/// One service's side.
#[derive(Debug)]
struct Desk {
    wants: u32,
    handled: Vec<AtomicU32>,
    refused: Vec<AtomicU32>,
    rides: Vec<AtomicU32>,
    payments: Vec<AtomicU32>,
    drivers: Vec<AtomicU32>,
    again: AtomicU64,
    too_late: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(lives: &Lives) -> Self {
        let trips = lives.trips.len();
        let mut location_places = vec![[0; 3]; trips];
        let mut of_driver = vec![0; DRIVERS as usize];
        for moment in lives.schedule().into_iter().filter(|moment| moment.step.is_location()) {
            let last = &mut of_driver[Lives::driver(moment.trip) as usize];
            *last += 1;
            location_places[moment.trip as usize][moment.step as usize - Step::Quarter as usize] = *last;
        }
        Self {
            published: zeros(trips),
            location_places,
            desks: Service::ALL.map(|service| Desk {
                wants: Step::ALL.into_iter().filter(|step| service.wants(*step)).map(Step::bit).sum(),
                handled: zeros(trips),
                refused: zeros(trips),
                rides: zeros(trips),
                payments: zeros(trips),
                drivers: zeros(DRIVERS as usize),
                again: AtomicU64::new(0),
                too_late: AtomicU64::new(0),
            }),
        }
    }

    /// A broker has acknowledged the event. True the first time.
    pub(crate) fn published(&self, trip: u32, step: Step) -> bool {
        self.published[trip as usize].fetch_or(step.bit(), Relaxed) & step.bit() == 0
    }

    /// A handler said ok.
    pub(crate) fn handled(&self, service: Service, trip: u32, step: Step) -> Arrival {
        let desk = &self.desks[service as usize];
        self.seen(desk, &desk.handled, trip, step)
    }

    /// A handler refused the event for good: it is a dead letter.
    pub(crate) fn refused(&self, service: Service, trip: u32, step: Step) -> Arrival {
        let desk = &self.desks[service as usize];
        self.seen(desk, &desk.refused, trip, step)
    }

    fn seen(&self, desk: &Desk, book: &[AtomicU32], trip: u32, step: Step) -> Arrival {
        let at = trip as usize;
        let before = desk.handled[at].load(Relaxed) | desk.refused[at].load(Relaxed);
        book[at].fetch_or(step.bit(), Relaxed);
        if before & step.bit() != 0 {
            desk.again.fetch_add(1, Relaxed);
            return Arrival::Again;
        }
        let (last, place) = if step.is_location() {
            let places = &self.location_places[at];
            (&desk.drivers[Lives::driver(trip) as usize], places[step as usize - Step::Quarter as usize])
        } else if step.is_payment() {
            (&desk.payments[at], step as u32 + 1)
        } else {
            (&desk.rides[at], step as u32 + 1)
        };
        if last.fetch_max(place, Relaxed) > place {
            desk.too_late.fetch_add(1, Relaxed);
            return Arrival::TooLate;
        }
        Arrival::InOrder
    }

    /// Events that were published, that the service has a handler for, and that it has neither handled nor refused.
    pub(crate) fn missing(&self, service: Service) -> u64 {
        let desk = &self.desks[service as usize];
        let trips = self.published.iter().zip(&desk.handled).zip(&desk.refused);
        trips
            .map(|((published, handled), refused)| {
                let seen = handled.load(Relaxed) | refused.load(Relaxed);
                u64::from((published.load(Relaxed) & desk.wants & !seen).count_ones())
            })
            .sum()
    }

    /// Events that were published and that the service has a handler for.
    pub(crate) fn expected(&self, service: Service) -> u64 {
        let wants = self.desks[service as usize].wants;
        self.published.iter().map(|steps| u64::from((steps.load(Relaxed) & wants).count_ones())).sum()
    }

    pub(crate) fn refusals(&self, service: Service) -> u64 {
        let refused = &self.desks[service as usize].refused;
        refused.iter().map(|steps| u64::from(steps.load(Relaxed).count_ones())).sum()
    }

    pub(crate) fn again(&self, service: Service) -> u64 {
        self.desks[service as usize].again.load(Relaxed)
    }

    pub(crate) fn too_late(&self, service: Service) -> u64 {
        self.desks[service as usize].too_late.load(Relaxed)
    }

    /// Trips whose completion is published and whose payment has not ended, leaving out those the payment service has
    /// refused.
    pub(crate) fn unpaid(&self) -> u64 {
        let ended = Step::PaymentCompleted.bit() | Step::PaymentFailed.bit() | Step::PaymentRefunded.bit();
        let refused = &self.desks[Service::Payment as usize].refused;
        let open = self.published.iter().zip(refused).filter(|(published, refused)| {
            let published = published.load(Relaxed);
            published & Step::Completed.bit() != 0
                && published & ended == 0
                && refused.load(Relaxed) & Step::Completed.bit() == 0
        });
        open.count() as u64
    }

    /// Trips that were published to their end and that the payment service has not refused.
    pub(crate) fn accepted(&self) -> u64 {
        let whole: u32 = Step::RIDE.into_iter().map(Step::bit).sum();
        let refused = &self.desks[Service::Payment as usize].refused;
        let accepted = self.published.iter().zip(refused).filter(|(published, refused)| {
            published.load(Relaxed) & whole == whole && refused.load(Relaxed) == 0
        });
        accepted.count() as u64
    }

    /// The trips the payment service refused, each with its flaw.
    pub(crate) fn refused_trips<'a>(&'a self, lives: &'a Lives) -> impl Iterator<Item = (u32, Flaw)> + 'a {
        let refused = &self.desks[Service::Payment as usize].refused;
        refused.iter().enumerate().filter(|(_, steps)| steps.load(Relaxed) != 0).filter_map(|(trip, _)| {
            let trip = u32::try_from(trip).ok()?;
            Flaw::of_trip(lives.trip(trip)).map(|flaw| (trip, flaw))
        })
    }
}

fn zeros(count: usize) -> Vec<AtomicU32> {
    (0..count).map(|_| AtomicU32::new(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tag::Run;
    use super::super::trips::Trips;
    use super::*;

    fn ledger() -> Ledger {
        let trips = Trips::load(None, Some(400)).unwrap().trips;
        Ledger::new(&Lives { run: Run::ALONE, trips })
    }

    #[test]
    fn an_event_nobody_saw_is_missing_where_there_is_a_handler_for_it() {
        let ledger = ledger();
        ledger.published(3, Step::Rated);
        assert_eq!(Service::ALL.map(|service| ledger.missing(service)), [1, 0, 1]);
        ledger.handled(Service::Ride, 3, Step::Rated);
        ledger.refused(Service::Notification, 3, Step::Rated);
        assert_eq!(Service::ALL.map(|service| ledger.missing(service)), [0, 0, 0]);
    }

    #[test]
    fn an_event_after_a_later_one_of_its_key_is_out_of_order_and_a_second_sight_is_not() {
        let ledger = ledger();
        assert_eq!(ledger.handled(Service::Ride, 0, Step::Started), Arrival::InOrder);
        assert_eq!(ledger.handled(Service::Ride, 0, Step::Requested), Arrival::TooLate);
        assert_eq!(ledger.handled(Service::Ride, 0, Step::Requested), Arrival::Again);
        assert_eq!(ledger.handled(Service::Notification, 0, Step::Requested), Arrival::InOrder);
        assert_eq!((ledger.too_late(Service::Ride), ledger.again(Service::Ride)), (1, 1));
    }

    #[test]
    fn a_drivers_locations_are_in_order_over_all_his_trips() {
        let ledger = ledger();
        assert_eq!(ledger.handled(Service::Ride, DRIVERS, Step::Quarter), Arrival::InOrder);
        assert_eq!(ledger.handled(Service::Ride, 0, Step::Quarter), Arrival::TooLate);
    }

    #[test]
    fn a_completed_ride_is_unpaid_until_its_payment_ends_or_it_is_refused() {
        let ledger = ledger();
        ledger.published(0, Step::Completed);
        ledger.published(1, Step::Completed);
        assert_eq!(ledger.unpaid(), 2);
        ledger.published(0, Step::PaymentFailed);
        ledger.refused(Service::Payment, 1, Step::Completed);
        assert_eq!(ledger.unpaid(), 0);
    }
}
