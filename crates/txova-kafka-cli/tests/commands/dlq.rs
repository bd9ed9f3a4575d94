//! `dlq`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use txova_kafka::{NewTopic, OutgoingRecord, TopicPartition};

use crate::clusters::{Dev, Own, TIMEOUT, kafka, name, real, wait};
use crate::run::{command, on, run};

const GROUP: &str = "depot-group";

/// A letter as it lies on its topic, about the record at this offset of partition 0.
fn letter(topic: &str, offset: i64, error: &str) -> String {
    json!({
        "original_topic": topic,
        "original_partition": 0,
        "original_offset": offset,
        "error_message": error,
        "attempt_count": 4,
        "first_failure": "2026-11-24T08:00:00Z",
        "last_failure": "2026-11-24T08:00:07Z",
        "envelope": {
            "id": format!("event-{offset}"), "type": "parcel.moved", "version": "1.0", "source": "depot",
            "timestamp": "2026-11-24T07:59:59Z", "correlation_id": "c", "payload": {"weight": -offset}
        },
        "original_key": format!("key {}", offset % 7),
        "error_class": "permanent",
        "handler": "store",
        "consumer_group": GROUP,
        "library_version": "txova-kafka 0.1.0"
    })
    .to_string()
}

/// A topic of its own with these values on its dead-letter topic.
fn topic_with(brokers: &str, letters: impl Fn(&str) -> Vec<String>) -> String {
    let topic = name("dlq");
    make(brokers, &topic);
    put(brokers, &topic, letters(&topic));
    topic
}

fn make(brokers: &str, topic: &str) {
    let kafka = kafka(brokers);
    wait(async {
        let new = NewTopic { name: topic.to_owned(), partitions: 1, replication: 1, settings: Vec::new() };
        kafka.create_topics(vec![new], TIMEOUT).await.unwrap();
        kafka.create_dead_letter_topics(&[topic]).await.unwrap();
    });
}

/// Writes these values onto the topic's dead-letter topic.
fn put(brokers: &str, topic: &str, letters: Vec<String>) {
    let kafka = kafka(brokers);
    wait(async {
        let publisher = kafka.publisher("depot").unwrap();
        let sent: Vec<_> = letters
            .into_iter()
            .map(|value| {
                publisher.publish_record(OutgoingRecord {
                    topic: format!("{topic}.dlq").into(),
                    partition: Some(0),
                    value: Some(value.into()),
                    ..Default::default()
                })
            })
            .collect();
        for sent in sent {
            sent.await.unwrap();
        }
        publisher.close(TIMEOUT).await;
    });
}

/// The offset behind the last record there is.
fn end(brokers: &str, topic: &str) -> i64 {
    let at = [TopicPartition::new(topic, 0)];
    wait(kafka(brokers).admin().log_ends(&at, TIMEOUT)).unwrap()[0].end
}

/// The entries that were sent back to the topic, as their headers name them.
fn sent_back(brokers: &str, topic: &str) -> Vec<String> {
    let shown = on(brokers, &["tail", topic, "--from", "earliest", "--no-follow", "--json"]).ok();
    let header = |record: &Value| {
        let headers = record["headers"].to_string();
        let at = headers.find("redrive_entry")?;
        let rest = &headers[at..];
        let from = rest.find(&format!("{topic}.dlq/"))?;
        Some(rest[from..].split('"').next()?.to_owned())
    };
    shown.objects().iter().filter_map(header).collect()
}

/// The topic that docs/cli.md shows.
pub(crate) fn topic_of_the_page(brokers: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let topic = format!("rides-{}.v1", &id[..4]);
    make(brokers, &topic);
    let of = |offset: i64, error: &str, handler: &str| {
        let letter = letter(&topic, offset, error);
        letter.replace("\"store\"", &format!("\"{handler}\"")).replace(GROUP, "payment-service-group")
    };
    let refused = (0..31).map(|at| of(at, &format!("the gateway refuses card {at}"), "charge"));
    let negative = (31..36).map(|at| of(at, &format!("a fare of -{at}.00 MZN cannot be charged"), "charge"));
    let of_go = json!({
        "original_topic": topic, "original_partition": 0, "original_offset": 0,
        "error_message": "context deadline exceeded", "attempt_count": 3,
        "first_failure": "2026-11-24T08:00:00Z", "last_failure": "2026-11-24T08:00:03Z", "envelope": null
    });
    let others = [of_go.to_string(), "no json".to_owned()];
    put(brokers, &topic, refused.chain(negative).chain(others).collect());
    topic
}

