//! Runs the binary as a person does, and looks at what came of it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The command, in an environment without settings of its own.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_txova-kafka"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TXOVA_KAFKA_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Ran {
    ran(command(arguments).stdin(Stdio::null()).output().unwrap())
}

/// Runs it against these brokers.
pub(crate) fn on(brokers: &str, arguments: &[&str]) -> Ran {
    run(&[arguments, &["--brokers", brokers]].concat())
}

/// Runs it with this on its standard input.
pub(crate) fn run_with(arguments: &[&str], input: &str) -> Ran {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes()); // a command that refuses its flags reads nothing
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    ran(output)
}

pub(crate) fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    /// It was done, and the answer is yes.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It ended with `code` and told of each of these.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, told: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        told.iter().for_each(|told| assert!(self.err.contains(told), "{told:?} in {self:?}"));
        self
    }

    /// Standard output holds each of these.
    #[track_caller]
    pub(crate) fn says(self, said: &[&str]) -> Self {
        said.iter().for_each(|said| assert!(self.out.contains(said), "{said:?} in {self:?}"));
        self
    }

    /// Standard output as JSON, a value a line.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(read).collect()
    }
}
