//! `gcs index`: an index file beside a set, so that queries need not read the whole set.

use std::path::{Path, PathBuf};

use clap::Args;
use gcs_core::set::{SetInfo, write_index};
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::error::Error;
use crate::input::is_dash;
use crate::load::{IndexFile, SetFile, TrackedAt};
use crate::output::{NewFile, answer_about};
use crate::progress::Progress;
use crate::quantity::{bytes, counted};
use crate::report::path_text;

/// Make an index of a set, so that a query reads a few pages of it.
#[derive(Args, Debug)]
#[command(after_help = "\
gcs query finds SET.index beside the set by itself. An index takes one bit for each fingerprint. \
When the set changes, make its index again.")]
pub(crate) struct Index {
    /// The set; - is standard input
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// The file to make; - is standard output [default: SET.index]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there already
    #[arg(long)]
    force: bool,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made<'a> {
    #[serde(serialize_with = "path_text")]
    file: &'a Path,
    bytes: u64,
    fingerprints: u32,
    set: String,
}

impl Index {
    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let path = match &self.output {
            Some(path) => path.clone(),
            None if is_dash(&self.set) => {
                let why = "standard input has no name to put the index beside";
                return Err(Error::usage("gcs index -", why, "say -o FILE"));
            }
            None => IndexFile::beside(&self.set),
        };
        let mut output = NewFile::create(&path, self.force)?;
        let set = SetFile::open(&self.set)?;
        // Once for the places, once for the checks.
        let progress = Progress::new(context, "indexing", Some(2 * set.length()));
        let written = write_index(&TrackedAt::new(&set, &progress), output.file());
        let info = written.map_err(|error| Error::of_index(&self.set, &path, error))?;
        let length = output.length()?;
        output.finish()?;
        drop(progress);
        self.tell(context, &path, length, &info)
    }

    fn tell(&self, context: Context, file: &Path, length: u64, set: &SetInfo) -> Result<u8, Error> {
        let (fingerprints, set) = (set.len, set.identity.to_string());
        let text = format!(
            "{}: index of {}: {}; {}",
            file.display(),
            self.set.display(),
            counted(fingerprints.into(), "fingerprint"),
            bytes(length)
        );
        answer_about(file, context.json, &Made { file, bytes: length, fingerprints, set }, text)?;
        Ok(SUCCESS)
    }
}
