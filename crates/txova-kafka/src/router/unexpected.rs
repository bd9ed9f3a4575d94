//! Records that no handler can be given, and what becomes of them. It must never know handlers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::outcome::ErrorClass;

/// What may arrive that no handler can be given. Each has its [`Policy`]; none is ever dropped unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unexpected {
    /// A record without a value. Ignored unless set otherwise.
    Tombstone,
    /// Bytes that are no event envelope. Dead-lettered unless set otherwise.
    NoEnvelope,
    /// A type that no handler takes and the catalogue does not list. Dead-lettered unless set otherwise.
    UnknownType,
    /// A type of the catalogue that no handler here takes: a topic carries more than one service wants. Ignored
    /// unless set otherwise.
    Unhandled,
    /// An event whose major version is not the handler's. Dead-lettered unless set otherwise.
    UnsupportedVersion,
    /// A payload that is not what its type says. Dead-lettered unless set otherwise.
    Undecodable,
}

/// What becomes of an [`Unexpected`] record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Counted and settled; nothing is kept.
    Ignore,
    /// Kept in the dead letters, with the reason.
    DeadLetter,
    /// The app stops, and the record stays unsettled.
    Stop,
}

impl Unexpected {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Tombstone,
        Self::NoEnvelope,
        Self::UnknownType,
        Self::Unhandled,
        Self::UnsupportedVersion,
        Self::Undecodable,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::NoEnvelope => "no_envelope",
            Self::UnknownType => "unknown_type",
            Self::Unhandled => "unhandled",
            Self::UnsupportedVersion => "unsupported_version",
            Self::Undecodable => "undecodable",
        }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Policy {
    pub(super) fn class(self) -> ErrorClass {
        match self {
            Self::Ignore => ErrorClass::Skip,
            Self::DeadLetter => ErrorClass::Permanent,
            Self::Stop => ErrorClass::Stop,
        }
    }
}

/// The policy of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policies([Policy; Unexpected::ALL.len()]);

impl Default for Policies {
    fn default() -> Self {
        Self(Unexpected::ALL.map(|kind| match kind {
            Unexpected::Tombstone | Unexpected::Unhandled => Policy::Ignore,
            _ => Policy::DeadLetter,
        }))
    }
}

impl Policies {
    pub(super) fn set(&mut self, kind: Unexpected, policy: Policy) {
        self.0[kind as usize] = policy;
    }

    pub(super) fn of(&self, kind: Unexpected) -> Policy {
        self.0[kind as usize]
    }
}

/// How many of each kind have been seen, attempts counted.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; Unexpected::ALL.len()]);

impl Counts {
    pub(super) fn add(&self, kind: Unexpected) {
        self.0[kind as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn of(&self, kind: Unexpected) -> u64 {
        self.0[kind as usize].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_policy_and_a_count_of_its_own() {
        let (mut policies, counts) = (Policies::default(), Counts::default());
        for (n, kind) in Unexpected::ALL.into_iter().enumerate() {
            policies.set(kind, Policy::Stop);
            (0..=n).for_each(|_| counts.add(kind));
        }
        for (n, kind) in Unexpected::ALL.into_iter().enumerate() {
            assert_eq!((policies.of(kind), counts.of(kind)), (Policy::Stop, n as u64 + 1), "{kind}");
        }
    }
}
