//! `gcs completions`: a script for a shell.

use clap::Args;
use clap_complete::Shell;

use crate::cli::{self, SUCCESS};
use crate::error::Error;
use crate::output::Stdout;

/// Print a script that completes commands and options in a shell.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:\n  gcs completions bash > ~/.local/share/bash-completion/completions/gcs")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<u8, Error> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli::command(), "gcs", &mut script);
        let mut stdout = Stdout::new();
        stdout.bytes(&script)?;
        stdout.flush()?;
        Ok(SUCCESS)
    }
}
