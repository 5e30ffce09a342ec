//! A server whose log cannot be used: it serves what is published, and tries again.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::folder::FolderError;
use super::opening::{Opener, Work};
use super::repair::{LOG, LOG_WAL, WITNESS};
use super::start::StartError;
use crate::store::LogPlace;

/// How often the log's files are looked at, and the shortest pause between two tries.
const LOOK: Duration = Duration::from_secs(2);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Longest pause between two tries to reach a database.
const SHORT_PAUSE: Duration = Duration::from_secs(10);

/// How many times as long as a try the pause after it is: reading a large log that is damaged must not keep the
/// disk busy.
const PAUSE: u32 = 20;

/// Seconds until a reason that lasts is logged again.
const LOG_AGAIN_SECONDS: u64 = 600;

/// A server that waits until its log can be used.
pub(super) struct Waiting {
    opener: Opener,
    /// Why the log could not be used at the start.
    pub(super) why: StartError,
    /// What was logged last, and when.
    said: (String, u64),
    /// How long the last try took.
    took: Duration,
    /// Whether a database could not be reached in the last try.
    is_away: bool,
    /// How the log's files looked before the last try: what is put right during it counts too.
    looked: Look,
    /// Whether the last pause was cut short because they had changed during the try. A try must not chase itself.
    is_hurried: bool,
}

impl Waiting {
    /// After a first try, which took so long, and before which the log's files looked like this.
    pub(super) fn new(opener: Opener, why: StartError, took: Duration, looked: Look) -> Waiting {
        let reason = why.to_string();
        let (is_away, said, is_hurried) = (is_away(&why), (String::new(), 0), false);
        let mut waiting = Waiting { opener, why, said, took, is_away, looked, is_hurried };
        waiting.say(reason);
        waiting
    }

    /// Tries until the log can be used; `None` if the server stops before.
    pub(super) async fn until_open(
        mut self,
        hurry: &Notify,
        stopped: &mut oneshot::Receiver<()>,
    ) -> Option<(Work, Opener)> {
        loop {
            tokio::select! {
                _ = &mut *stopped => return None,
                () = hurry.notified() => {}
                () = self.pause() => {}
            }
            let began = Instant::now();
            self.looked = Look::of(&self.opener.data_dir);
            let tried = tokio::select! {
                _ = &mut *stopped => return None,
                tried = self.opener.again() => tried,
            };
            self.took = began.elapsed();
            match tried {
                Ok(read) => {
                    tracing::warn!("the log can be used again: everything is served and accepted");
                    return Some((self.opener.go_on(read), self.opener));
                }
                Err(error) => {
                    self.is_away = is_away(&error);
                    self.say(error.to_string());
                    tracing::debug!("the log still cannot be used");
                }
            }
        }
    }

    /// Waits until the next try is due: after a time, or as soon as somebody has changed the log.
    async fn pause(&mut self) {
        let folder = &self.opener.data_dir;
        let (began, seen) = (Instant::now(), Look::of(folder));
        self.is_hurried = hurries(seen != self.looked, self.is_hurried);
        let pause = if self.is_hurried { LOOK } else { pause_after(self.took) };
        // A try costs a database nothing that is not there.
        let pause = if self.is_away { pause.min(SHORT_PAUSE) } else { pause };
        while began.elapsed() < pause {
            tokio::time::sleep(LOOK.min(pause)).await;
            if Look::of(folder) != seen {
                return;
            }
        }
    }

    /// Says why the log cannot be used: to whoever asks, and now and then in the log lines.
    fn say(&mut self, reason: String) {
        self.opener.entry.refuse(&reason);
        let now = self.opener.service.clock.now();
        let (said, when) = &self.said;
        if *said == reason && now.abs_diff(*when) < LOG_AGAIN_SECONDS {
            return;
        }
        tracing::error!(
            "{reason}\nThe published files are served as before. Everything else is answered with 503 until \
             the log can be used; the server tries again by itself."
        );
        self.said = (reason, now);
    }
}

/// Whether a database could not be reached.
fn is_away(why: &StartError) -> bool {
    let StartError::DataFolder(FolderError::Store { log, .. }) = why else { return false };
    matches!(log, LogPlace::Postgres(_))
}

/// How long to wait after a try that took some time.
fn pause_after(took: Duration) -> Duration {
    took.saturating_mul(PAUSE).clamp(LOOK, LONGEST_PAUSE)
}

/// Whether the next try comes soon: if the files have changed during the last one, but not twice in a row. It may be the try
/// that changes them.
fn hurries(has_changed: bool, was_hurried: bool) -> bool {
    has_changed && !was_hurried
}

/// How the files of a log look from outside: somebody who puts them right changes that.
#[derive(Debug)]
pub(super) struct Look([Option<Metadata>; 3]);

impl Look {
    pub(super) fn of(folder: &Path) -> Look {
        Look([LOG, LOG_WAL, WITNESS].map(|name| fs::metadata(folder.join(name)).ok()))
    }
}

impl PartialEq for Look {
    fn eq(&self, other: &Look) -> bool {
        let look = |file: &Option<Metadata>| {
            file.as_ref().map(|file| (file.len(), file.modified().ok(), file.permissions()))
        };
        self.0.iter().map(look).eq(other.0.iter().map(look))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_that_takes_long_is_rare() {
        let seconds = Duration::from_secs;
        assert_eq!(pause_after(Duration::ZERO), LOOK);
        assert_eq!(pause_after(Duration::from_millis(50)), LOOK);
        assert_eq!(pause_after(seconds(20)), seconds(400));
        assert_eq!(pause_after(seconds(100_000)), LONGEST_PAUSE);
        assert_eq!(pause_after(Duration::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn what_is_put_right_during_a_try_is_tried_soon() {
        assert!(hurries(true, false));
        assert!(!hurries(false, false));
        assert!(!hurries(true, true), "it chases itself");
    }

    #[test]
    fn a_change_of_the_log_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut before = Look::of(path);
        let mut changes = 0;
        let mut has_changed = || {
            let now = Look::of(path);
            let has = before != now;
            before = now;
            changes += u32::from(has);
            has
        };
        assert!(!has_changed());
        fs::write(path.join(LOG), "a").unwrap();
        assert!(has_changed() && !has_changed());
        fs::write(path.join(LOG), "ab").unwrap();
        assert!(has_changed());
        fs::write(path.join(LOG_WAL), "").unwrap();
        assert!(has_changed());
        fs::remove_file(path.join(LOG)).unwrap();
        assert!(has_changed() && !has_changed());
        assert_eq!(changes, 4);
    }
}
