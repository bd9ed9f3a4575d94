//! What is kept of the records that have no answer yet, by number, so that a flush waits for those handed over before it
//! and for no later ones. A record costs a lock at each end and no allocation. Knows nothing of Kafka.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slab::Slab;
use tokio::sync::oneshot;

/// All records that have no answer yet, with `T` for each.
pub(super) struct Deliveries<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// With how many flushes had begun before it.
    open: Slab<(u64, T)>,
    flushes_begun: u64,
    /// Those that still wait.
    flushes: Vec<Flush>,
}

struct Flush {
    number: u64,
    /// Records it waits for.
    left: usize,
    _done: Done,
}

/// Dropped, it is told.
type Done = oneshot::Sender<()>;

/// The flushes that waited for a record last. Dropped when its answer has reached everybody, it lets them end.
#[must_use = "a flush ends behind the answers it waits for"]
pub(super) struct Ending {
    _over: Vec<Flush>,
}

impl<T> Default for Deliveries<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { open: Slab::new(), flushes_begun: 0, flushes: Vec::new() }) }
    }
}

impl<T> fmt::Debug for Deliveries<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl<T> Deliveries<T> {
    /// Keeps what belongs to a record; its number, and true where it is the only one.
    pub(super) fn open(&self, kept: T) -> (usize, bool) {
        let mut state = self.lock();
        let is_lone = state.open.is_empty();
        let begun = state.flushes_begun;
        (state.open.insert((begun, kept)), is_lone)
    }

    /// The record of that number has its answer. `None` where there is none of that number.
    pub(super) fn close(&self, number: usize) -> Option<(T, Ending)> {
        let mut state = self.lock();
        let (begun, kept) = state.open.try_remove(number)?;
        if state.flushes.is_empty() {
            return Some((kept, Ending { _over: Vec::new() }));
        }
        for flush in state.flushes.iter_mut().filter(|flush| flush.number > begun) {
            flush.left -= 1;
        }
        let _over = state.flushes.extract_if(.., |flush| flush.left == 0).collect();
        Some((kept, Ending { _over }))
    }

    /// How many have no answer yet.
    pub(super) fn count(&self) -> usize {
        self.lock().open.len()
    }

    /// Waits until all that were opened before this call are answered. Cancelling it loses nothing.
    pub(super) fn answered(&self) -> impl Future<Output = ()> + Send + use<T> {
        let (done, told) = oneshot::channel();
        let mut state = self.lock();
        state.flushes_begun += 1;
        let (number, left) = (state.flushes_begun, state.open.len());
        if left > 0 {
            state.flushes.push(Flush { number, left, _done: done });
        }
        async move {
            told.await.ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_flush_waits_for_what_came_before_it_and_for_nothing_later() {
        let deliveries = Deliveries::default();
        let (before, is_lone) = deliveries.open("before");
        assert!(is_lone);
        let mut flush = std::pin::pin!(deliveries.answered());
        let (later, is_lone) = deliveries.open("later");
        assert!(!is_lone);
        assert_eq!(flush.as_mut().now_or_never(), None, "one before it is open");
        let (kept, ending) = deliveries.close(before).unwrap();
        assert_eq!((kept, flush.as_mut().now_or_never()), ("before", None), "its answer is on its way");
        drop(ending);
        assert_eq!((flush.as_mut().now_or_never(), deliveries.count()), (Some(()), 1));
        assert_eq!(deliveries.close(later).map(|(kept, _)| kept), Some("later"));
        assert_eq!(deliveries.count(), 0);
    }

    #[test]
    fn each_flush_ends_with_the_last_of_its_own_and_one_that_nobody_awaits_holds_nothing() {
        let deliveries = Deliveries::default();
        assert_eq!(deliveries.answered().now_or_never(), Some(()), "nothing is open");
        let (first, _) = deliveries.open(1);
        let mut early = std::pin::pin!(deliveries.answered());
        let (second, _) = deliveries.open(2);
        let mut late = std::pin::pin!(deliveries.answered());
        drop(deliveries.answered());
        drop(deliveries.close(second));
        assert_eq!((early.as_mut().now_or_never(), late.as_mut().now_or_never()), (None, None));
        drop(deliveries.close(first));
        assert_eq!((early.now_or_never(), late.now_or_never()), (Some(()), Some(())));
        assert!(deliveries.lock().flushes.is_empty());
    }
}
