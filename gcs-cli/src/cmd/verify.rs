//! `gcs verify`: whether files are whole.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::inspect::FileReport;
use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::output::{Stdout, note};
use crate::report::path_text;

/// Verify every byte of sets, deltas and indexes.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Sets, deltas and indexes; an index beside its set
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// A file that is not what it should be.
#[derive(Debug, Serialize)]
struct Failed<'a> {
    #[serde(serialize_with = "path_text")]
    file: &'a Path,
    valid: bool,
    error: String,
}

/// A file that is.
#[derive(Debug, Serialize)]
struct Passed<'a> {
    valid: bool,
    #[serde(flatten)]
    report: FileReport<'a>,
}

impl Verify {
    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let mut stdout = Stdout::new();
        let mut failed = 0;
        for file in &self.files {
            match FileReport::of(context, file) {
                Ok(report) if context.json => stdout.json(&Passed { valid: true, report })?,
                Ok(report) => stdout.line(report.summary())?,
                Err(error) => {
                    failed += 1;
                    if context.json {
                        stdout.json(&Failed { file, valid: false, error: error.to_string() })?;
                    } else if self.files.len() > 1 {
                        note(format_args!("gcs: {error}"));
                    } else {
                        return Err(error);
                    }
                }
            }
            stdout.flush()?;
        }
        match failed {
            0 => Ok(SUCCESS),
            failed => Err(Error::Several { failed, total: self.files.len() }),
        }
    }
}
