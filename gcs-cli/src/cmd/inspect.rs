//! `gcs inspect`: statistics of sets, deltas and indexes.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::load::{self, Loaded};
use crate::output::Stdout;
use crate::quantity::{counted, grouped};
use crate::report::{DeltaReport, IndexReport, SetReport, path_text};

/// Show the statistics of sets, deltas and indexes, after verifying them.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Sets, deltas and indexes; an index beside its set
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What is told about a file.
#[derive(Debug, Serialize)]
pub(super) struct FileReport<'a> {
    #[serde(serialize_with = "path_text")]
    file: &'a Path,
    #[serde(flatten)]
    content: Content,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Content {
    Set(SetReport),
    Delta(DeltaReport),
    Index(IndexReport),
}

impl FileReport<'_> {
    /// Verifies a file.
    pub(super) fn of(context: Context, file: &Path) -> Result<FileReport<'_>, Error> {
        let content = match load::any(context, file)? {
            Loaded::Set(info) => Content::Set(SetReport::of(&info)),
            Loaded::Index(info) => Content::Index(IndexReport::of(&info)),
            Loaded::Delta(delta) => Content::Delta(DeltaReport::of(&delta)),
        };
        Ok(FileReport { file, content })
    }

    /// In one line.
    pub(super) fn summary(&self) -> String {
        let file = self.file.display();
        match &self.content {
            Content::Set(set) => {
                format!(
                    "{file}: valid set of {}, identity {}",
                    counted(set.fingerprints.into(), "fingerprint"),
                    set.identity
                )
            }
            Content::Index(index) => format!(
                "{file}: valid index of {}, of the set {}",
                counted(index.fingerprints.into(), "fingerprint"),
                index.set
            ),
            Content::Delta(delta) => format!(
                "{file}: valid delta, {} removed, {} added, from {} to {}",
                grouped(delta.removed.into()),
                grouped(delta.added.into()),
                delta.base,
                delta.target
            ),
        }
    }
}

impl fmt::Display for FileReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Set(set) => write!(f, "{}: set\n{set}", self.file.display()),
            Content::Index(index) => write!(f, "{}: index\n{index}", self.file.display()),
            Content::Delta(delta) => write!(f, "{}: delta\n{delta}", self.file.display()),
        }
    }
}

impl Inspect {
    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let mut stdout = Stdout::new();
        for file in &self.files {
            let report = FileReport::of(context, file)?;
            match context.json {
                true => stdout.json(&report)?,
                false => stdout.line(&report)?,
            }
            stdout.flush()?;
        }
        Ok(SUCCESS)
    }
}
