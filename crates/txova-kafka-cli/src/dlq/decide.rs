//! `dlq discard`, `quarantine`, `reopen`: says what becomes of letters, without trying them.

use clap::Args;
use txova_kafka::shutdown_signal;

use crate::confirm::ConfirmArgs;
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Output, OutputArgs};
use crate::paint::plural;

use super::filter::FilterArgs;
use super::ls::State;
use super::replay::{WhoArgs, ended};

#[derive(Clone, Debug, Args)]
pub(crate) struct DecideArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Discard,
    Quarantine,
    Reopen,
}

pub(crate) async fn run(args: DecideArgs, what: What) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    if args.who.why.is_empty() {
        return Err(Failure::Usage("--why is missing: whoever looks later wants to know".to_owned()));
    }
    let filter = args.filter.read()?;
    let kafka = args.connection.connect().await?;
    let mut meant = 0u64;
    let is_candidate = |entry: &_| match what {
        What::Reopen => State::Discarded.takes(entry) || State::Quarantined.takes(entry),
        _ => State::Open.takes(entry),
    };
    kafka
        .each_dead_letter(filter.topics.clone(), |entry| {
            meant += u64::from(is_candidate(&entry) && filter.wants(&entry));
        })
        .await?;
    if meant == 0 {
        output.note("no entry is meant");
        return Ok(Verdict::Yes);
    }
    let entries = plural(meant, "entry", "entries");
    let question = match what {
        What::Discard => format!("Discard {entries}?"),
        What::Quarantine => format!("Set {entries} aside?"),
        What::Reopen => format!("Open {entries} again?"),
    };
    if !args.confirm.may(&question) {
        return Ok(Verdict::No);
    }
    let replay = args.who.apply(filter.replay()).until(shutdown_signal());
    let replay = super::progress::shown(replay, output.is_live);
    let result = match what {
        What::Discard => kafka.discard(replay).await,
        What::Quarantine => kafka.quarantine(replay).await,
        What::Reopen => kafka.reopen(replay).await,
    };
    ended(result, &output)
}
