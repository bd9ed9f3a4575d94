//! Several of them as one: for a batch, in which each event comes with its own.

use super::{FromEvent, Incoming, Needs};
use crate::outcome::HandlerError;

macro_rules! together {
    ($($extractor:ident)*) => {
        /// Taken together, in this order: `Vec<(Event<T>, Meta)>`.
        impl<$($extractor: FromEvent),*> FromEvent for ($($extractor,)*) {
            fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
                Ok(($($extractor::from_event(incoming)?,)*))
            }

            fn needs(needs: &mut Needs) {
                $($extractor::needs(needs);)*
            }
        }
    };
}

together!(A B);
together!(A B C);
together!(A B C D);
