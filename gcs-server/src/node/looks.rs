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
    /// have missed what is new. Says whether the look succeeded. A look goes on when nobody waits for it any more,
    /// so that a log that does not answer is not looked at again and again.
    pub(super) async fn share(&self, look: impl Future<Output = bool> + Send + 'static) -> bool {
        let needed = self.begun.load(Ordering::SeqCst) + 1;
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if last.number >= needed {
            return last.has_succeeded;
        }
        let begun = Arc::clone(&self.begun);
        let looking = tokio::spawn(async move {
            if let Some(began) = last.began {
                sleep_until(began + PAUSE).await;
            }
            last.began = Some(Instant::now());
            let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
            let has_succeeded = look.await;
            (last.number, last.has_succeeded) = (number, has_succeeded);
            has_succeeded
        });
        looking.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::time::sleep;

    type Count = Arc<AtomicU32>;

    async fn slow(looks: Count) -> bool {
        looks.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(50)).await;
        true
    }

    fn count(looks: &Count) -> u32 {
        looks.load(Ordering::SeqCst)
    }

    /// A look that is under way.
    async fn begun(shared: &Looks, looks: &Count) -> impl Future<Output = bool> {
        let (shared, slow) = (shared.clone(), slow(Arc::clone(looks)));
        let before = count(looks);
        let mut look = Box::pin(async move { shared.share(slow).await });
        assert!((&mut look).now_or_never().is_none());
        while count(looks) == before {
            sleep(Duration::from_millis(1)).await;
        }
        look
    }

    #[actix_web::test]
    async fn those_who_wait_share_a_look_that_begins_after_they_came() {
        let (shared, looks) = (Looks::default(), Count::default());
        let first = begun(&shared, &looks).await;
        // One look is under way: a second is needed, and only that.
        let all = join_all((0..500).map(|_| shared.share(slow(Arc::clone(&looks)))));
        let (own, all) = futures_util::join!(first, all);
        assert!(own && all.iter().all(|succeeded| *succeeded));
        assert_eq!(count(&looks), 2);
        // One after the other they are as many as there are pauses.
        let began = Instant::now();
        for _ in 0..10 {
            assert!(!shared.share(async { false }).await);
        }
        assert!(began.elapsed() >= 9 * PAUSE, "{:?}", began.elapsed());
    }

    #[actix_web::test]
    async fn a_look_that_nobody_waits_for_is_ended_before_the_next() {
        let (shared, looks) = (Looks::default(), Count::default());
        drop(begun(&shared, &looks).await);
        for _ in 0..20 {
            let look = shared.share(slow(Arc::clone(&looks)));
            assert!(look.now_or_never().is_none());
        }
        assert_eq!(count(&looks), 1);
        assert!(shared.share(slow(Arc::clone(&looks))).await);
        assert_eq!(count(&looks), 2);
    }
}
