//! The event itself, decoded into its own type.

use std::ops::{Deref, DerefMut};

use txova_events::{Event as EventType, PayloadError};

use super::{FromEvent, Incoming, Needs};
use crate::outcome::HandlerError;

/// The event's payload as `T`, of the type and the major version that `T` says.
///
/// Any argument may be taken apart on the spot: `Event(ride): Event<RideCompleted>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event<T>(pub T);

/// Why `Event<T>` could not be read. The router has a policy for each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadProblem {
    #[error(
        "`{event_type}` has version {found:?}, and the handler reads `{expected}`: expected the same major version"
    )]
    Version { event_type: &'static str, found: String, expected: &'static str },
    #[error(transparent)]
    Decode(PayloadError),
}

impl<T: EventType> FromEvent for Event<T> {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        let version = &*incoming.envelope.version;
        if major(version) != major(T::VERSION) {
            let (event_type, found, expected) = (T::TYPE, version.to_owned(), T::VERSION);
            return Err(HandlerError::permanent(PayloadProblem::Version { event_type, found, expected }));
        }
        let payload = incoming.envelope.decode_payload::<T>();
        payload.map(Self).map_err(|error| HandlerError::permanent(PayloadProblem::Decode(error)).unlogged())
    }

    fn needs(needs: &mut Needs) {
        needs.event(T::TYPE, vec![T::TOPIC]);
    }
}

fn major(version: &str) -> &str {
    version.split_once('.').map_or(version, |(major, _)| major)
}

impl<T> Deref for Event<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Event<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
