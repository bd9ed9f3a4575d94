//! A member's journal as what it handled, from when to when.

use std::collections::HashMap;

use crate::clock::At;
use crate::journal::{End, Line, Note, Place};
use crate::process::{Fault, Faults};

/// How long the others may take to hear that a session is over.
const HEARD_SECONDS: f64 = 3.0;
/// How long after a handler has begun its first line may be written: on a busy machine another thread comes between, and
/// hears meanwhile that the partitions are lost.
pub(super) const WRITTEN_SECONDS: f64 = 0.1;

/// What one member did, and what was done to it.
pub(crate) struct Story {
    pub(crate) name: String,
    /// By their start.
    pub(crate) handlings: Vec<Handling>,
    pub(crate) notes: Vec<(At, Note)>,
    pub(crate) faults: Vec<Fault>,
    /// Longer than this is a stop that the group notices.
    pub(crate) session_seconds: f64,
}

/// One attempt at one record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handling {
    pub(crate) place: Place,
    pub(crate) key: u32,
    pub(crate) number: u32,
    pub(crate) attempt: u32,
    pub(crate) start: At,
    /// `None` where the process ended first.
    pub(crate) end: Option<(At, End)>,
}

impl Handling {
    /// When it said that the record is done with.
    pub(crate) fn settled(&self) -> Option<At> {
        self.end.filter(|(_, end)| matches!(end, End::Done | End::Refused)).map(|(at, _)| at)
    }
}

impl Story {
    pub(crate) fn new(name: &str, lines: &[Line], faults: &Faults, session_seconds: f64) -> Self {
        let (mut handlings, mut notes) = (Vec::<Handling>::new(), Vec::new());
        let mut open: HashMap<Place, Vec<usize>> = HashMap::new();
        for line in lines {
            match *line {
                Line::Start { at, place, key, number, attempt } => {
                    open.entry(place).or_default().push(handlings.len());
                    handlings.push(Handling { place, key, number, attempt, start: at, end: None });
                }
                Line::End { at, place, end } => {
                    let Some(waiting) = open.get_mut(&place).filter(|waiting| !waiting.is_empty()) else {
                        continue;
                    };
                    // Where a record is open twice, what was dropped is the older handling.
                    let which = if end == End::Dropped { 0 } else { waiting.len() - 1 };
                    handlings[waiting.remove(which)].end = Some((at, end));
                }
                Line::Note { at, note } => notes.push((at, note)),
            }
        }
        Self { name: name.to_owned(), handlings, notes, faults: faults.all(), session_seconds }
    }

    pub(crate) fn killed(&self) -> Option<At> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Killed(at) => Some(*at),
            Fault::Stopped { .. } => None,
        })
    }

    /// Stops that the group may have noticed.
    pub(crate) fn long_stops(&self) -> impl Iterator<Item = (At, At)> {
        self.faults.iter().filter_map(|fault| match fault {
            Fault::Stopped { from, to: Some(to) } => {
                (to.seconds_since(*from) > self.session_seconds * 0.8).then_some((*from, *to))
            }
            Fault::Stopped { from, to: None } => Some((*from, At(u64::MAX))),
            Fault::Killed(_) => None,
        })
    }

    /// From when to when a rebalance may have waited for this member: until it answers, or until its session is over
    /// and the others have heard of it.
    pub(crate) fn kept_others_waiting(&self) -> impl Iterator<Item = (At, At)> {
        let longest = ((self.session_seconds + HEARD_SECONDS) * 1e9) as u64;
        self.faults.iter().map(move |fault| match fault {
            Fault::Killed(at) => (*at, At(at.0 + longest)),
            Fault::Stopped { from, to } => (*from, to.unwrap_or(At(u64::MAX)).min(At(from.0 + longest))),
        })
    }

    /// When it last heard that its partitions were lost, where it had none since.
    pub(super) fn lost_before(&self, at: At) -> Option<At> {
        let mut changes = self.notes.iter().filter(|(_, note)| matches!(note, Note::Lost | Note::Assigned));
        let last = changes.rfind(|(when, _)| *when <= at);
        last.filter(|(_, note)| *note == Note::Lost).map(|(when, _)| *when)
    }

    pub(crate) fn noted(&self, wanted: Note) -> impl Iterator<Item = At> {
        self.notes.iter().filter(move |(_, note)| *note == wanted).map(|(at, _)| *at)
    }
}
