//! `gcs apply`: from a set and a delta to another set.

use std::path::PathBuf;

use clap::Args;
use gcs_core::set::StreamError;
use gcs_core::{Delta, DeltaError};

use super::combine::Made;
use crate::cli::Context;
use crate::error::Error;
use crate::input::{is_dash, stdin_twice};
use crate::load::{self, SetFile};
use crate::output::OutputArgs;
use crate::progress::Progress;

/// Apply a delta to a set.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// The set before; - is standard input, here or for the delta
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// What changed
    #[arg(value_name = "DELTA")]
    delta: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl Apply {
    /// What went wrong, and what to do.
    fn failed(&self, delta: &Delta, error: StreamError) -> Error {
        let StreamError::Delta(error) = error else {
            return Error::of_stream(std::slice::from_ref(&self.set), self.output.path(), error);
        };
        let remedy = match error {
            DeltaError::Target { .. } | DeltaError::AlreadyPresent { .. } => {
                "the delta was made wrongly, get a new one"
            }
            DeltaError::Base { got, .. } if got == delta.target() => {
                "the set has these changes already"
            }
            _ => "use the set that the delta was made from",
        };
        let (delta, base) = (self.delta.clone(), self.set.clone());
        Error::Apply { delta, base, why: format!("{error}; {remedy}") }
    }

    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        if is_dash(&self.set) && is_dash(&self.delta) {
            return Err(stdin_twice());
        }
        let mut output = self.output.create()?;
        let delta = load::delta(context, &self.delta)?;
        let base = SetFile::open(&self.set)?;
        let progress = Progress::new(context, "applying", Some(base.length()));
        let applied = delta.apply_to_reader(base.reader(&progress)?, output.file());
        let info = applied.map_err(|error| self.failed(&delta, error))?.1;
        output.finish()?;
        drop(progress);
        Made::new(self.output.path(), &info).tell(context)
    }
}
