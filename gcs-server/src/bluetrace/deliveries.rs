//! How it stands with the delivery to each authority: what failed, and when it is tried again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gcs_core::DAY_SECONDS;

use super::courier::{Item, ItemKind};
use crate::domain::state::bluetrace::Authority;

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
    /// The pause of the authority, if the last attempt has shown that it takes nothing.
    pause: Option<Pause>,
    /// The pauses of kinds of messages of which the authority takes no more for some time.
    kinds: BTreeMap<ItemKind, Pause>,
    /// The pauses of messages of which each has failed by itself.
    messages: BTreeMap<Item, Pause>,
    is_busy: bool,
    /// URL and key at which it failed. With another one nothing has failed yet.
    to: Option<Authority>,
}

/// A pause after an attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Attempts that failed since the last one that did not.
    pub failures: u32,
    /// Why the last one failed.
    pub error: String,
    /// Unix time of the next attempt in seconds.
    pub next: u64,
    /// Unix time of the last one.
    last: u64,
}

/// Why a message was not delivered, and what waits because of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The authority takes no message now: it cannot be reached, or does not know us.
    Away(String),
    /// It has had too many of this kind, and takes the next one after so many seconds, if it says that.
    Limited(String, Option<u64>),
    /// It does not take this message, and may take the next one.
    Refused(String),
    /// It failed over this message, which may be the reason, or not.
    Failed(String),
}

impl Failure {
    /// What went wrong.
    pub fn error(&self) -> &str {
        match self {
            Failure::Away(error)
            | Failure::Limited(error, _)
            | Failure::Refused(error)
            | Failure::Failed(error) => error,
        }
    }
}

impl Pause {
    /// The pause after this one. It is half to one and a half times as long as it would be without `random`.
    fn after(before: Option<&Pause>, error: &str, now: u64, random: u8) -> Pause {
        let failures = before.map_or(0, |pause| pause.failures).saturating_add(1);
        let pause = (FIRST_PAUSE << (failures - 1).min(16)).min(LONGEST_PAUSE);
        let next = now.saturating_add(pause / 2 + pause * u64::from(random) / 255);
        Pause { failures, error: error.to_owned(), next, last: now }
    }

    /// The same pause, but at least so many seconds long, up to a day.
    fn at_least(self, seconds: u64) -> Pause {
        Pause { next: self.next.max(self.last.saturating_add(seconds.min(DAY_SECONDS))), ..self }
    }

    fn lasts(&self, now: u64) -> bool {
        // The clock may have gone back.
        (self.last..self.next).contains(&now)
    }
}

impl Delivery {
    /// The pause to show: that of the authority, or else the one of a kind or message that ends first.
    pub fn pause(&self) -> Option<&Pause> {
        let of_some = self.kinds.values().chain(self.messages.values());
        self.pause.as_ref().or(of_some.min_by_key(|pause| pause.next))
    }

    /// Number of messages that have failed by themselves, and are tried again each in its time.
    pub fn refused(&self) -> usize {
        self.messages.len()
    }

    /// Forgets what failed at another URL, or with another key.
    fn turn_to(&mut self, to: &Authority) {
        if self.to.as_ref() != Some(to) {
            *self = Delivery { is_busy: self.is_busy, to: Some(to.clone()), ..Delivery::default() };
        }
    }
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
    pub fn of(&self, hai: &str, to: &Authority) -> Delivery {
        let known = self.all().get(hai).cloned();
        known.filter(|delivery| delivery.to.as_ref() == Some(to)).unwrap_or_default()
    }

    /// Begins an attempt of the first item whose pause is over, unless one goes on, or the authority's own pause
    /// lasts. The items are in order; what fails of them is kept only while it `waits`.
    pub(super) fn begin(
        &self,
        (hai, to): (&str, &Authority),
        mut items: impl Iterator<Item = Item>,
        waits: impl Fn(&Item) -> bool,
        now: u64,
    ) -> Option<Item> {
        let mut all = self.all();
        let delivery = all.entry(hai.to_owned()).or_default();
        delivery.turn_to(to);
        delivery.messages.retain(|item, _| waits(item));
        if delivery.is_busy || delivery.pause.as_ref().is_some_and(|pause| pause.lasts(now)) {
            return None;
        }
        let lasts = |item: &Item| {
            let of_kind = delivery.kinds.get(&item.kind());
            let pauses = of_kind.into_iter().chain(delivery.messages.get(item));
            pauses.into_iter().any(|pause| pause.lasts(now))
        };
        let item = items.find(|item| !lasts(item))?;
        delivery.is_busy = true;
        Some(item)
    }

