//! Waiting for what a server, or anything else, does by itself.

use std::time::{Duration, Instant};

/// Longest time that anything takes on a slow machine. What takes longer does not come.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks, so that what is waited for has the processor.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_some(what, || is_so().then_some(()));
}

/// Tries until there is something.
#[track_caller]
pub fn until_some<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        match attempt() {
            Some(found) => return found,
            None => be_patient(begun, what),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits until something is so, while the thread's other tasks go on.
pub async fn until_async(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        be_patient(begun, what);
        tokio::time::sleep(PAUSE).await;
    }
}

#[track_caller]
fn be_patient(begun: Instant, what: &str) {
    assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
}
