//! `gcs diff`: what changed between two sets.

use std::path::{Path, PathBuf};

use clap::Args;
use gcs_core::Delta;
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::load::SetFile;
use crate::output::{OutputArgs, answer_about};
use crate::progress::Progress;
use crate::quantity::{bytes, grouped};
use crate::report::{DeltaReport, path_text};

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
    #[serde(serialize_with = "path_text")]
    file: &'a Path,
    #[serde(flatten)]
    delta: DeltaReport,
}

impl Diff {
    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let output = self.output.create()?;
        let (from, to) = (SetFile::open(&self.from)?, SetFile::open(&self.to)?);
        let progress = Progress::new(context, "comparing", Some(from.length() + to.length()));
        let delta = Delta::between_readers(from.reader(&progress)?, to.reader(&progress)?);
        let delta = delta.map_err(|error| {
            Error::of_stream(&[self.from.clone(), self.to.clone()], self.output.path(), error)
        })?;
        output.write(delta.as_bytes())?;
        drop(progress);
        let report = DiffReport { file: self.output.path(), delta: DeltaReport::of(&delta) };
        let text = format!(
            "{}: {} removed, {} added; {}; the set itself has {}",
            report.file.display(),
            grouped(report.delta.removed.into()),
            grouped(report.delta.added.into()),
            bytes(report.delta.bytes),
            bytes(to.length())
        );
        answer_about(report.file, context.json, &report, text)?;
        Ok(SUCCESS)
    }
}
