//! JSON as Go writes and reads it: spans, texts, bytes. It must never know what an envelope or an event is.

mod scan;
mod text;
mod write;

pub(crate) use scan::{Member, check, elements, members, single};
pub(crate) use text::{folds_to, mended, text, unescaped};
pub(crate) use write::{append, write_text};
