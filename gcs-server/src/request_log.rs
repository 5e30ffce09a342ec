//! Which requests have a log line.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Log lines of requests in a second, when some requests have one.
const LINES: u32 = 10;

/// The requests that have a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum LoggedRequests {
    /// No request.
    None,
    /// At most ten in a second. The others are counted.
    #[default]
    Some,
    /// Every request. Whoever sends many fills the disk.
    All,
}

/// Whether a request has a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It has none.
    No,
    /// It has one, after so many requests that had none.
    Yes {
        /// Number of requests without a line since the last one that had one.
        left_out: u64,
    },
}

/// Decides which requests have a log line.
#[derive(Debug)]
pub struct RequestLog {
    which: AtomicU8,
    began: Instant,
    /// The present second since it began.
    second: AtomicU64,
    /// Lines in this second.
    lines: AtomicU32,
    left_out: AtomicU64,
}

impl RequestLog {
    /// Begins.
    pub fn new(which: LoggedRequests) -> RequestLog {
        RequestLog {
            which: AtomicU8::new(which as u8),
            began: Instant::now(),
            second: AtomicU64::new(0),
            lines: AtomicU32::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Changes which requests have a line from now on.
    pub fn set(&self, which: LoggedRequests) {
        self.which.store(which as u8, Ordering::Relaxed);
    }

    /// Whether the request that has just been answered has a line.
    pub fn line(&self) -> Line {
        let which = self.which.load(Ordering::Relaxed);
        if which == LoggedRequests::None as u8 {
            return Line::No;
        }
        if which == LoggedRequests::All as u8 {
            return Line::Yes { left_out: 0 };
        }
        self.some(self.began.elapsed().as_secs())
    }

    /// Two threads at the turn of a second may allow a line too many or too few.
    fn some(&self, second: u64) -> Line {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) >= LINES {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            // Not beyond the largest number.
            self.lines.store(LINES, Ordering::Relaxed);
            return Line::No;
        }
        Line::Yes { left_out: self.left_out.swap(0, Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_few_lines_and_all_are_counted() {
        let log = RequestLog::new(LoggedRequests::Some);
        for second in 0..3 {
            let lines: Vec<Line> = (0..1000).map(|_| log.some(second)).collect();
            let left_out = if second == 0 { 0 } else { 990 };
            assert_eq!(lines[0], Line::Yes { left_out });
            assert_eq!(lines.iter().filter(|line| **line != Line::No).count(), 10);
        }
        log.set(LoggedRequests::All);
        assert!((0..1000).all(|_| log.line() == Line::Yes { left_out: 0 }));
        log.set(LoggedRequests::None);
        assert!((0..1000).all(|_| log.line() == Line::No));
    }
}
