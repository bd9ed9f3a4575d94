//! The consumer groups of the platform's services: who reads, and who has stopped.

use txova_events::topics::{SERVICES, consumer_group};
use txova_kafka::Kafka;
use txova_kafka::admin::GroupInfo;

use super::{Check, TIMEOUT};
use crate::paint::{plural, thousands};

/// More than this is behind, by the platform's target.
const BEHIND: u64 = 1_000;

pub(super) async fn examine(kafka: &Kafka) -> Vec<Check> {
    let groups = match kafka.admin().groups(TIMEOUT).await {
        Ok(groups) => groups,
        Err(error) => return vec![Check::unanswered("groups", &error)],
    };
    let of_platform = SERVICES.map(consumer_group);
    let known: Vec<&GroupInfo> = groups.iter().filter(|group| of_platform.contains(&group.name)).collect();
    if known.is_empty() {
        return vec![Check::ok("groups", "none of the platform's services has ever read here")];
    }
    let names: Vec<&str> = known.iter().map(|group| &*group.name).collect();
    let topics: Vec<String> = match kafka.topics(&[], TIMEOUT).await {
        Ok(all) => all.into_iter().map(|(name, _)| name).filter(|name| !name.starts_with("__")).collect(),
        Err(error) => return vec![Check::unanswered("groups", &error)],
    };
    let topics: Vec<&str> = topics.iter().map(|name| &**name).collect();
    let lags = match kafka.lags(&names, &topics, TIMEOUT).await {
        Ok(lags) => lags,
        Err(error) => return vec![Check::unanswered("groups", &error)],
    };
    let checks = known.iter().zip(lags).map(|(group, lags)| {
        let read = lags.iter().filter(|lag| lag.committed.is_some());
        let open: u64 = read.clone().map(|lag| lag.open().max(0) as u64).sum();
        let failing: usize = read.map(|lag| lag.failing.len()).sum();
        check(group, open, failing)
    });
    checks.collect()
}

fn check(group: &GroupInfo, open: u64, failing: usize) -> Check {
    let members = plural(group.members.len() as u64, "member", "members");
    let found = format!("{}: {members}, {} to handle", group.name, thousands(open));
    let watch = format!("`txova-kafka lag {} --watch` shows whether it catches up.", group.name);
    if group.members.is_empty() && open > 0 {
        return Check::warn("groups", found, "Nobody reads: is the service running?");
    }
    if failing > 0 {
        let failing =
            plural(failing as u64, "record fails and is tried again", "records fail and are tried again");
        let advice = format!("`txova-kafka lag {} --partitions` shows which.", group.name);
        return Check::warn("groups", format!("{found}, {failing}"), advice);
    }
    if open > BEHIND {
        return Check::warn("groups", found, watch);
    }
    Check::ok("groups", found)
}

#[cfg(test)]
mod tests {
    use txova_kafka::admin::{GroupState, MemberInfo};

    use super::super::State;
    use super::*;

    #[test]
    fn a_group_that_nobody_reads_for_is_behind_or_fails_is_told() {
        let member = MemberInfo {
            id: "m".to_owned(),
            client_id: "c".to_owned(),
            host: "h".to_owned(),
            partitions: Vec::new(),
        };
        let group = |members: usize| GroupInfo {
            name: "ride-service-group".to_owned(),
            state: GroupState::Stable,
            members: vec![member.clone(); members],
        };
        let state = |members, open, failing| check(&group(members), open, failing).state;
        assert_eq!([state(1, 0, 0), state(1, 1_000, 0), state(0, 0, 0)], [State::Ok; 3]);
        assert_eq!([state(0, 1, 0), state(1, 1_001, 0), state(1, 0, 1)], [State::Warn; 3]);
    }
}
