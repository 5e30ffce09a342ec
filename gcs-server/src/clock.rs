//! Where the time comes from: the system, a file, or a test.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A file with the Unix time in seconds, in decimal: for demonstrations that run through
    /// several days in minutes.
    File(PathBuf),
    /// A Unix time in seconds that a test sets.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// Unix time in seconds. A file that cannot be read, or a system time before 1970, is
    /// time 0: then the clock seems to have gone back, and ticks wait.
    pub fn now(&self) -> u64 {
        match self {
            Clock::System => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
            }
            Clock::File(path) => std::fs::read_to_string(path)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0),
            Clock::Manual(seconds) => seconds.load(Ordering::SeqCst),
        }
    }
}
