//! Looks at a log that others append to, shared by all who wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Shortest time from one look to the next: however many requests wait for a look, the log is asked this often.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks at a log, one at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    /// Number of looks that have begun.
    begun: Arc<AtomicU64>,
    /// The last look that has ended. Whoever looks has this locked.
    last: Arc<Mutex<Look>>,
}

#[derive(Debug, Default)]
struct Look {
    number: u64,
    began: Option<Instant>,
    has_succeeded: bool,
}

impl Looks {
    /// Looks, or waits for a look of somebody else that begins after this call: one that had begun before may
    /// have missed what is new. Says whether the look succeeded.
    pub(super) async fn share(&self, look: impl Future<Output = bool>) -> bool {
        let needed = self.begun.load(Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if last.number >= needed {
            return last.has_succeeded;
        }
        if let Some(began) = last.began {
            sleep_until(began + PAUSE).await;
        }
        // What is dropped from here on has no result, and the next in line begins anew.
        last.began = Some(Instant::now());
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let has_succeeded = look.await;
        (last.number, last.has_succeeded) = (number, has_succeeded);
        has_succeeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::time::sleep;

    async fn slow(looks: &Cell<u32>) -> bool {
        looks.set(looks.get() + 1);
        sleep(Duration::from_millis(5)).await;
        true
    }

    #[actix_web::test]
    async fn those_who_wait_share_a_look_that_begins_after_they_came() {
        let (shared, looks) = (Looks::default(), Cell::new(0));
        let look = || Box::pin(shared.share(slow(&looks)));
        let mut first = look();
        assert!((&mut first).now_or_never().is_none());
        // One look is under way: a second is needed, and only that.
        let all = join_all((0..500).map(|_| look()));
        let (own, all) = futures_util::join!(first, all);
        assert!(own && all.iter().all(|succeeded| *succeeded) && looks.get() == 2);
        // One after the other they are as many as there are pauses.
        let began = Instant::now();
        for _ in 0..10 {
            look().await;
        }
        assert!(began.elapsed() >= 9 * PAUSE && looks.get() == 12);
    }

    #[actix_web::test]
    async fn a_look_that_nobody_ends_is_begun_anew() {
        let (shared, looks) = (Looks::default(), Cell::new(0));
        let mut gone = Box::pin(shared.share(slow(&looks)));
        assert!((&mut gone).now_or_never().is_none());
        let mut waits = Box::pin(shared.share(slow(&looks)));
        assert!((&mut waits).now_or_never().is_none());
        drop(gone);
        assert!(waits.await && looks.get() == 2);
        assert!(!shared.share(async { false }).await);
    }
}
