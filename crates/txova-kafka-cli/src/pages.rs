//! `man` and `completions`: the command line told to others. It must never know what a command does.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{Failure, Verdict};

#[derive(Clone, Debug, Args)]
pub(crate) struct ManArgs {
    /// Writes a page for each command into this folder, as packages want it; without it the first page goes to standard
    /// output.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn man(args: &ManArgs, command: Command) -> Result<Verdict, Failure> {
    let Some(folder) = &args.to else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        return Ok(Verdict::Yes);
    };
    let failed =
        |path: &Path, error: &std::io::Error| Failure::Usage(format!("--to {}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    clap_mangen::generate_to(command, folder).map_err(|error| failed(folder, &error))?;
    Ok(Verdict::Yes)
}

pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<Verdict, Failure> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Verdict::Yes)
}
