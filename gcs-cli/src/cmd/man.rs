//! `gcs man`: manual pages.

use clap::Args;
use clap_mangen::Man as Page;

use crate::cli::{self, SUCCESS};
use crate::error::Error;
use crate::output::Stdout;

/// Print the manual page of gcs or of one command.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:\n  gcs man encode > ~/.local/share/man/man1/gcs-encode.1")]
pub(crate) struct Man {
    /// A command
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    pub(crate) fn run(&self) -> Result<u8, Error> {
        let mut root = cli::command();
        // Gives every command the options that all of them share.
        root.build();
        let shown = match &self.command {
            None => root,
            Some(name) => {
                let found = root.find_subcommand(name).cloned();
                let found = found.ok_or_else(|| {
                    Error::usage(name, "there is no such command", "gcs --help lists them")
                })?;
                found.display_name(format!("gcs-{name}"))
            }
        };
        let mut page = Vec::new();
        Page::new(shown).render(&mut page).map_err(Error::Stdout)?;
        let mut stdout = Stdout::new();
        stdout.bytes(&page)?;
        stdout.flush()?;
        Ok(SUCCESS)
    }
}
