//! `dev`.

use crate::clusters::Dev;
use crate::run::{on, run};

#[test]
fn the_cluster_has_the_platforms_topics_and_those_that_are_asked_for() {
    let dev = Dev::start(&["--partitions", "4", "--topic", "parcels.v1:2"]);
    assert_eq!(dev.up["topics"]["txova.rides.v1"], 4);
    assert_eq!(dev.up["topics"]["txova.rides.v1.dlq"], 4);
    assert_eq!(dev.up["topics"]["parcels.v1"], 2);
    on(&dev.brokers, &["tail", "parcels.v1", "--no-follow"]).ok();
}

#[test]
fn trips_are_seeded_and_can_be_followed_in_the_order_of_time() {
    let dev = Dev::start(&["--seed-trips", "--rate", "0"]);
    let seen = on(&dev.brokers, &["tail", "--from", "earliest", "-n", "500", "--json"]).ok().objects();
    assert_eq!(seen.len(), 500);
    let requested = seen.iter().filter(|record| record["value"]["type"] == "ride.requested").count();
    assert!(requested > 10, "{requested} of 500 records are requests");
}

#[test]
fn what_no_cluster_can_have_is_refused() {
    run(&["dev", "--partitions", "0"]).failed(2, &["--partitions"]);
    run(&["dev", "--topic", "x:none"]).failed(2, &["none partitions: expected 1 to 100"]);
    run(&["dev", "--rate", "5"]).failed(2, &["--seed-trips"]);
}
