//! Removes temporary files when the program is interrupted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// Exit status after an interruption: what a shell shows for other tools then.
const INTERRUPTED: i32 = 128 + 2;

static TEMPORARY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn temporary() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on, SIGINT, SIGTERM and SIGHUP remove temporary files before they end the program. Where
/// one of them is ignored, as `nohup` arranges, all stay as they are.
pub(crate) fn handle() -> Result<(), Error> {
    let end = || {
        for path in temporary().iter() {
            let _gone = fs::remove_file(path);
        }
        std::process::exit(INTERRUPTED);
    };
    match ctrlc::try_set_handler(end) {
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        Err(error) => Err(Error::Start("interrupt handler", error.to_string())),
    }
}

/// A temporary file that an interruption removes, as long as this lives.
#[derive(Debug)]
pub(crate) struct Guard(PathBuf);

impl Guard {
    /// Guards a file.
    pub(crate) fn file(path: &Path) -> Guard {
        temporary().insert(path.to_owned());
        Guard(path.to_owned())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        temporary().remove(&self.0);
    }
}
