//! How it stands with the delivery to each authority: what failed, and when it is tried again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::courier::Item;

/// Seconds until the second attempt.
const FIRST_PAUSE: u64 = 5;

/// Most seconds between two attempts, but for the random part.
const LONGEST_PAUSE: u64 = 3600;

/// The deliveries of this node to each authority, by HAI. They are forgotten when it starts again.
#[derive(Debug, Default)]
pub struct Deliveries(Mutex<BTreeMap<String, Delivery>>);

/// The delivery to one authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Attempts that failed since the last one that did not.
    pub failures: u32,
    /// Why the last one failed.
    pub error: Option<String>,
    /// Unix time of the next attempt in seconds, if the last one failed.
    pub next: u64,
    is_busy: bool,
    /// What was tried last. The next attempt is of what comes behind it, so that nothing that the authority refuses
    /// keeps the rest from it.
    last: Option<Item>,
}

impl Deliveries {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Delivery>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all attempts, after one that ended with a fault of this program. Some may then be made twice, which
    /// is harmless.
    pub(super) fn forget(&self) {
        self.all().clear();
    }

    /// How it stands with an authority.
    pub fn of(&self, hai: &str) -> Delivery {
        self.all().get(hai).cloned().unwrap_or_default()
    }

    /// Begins an attempt of one of the items, unless one goes on, or it is too early. They are in order.
    pub(super) fn begin(&self, hai: &str, items: &[Item], now: u64) -> Option<Item> {
        let mut all = self.all();
        let delivery = all.entry(hai.to_owned()).or_default();
        // The clock may have gone back.
        let is_early = now < delivery.next && delivery.next - now <= 2 * LONGEST_PAUSE;
        if delivery.is_busy || is_early {
            return None;
        }
        let behind = items.iter().find(|item| Some(*item) > delivery.last.as_ref());
        let item = behind.or(items.first())?.clone();
        delivery.is_busy = true;
        delivery.last = Some(item.clone());
        Some(item)
    }

    /// Ends an attempt. The pause is half to one and a half times as long as it would be without `random`.
    pub(super) fn end(&self, hai: &str, outcome: Result<(), String>, now: u64, random: u8) {
        let mut all = self.all();
        let delivery = all.entry(hai.to_owned()).or_default();
        delivery.is_busy = false;
        match outcome {
            Ok(()) => *delivery = Delivery { last: delivery.last.take(), ..Delivery::default() },
            Err(error) => {
                delivery.failures = delivery.failures.saturating_add(1);
                let doublings = (delivery.failures - 1).min(16);
                let pause = (FIRST_PAUSE << doublings).min(LONGEST_PAUSE);
                delivery.next = now.saturating_add(pause / 2 + pause * u64::from(random) / 255);
                delivery.error = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_end_with_a_success() {
        let deliveries = Deliveries::default();
        let items = [Item::Batch(1)];
        let mut now = 1_000_000;
        for (failure, pause) in [5, 10, 20, 40].into_iter().chain([3600; 30]).enumerate() {
            assert_eq!(deliveries.begin("A", &items, now), Some(Item::Batch(1)), "{failure}");
            // One at a time, and none before its time; others are not kept.
            assert_eq!(deliveries.begin("A", &items, now), None);
            assert!(deliveries.begin("B", &items, now).is_some());
            deliveries.end("B", Ok(()), now, 0);
            let random = if failure % 2 == 0 { 0 } else { 255 };
            deliveries.end("A", Err("down".to_owned()), now, random);
            let of = deliveries.of("A");
            assert_eq!((of.failures as usize, of.error.as_deref()), (failure + 1, Some("down")));
            let waits = of.next - now;
            if !(4..=12).contains(&failure) {
                assert!(waits >= pause / 2 && waits <= pause / 2 + pause, "{failure}: {waits}");
            }
            assert_eq!(deliveries.begin("A", &items, of.next - 1), None);
            now = of.next;
        }
        assert!(deliveries.begin("A", &items, now).is_some());
        deliveries.end("A", Ok(()), now, 9);
        let of = deliveries.of("A");
        assert_eq!((of.failures, of.error, of.next), (0, None, 0));
        // A clock that was ahead makes nobody wait.
        deliveries.begin("A", &items, now).unwrap();
        deliveries.end("A", Err("down".to_owned()), now + 1_000_000, 9);
        assert!(deliveries.begin("A", &items, now).is_some());
    }

    #[test]
    fn what_is_refused_keeps_nothing_back() {
        let deliveries = Deliveries::default();
        let items =
            [Item::Withdrawal([1; 16]), Item::Batch(3), Item::Batch(7), Item::FollowUp(3, 8)];
        let next = |now| {
            let item = deliveries.begin("A", &items, now);
            deliveries.end("A", Err("refused".to_owned()), now, 0);
            item
        };
        let tried: Vec<Item> = (0..5).map(|at| next(at * 1_000_000).unwrap()).collect();
        assert_eq!(tried, [&items[..], &items[..1]].concat());
        assert_eq!(deliveries.begin("C", &[], 0), None);
        deliveries.begin("D", &items, 0).unwrap();
        deliveries.forget();
        assert!(deliveries.begin("D", &items, 0).is_some());
    }
}
