//! What a person sees on a terminal is what docs/cli.md shows. Method: tmux, a real Kafka, and the page's own blocks with
//! numbers and names made alike.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::clusters::{TIMEOUT, group, real, topic};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md"));
const PATIENCE: Duration = Duration::from_secs(180);

/// A terminal that ends with the test.
struct Terminal(String);

impl Terminal {
    /// Of 140 columns.
    fn start(words: &[&str]) -> Self {
        Self::wide(140, words)
    }

    fn wide(columns: u16, words: &[&str]) -> Self {
        let name = crate::clusters::name("screen");
        let command =
            words.iter().fold(env!("CARGO_BIN_EXE_txova-kafka").to_owned(), |line, word| line + " " + word);
        // The pane stays when the command is over, so that its last screen can be read.
        let line = format!("unset TXOVA_KAFKA_BROKERS; {command}; echo ended with $?; sleep 600");
        tmux(&["new-session", "-d", "-s", &name, "-x", &columns.to_string(), "-y", "50", &line]);
        Self(name)
    }

    /// The screen, once it holds `text`.
    fn until(&self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let screen = tmux(&["capture-pane", "-p", "-t", &self.0]);
            if screen.contains(text) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "waited for {text:?}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50)); // tmux tells nobody that a screen has changed
        }
    }

    fn keys(&self, keys: &str) {
        tmux(&["send-keys", "-t", &self.0, keys]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["kill-session", "-t", &self.0]).output();
    }
}

fn tmux(arguments: &[&str]) -> String {
    let output = Command::new("tmux").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The brokers where there are both; a line that says what is left out elsewhere.
fn brokers(what: &str) -> Option<String> {
    let brokers = real(what)?;
    if Command::new("tmux").arg("-V").output().is_err() {
        eprintln!("left out: no tmux: {what}");
        return None;
    }
    Some(brokers)
}

/// The lines of the page's block of that name, without the command.
fn documented(name: &str) -> Vec<String> {
    let block = PAGE.split(&format!("<!-- screen: {name} -->")).nth(1).unwrap();
    let block = block.split("```").nth(1).unwrap();
    block.lines().skip(2).map(alike).filter(|line| !line.is_empty()).collect()
}

/// Numbers, and the blanks that depend on their length, made alike.
fn alike(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let plain: String = word.chars().filter(|char| !matches!(char, ',' | '.')).collect();
        let is_number = plain.chars().any(|char| char.is_ascii_digit())
            && plain.chars().all(|char| char.is_ascii_digit() || matches!(char, '/' | 's' | '(' | ')' | ':'));
        words.push(if is_number { "N".to_owned() } else { word.to_owned() });
    }
    words.join(" ")
}

#[test]
fn the_demo_ends_with_the_screen_that_is_documented() {
    let Some(brokers) = brokers("the demo's screen") else { return };
    let terminal = Terminal::start(&["demo", "--brokers", &brokers, "--limit", "500"]);
    let screen = terminal.until("ended with");
    let seen: Vec<String> = screen.lines().map(alike).collect();
    for line in documented("demo") {
        // How long the outage is felt, and by how many, is the machine's; so are the lines of the data that are told.
        if line.contains("outage") || line.contains("published in") || line.contains("(lines") {
            continue;
        }
        assert!(seen.contains(&line), "{line:?} is documented and not on the screen:\n{screen}");
    }
    assert!(screen.contains("ended with 0"), "{screen}");
}

#[test]
fn a_watch_draws_in_place_what_is_documented_and_ctrl_c_ends_it_with_the_picture_standing() {
    let Some(brokers) = brokers("lag --watch on a terminal") else { return };
    let topic = topic(&brokers, 5);
    let group = group(&brokers, &topic, 2);
    let terminal = Terminal::start(&["lag", &group, "--watch=200ms", "--brokers", &brokers]);
    let first = terminal.until("3 records to handle");
    let page = documented("lag");
    // The clock on the left is another each time, and the number of records is ours.
    assert!(
        page[0].ends_with("records to handle") && first.contains("1 group, 3 records to handle"),
        "{first}"
    );
    let seen: Vec<String> = first.lines().map(alike).collect();
    assert!(seen.contains(&page[1]), "{:?} is documented and not on the screen:\n{first}", page[1]);
    assert!(first.contains("empty"), "{first}");

    let kafka = crate::clusters::kafka(&brokers);
    let at = vec![(txova_kafka::TopicPartition::new(&*topic, 0), 4)];
    crate::clusters::wait(kafka.admin().set_offsets(&group, at, TIMEOUT)).unwrap();
    let second = terminal.until("1 group, 1 record to handle");
    assert_eq!(second.matches("TO HANDLE").count(), 1, "it is drawn in place:\n{second}");
    terminal.keys("C-c");
    let last = terminal.until("ended with 0");
    assert_eq!(last.matches("TO HANDLE").count(), 1, "the last picture stands:\n{last}");
}

/// The entries are those of the page: a payment that was refused in two ways, a letter of a Go service, and one that is none.
#[test]
fn dead_letters_fit_a_terminal_of_80_columns_as_documented() {
    let Some(brokers) = brokers("dlq ls on a terminal of 80 columns") else { return };
    let topic = crate::dlq::topic_of_the_page(&brokers);
    let words = ["dlq", "ls", &topic, "--brokers", &brokers];
    let screen = Terminal::wide(80, &words).until("ended with");
    let seen: Vec<String> =
        screen.lines().map(|line| alike(&line.replace(&topic, "rides-bd1a.v1"))).collect();
    for line in documented("dlq ls") {
        assert!(seen.contains(&line), "{line:?} is documented and not on the screen:\n{screen}");
    }
}
