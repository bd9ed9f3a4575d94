//! How often and how long one handler's records are tried again, where that differs from the app's. It must never know
//! records.

use std::time::Duration;

use crate::engine::Retry;

/// Retries of one handler, given with [`Router::retry`](crate::Router::retry). What is not said is as the consumer's
/// settings have it.
///
/// ```
/// use txova_kafka::RetryPolicy;
///
/// // A push notification that is late is worth nothing: twice more within ten seconds, then a dead letter.
/// let hasty = RetryPolicy { max_retries: Some(2), max_elapsed_ms: Some(10_000), ..RetryPolicy::default() };
/// assert_eq!(hasty.backoff_ms, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first; in place of `consumer.max_retries`.
    pub max_retries: Option<u32>,
    /// The first wait; in place of `consumer.retry_backoff_ms`.
    pub backoff_ms: Option<u64>,
    /// The longest wait; in place of `consumer.retry_backoff_max_ms`.
    pub backoff_max_ms: Option<u64>,
    /// No attempt begins later than this after the first failure; in place of `consumer.retry_max_elapsed_ms`.
    pub max_elapsed_ms: Option<u64>,
}

impl RetryPolicy {
    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        match *self {
            Self { backoff_ms: Some(0), .. } => Some("`backoff_ms` is 0, expected at least 1".to_owned()),
            Self { max_elapsed_ms: Some(0), .. } => Some(
                "`max_elapsed_ms` is 0, expected at least 1; `max_retries` 0 is for no retries".to_owned(),
            ),
            Self { backoff_ms: Some(first), backoff_max_ms: Some(most), .. } if most < first => {
                Some(format!("`backoff_max_ms` is {most}, expected at least `backoff_ms`, {first}"))
            }
            _ => None,
        }
    }

    /// The app's retries with what is said here in place.
    pub(crate) fn over(&self, app: &Retry) -> Retry {
        let ms = Duration::from_millis;
        let backoff = self.backoff_ms.map_or(app.backoff, ms);
        Retry {
            max_retries: self.max_retries.unwrap_or(app.max_retries),
            backoff,
            max_backoff: self.backoff_max_ms.map_or(app.max_backoff, ms).max(backoff),
            max_elapsed: self.max_elapsed_ms.map(ms).or(app.max_elapsed),
            ..app.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handler_does_not_say_is_as_the_app_has_it() {
        let app = Retry { max_elapsed: Some(Duration::from_secs(9)), ..Retry::default() };
        let hasty = RetryPolicy { max_retries: Some(0), backoff_ms: Some(90_000), ..RetryPolicy::default() };
        let both = hasty.over(&app);
        assert_eq!((both.max_retries, both.backoff), (0, Duration::from_secs(90)));
        assert_eq!((both.max_backoff, both.max_elapsed), (Duration::from_secs(90), app.max_elapsed));
        assert_eq!(both.jitter, app.jitter);
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_name() {
        let wrong = |policy: RetryPolicy| policy.problem().unwrap_or_default();
        assert!(
            wrong(RetryPolicy { backoff_ms: Some(0), ..RetryPolicy::default() }).contains("`backoff_ms`")
        );
        assert!(
            wrong(RetryPolicy { max_elapsed_ms: Some(0), ..RetryPolicy::default() })
                .contains("`max_elapsed_ms`")
        );
        let crossed = RetryPolicy { backoff_ms: Some(9), backoff_max_ms: Some(3), ..RetryPolicy::default() };
        assert!(wrong(crossed).contains("`backoff_max_ms` is 3"));
        assert_eq!(RetryPolicy::default().problem(), None);
    }
}