#[test]
fn what_is_said_wrongly_is_refused_before_a_cluster_is_asked() {
    run(&["dlq", "ls", "--jq", ".a |"]).failed(2, &["--jq", "no jq expression"]);
    run(&["dlq", "ls", "--offsets", "7"]).failed(2, &["--offsets", "100..200"]);
    run(&["dlq", "ls", "--since", "soon"]).failed(2, &["--since", "an age"]);
    run(&["dlq", "discard", "--yes"]).failed(2, &["--why is missing"]);
    run(&["dlq", "replay", "--plan", "/nowhere"]).failed(2, &["--plan /nowhere", "--dry-run --out"]);
    run(&["dlq", "replay", "--merge", "{"]).failed(2, &["--merge", "expected JSON"]);
}

#[test]
fn what_is_no_dead_letter_is_listed_as_such_and_stops_no_command() {
    let Some(brokers) = real("dlq with malformed entries") else { return };
    let topic = topic_with(&brokers, |topic| {
        vec![
            letter(topic, 0, "parcel 0 has no weight"),
            "no json".to_owned(),
            "{}".to_owned(),
            r#"{"original_offset":"seven"}"#.to_owned(),
            letter(topic, 4, "parcel 4 has no weight")
                .replace("{\"attempt", "{\"of_a_newer_version\":{\"a\":[1]},\"attempt"),
        ]
    });
    on(&brokers, &["dlq", "ls", &topic]).ok().says(&["no dead letter", "5 entries"]);
    let kinds = on(&brokers, &["dlq", "ls", &topic, "--json"]).ok().objects();
    let count = |fingerprint: &str| {
        kinds
            .iter()
            .filter(|kind| kind["fingerprint"] == fingerprint)
            .map(|kind| kind["count"].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(count(""), 2, "{kinds:?}");
    on(&brokers, &["dlq", "ls", &topic, "--each"]).ok().says(&["no dead letter: ", "parcel 4 has no weight"]);
    on(&brokers, &["dlq", "show", &format!("{topic}.dlq/0/1")]).ok().says(&["no dead letter"]);
    on(&brokers, &["dlq", "show", &format!("{topic}.dlq/0/4")]).ok().says(&[
        "key 4",
        "store",
        "\"weight\": -4",
    ]);
    on(&brokers, &["dlq", "stats", &topic]).says(&["2 entries", "are no dead letters"]);
    assert_eq!(on(&brokers, &["dlq", "export", &topic]).ok().objects().len(), 5);
    let done = on(&brokers, &["dlq", "replay", &topic, "--yes", "--json"]).ok().objects().remove(0);
    assert_eq!((&done["replayed"], done["unreadable"].as_array().unwrap().len()), (&json!(2), 2), "{done}");

    // By its place it can be decided about all the same.
    let entry = format!("{topic}.dlq/0/1");
    for (act, state) in [("quarantine", "quarantined"), ("reopen", "open"), ("discard", "discarded")] {
        on(&brokers, &["dlq", act, "--entry", &entry, "--why", "a test", "--yes"]).ok().says(&["1  decided"]);
        assert!(states(&brokers, &topic).contains(&(entry.clone(), state.to_owned())), "{act}");
    }
    let file = std::env::temp_dir().join(format!("{topic}.jsonl"));
    std::fs::write(&file, on(&brokers, &["dlq", "export", &topic]).ok().out).unwrap();
    let imported = on(&brokers, &["dlq", "import", file.to_str().unwrap(), "--yes"]).ok();
    assert!(imported.err.contains("2 lines are no letters and are passed over"), "{imported:?}");
    std::fs::remove_file(&file).unwrap();
    watch_tells_what_is_no_letter(&brokers, &topic);
}

fn watch_tells_what_is_no_letter(brokers: &str, topic: &str) {
    let watch = ["dlq", "watch", topic, "--every", "100ms", "--brokers", brokers];
    let mut child = command(&watch).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(notes.any(|note| note.unwrap().contains("entries so far")), "it has looked once");
    put(brokers, topic, vec!["no json".to_owned(), letter(topic, 7, "it goes on")]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(lines[0].contains("is no dead letter") && lines[1].contains("it goes on"), "{lines:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_dry_run_changes_nothing_its_plan_is_done_exactly_and_nobody_is_asked_twice() {
    let Some(brokers) = real("dlq replay --plan") else { return };
    let topic = topic_with(&brokers, |topic| {
        let heavy = (0..6).map(|offset| letter(topic, offset, &format!("{offset}.5 kg are too much")));
        heavy.chain((6..9).map(|offset| letter(topic, offset, "the shelf is full"))).collect()
    });
    let file = std::env::temp_dir().join(format!("{topic}.json"));
    let plan = file.to_str().unwrap();
    let ends = || (end(&brokers, &topic), end(&brokers, &format!("{topic}.dlq")));
    let before = ends();
    let dry = [
        "dlq",
        "replay",
        &topic,
        "--error",
        "TOO MUCH",
        "--jq",
        ".original_offset > 1",
        "--dry-run",
        "--out",
        plan,
    ];
    on(&brokers, &dry).ok().says(&["4  dead letters would be replayed", "5  left out: not meant"]);
    let refused = on(&brokers, &["dlq", "replay", "--plan", plan]);
    assert_eq!(refused.code, 1, "nobody can be asked: {refused:?}");
    assert_eq!(ends(), before);
    let done = on(
        &brokers,
        &["dlq", "replay", "--plan", plan, "--yes", "--by", "ana", "--merge", r#"{"weight":1}"#],
    )
    .ok();
    done.says(&["4  replayed", "5  passed over"]);
    on(&brokers, &["dlq", "replay", "--plan", plan, "--yes"]).ok().says(&["4  resolved before"]);
    let sent = sent_back(&brokers, &topic);
    assert_eq!(sent.len(), 4, "{sent:?}");
    on(&brokers, &["dlq", "discard", &topic, "--error", "shelf", "--why", "it was empty", "--yes"])
        .ok()
        .says(&["3  decided"]);
    on(&brokers, &["dlq", "ls", &topic]).ok().says(&["2 entries of 1 kind"]);
    on(&brokers, &["dlq", "show", &sent[0]]).ok().says(&["replayed, by ana", "redrive by ana"]);

    // On another topic of the same name they would come again; here all of them are there.
    let exported = on(&brokers, &["dlq", "export", &topic]).ok();
    std::fs::write(&file, &exported.out).unwrap();
    on(&brokers, &["dlq", "import", plan, "--yes"]).ok().says(&["0 letters put there, 9 were there already"]);
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_payload_is_changed_by_either_kind_of_patch_and_one_that_it_does_not_fit_leaves_the_letter_open() {
    let Some(brokers) = real("dlq replay --merge and --patch") else { return };
    let topic = topic_with(&brokers, |topic| (1..4).map(|at| letter(topic, at, "no weight")).collect());
    let before = on(&brokers, &["dlq", "export", &topic]).ok().objects();
    let entry = |at: usize| format!("{topic}.dlq/0/{at}");
    let file = std::env::temp_dir().join(format!("{topic}.patch.json"));
    let patch = file.to_str().unwrap();
    let replay = |at: usize, change: [&str; 2]| {
        let entry = entry(at);
        let replay = ["dlq", "replay", "--entry", &entry, "--yes"];
        on(&brokers, &[&replay[..], &change[..]].concat())
    };
    replay(0, ["--merge", r#"{"weight":null,"kg":7}"#]).ok().says(&["1  replayed"]);
    std::fs::write(
        &file,
        r#"[{"op":"test","path":"/weight","value":-2},{"op":"add","path":"/kg","value":8}]"#,
    )
    .unwrap();
    replay(1, ["--patch", patch]).ok().says(&["1  replayed"]);
    let failed = replay(2, ["--patch", patch]);
    assert_eq!(failed.code, 1, "{failed:?}");
    failed.says(&["the patch does not fit"]);
    std::fs::remove_file(&file).unwrap();

    let shown = on(&brokers, &["tail", &topic, "--from", "earliest", "--no-follow", "--json"]).ok().objects();
    let payloads: Vec<Value> = shown.iter().map(|record| record["value"]["payload"].clone()).collect();
    assert_eq!(payloads, [json!({"kg": 7}), json!({"weight": -2, "kg": 8})], "{shown:?}");
    for (record, id) in shown.iter().zip(["event-1", "event-2"]) {
        assert_eq!(record["value"]["id"], id);
        let headers = record["headers"].to_string();
        let hash = |name: &str| {
            let value = headers.split(name).nth(1).unwrap();
            value.split('"').find(|part| part.len() == 64).unwrap().to_owned()
        };
        assert_ne!(hash("redrive_original_sha256"), hash("redrive_changed_sha256"), "{headers}");
    }
    let open: Vec<_> = states(&brokers, &topic).into_iter().filter(|(_, state)| state == "open").collect();
    assert_eq!(open, [(entry(2), "open".to_owned())]);
    let after = on(&brokers, &["dlq", "export", &topic, "--state", "all"]).ok().objects();
    let letters = |all: &[Value]| all.iter().map(|it| it["letter"].clone()).collect::<Vec<_>>();
    assert_eq!(letters(&before), letters(&after), "the letters stay what they were");
}

#[test]
fn watch_shows_what_its_filter_wants_and_nothing_else() {
    let Some(brokers) = real("dlq watch --error") else { return };
    let topic = topic_with(&brokers, |topic| vec![letter(topic, 0, "the shelf is full")]);
    let watch = ["dlq", "watch", &topic, "--error", "SHELF", "--every", "100ms", "--brokers", &brokers];
    let mut child = command(&watch).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(notes.any(|note| note.unwrap().contains("entries so far")), "it has looked once");
    let errors = ["no weight", "shelf 1 is full", "no weight either", "shelf 2 is full"];
    put(&brokers, &topic, errors.iter().zip(1..).map(|(error, at)| letter(&topic, at, error)).collect());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(lines[0].contains("shelf 1") && lines[1].contains("shelf 2"), "{lines:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The transaction under way is kept as a whole or not at all, wherever the blow falls.
#[test]
fn a_replayer_that_is_killed_again_and_again_sends_each_letter_back_once() {
    const LETTERS: i64 = 3_000;
    let Some(brokers) = real("dlq replay, killed") else { return };
    let topic =
        topic_with(&brokers, |topic| (0..LETTERS).map(|at| letter(topic, at, "the shelf is full")).collect());
    let replay = ["dlq", "replay", &topic, "--yes", "--take-over", "--rate", "1000", "--brokers", &brokers];
    let mut kills = 0;
    for blow_ms in [150, 400, 650, 900, 1_150, 1_400, 1_650, 1_900] {
        let before = end(&brokers, &topic);
        let mut child = command(&replay).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // From the first record on, so that the blow falls into the work.
        let until = Instant::now() + TIMEOUT;
        while end(&brokers, &topic) == before && child.try_wait().unwrap().is_none() && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(blow_ms / 4));
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    }
    let killed = sent_back(&brokers, &topic).len();
    eprintln!("killed {kills} times, after {killed} of {LETTERS} letters");
    assert!(kills > 2, "it was killed at work");
    // Without --take-over the dead one's claim holds for a while, and the next is told so.
    let told = run(&["dlq", "replay", &topic, "--yes", "--brokers", &brokers]);
    assert!(told.code == 0 || told.err.contains("is claimed by"), "{told:?}");
    on(&brokers, &["dlq", "replay", &topic, "--yes", "--take-over"]).ok();
    let mut sent = sent_back(&brokers, &topic);
    sent.sort();
    let all = sent.len();
    sent.dedup();
    assert_eq!((all, sent.len()), (LETTERS as usize, LETTERS as usize), "each once");
    on(&brokers, &["dlq", "ls", &topic]).ok().says(&["0 entries"]);
}

#[test]
fn a_cluster_without_dead_letters_has_nothing_to_list() {
    let dev = Dev::start(&[]);
    on(&dev.brokers, &["dlq", "ls"]).ok().says(&["0 entries of 0 kinds"]);
    on(&dev.brokers, &["dlq", "show", "txova.rides.v1.dlq/0/7"]).failed(1, &["there is no entry"]);
}

/// Entries and what became of them, as they are listed.
fn states(brokers: &str, topic: &str) -> Vec<(String, String)> {
    let listed = on(brokers, &["dlq", "ls", topic, "--each", "--state", "all", "--json"]).ok().objects();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
    let mut states: Vec<_> =
        listed.iter().map(|entry| (text(entry, "entry"), text(entry, "state"))).collect();
    states.sort();
    states
}

/// Goal: what was decided is what is listed, after the broker died and after Kafka threw away all that is older.
/// Method: a broker of the test's own, and a topic of decisions that is compacted as soon as can be.
#[test]
fn the_list_is_the_same_after_the_broker_died_and_after_compaction_of_what_was_decided() {
    const RESOLUTIONS: &str = "txova.dlq.resolutions";
    if real("dlq ls after a restart and a compaction").is_none() {
        return;
    }
    let cluster = Own::start();
    let brokers = cluster.brokers();
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "500"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "1000"),
        ("delete.retention.ms", "0"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let decisions = NewTopic { name: RESOLUTIONS.into(), partitions: 1, replication: 1, settings };
    wait(kafka(brokers).create_topics(vec![decisions], TIMEOUT)).unwrap();
    let topic =
        topic_with(brokers, |topic| (0..40).map(|at| letter(topic, at, &format!("{at} kg"))).collect());
    let entry = |at: usize| format!("{topic}.dlq/0/{at}");
    let decide = |what: &str, at: usize| {
        on(brokers, &["dlq", what, "--entry", &entry(at), "--why", "a test", "--yes"]).ok();
    };
    on(brokers, &["dlq", "replay", &topic, "--limit", "10", "--yes"]).ok().says(&["10  replayed"]);
    on(brokers, &["dlq", "discard", &topic, "--offsets", "10..20", "--why", "a test", "--yes"]).ok();
    decide("quarantine", 30);
    decide("reopen", 10);
    let before = states(brokers, &topic);
    let count = |state: &str| before.iter().filter(|(_, found)| found == state).count();
    let counts = ["replayed", "discarded", "quarantined", "open"].map(count);
    assert_eq!(counts, [10, 9, 1, 20], "{before:?}");

    // What was decided about entry 39 again and again is thrown away but for the last.
    let of_39 = || {
        let place = txova_kafka::TopicPartition::new(RESOLUTIONS, 0);
        let shown = on(brokers, &["tail", RESOLUTIONS, "--from", "earliest", "--no-follow", "--json"]).ok();
        let all = shown.objects();
        let of_39 = all.iter().filter(|record| record["key"].as_str() == Some(&entry(39))).count();
        (of_39, all.len() as i64, wait(kafka(brokers).admin().log_ends(&[place], TIMEOUT)).unwrap()[0].end)
    };
    let until = Instant::now() + TIMEOUT * 4;
    let mut decided = 0;
    let (left, records, end) = loop {
        decide("discard", 39);
        decide("reopen", 39);
        decided += 2;
        let (left, records, end) = of_39();
        if decided > 6 && left < decided - 4 {
            break (left, records, end);
        }
        assert!(Instant::now() < until, "{left} of {decided} are left: {records} records, up to {end}");
    };
    eprintln!(
        "compacted: {left} of {decided} decisions about one entry are left, {records} records of {end} offsets"
    );
    assert_eq!(states(brokers, &topic), before);

    cluster.task(&["kill", "1"]);
    cluster.task(&["resume", "1"]);
    assert_eq!(states(brokers, &topic), before);
    on(brokers, &["dlq", "replay", &topic, "--yes", "--take-over"]).ok().says(&["20  replayed"]);
}
