//! What is true of Maputo: places, distances by road, what rides cost there, names and telephone numbers. It must never
//! know events.

use super::seed::Numbers;
use crate::{Location, Money, Phone, ServiceType};

/// Where rides begin and end: latitude and longitude of places everybody knows.
const PLACES: [(f64, f64); 16] = [
    (-25.9208, 32.5726), // the airport
    (-25.9695, 32.5698), // the central railway station
    (-25.9692, 32.5732), // Baixa, the old town
    (-25.9655, 32.5880), // Avenida Julius Nyerere, Polana
    (-25.9701, 32.5982), // the Polana hotel's cliff
    (-25.9527, 32.6017), // Eduardo Mondlane University
    (-25.9575, 32.5878), // Sommerschield
    (-25.9673, 32.5795), // Museu
    (-25.9532, 32.5640), // Xipamanine market
    (-25.9403, 32.5905), // Praça dos Combatentes
    (-25.9185, 32.6431), // Costa do Sol
    (-25.9101, 32.6060), // Laulane
    (-25.8925, 32.6093), // Magoanine
    (-25.8318, 32.5702), // Zimpeto stadium
    (-25.9622, 32.4589), // Matola
    (-25.9430, 32.5400), // Jardim
];

pub(super) const NAMES: [&str; 12] = [
    "Ana Machava",
    "Carlos Mondlane",
    "Celeste Sitoe",
    "Dércio Langa",
    "Fátima Nhantumbo",
    "Helena Cossa",
    "Inácio Matusse",
    "Joaquim Tembe",
    "Lurdes Chissano",
    "Nelson Macuácua",
    "Rosa Zandamela",
    "Tomás Bila",
];

/// Degrees that a pickup lies away from its place, at most: some 300 m.
const AROUND: f64 = 0.003;
/// How much longer the way by road is than the straight one.
const ROAD: f64 = 1.3;
const EARTH_RADIUS_KM: f64 = 6_371.0;

/// Two different places and the kilometres between them by road, to 100 m.
pub(super) fn way(numbers: &mut Numbers) -> (Location, Location, f64) {
    let from = numbers.within(0, PLACES.len() as i64);
    let to = (from + numbers.within(1, PLACES.len() as i64)) % PLACES.len() as i64;
    let mut near = |index: i64| {
        let (latitude, longitude) = PLACES[index as usize];
        let mut degrees = |of: f64| ((of + numbers.between(-AROUND, AROUND)) * 1e5).round() / 1e5;
        Location::new(degrees(latitude), degrees(longitude)).expect("invariant: Maputo is on Earth")
    };
    let (pickup, dropoff) = (near(from), near(to));
    let km = (straight_km(pickup, dropoff) * ROAD * 10.0).round() / 10.0;
    (pickup, dropoff, km.max(0.5))
}

/// The way as the crow flies (haversine).
pub(super) fn straight_km(from: Location, to: Location) -> f64 {
    let [lat1, lon1, lat2, lon2] =
        [from.latitude(), from.longitude(), to.latitude(), to.longitude()].map(f64::to_radians);
    let half = |angle: f64| (angle / 2.0).sin().powi(2);
    let a = half(lat2 - lat1) + lat1.cos() * lat2.cos() * half(lon2 - lon1);
    2.0 * EARTH_RADIUS_KM * a.sqrt().asin()
}

/// What a ride costs: 40 MZN, 22 a kilometre and 2 a minute for a plain car, in steps of 5 MZN.
pub(super) fn fare(service: ServiceType, km: f64, minutes: i64) -> Money {
    let factor = match service {
        ServiceType::Moto => 0.6,
        ServiceType::Comfort => 1.3,
        ServiceType::Premium => 1.8,
        _ => 1.0,
    };
    let meticais = (40.0 + 22.0 * km + 2.0 * minutes as f64) * factor;
    Money::from_centavos((meticais / 5.0).round() as i64 * 500)
}

/// A mobile's number, of one of the prefixes in use.
pub(super) fn phone(numbers: &mut Numbers) -> Phone {
    let number = numbers.within(82, 88) * 10_000_000 + numbers.within(0, 10_000_000);
    number.to_string().parse().expect("invariant: nine digits that begin with 82 to 87")
}
