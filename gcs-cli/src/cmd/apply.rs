//! `gcs apply`: from a set and a delta to another set.

use std::path::PathBuf;

use clap::Args;
use gcs_core::DeltaError;

use super::combine::Made;
use crate::cli::Context;
use crate::error::Error;
use crate::load;
use crate::output::OutputArgs;

/// Apply a delta to a set.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// The set before
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// What changed
    #[arg(value_name = "DELTA")]
    delta: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl Apply {
    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let output = self.output.create()?;
        let delta = load::delta(context, &self.delta)?;
        let base = load::set(context, &self.set)?;
        let set = delta.apply(&base).map_err(|error| {
            let remedy = match error {
                DeltaError::Target { .. } | DeltaError::AlreadyPresent { .. } => {
                    "the delta was made wrongly, get a new one"
                }
                _ if base.identity() == delta.target() => "the set has these changes already",
                _ => "use the set that the delta was made from",
            };
            let (delta, base) = (self.delta.clone(), self.set.clone());
            Error::Apply { delta, base, why: format!("{error}; {remedy}") }
        })?;
        output.write(set.as_bytes())?;
        Made::new(self.output.path(), &set.info()).tell(context)
    }
}
