//! Writes what the library says to standard error with its time, and what matters to the checker to the journal.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::clock::At;
use crate::journal::{Journal, Line, Note};

const NOTES: [(&str, Note); 5] = [
    ("assigned", Note::Assigned),
    ("revoked", Note::Revoked),
    ("lost:", Note::Lost),
    ("a commit failed", Note::CommitFailed),
    ("the last commit", Note::LastCommitFailed),
];

/// The library's words, kept.
pub(crate) struct Words(pub(crate) Arc<Journal>);

impl Subscriber for Words {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let at = At::now();
        let mut text = Text::default();
        event.record(&mut text);
        let is_ours = event.metadata().target() != "txova_kafka::client";
        if let Some((_, note)) = NOTES.iter().find(|(start, _)| is_ours && text.message.starts_with(start)) {
            self.0.write(Line::Note { at, note: *note });
        }
        eprintln!("{} {} {}{}", at.0, event.metadata().level(), text.message, text.fields);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
