//! Where the time comes from, and whether it can be trusted.

mod anchor;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use anchor::LARGEST_STEP;
pub use anchor::{Anchor, Reading, WatchedClock};

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
    /// A machine of a test, whose clock may leap.
    Machine(Machine),
}

/// A machine of a test: its clock, and how long it has run.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What its clock says: Unix time in seconds.
    pub now: Arc<AtomicU64>,
    /// Seconds since it booted.
    pub uptime: Arc<AtomicU64>,
    /// The name of this boot.
    pub boot: String,
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
            Clock::Machine(machine) => machine.now.load(Ordering::SeqCst),
        }
    }

    /// Unix time in milliseconds. Other clocks than the system's tell no parts of a second.
    pub fn now_ms(&self) -> u64 {
        match self {
            Clock::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            _ => self.now().saturating_mul(1000),
        }
    }

    /// Seconds since the machine booted, those in which it was suspended among them. Nobody can set
    /// them. `None` where a clock moves as it is told to, and on systems other than Linux.
    fn uptime(&self) -> Option<u64> {
        match self {
            Clock::System => system_uptime(),
            Clock::File(_) | Clock::Manual(_) => None,
            Clock::Machine(machine) => Some(machine.uptime.load(Ordering::SeqCst)),
        }
    }

    /// The name of this boot, which no other boot has; empty if there is none.
    fn boot(&self) -> String {
        match self {
            Clock::System => {
                let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
                id.unwrap_or_default().trim().to_owned()
            }
            Clock::File(_) | Clock::Manual(_) => String::new(),
            Clock::Machine(machine) => machine.boot.clone(),
        }
    }
}

#[cfg(target_os = "linux")]
fn system_uptime() -> Option<u64> {
    use rustix::time::{ClockId, clock_gettime};

    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).ok()
}

#[cfg(not(target_os = "linux"))]
fn system_uptime() -> Option<u64> {
    None
}
