//! What a member did, written down as it happens: a line reaches the kernel before the handler goes on, so it outlives
//! the process. Knows nothing of why.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crate::clock::At;
use crate::failure::{Context, Failure, Result};

/// Which record, and which attempt at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// How a handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// Refused for good.
    Refused,
    /// Failed, to be tried again.
    Failed,
    /// Ended from outside.
    Dropped,
}

/// What else a member lived through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    Assigned,
    Revoked,
    Lost,
    CommitFailed,
    LastCommitFailed,
}

/// A line of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Start { at: At, place: Place, key: u32, number: u32, attempt: u32 },
    End { at: At, place: Place, end: End },
    Note { at: At, note: Note },
}

const ENDS: [(char, End); 4] =
    [('d', End::Done), ('r', End::Refused), ('f', End::Failed), ('x', End::Dropped)];
const NOTES: [(char, Note); 5] = [
    ('A', Note::Assigned),
    ('R', Note::Revoked),
    ('L', Note::Lost),
    ('C', Note::CommitFailed),
    ('K', Note::LastCommitFailed),
];

/// A journal being written.
pub(crate) struct Journal(File);

impl Journal {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        file.map(Self).context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn write(&self, line: Line) {
        let mut text = String::with_capacity(64);
        let written = match line {
            Line::Start { at, place: Place { partition, offset }, key, number, attempt } => {
                writeln!(text, "s {} {partition} {offset} {key} {number} {attempt}", at.0)
            }
            Line::End { at, place: Place { partition, offset }, end } => {
                writeln!(text, "{} {} {partition} {offset}", letter(&ENDS, end), at.0)
            }
            Line::Note { at, note } => writeln!(text, "{} {}", letter(&NOTES, note), at.0),
        };
        if written.is_err() || (&self.0).write_all(text.as_bytes()).is_err() {
            eprintln!("the journal cannot be written: what follows would prove nothing");
            std::process::exit(4);
        }
    }
}

fn letter<T: PartialEq>(table: &[(char, T)], value: T) -> char {
    table.iter().find(|(_, known)| *known == value).map_or('?', |(letter, _)| *letter)
}

/// Reads a journal; the last line of a killed member may be torn and is left out.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>> {
    let text = fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            parse(line).ok_or_else(|| Failure::new(format!("{}: not a line: {line:?}", path.display())))
        })
        .collect()
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    let kind = words.next().and_then(|word| word.chars().next())?;
    let at = At(words.next()?.parse().ok()?);
    if let Some((_, note)) = NOTES.iter().find(|(letter, _)| *letter == kind) {
        return Some(Line::Note { at, note: *note });
    }
    let place = Place { partition: words.next()?.parse().ok()?, offset: words.next()?.parse().ok()? };
    if let Some((_, end)) = ENDS.iter().find(|(letter, _)| *letter == kind) {
        return Some(Line::End { at, place, end: *end });
    }
    let mut number = || words.next()?.parse().ok();
    let (key, number, attempt) = (number()?, number()?, number()?);
    (kind == 's').then_some(Line::Start { at, place, key, number, attempt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read_and_a_torn_line_is_left_out() {
        let path = std::env::temp_dir().join(format!("journal-{}", std::process::id()));
        let place = Place { partition: 3, offset: 17 };
        let lines = [
            Line::Note { at: At(1), note: Note::Assigned },
            Line::Start { at: At(2), place, key: 9, number: 4, attempt: 1 },
            Line::End { at: At(3), place, end: End::Refused },
        ];
        let journal = Journal::create(&path).expect("a journal");
        lines.iter().for_each(|line| journal.write(*line));
        (&journal.0).write_all(b"s 4 3 1").expect("torn");
        assert_eq!(read(&path).expect("read"), lines);
        fs::remove_file(&path).expect("removed");
    }
}
