//! `gcs diff`: what changed between two sets.

use std::path::{Path, PathBuf};

use clap::Args;
use gcs_core::{Delta, DeltaError};
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::load;
use crate::output::{OutputArgs, answer};
use crate::quantity::{bytes, grouped};
use crate::report::{DeltaReport, salt_text};

/// Write what changed between two sets, as a delta.
#[derive(Args, Debug)]
#[command(after_help = "\
Whoever has the first set makes the second one of it with the delta: gcs apply FROM DELTA -o TO")]
pub(crate) struct Diff {
    /// The set before
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The set after
    #[arg(value_name = "TO")]
    to: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// What was written.
#[derive(Debug, Serialize)]
struct DiffReport<'a> {
    file: &'a Path,
    #[serde(flatten)]
    delta: DeltaReport,
}

impl Diff {
    fn failed(&self, error: DeltaError) -> Error {
        let (path, first) = (self.to.clone(), self.from.clone());
        match error {
            DeltaError::Salt { expected, got } => {
                Error::differs(path, first, "salt", salt_text(expected), salt_text(got))
            }
            DeltaError::HashRange { expected, got } => {
                Error::differs(path, first, "hash range", expected, got)
            }
            error => Error::Differs { path, first, difference: error.to_string() },
        }
    }

    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let output = self.output.create()?;
        let from = load::set(context, &self.from)?;
        let to = load::set(context, &self.to)?;
        let delta = Delta::between(&from, &to).map_err(|error| self.failed(error))?;
        output.write(delta.as_bytes())?;
        let report = DiffReport { file: self.output.path(), delta: DeltaReport::of(&delta) };
        let text = format!(
            "{}: {} removed, {} added; {}; the set itself has {}",
            report.file.display(),
            grouped(report.delta.removed.into()),
            grouped(report.delta.added.into()),
            bytes(report.delta.bytes),
            bytes(to.as_bytes().len() as u64)
        );
        answer(context.json, &report, text)?;
        Ok(SUCCESS)
    }
}
