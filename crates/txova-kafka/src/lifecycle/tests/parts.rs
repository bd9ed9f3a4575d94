//! The straight way, and where it can be left.

use super::*;

#[tokio::test(start_paused = true)]
async fn parts_start_in_order_and_stop_in_reverse() {
    let diary = Diary::default();
    let (life, asks) = begin(["a", "b", "c"].map(|name| Part::new(name, &diary)));
    settled().await;
    assert_eq!(told(&diary), ["init a", "init b", "init c"]);
    asks.send("SIGTERM").unwrap();
    let report = life.await.unwrap();
    assert_eq!(told(&diary)[3..], ["close c", "close b", "close a"]);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.to_string(), "ended by SIGTERM");
}

#[tokio::test(start_paused = true)]
async fn what_only_starts_is_not_closed_and_what_only_closes_is_not_started() {
    let diary = Diary::default();
    let part = |name| Part::new(name, &diary);
    let life = Lifecycle::new().with_initializer(part("a")).with_closer(part("b")).with(part("c"));
    let report = life.run_until(settled()).await;
    assert_eq!(told(&diary), ["init a", "init c", "close c", "close b"]);
    assert_eq!(report.cause, Cause::Asked("the caller"));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_ends_by_itself_ends_the_life() {
    for (does, said, clean) in [
        (Does::Well, "ended because b did", true),
        (Does::Fails, "ended because b failed: the disk is full", false),
        (Does::Panics, "ended because b panicked: on purpose", false),
    ] {
        let diary = Diary::default();
        let b = Part { ends: Some((Duration::from_secs(60), does)), ..Part::new("b", &diary) };
        let (life, _asks) = begin([Part::new("a", &diary), b]);
        let report = life.await.unwrap();
        assert_eq!((report.to_string().as_str(), report.is_clean()), (said, clean));
        assert_eq!(told(&diary)[2..], ["end b", "close b", "close a"]);
    }
}
