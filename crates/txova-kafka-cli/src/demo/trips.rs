//! Trips out of a CSV file: each line is a trip or a refusal that says where and why. It must never know events.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use csv::{ByteRecord, ReaderBuilder};
use txova_events::{Location, PaymentMethod, Time};

/// The trips that come with the program.
const BUILT_IN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/trips.csv"));

const COLUMNS: [&str; 15] = [
    "pickup_time",
    "dropoff_time",
    "pickup_latitude",
    "pickup_longitude",
    "dropoff_latitude",
    "dropoff_longitude",
    "pickup_zone",
    "dropoff_zone",
    "distance_km",
    "fare_cents",
    "tip_cents",
    "total_cents",
    "payment",
    "colour",
    "passengers",
];

/// One trip, as its line has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trip {
    /// Its line in the file, from 1; the header is line 1.
    pub line: u64,
    pub pickup_time: Time,
    pub dropoff_time: Time,
    pub pickup: Location,
    pub dropoff: Location,
    pub distance_km: f64,
    pub fare_centavos: i64,
    pub method: PaymentMethod,
}

/// A line that is no trip.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct UnreadableLine {
    pub line: u64,
    /// The field's place in the line, from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub reason: String,
}

/// What a file held.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trips {
    /// Where they came from, for people.
    pub source: String,
    pub trips: Vec<Trip>,
    pub unreadable: Vec<UnreadableLine>,
}

/// Why there are no trips at all.
#[derive(Debug)]
pub(crate) enum TripsError {
    Unopened { path: PathBuf, error: std::io::Error },
    Malformed { source: String, line: u64, column: usize, reason: String },
    NoTrips { source: String, unreadable: Vec<UnreadableLine> },
}

