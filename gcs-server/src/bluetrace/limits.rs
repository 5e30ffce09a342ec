//! What is limited: how often passwords are sent, and how often passwords and codes are tried.
//!
//! Each node counts for itself, in memory, and forgets when it starts again. The memory is bounded:
//! who is counted is forgotten after a while, and when all places are taken, nobody new comes in.

use std::collections::HashMap;
use std::hash::Hash;

use crate::domain::problem::Problem;

/// At most so many times in so many seconds, for each of at most so many at once.
#[derive(Debug)]
pub(super) struct Limit<K> {
    most: u32,
    seconds: u64,
    places: usize,
    counted: HashMap<K, Counted>,
    /// Unix time at which who is over was last forgotten.
    swept: u64,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    /// Unix time of the first time that counts.
    since: u64,
    times: u32,
}

impl<K: Copy + Eq + Hash> Limit<K> {
    pub(super) fn new(most: u32, seconds: u64, places: usize) -> Limit<K> {
        Limit { most, seconds, places, counted: HashMap::new(), swept: 0 }
    }

    /// Makes sure that one more time is within the limit.
    ///
    /// # Errors
    /// [`Problem::LimitReached`], with the seconds to wait.
    pub(super) fn expect(&mut self, key: &K, now: u64) -> Result<(), Problem> {
        self.sweep(now);
        let seconds = match self.counted.get(key) {
            Some(counted) if counted.times >= self.most => self.left(*counted, now),
            None if self.counted.len() >= self.places => self.seconds,
            _ => 0,
        };
        if seconds > 0 { Err(Problem::LimitReached { seconds }) } else { Ok(()) }
    }

    /// Counts one time.
    pub(super) fn count(&mut self, key: K, now: u64) {
        let new = Counted { since: now, times: 0 };
        let counted = self.counted.entry(key).or_insert(new);
        // A clock that went back must not lengthen it.
        if now.abs_diff(counted.since) >= self.seconds {
            *counted = new;
        }
        counted.times = counted.times.saturating_add(1);
    }

    /// Counts as many times as are left.
    pub(super) fn use_up(&mut self, key: K, now: u64) {
        self.count(key, now);
        if let Some(counted) = self.counted.get_mut(&key) {
            counted.times = self.most;
        }
    }

    /// Takes back one time that was counted.
    pub(super) fn take_back(&mut self, key: &K) {
        if let Some(counted) = self.counted.get_mut(key) {
            counted.times = counted.times.saturating_sub(1);
        }
    }

    /// Number of those who are counted.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.counted.len()
    }

    fn left(&self, counted: Counted, now: u64) -> u64 {
        self.seconds.saturating_sub(now.abs_diff(counted.since))
    }

    fn sweep(&mut self, now: u64) {
        let pause = (self.seconds / 8).max(1);
        if now.abs_diff(self.swept) < pause {
            return;
        }
        self.swept = now;
        let seconds = self.seconds;
        self.counted.retain(|_, counted| now.abs_diff(counted.since) < seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait<K: Copy + Eq + Hash>(limit: &mut Limit<K>, key: &K, now: u64) -> u64 {
        match limit.expect(key, now) {
            Ok(()) => 0,
            Err(Problem::LimitReached { seconds }) => seconds,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_counted_is_forgotten_when_its_time_is_over() {
        let mut limit = Limit::new(2, 60, 3);
        for _ in 0..2 {
            assert_eq!(wait(&mut limit, &1, 1000), 0);
            limit.count(1, 1000);
        }
        assert_eq!(wait(&mut limit, &1, 1000), 60);
        assert_eq!(wait(&mut limit, &1, 1059), 1);
        assert_eq!(wait(&mut limit, &2, 1059), 0);
        assert_eq!(wait(&mut limit, &1, 1060), 0);
        limit.count(1, 1060);
        assert_eq!(wait(&mut limit, &1, 1060), 0);
        // A clock that goes back a little, and far.
        limit.count(1, 1060);
        assert_eq!(wait(&mut limit, &1, 1050), 50);
        assert_eq!(wait(&mut limit, &1, 10), 0);
    }

    #[test]
    fn what_is_used_up_has_one_more_time_when_one_is_taken_back() {
        let mut limit = Limit::new(5, 60, 3);
        limit.use_up(1, 1000);
        assert_eq!((wait(&mut limit, &1, 1000), wait(&mut limit, &2, 1000)), (60, 0));
        limit.take_back(&1);
        assert_eq!(wait(&mut limit, &1, 1000), 0);
        limit.count(1, 1000);
        assert_eq!(wait(&mut limit, &1, 1000), 60);
    }

    #[test]
    fn places_are_bounded() {
        let mut limit = Limit::new(1, 60, 3);
        (0..3).for_each(|key| limit.count(key, 1000));
        assert_eq!(wait(&mut limit, &3, 1000), 60);
        assert_eq!(limit.counted.len(), 3);
        assert_eq!(wait(&mut limit, &3, 1061), 0);
        assert_eq!(limit.counted.len(), 0);
    }
}
