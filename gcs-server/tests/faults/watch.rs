//! How far the load on a server has come.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often the load is looked at.
const LOOK: Duration = Duration::from_micros(200);

/// How long the load may take to come to a fault.
const PATIENCE: Duration = Duration::from_secs(100);

/// How far the load has come.
#[derive(Default)]
pub struct Watch {
    acknowledged: AtomicUsize,
    postponed: AtomicUsize,
    /// Whether what comes from now on is of no worth, since the disk is gone.
    is_cut: AtomicBool,
    is_over: AtomicBool,
}

impl Watch {
    /// Waits until so many reports are acknowledged; false if that does not come.
    pub fn until(&self, acknowledged: usize) -> bool {
        self.until_count(&self.acknowledged, acknowledged)
    }

    /// Waits until so many more reports are acknowledged.
    pub fn until_more(&self, acknowledged: usize) -> bool {
        self.until(self.acknowledged() + acknowledged)
    }

    /// Waits until so many more reports are postponed.
    pub fn until_postponed(&self, postponed: usize) -> bool {
        self.until_count(&self.postponed, self.postponed.load(Ordering::SeqCst) + postponed)
    }

    fn until_count(&self, count: &AtomicUsize, wanted: usize) -> bool {
        let began = Instant::now();
        while count.load(Ordering::SeqCst) < wanted {
            if self.is_over() || began.elapsed() > PATIENCE {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub fn count_acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    pub fn count_postponed(&self) {
        self.postponed.fetch_add(1, Ordering::SeqCst);
    }

    pub fn postponed(&self) -> usize {
        self.postponed.load(Ordering::SeqCst)
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }
}
