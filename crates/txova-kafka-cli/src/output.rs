//! What a command prints: lines and tables for people, JSON for machines. It must never know what they are about.

mod live;
mod table;

use std::io::{IsTerminal, Write, stdout};

use serde::Serialize;

use crate::paint::Paint;

pub(crate) use self::live::Live;
pub(crate) use self::table::{Cell, Column, Table, cut};

/// How a command prints.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// JSON on standard output, one object a line; what is said meanwhile goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// No colours, as with NO_COLOR in the environment. There are none where the output is no terminal.
    #[arg(long)]
    pub no_color: bool,
}

/// Standard output, as the flags and the terminal want it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// For machines.
    pub json: bool,
    pub paint: Paint,
    /// Whether what is printed can be drawn again in place.
    pub is_live: bool,
    /// Columns of the terminal; `None` where there is none, and nothing is cut.
    pub width: Option<usize>,
}

impl Output {
    pub(crate) fn new(args: OutputArgs) -> Self {
        let is_terminal = stdout().is_terminal();
        let is_live = is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && !args.json;
        let width = match is_terminal {
            true => terminal_size::terminal_size().map(|(width, _)| usize::from(width.0).max(20)),
            false => None,
        };
        Self { json: args.json, paint: Paint { on: is_live && wants_colour(args.no_color) }, is_live, width }
    }

    /// One line for people, or for a machine that asked for text.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> std::io::Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "{}", text.as_ref())?;
        out.flush()
    }

    /// Lines that have their ends.
    pub(crate) fn text(&self, text: impl AsRef<str>) -> std::io::Result<()> {
        let mut out = stdout().lock();
        out.write_all(text.as_ref().as_bytes())?;
        out.flush()
    }

    /// One JSON value on a line of its own.
    pub(crate) fn object(&self, value: &impl Serialize) -> std::io::Result<()> {
        let mut out = stdout().lock();
        serde_json::to_writer(&mut out, value)?;
        writeln!(out)?;
        out.flush()
    }

    /// A table that fits the terminal.
    pub(crate) fn table(&self, table: &Table) -> std::io::Result<()> {
        self.text(table.show(self.width, self.paint))
    }

    /// What a person may want to know meanwhile; never part of the answer.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
    }
}

/// Whether colours are wanted on a terminal.
pub(crate) fn wants_colour(no_color: bool) -> bool {
    !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
