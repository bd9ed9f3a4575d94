//! Nothing is changed without a word: `--yes`, or a yes on the terminal. It must never know what would be changed.

use std::io::{BufRead as _, IsTerminal as _, Write as _, stderr, stdin};

/// The word, on the command line.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct ConfirmArgs {
    /// Do it without asking. Without it a person at a terminal is asked, and nobody else changes anything.
    #[arg(long, short)]
    pub yes: bool,
}

impl ConfirmArgs {
    /// Whether it may be done. Where nobody can be asked it may not, and how it may is said.
    pub(crate) fn may(self, question: &str) -> bool {
        if self.yes {
            return true;
        }
        if !stdin().is_terminal() || !stderr().is_terminal() {
            let _ = writeln!(stderr(), "Nothing was changed. With --yes this is done.");
            return false;
        }
        let _ = write!(stderr(), "{question} [y/N] ");
        let _ = stderr().flush();
        let mut answer = String::new();
        let _ = stdin().lock().read_line(&mut answer); // no answer is no
        let may = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        if !may {
            let _ = writeln!(stderr(), "Nothing was changed.");
        }
        may
    }
}
