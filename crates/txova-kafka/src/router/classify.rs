//! A function of the service's that says what class an error has. It must never know records.

use std::fmt;
use std::sync::Arc;

use crate::outcome::{ErrorClass, HandlerError};

/// Asked of each error a handler returns.
#[derive(Clone)]
pub(super) struct Classify(Arc<dyn Fn(&HandlerError) -> ErrorClass + Send + Sync>);

impl Classify {
    pub(super) fn new(class_of: impl Fn(&HandlerError) -> ErrorClass + Send + Sync + 'static) -> Self {
        Self(Arc::new(class_of))
    }

    pub(super) fn apply(&self, error: HandlerError) -> HandlerError {
        let class = (self.0)(&error);
        error.with_class(class)
    }
}

impl fmt::Debug for Classify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classify")
    }
}
