//! `dlq export`: entries as JSON lines. It must never leave out what cannot be read.

use clap::Args;
use serde_json::{Value, json};
use txova_kafka::DeadLetterEntry;

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Output, OutputArgs};

use super::filter::FilterArgs;
use super::ls::State;

#[derive(Clone, Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only entries in this state.
    #[arg(long, value_enum, default_value_t = State::All)]
    state: State,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: ExportArgs) -> Result<Verdict, Failure> {
    let output = Output::new(OutputArgs { json: true, no_color: true });
    let filter = args.filter.read()?;
    let kafka = args.connection.connect().await?;
    let (mut failed, mut unreadable) = (None, 0u64);
    kafka
        .each_dead_letter(filter.topics.clone(), |entry| {
            let is_wanted = filter.wants(&entry) || (entry.letter.is_err() && filter.is_everything());
            if failed.is_none() && args.state.takes(&entry) && is_wanted {
                unreadable += u64::from(entry.letter.is_err());
                failed = output.object(&listed(&entry)).err();
            }
        })
        .await?;
    if unreadable > 0 {
        output.note(format!("{unreadable} entries are no dead letters; their lines say why"));
    }
    match failed {
        None => Ok(Verdict::Yes),
        Some(error) => Err(error.into()),
    }
}

/// An entry for machines: where it is, what it is, what was decided.
pub(crate) fn listed(entry: &DeadLetterEntry) -> Value {
    let state = entry.resolution.as_ref().map_or("open", |resolution| resolution.state.as_str());
    let mut listed = json!({"entry": entry.place.to_string(), "state": state});
    let Value::Object(fields) = &mut listed else { return listed };
    if let Some(resolution) = &entry.resolution {
        fields.insert("resolution".to_owned(), json!(resolution));
    }
    match &entry.letter {
        Ok(letter) => {
            fields.insert("fingerprint".to_owned(), letter.fingerprint().into());
            // A payload may hold bytes that are no UTF-8.
            let text = String::from_utf8_lossy(&letter.encode()).into_owned();
            let letter = serde_json::from_str(&text).unwrap_or(Value::String(text));
            fields.insert("letter".to_owned(), letter);
        }
        Err(error) => {
            fields.insert("error".to_owned(), error.to_string().into());
        }
    }
    listed
}