    /// Ends an attempt that was begun.
    pub(super) fn end(
        &self,
        (hai, to): (&str, &Authority),
        item: &Item,
        outcome: &Result<(), Failure>,
        now: u64,
        random: u8,
    ) {
        let mut all = self.all();
        let delivery = all.entry(hai.to_owned()).or_default();
        delivery.is_busy = false;
        if delivery.to.as_ref() != Some(to) {
            return;
        }
        let next = |before, error: &str| Pause::after(before, error, now, random);
        let of_authority = match outcome {
            Err(Failure::Away(error) | Failure::Failed(error)) => {
                Some(next(delivery.pause.as_ref(), error))
            }
            Ok(()) | Err(Failure::Limited(..) | Failure::Refused(_)) => None,
        };
        match outcome {
            Ok(()) => {
                delivery.kinds.remove(&item.kind());
                delivery.messages.remove(item);
            }
            Err(Failure::Limited(error, seconds)) => {
                let pause = next(delivery.kinds.get(&item.kind()), error);
                let pause = pause.at_least(seconds.unwrap_or(0));
                delivery.kinds.insert(item.kind(), pause);
            }
            Err(Failure::Refused(error) | Failure::Failed(error)) => {
                let pause = next(delivery.messages.get(item), error);
                delivery.messages.insert(item.clone(), pause);
            }
            Err(Failure::Away(_)) => {}
        }
        delivery.pause = of_authority;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Authority {
        Authority { url: url.to_owned(), key: [7; 32] }
    }

    /// The deliveries to one authority, A.
    #[derive(Default)]
    struct Test(Deliveries);

    impl Test {
        fn begin(&self, items: &[Item], now: u64) -> Option<Item> {
            self.begin_at("A", &at("a"), items, now)
        }

        fn begin_at(&self, hai: &str, to: &Authority, items: &[Item], now: u64) -> Option<Item> {
            let waits = |item: &Item| *item != Item::Batch(0);
            self.0.begin((hai, to), items.iter().cloned(), waits, now)
        }

        fn end(&self, item: &Item, outcome: &Result<(), Failure>, now: u64, random: u8) {
            self.0.end(("A", &at("a")), item, outcome, now, random);
        }

        fn pause(&self) -> Option<Pause> {
            self.0.of("A", &at("a")).pause().cloned()
        }
    }

    fn down() -> Failure {
        Failure::Away("down".to_owned())
    }

    #[test]
    fn pauses_grow_to_an_hour_and_end_with_a_success() {
        let test = Test::default();
        let items = [Item::Batch(1)];
        let mut now = 1_000_000;
        let other = at("b");
        for (failure, pause) in [5, 10, 20, 40].into_iter().chain([3600; 30]).enumerate() {
            assert_eq!(test.begin(&items, now), Some(Item::Batch(1)), "{failure}");
            // One at a time, and none before its time; others are not kept.
            assert_eq!(test.begin(&items, now), None);
            assert!(test.begin_at("B", &other, &items, now).is_some());
            test.0.end(("B", &other), &items[0], &Ok(()), now, 0);
            let random = if failure % 2 == 0 { 0 } else { 255 };
            test.end(&items[0], &Err(down()), now, random);
            let of = test.pause().unwrap();
            assert_eq!((of.failures as usize, &*of.error), (failure + 1, "down"));
            let waits = of.next - now;
            if !(4..=12).contains(&failure) {
                assert!(waits >= pause / 2 && waits <= pause / 2 + pause, "{failure}: {waits}");
            }
            assert_eq!(test.begin(&items, of.next - 1), None);
            now = of.next;
        }
        assert!(test.begin(&items, now).is_some());
        test.end(&items[0], &Ok(()), now, 9);
        assert_eq!(test.pause(), None);
        // A clock that was ahead makes nobody wait.
        test.begin(&items, now).unwrap();
        test.end(&items[0], &Err(down()), now + 1_000_000, 9);
        assert!(test.begin(&items, now).is_some());
    }

    #[test]
    fn what_is_refused_keeps_nothing_back_and_a_withdrawal_goes_first() {
        let test = Test::default();
        let [withdrawal, follow_up, first, second] =
            [Item::Withdrawal([1; 16]), Item::FollowUp(3, 8), Item::Batch(3), Item::Batch(7)];
        let all = [withdrawal.clone(), follow_up.clone(), first.clone(), second.clone()];
        assert!(all.is_sorted());
        let refused = || Err(Failure::Refused("refused".to_owned()));
        // A batch is refused, and then again; the one behind it is delivered all the same.
        assert_eq!(test.begin(&all[2..], 100).as_ref(), Some(&first));
        test.end(&first, &refused(), 100, 0);
        assert_eq!(test.begin(&all[2..], 100).as_ref(), Some(&second));
        test.end(&second, &Ok(()), 100, 0);
        assert_eq!(test.begin(&all[2..3], 100), None);
        assert_eq!(test.begin(&all[2..3], 102).as_ref(), Some(&first));
        test.end(&first, &refused(), 102, 0);
        assert_eq!((test.pause().unwrap().failures, test.0.of("A", &at("a")).refused()), (2, 1));
        // What comes meanwhile does not wait for it, and a withdrawal for nothing.
        assert_eq!(test.begin(&all, 102).as_ref(), Some(&withdrawal));
        test.end(&withdrawal, &Ok(()), 102, 0);
        assert_eq!(test.begin(&all[1..], 102).as_ref(), Some(&follow_up));
        test.end(&follow_up, &Ok(()), 102, 0);
        // It is delivered in the end.
        assert_eq!(test.begin(&all[2..3], 1000).as_ref(), Some(&first));
        test.end(&first, &Ok(()), 1000, 0);
        assert_eq!((test.pause(), test.begin(&[], 1000)), (None, None));
        // Of what waits no more nothing is kept.
        test.end(&Item::Batch(0), &refused(), 1000, 0);
        assert_eq!(test.0.of("A", &at("a")).refused(), 1);
        test.begin(&[], 1000);
        assert_eq!(test.0.of("A", &at("a")).refused(), 0);
    }

    /// Whether the message was the reason is not known: the authority has its pause, and the message its own.
    #[test]
    fn a_message_over_which_the_authority_fails_each_time_keeps_no_other_from_it() {
        let test = Test::default();
        let items = [Item::Batch(3), Item::Batch(7)];
        let failed = || Err(Failure::Failed("it does not answer in time".to_owned()));
        let mut now = 100;
        let begin_first = |now| {
            assert_eq!(test.begin(&items, now).as_ref(), Some(&items[0]));
            test.end(&items[0], &failed(), now, 255);
            assert_eq!(test.begin(&items, now), None);
            test.pause().unwrap().next
        };
        now = begin_first(now);
        now = begin_first(now);
        // The pause of the message is over when that of the authority is. Once another one is delivered, it is longer.
        assert_eq!(test.begin(&items[1..], now).as_ref(), Some(&items[1]));
        test.end(&items[1], &Ok(()), now, 0);
        let next = begin_first(now);
        assert_eq!(test.begin(&items, next).as_ref(), Some(&items[1]));
        assert_eq!(test.0.of("A", &at("a")).messages[&items[0]].failures, 3);
    }

    /// Withdrawals go first, and there may be more of them than the authority takes in a day.
    #[test]
    fn a_limit_of_one_kind_keeps_no_other_kind_back_and_lasts_as_long_as_the_authority_says() {
        let test = Test::default();
        let [first, second, follow_up] =
            [Item::Withdrawal([1; 16]), Item::Withdrawal([2; 16]), Item::FollowUp(3, 8)];
        let all = [first.clone(), second, follow_up.clone()];
        let limited = |seconds| Err(Failure::Limited("it answered 429".to_owned(), seconds));
        assert_eq!(test.begin(&all, 100).as_ref(), Some(&first));
        test.end(&first, &limited(Some(40_000)), 100, 0);
        assert_eq!(test.begin(&all, 100).as_ref(), Some(&follow_up));
        test.end(&follow_up, &Ok(()), 100, 0);
        assert_eq!((test.pause().unwrap().next, test.begin(&all[..2], 40_099)), (40_100, None));
        assert_eq!(test.begin(&all, 40_100).as_ref(), Some(&first));
        // Once more, without a word of how long; and for longer than anybody may say.
        test.end(&first, &limited(None), 40_100, 0);
        assert_eq!(test.pause().unwrap().next, 40_105);
        assert_eq!(test.begin(&all, 40_105).as_ref(), Some(&first));
        test.end(&first, &limited(Some(u64::MAX)), 40_105, 0);
        assert_eq!(test.pause().unwrap().next, 40_105 + DAY_SECONDS);
        // A clock that went back makes nobody wait.
        assert_eq!(test.begin(&all, 40_104).as_ref(), Some(&first));
        test.end(&first, &Ok(()), 40_104, 0);
        assert_eq!(test.pause(), None);
    }

    #[test]
    fn another_url_or_key_ends_the_pause() {
        let test = Test::default();
        let items = [Item::Batch(3)];
        let begin = |to: &Authority| test.begin_at("A", to, &items, 100);
        begin(&at("a")).unwrap();
        test.end(&items[0], &Err(down()), 100, 0);
        assert_eq!(begin(&at("a")), None);
        let changed = [at("b"), Authority { key: [8; 32], ..at("b") }];
        assert_eq!(test.0.of("A", &changed[0]), Delivery::default());
        for to in &changed {
            assert!(begin(to).is_some(), "{to:?}");
            // What was on its way to the URL of before says nothing about this one.
            assert_eq!(begin(&at("c")), None);
            test.0.end(("A", to), &items[0], &Err(down()), 100, 0);
            assert!(begin(&at("c")).is_some());
            test.0.end(("A", &at("c")), &items[0], &Err(Failure::Refused("x".into())), 100, 0);
            assert_eq!(begin(&at("c")), None);
        }
    }

    #[test]
    fn what_is_forgotten_is_tried_again() {
        let test = Test::default();
        let items = [Item::Batch(3)];
        assert!(test.begin(&items, 0).is_some());
        assert_eq!(test.begin(&items, 0), None);
        test.0.forget();
        assert!(test.begin(&items, 0).is_some());
    }
}
