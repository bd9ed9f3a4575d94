//! The last commit of partitions that go back, or of a member that leaves: it has no successor that could make up for
//! it, so it is made again while the group is between two generations. It must never outlast its deadline, nor speak for
//! a partition that is no longer this member's.

use std::thread;
use std::time::{Duration, Instant};

use super::committer::Committed;
use crate::client_error::{ClientError, ClientErrorKind};

/// Between two tries. The group is through as soon as its slowest member has joined.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The broker refuses commits between JoinGroup and SyncGroup (`REBALANCE_IN_PROGRESS`), and those of the generation
/// before (`ILLEGAL_GENERATION`) until the client knows the new one. Partitions that were not given back stay this
/// member's through it all, so that the same commit is right afterwards.
///
/// Commits until then, and until `until` at the latest.
pub(super) fn once_stable(
    until: Instant,
    owned: impl Fn() -> Result<(), ClientError>,
    lost: impl Fn() -> bool,
    mut commit: impl FnMut() -> Committed,
) -> Committed {
    loop {
        owned()?;
        let answer = commit();
        let between = matches!(&answer, Err(failed) if failed.error.kind == ClientErrorKind::StaleMember);
        if !between || lost() || Instant::now() + AGAIN_AFTER >= until {
            return answer;
        }
        thread::sleep(AGAIN_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn gone() -> Result<(), ClientError> {
        Err(ClientError::new(ClientErrorKind::StaleMember, "RebalanceInProgress"))
    }

    fn stale() -> Committed {
        Ok(gone()?)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_last_commit_is_made_again_while_the_group_rebalances() {
        let tries = Cell::new(0);
        let commit = || {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { stale() } else { Ok(()) }
        };
        assert_eq!(once_stable(soon(), || Ok(()), || false, commit), Ok(()));
        assert_eq!(tries.get(), 3);
    }

    #[test]
    fn it_is_not_made_again_for_partitions_that_are_lost_or_over_or_after_its_deadline() {
        let tries = Cell::new(0);
        let commit = || {
            tries.set(tries.get() + 1);
            stale()
        };
        assert_eq!(once_stable(soon(), || Ok(()), || true, commit), stale(), "lost");
        assert_eq!(once_stable(Instant::now(), || Ok(()), || false, commit), stale(), "late");
        assert_eq!(tries.get(), 2);
        assert_eq!(once_stable(soon(), gone, || false, commit), stale(), "no longer owned");
        assert_eq!(tries.get(), 2, "what is no longer owned is not even tried");
    }

    #[test]
    fn any_other_refusal_is_answered_at_once() {
        let refused = || Err(ClientError::new(ClientErrorKind::Authorization, "not for you").into());
        assert_eq!(once_stable(soon(), || Ok(()), || false, refused), refused());
    }
}
