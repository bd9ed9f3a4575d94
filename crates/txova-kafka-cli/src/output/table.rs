//! Tables for people: as wide as what is in them, cut where the terminal ends. Knows cells, never what they mean.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::paint::Paint;

/// Blanks between two columns.
const GAP: usize = 2;
/// A column that gives way keeps this much.
const LEAST: usize = 8;
/// Before it has to give way beyond this, columns that can be spared are left out.
const COMFORT: usize = 22;

/// Rows under names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    name: &'static str,
    is_right: bool,
    gives_way: bool,
    /// When it is left out, the lowest first; never where there is none.
    spared: Option<u8>,
}

impl Column {
    /// Texts.
    pub(crate) fn text(name: &'static str) -> Self {
        Self { name, is_right: false, gives_way: false, spared: None }
    }

    /// Numbers, ending under each other.
    pub(crate) fn number(name: &'static str) -> Self {
        Self { name, is_right: true, gives_way: false, spared: None }
    }

    /// Texts that are cut where the terminal is too narrow.
    pub(crate) fn long(name: &'static str) -> Self {
        Self { name, is_right: false, gives_way: true, spared: None }
    }

    /// Left out where the terminal is too narrow, before those of a higher rank.
    pub(crate) fn spared(self, rank: u8) -> Self {
        Self { spared: Some(rank), ..self }
    }
}

/// One cell, with what its colour says.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

#[derive(Clone, Copy, Debug)]
enum Tone {
    Plain,
    Good,
    Warm,
    Bad,
    Faint,
}

impl Cell {
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Good }
    }

    pub(crate) fn warm(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Warm }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Bad }
    }

    pub(crate) fn faint(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Faint }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Every line with its end, in `width` columns where that is given.
    pub(crate) fn show(&self, width: Option<usize>, paint: Paint) -> String {
        let shown_columns = self.shown(width);
        let widths = self.widths(&shown_columns, width);
        let mut text = String::new();
        let names: Vec<Cell> =
            self.columns.iter().map(|column| Cell::faint(column.name.to_uppercase())).collect();
        for row in std::iter::once(&names).chain(&self.rows) {
            let mut line = String::new();
            for (place, at) in shown_columns.iter().enumerate() {
                let (Some(column), Some(cell)) = (self.columns.get(*at), row.get(*at)) else { continue };
                let shown = cut(&one_line(&cell.text), widths[place]);
                let blanks = " ".repeat(widths[place].saturating_sub(shown.width()));
                let is_last = place + 1 == shown_columns.len();
                let painted = tint(paint, cell.tone, &shown);
                line += &match (column.is_right, is_last) {
                    (true, _) => blanks + &painted,
                    (false, true) => painted,
                    (false, false) => painted + &blanks,
                };
                if !is_last {
                    line += &" ".repeat(GAP);
                }
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    fn widest(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| one_line(&cell.text).width());
        cells.chain(self.columns.get(at).map(|column| column.name.width())).max().unwrap_or(0)
    }

    /// The columns there is room for.
    fn shown(&self, width: Option<usize>) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = width else { return shown };
        let needs: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| self.widest(at).min(if column.gives_way { COMFORT } else { usize::MAX }))
            .collect();
        let is_too_wide = |shown: &[usize]| {
            shown.iter().map(|at| needs[*at] + GAP).sum::<usize>().saturating_sub(GAP) > width
        };
        let rank = |at: &usize| self.columns.get(*at).and_then(|column| column.spared);
        while is_too_wide(&shown)
            && let Some(first) = shown.iter().copied().filter(|at| rank(at).is_some()).min_by_key(rank)
        {
            shown.retain(|at| *at != first);
        }
        shown
    }

    fn widths(&self, shown: &[usize], width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = shown.iter().map(|at| self.widest(*at)).collect();
        let Some(width) = width else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
        let gives_way = |at: &usize| self.columns.get(*at).is_some_and(|column| column.gives_way);
        // First down to what is still comfortable, then as far as it goes.
        for least in [COMFORT, LEAST] {
            for (place, _) in shown.iter().enumerate().rev().filter(|(_, at)| gives_way(at)) {
                let given = over.min(widths[place].saturating_sub(least));
                widths[place] -= given;
                over -= given;
            }
        }
        widths
    }
}

fn tint(paint: Paint, tone: Tone, text: &str) -> String {
    match tone {
        Tone::Plain => text.to_owned(),
        Tone::Good => paint.good(text),
        Tone::Warm => paint.warm(text),
        Tone::Bad => paint.bad(text),
        Tone::Faint => paint.faint(text),
    }
}

/// What would move the cursor, made harmless: texts come from records that anybody may have written.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// At most `width` columns of a text, ended with an ellipsis where that is not all.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for char in text.chars() {
        used += char.width().unwrap_or(0);
        if used >= width {
            break;
        }
        kept.push(char);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([Column::text("topic"), Column::long("key"), Column::number("lag")]);
        table.row(["txova.rides.v1".into(), "0190b5d6-2f0c-7c1b".into(), Cell::bad("1,204")]);
        table.row(["txova.users.v1".into(), "日本語日本語".into(), "7".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_also_where_letters_are_wide() {
        let expected = "\
TOPIC           KEY                   LAG
txova.rides.v1  0190b5d6-2f0c-7c1b  1,204
txova.users.v1  日本語日本語            7
";
        assert_eq!(table().show(None, Paint { on: false }), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_the_column_that_gives_way_and_no_other() {
        let shown = table().show(Some(34), Paint { on: false });
        assert!(shown.lines().all(|line| line.width() <= 34), "{shown}");
        assert!(shown.contains("txova.rides.v1  0190b5d6-2…  1,204"), "{shown}");
    }

    #[test]
    fn a_text_cannot_move_the_cursor() {
        let mut table = Table::new([Column::text("reason")]);
        table.row(["a\x1b[2Jb\nc".into()]);
        assert_eq!(table.show(None, Paint { on: false }), "REASON\na [2Jb c\n");
    }
}
