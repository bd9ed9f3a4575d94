//! What is wrong with a configuration: every problem at once, each with its place. It must never carry a secret.

use std::fmt;
use std::path::PathBuf;

/// A configuration that cannot be used, with all its problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// One problem for each thing that is wrong; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = &self.problems[..] {
            return write!(f, "the configuration cannot be used: {problem}");
        }
        write!(f, "the configuration cannot be used, {} problems:", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting as a TOML file names it (`publisher.linger_ms`), or the file itself.
    pub setting: String,
    /// The value it has, `***` for a secret; `None` where it has none.
    pub value: Option<String>,
    /// What was expected, as a phrase.
    pub expected: String,
    /// Where the value came from.
    pub origin: Origin,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.setting)?;
        match &self.value {
            Some(value) => write!(f, " is `{value}` ({})", self.origin)?,
            None => write!(f, " ({})", self.origin)?,
        }
        write!(f, ": {}", self.expected)
    }
}

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file, with the line.
    File {
        /// The file; `-` for a text given by code.
        path: PathBuf,
        /// The line, from 1; 0 where it is about the whole file.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// The program itself.
    #[default]
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Code => f.write_str("set in code"),
        }
    }
}
