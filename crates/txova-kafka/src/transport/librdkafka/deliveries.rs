//! Counts the records that have no answer yet, so that a flush waits for those handed over before it and for no later
//! ones. Knows nothing of Kafka.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The records sent between two flushes.
#[derive(Debug, Default)]
struct Age {
    open: AtomicUsize,
    done: Notify,
}

/// One record that has no answer yet; dropping it is the answer.
#[derive(Debug)]
pub(super) struct Open(Arc<Age>);

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.done.notify_waiters();
        }
    }
}

/// All records that have no answer yet, by age; the last age is open for new records.
#[derive(Debug)]
pub(super) struct Deliveries {
    ages: Mutex<Vec<Arc<Age>>>,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self { ages: Mutex::new(vec![Arc::default()]) }
    }
}

impl Deliveries {
    /// Counts one more. True where it is the only one.
    pub(super) fn open(&self) -> (Open, bool) {
        let ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lone = ages.iter().all(|age| age.open.load(Ordering::SeqCst) == 0);
        let age = ages.last().cloned().unwrap_or_default();
        age.open.fetch_add(1, Ordering::SeqCst);
        (Open(age), is_lone)
    }

    /// How many have no answer yet.
    pub(super) fn count(&self) -> usize {
        let ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        ages.iter().map(|age| age.open.load(Ordering::SeqCst)).sum()
    }

    /// Waits until all that were opened before this call are answered. Cancelling it loses nothing.
    pub(super) fn answered(&self) -> impl Future<Output = ()> + Send + use<> {
        let before: Vec<Arc<Age>> = {
            let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
            ages.retain(|age| age.open.load(Ordering::SeqCst) > 0);
            let before = ages.clone();
            ages.push(Arc::default());
            before
        };
        async move {
            for age in before {
                loop {
                    let done = age.done.notified();
                    tokio::pin!(done);
                    done.as_mut().enable(); // from here on no wake-up is missed
                    if age.open.load(Ordering::SeqCst) == 0 {
                        break;
                    }
                    done.await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_flush_waits_for_what_came_before_it_and_for_nothing_later() {
        let deliveries = Deliveries::default();
        let (before, is_lone) = deliveries.open();
        assert!(is_lone);
        let flush = deliveries.answered();
        let mut flush = std::pin::pin!(flush);
        let (later, is_lone) = deliveries.open();
        assert!(!is_lone);
        assert_eq!(flush.as_mut().now_or_never(), None, "one before it is open");
        drop(before);
        assert_eq!(flush.as_mut().now_or_never(), Some(()));
        assert_eq!(deliveries.count(), 1);
        drop(later);
        assert_eq!(deliveries.count(), 0);
    }
}
