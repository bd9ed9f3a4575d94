//! A picture that is drawn again in place on a terminal, and printed anew elsewhere. It must never know what it shows.

use std::io::{Write as _, stdout};

use super::Output;

/// What stands on the terminal.
#[derive(Debug)]
pub(crate) struct Live {
    output: Output,
    drawn: usize,
}

impl Live {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, drawn: 0 }
    }

    /// Puts `text` in the place of what was drawn before.
    pub(crate) fn draw(&mut self, text: &str) -> std::io::Result<()> {
        let mut out = stdout().lock();
        if !self.output.is_live {
            writeln!(out, "{text}")?;
            return out.flush();
        }
        let height = terminal_size::terminal_size().map_or(usize::MAX, |(_, height)| usize::from(height.0));
        let mut lines: Vec<&str> = text.lines().collect();
        let left_out = lines.len().saturating_sub(height.saturating_sub(2));
        lines.truncate(lines.len() - left_out);
        self.wipe(&mut out)?;
        // Without line wrap a narrow terminal cuts lines and does not break the picture.
        write!(out, "\x1b[?25l\x1b[?7l{}\n\x1b[?7h", lines.join("\n"))?;
        self.drawn = lines.len();
        if left_out > 0 {
            writeln!(out, "… and {left_out} lines more")?;
            self.drawn += 1;
        }
        out.flush()
    }

    fn wipe(&mut self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        if self.drawn > 0 {
            write!(out, "\x1b[{}A\r\x1b[J", self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }
}

impl Drop for Live {
    /// Leaves the last picture standing and gives the cursor back.
    fn drop(&mut self) {
        if self.output.is_live {
            let mut out = stdout().lock();
            let _ = write!(out, "\x1b[?25h");
            let _ = out.flush();
        }
    }
}
