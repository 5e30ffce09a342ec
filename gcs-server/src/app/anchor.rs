//! The file `anchor`: by it a leap of the clock between two runs is noticed, as long as the machine has not
//! booted again.
//!
//! It is JSON, and counts only for the boot that it names; so it need not outlive a power cut. One that is
//! missing or damaged is made anew: then only the times in the log tell whether the clock is right.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::{Anchor, WatchedClock};
use crate::domain::judge::agrees_with_log;
use crate::new_file::{NewFile, Readers};
use crate::node::StateView;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The anchor of an earlier run, if it can be read.
pub(super) fn read(path: &Path) -> Option<Anchor> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Saves the anchor, if there is one.
pub(super) fn save(path: &Path, clock: &WatchedClock) {
    if let Some(anchor) = clock.anchor()
        && let Err(error) = write(path, &anchor)
    {
        tracing::warn!(%error, "a leap of the clock until the next start would not be noticed");
    }
}

fn write(path: &Path, anchor: &Anchor) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = NewFile::create(&new, Readers::Owner)?;
    file.file().write_all(&serde_json::to_vec(anchor)?)?;
    fs::rename(&new, path)?;
    file.keep();
    Ok(())
}

/// The file, and what it is kept up to date with.
pub(super) struct AnchorFile {
    path: PathBuf,
    clock: WatchedClock,
    state: StateView,
    saved: Option<Anchor>,
    is_in_doubt: bool,
}

impl AnchorFile {
    /// The file is written before this returns, if there is an anchor.
    pub(super) fn new(path: PathBuf, clock: WatchedClock, state: StateView) -> AnchorFile {
        let mut file = AnchorFile { path, clock, state, saved: None, is_in_doubt: false };
        file.update();
        file
    }

    /// Keeps the file up to date, and says when the clock leaps.
    pub(super) async fn run(mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            // The disk may make it wait.
            let updated = tokio::task::spawn_blocking(move || {
                self.update();
                self
            });
            let Ok(updated) = updated.await else { return };
            self = updated;
        }
    }

    fn update(&mut self) {
        let state = self.state.read();
        let leap = self.clock.look(|now| agrees_with_log(&state, now)).leap;
        drop(state);
        match leap {
            Some(seconds) if !self.is_in_doubt => tracing::error!(
                seconds,
                "the clock leapt while the machine ran: reports and publishing wait until it is put right; if it \
                 is right now, run `gcs-server clock resume`"
            ),
            None if self.is_in_doubt => tracing::info!("the clock is trusted again"),
            _ => {}
        }
        self.is_in_doubt = leap.is_some();
        let anchor = self.clock.anchor();
        if anchor != self.saved {
            save(&self.path, &self.clock);
            self.saved = anchor;
        }
    }
}
