//! `dlq watch`: new letters as they come. It must never change anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use txova_kafka::shutdown_signal;

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Output, OutputArgs};

use super::export::listed;
use super::filter::FilterArgs;
use super::words::line;

#[derive(Clone, Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How often is looked.
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = crate::place::span_or_seconds)]
    every: Duration,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: WatchArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let filter = args.filter.read()?;
    let kafka = args.connection.connect().await?;
    let mut seen: HashMap<(Arc<str>, i32), i64> = HashMap::new();
    let mut is_first = true;
    let mut interrupted = std::pin::pin!(shutdown_signal());
    loop {
        let (mut failed, mut there) = (None, 0u64);
        let look = kafka.each_dead_letter(filter.topics.clone(), |entry| {
            there += 1;
            let last = seen.entry((Arc::clone(&entry.place.topic), entry.place.partition)).or_insert(-1);
            if entry.place.offset <= *last {
                return;
            }
            *last = entry.place.offset;
            if !is_first && failed.is_none() && (filter.wants(&entry) || entry.letter.is_err()) {
                failed = match output.json {
                    true => output.object(&listed(&entry)).err(),
                    false => output.line(shown(&line(&entry))).err(),
                };
            }
        });
        tokio::select! {
            biased;
            () = &mut interrupted => return Ok(Verdict::Yes),
            looked = look => match looked {
                Ok(()) => {}
                Err(error) if error.is_retriable() => output.note(format!("{error}; trying again")),
                Err(error) => return Err(error.into()),
            },
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        if is_first {
            output.note(format!("{there} entries so far; waiting for more, Ctrl-C ends it"));
            is_first = false;
        }
        tokio::select! {
            biased;
            () = &mut interrupted => return Ok(Verdict::Yes),
            () = tokio::time::sleep(args.every) => {}
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