impl fmt::Display for TripsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unopened { path, error } => {
                write!(f, "{}: {error}: expected a CSV file of trips", path.display())
            }
            Self::Malformed { source, line, column, reason } => {
                write!(f, "{source}:{line}:{column}: {reason}")
            }
            Self::NoTrips { source, unreadable } => {
                write!(f, "{source}: none of its {} lines is a trip", unreadable.len())?;
                let shown = unreadable.iter().take(3);
                shown.clone().try_for_each(|line| {
                    write!(f, "\n  {source}:{}:{}: {}", line.line, line.column, line.reason)
                })?;
                match unreadable.len() - shown.len() {
                    0 => Ok(()),
                    more => write!(f, "\n  and {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for TripsError {}

impl Trips {
    /// The file's trips, or those that come with the program; at most the first `limit` lines.
    pub(crate) fn load(path: Option<&Path>, limit: Option<usize>) -> Result<Self, TripsError> {
        match path {
            None => Self::read("the built-in trips", BUILT_IN.as_bytes(), limit),
            Some(path) => {
                let bytes = std::fs::read(path)
                    .map_err(|error| TripsError::Unopened { path: path.to_owned(), error })?;
                Self::read(&path.display().to_string(), &bytes, limit)
            }
        }
    }

    fn read(source: &str, bytes: &[u8], limit: Option<usize>) -> Result<Self, TripsError> {
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let malformed =
            |line, column, reason| TripsError::Malformed { source: source.to_owned(), line, column, reason };
        let mut record = ByteRecord::new();
        let mut next = |record: &mut ByteRecord| {
            // The reader's own errors are those of opening and of lengths, and it reads bytes of any length.
            reader.read_byte_record(record).map_err(|error| malformed(1, 1, error.to_string()))
        };
        if !next(&mut record)? {
            return Err(malformed(
                1,
                1,
                format!("the file is empty: expected the header {}", COLUMNS.join(",")),
            ));
        }
        check_header(&record).map_err(|(column, reason)| malformed(1, column, reason))?;
        let mut trips = Self { source: source.to_owned(), ..Self::default() };
        while trips.read_lines() < limit.unwrap_or(usize::MAX) && next(&mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            match trip(line, &record) {
                Ok(trip) => trips.trips.push(trip),
                Err((column, reason)) => trips.unreadable.push(UnreadableLine { line, column, reason }),
            }
        }
        if trips.trips.is_empty() {
            return Err(TripsError::NoTrips { source: source.to_owned(), unreadable: trips.unreadable });
        }
        Ok(trips)
    }

    /// Lines after the header, trips or not.
    pub(crate) fn read_lines(&self) -> usize {
        self.trips.len() + self.unreadable.len()
    }
}

/// The place of a field and what is wrong there.
type Wrong = (usize, String);

fn check_header(header: &ByteRecord) -> Result<(), Wrong> {
    for (at, expected) in COLUMNS.iter().enumerate() {
        let found = header.get(at).map(|field| shown(field.trim_ascii()));
        if found.as_deref() != Some(*expected) {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("`{found}`"));
            let header = COLUMNS.join(",");
            return Err((
                at + 1,
                format!("found {found}, expected the column `{expected}` of the header {header}"),
            ));
        }
    }
    match header.get(COLUMNS.len()) {
        None => Ok(()),
        Some(field) => Err((
            COLUMNS.len() + 1,
            format!("found `{}`, expected no more than {} columns", shown(field), COLUMNS.len()),
        )),
    }
}

fn trip(line: u64, record: &ByteRecord) -> Result<Trip, Wrong> {
    if record.len() != COLUMNS.len() {
        let at = record.len().min(COLUMNS.len());
        let reason = match COLUMNS.get(at) {
            Some(missing) => {
                format!("the line ends before `{missing}`: found {} fields, expected {}", at, COLUMNS.len())
            }
            None => format!("found {} fields, expected {}", record.len(), COLUMNS.len()),
        };
        return Err((at + 1, reason));
    }
    let [latitude, longitude] = ["a latitude in degrees", "a longitude in degrees"];
    let whole = "whole cents";
    let time = "a time like 2019-03-01T00:03:29Z";
    let place = |at: usize| {
        let degrees = (number::<f64>(record, at, latitude)?, number::<f64>(record, at + 1, longitude)?);
        Location::new(degrees.0, degrees.1).map_err(|error| (at + 1, error.to_string()))
    };
    let distance_km = number::<f64>(record, 8, "kilometres")?;
    if !distance_km.is_finite() {
        return Err(wrong(record, 8, "kilometres, finite"));
    }
    let trip = Trip {
        line,
        pickup_time: number::<Time>(record, 0, time)?,
        dropoff_time: number::<Time>(record, 1, time)?,
        pickup: place(2)?,
        dropoff: place(4)?,
        distance_km,
        fare_centavos: number(record, 9, whole)?,
        method: match record.get(12).unwrap_or_default() {
            b"card" => PaymentMethod::Card,
            b"cash" => PaymentMethod::Cash,
            b"other" => PaymentMethod::Wallet,
            _ => return Err(wrong(record, 12, "`card`, `cash` or `other`")),
        },
    };
    for (at, expected) in [(6, "a zone's number"), (7, "a zone's number"), (14, "a number of passengers")] {
        number::<u32>(record, at, expected)?;
    }
    number::<i64>(record, 10, whole)?;
    number::<i64>(record, 11, whole)?;
    Ok(trip)
}

fn number<T: FromStr>(record: &ByteRecord, at: usize, expected: &str) -> Result<T, Wrong> {
    let text = record.get(at).and_then(|field| std::str::from_utf8(field).ok());
    text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| wrong(record, at, expected))
}

fn wrong(record: &ByteRecord, at: usize, expected: &str) -> Wrong {
    let found = shown(record.get(at).unwrap_or_default());
    let name = COLUMNS.get(at).copied().unwrap_or("?");
    (at + 1, format!("`{name}` is `{found}`, expected {expected}"))
}

/// A field as text, short and on one line.
fn shown(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    let short: String = text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(40).is_some() { short + "…" } else { short }
}

#[cfg(test)]
mod tests;
