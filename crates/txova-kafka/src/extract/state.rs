//! What the service itself brings: database pools, clients, settings. One value a type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;

use super::{FromEvent, Incoming, Needs};
use crate::outcome::HandlerError;

/// The service's value of type `S`, as given with [`Router::state`](crate::Router::state). A clone of it: make `S`
/// cheap to clone (a pool, an `Arc`).
///
/// A state nobody gave is an error when the router is built, not at the first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<S>(pub S);

impl<S: Clone + Send + Sync + 'static> FromEvent for State<S> {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        let state = incoming.states.get::<S>().cloned();
        state
            .map(Self)
            .ok_or_else(|| HandlerError::stop(format!("the router has no state `{}`", type_name::<S>())))
    }

    fn needs(needs: &mut Needs) {
        needs.state::<S>();
    }
}

impl<S> Deref for State<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

/// The values, by their types.
#[derive(Default)]
pub(crate) struct States(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl States {
    /// Whether it is the first of its type; another is not taken.
    pub(crate) fn insert<S: Send + Sync + 'static>(&mut self, state: S) -> bool {
        let id = TypeId::of::<S>();
        let is_first = !self.0.contains_key(&id);
        if is_first {
            self.0.insert(id, Box::new(state));
        }
        is_first
    }

    pub(crate) fn has(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }

    fn get<S: 'static>(&self) -> Option<&S> {
        self.0.get(&TypeId::of::<S>())?.downcast_ref()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states", self.0.len())
    }
}
