//! `groups`.

use txova_kafka::Raw;

use crate::clusters::{Dev, TIMEOUT, group, kafka, real, topic, wait};
use crate::run::{on, run};

fn committed(brokers: &str, group: &str, topic: &str) -> Option<i64> {
    let lags = wait(kafka(brokers).lag(group, &[topic], TIMEOUT)).unwrap();
    lags[0].committed
}

#[test]
fn what_cannot_be_done_is_told() {
    let dev = Dev::start(&[]);
    on(&dev.brokers, &["groups", "ls"]).failed(3, &["the groups", "UnsupportedFeature"]);
    on(&dev.brokers, &["groups", "reset", "nobody", "--to", "earliest"])
        .failed(2, &["nobody has committed nothing"]);
    run(&["groups", "reset", "x"]).failed(2, &["--to"]);
    run(&["groups", "reset", "x", "--to", "yesterday"]).failed(2, &["--to", "15m"]);
    run(&["groups", "reset", "x", "--to", "latest", "--yes", "--dry-run"]).failed(2, &["--dry-run"]);
}

#[test]
fn a_reset_shows_its_plan_and_changes_nothing_without_the_word() {
    let Some(brokers) = real("groups reset") else { return };
    let topic = topic(&brokers, 9);
    let group = group(&brokers, &topic, 6);
    on(&brokers, &["groups", "ls"]).ok().says(&[&group]);
    let reset = ["groups", "reset", &group, "--to", "2", "--partition", "0"];
    let plan = on(&brokers, &reset).ok().says(&["4 records come again, 0 records are passed over"]);
    assert!(plan.err.contains("Nothing was changed. With --yes this is done."), "{plan:?}");
    on(&brokers, &[&reset[..], &["--dry-run"]].concat()).ok();
    assert_eq!(committed(&brokers, &group, &topic), Some(6));

    let told = on(&brokers, &[&reset[..], &["--yes", "--json"]].concat()).ok().objects().remove(0);
    assert_eq!((&told["done"], &told["moves"][0]["again"]), (&true.into(), &4.into()));
    assert_eq!(committed(&brokers, &group, &topic), Some(2));
    on(&brokers, &["groups", "reset", &group, "--to", "latest", "--yes"])
        .ok()
        .says(&["0 records come again, 7 records are passed over", "done"]);
    assert_eq!(committed(&brokers, &group, &topic), Some(9));
    on(&brokers, &["groups", "reset", &group, "--to", "1d", "--yes"]).ok();
    assert_eq!(committed(&brokers, &group, &topic), Some(0), "all are younger than a day");
}

#[test]
fn what_is_not_there_is_told_before_anything_changes() {
    let Some(brokers) = real("mistakes of groups reset") else { return };
    let topic = topic(&brokers, 3);
    let group = group(&brokers, &topic, 1);
    let refused = |more: &[&str], told: &[&str]| {
        on(&brokers, &[&["groups", "reset", &group, "--yes", "--to"], more].concat()).failed(2, told);
    };
    refused(&["500"], &["has offsets 0 to 3, not 500"]);
    refused(&["earliest", "--partition", "7"], &["none of the topics has a partition 7"]);
    assert_eq!(committed(&brokers, &group, &topic), Some(1));
}

#[test]
fn a_group_with_members_is_left_alone() {
    let Some(brokers) = real("a reset of an active group") else { return };
    let topic = topic(&brokers, 3);
    let group = crate::clusters::name("group");
    wait(async {
        let app = kafka(&brokers)
            .app("test")
            .consumer(|consumer| consumer.group = Some(group.clone()))
            .on("*", async |_: Raw| Ok::<(), txova_kafka::HandlerError>(()))
            .topics([&*topic])
            .build()
            .unwrap();
        let handle = app.handle();
        let running = tokio::spawn(app.run());
        assert!(
            tokio::time::timeout(TIMEOUT, async {
                while kafka(&brokers).admin().groups(TIMEOUT).await.unwrap().iter().all(|found| {
                    found.name != group || found.members.iter().all(|member| member.partitions.is_empty())
                }) {}
            })
            .await
            .is_ok()
        );
        let (refused, listed) = tokio::task::spawn_blocking({
            let (brokers, group) = (brokers.clone(), group.clone());
            move || {
                let reset = ["groups", "reset", &group, "--to", "latest", "--yes"];
                (on(&brokers, &reset), on(&brokers, &["groups", "ls", "--members", "--json"]))
            }
        })
        .await
        .unwrap();
        refused.failed(3, &["has 1 member", "Stop its service first"]);
        let listed = listed.ok().objects();
        let mine = listed.iter().find(|listed| listed["group"] == *group).unwrap();
        assert_eq!(mine["members"][0]["partitions"].as_array().unwrap().len(), 2);
        handle.close(TIMEOUT).await;
        running.await.unwrap().unwrap();
    });
}
