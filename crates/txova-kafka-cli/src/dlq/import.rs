//! `dlq import`: puts exported letters onto their dead-letter topics. It must never put one there twice.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, stdin};
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use txova_events::DeadLetter;
use txova_kafka::EntryPlace;

use crate::confirm::ConfirmArgs;
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Output, OutputArgs};
use crate::paint::plural;

use super::filter::origin;
use super::replay::WhoArgs;

#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    /// What `dlq export` wrote; - is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Deserialize)]
struct Line<'a> {
    entry: EntryPlace,
    #[serde(borrow)]
    letter: Option<&'a RawValue>,
}

pub(crate) async fn run(args: ImportArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let reader: Box<dyn BufRead> = match args.file.as_os_str() == "-" {
        true => Box::new(BufReader::new(stdin())),
        false => Box::new(BufReader::new(
            std::fs::File::open(&args.file)
                .map_err(|error| Failure::Usage(format!("{}: {error}", args.file.display())))?,
        )),
    };
    let (mut letters, mut no_letters) = (Vec::new(), 0u64);
    for (number, line) in reader.lines().enumerate() {
        let wrong = |what: String| Failure::Usage(format!("{}:{}: {what}", args.file.display(), number + 1));
        let line = line.map_err(|error| wrong(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let read: Line<'_> = serde_json::from_str(&line)
            .map_err(|error| wrong(format!("{error}; expected a line of `dlq export`")))?;
        match read.letter {
            None => no_letters += 1,
            Some(letter) => {
                let letter =
                    DeadLetter::decode(letter.get().as_bytes()).map_err(|error| wrong(error.to_string()))?;
                letters.push((origin(&read.entry.topic).to_owned(), letter));
            }
        }
    }
    let kafka = args.connection.connect().await?;
    let topics: HashSet<String> = letters.iter().map(|(topic, _)| topic.clone()).collect();
    let mut there: HashSet<Vec<u8>> = HashSet::new();
    let scan = kafka.each_dead_letter(topics, |entry| {
        there.extend(entry.letter.ok().map(|letter| identity(&letter)));
    });
    scan.await?;
    let all = letters.len() as u64;
    letters.retain(|(_, letter)| there.insert(identity(letter)));
    let known = all - letters.len() as u64;
    if no_letters > 0 {
        output.note(format!("{} are no letters and are passed over", plural(no_letters, "line", "lines")));
    }
    if !letters.is_empty() {
        let question = format!("Put {} there?", plural(letters.len() as u64, "dead letter", "dead letters"));
        if !args.confirm.may(&question) {
            return Ok(Verdict::No);
        }
    }
    let put = letters.len() as u64;
    let letters: Vec<DeadLetter> = letters.into_iter().map(|(_, letter)| letter).collect();
    let who = args.who.apply(txova_kafka::Replay::new());
    kafka.import_dead_letters(letters, who).await.map_err(|error| Failure::Cluster(error.to_string()))?;
    match output.json {
        true => output.object(&serde_json::json!({"imported": put, "there_already": known}))?,
        false => output
            .line(format!("{} put there, {known} were there already", plural(put, "letter", "letters")))?,
    }
    Ok(Verdict::Yes)
}

/// What makes two letters the same.
fn identity(letter: &DeadLetter) -> Vec<u8> {
    letter.encode()
}
