//! Parts that fail, hang or panic where they are asked to do something, and signals that come when nobody expects them.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_part_that_does_not_start_stops_those_before_it_and_starts_none_behind_it() {
    for (does, said) in [
        (Does::Fails, "ended because b did not start; starting b failed: the disk is full"),
        (Does::Panics, "ended because b did not start; starting b panicked: on purpose"),
        (Does::Hangs, "ended because b did not start; starting b did not end in time (30.5 s)"),
    ] {
        let (diary, began) = (Diary::default(), Instant::now());
        let b = Part { init: does, ..Part::new("b", &diary) };
        let (life, _asks) = begin([Part::new("a", &diary), b, Part::new("c", &diary)]);
        let report = life.await.unwrap();
        assert_eq!(told(&diary), ["init a", "init b", "close a"]);
        assert_eq!((report.to_string().as_str(), report.is_clean()), (said, false));
        assert!(began.elapsed() < Duration::from_secs(31));
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_does_not_close_keeps_no_other_from_it() {
    for (does, said) in [
        (Does::Fails, "ended by SIGTERM; closing b failed: the disk is full"),
        (Does::Panics, "ended by SIGTERM; closing b panicked: on purpose"),
        (Does::Hangs, "ended by SIGTERM; closing b did not end in time (40.5 s)"),
    ] {
        let (diary, began) = (Diary::default(), Instant::now());
        let b = Part { close: does, ..Part::new("b", &diary) };
        let (life, asks) = begin([Part::new("a", &diary), b, Part::new("c", &diary)]);
        settled().await;
        asks.send("SIGTERM").unwrap();
        let report = life.await.unwrap();
        assert_eq!(told(&diary)[3..], ["close c", "close b", "close a"]);
        assert_eq!((report.to_string().as_str(), report.is_clean()), (said, false));
        assert!(began.elapsed() < Duration::from_secs(41));
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_while_starting_stops_what_has_started() {
    let diary = Diary::default();
    let b = Part { init: Does::Hangs, ..Part::new("b", &diary) };
    let (life, asks) = begin([Part::new("a", &diary), b, Part::new("c", &diary)]);
    settled().await;
    let began = Instant::now();
    asks.send("SIGINT").unwrap();
    let report = life.await.unwrap();
    assert_eq!(told(&diary), ["init a", "init b", "close a"]);
    assert_eq!(report.to_string(), "ended by SIGINT; starting b was cut short");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_the_closing_at_once_and_the_report_names_those_it_left() {
    let diary = Diary::default();
    let b = Part { close: Does::Hangs, ..Part::new("b", &diary) };
    let (life, asks) = begin([Part::new("a", &diary), b, Part::new("c", &diary)]);
    settled().await;
    let began = Instant::now();
    asks.send("SIGTERM").unwrap();
    settled().await;
    asks.send("SIGTERM").unwrap();
    let report = life.await.unwrap();
    assert_eq!(told(&diary)[3..], ["close c", "close b"]);
    let left = "ended by SIGTERM; closing b was cut short; closing a was cut short";
    assert_eq!(report.to_string(), left);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_signal_while_closing_after_a_failure_is_the_first_and_ends_nothing_at_once() {
    let diary = Diary::default();
    let failing = Part { ends: Some((Duration::ZERO, Does::Fails)), ..Part::new("b", &diary) };
    let slow = Part { close: Does::Hangs, ..Part::new("a", &diary) };
    let (life, asks) = begin([slow, failing]);
    settled().await;
    asks.send("SIGTERM").unwrap();
    let report = life.await.unwrap();
    assert!(report.to_string().ends_with("closing a did not end in time (40.5 s)"), "{report}");
}
