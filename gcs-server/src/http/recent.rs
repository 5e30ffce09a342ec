//! How fast something was lately.

use std::time::Duration;

use tokio::time::Instant;

/// The span over which speed counts: long enough for a slow link to show that it moves, short enough
/// that who was fast once is not thought fast for long.
const SPAN: Duration = Duration::from_secs(4);

/// Bytes in the present span of time and in the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent {
    since: Instant,
    now: u64,
    before: u64,
}

impl Recent {
    pub(super) fn new(now: Instant) -> Recent {
        Recent { since: now, now: 0, before: 0 }
    }

    /// These bytes moved now.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.turn(now);
        self.now = self.now.saturating_add(bytes);
    }

    fn turn(&mut self, now: Instant) {
        let past = now.saturating_duration_since(self.since);
        if past < SPAN {
            return;
        }
        let last = if past < 2 * SPAN { self.now } else { 0 };
        *self = Recent { since: now, now: 0, before: last };
    }

    /// Bytes a second over the last one or two spans.
    pub(super) fn speed(mut self, now: Instant) -> f64 {
        self.turn(now);
        let time = SPAN + now.saturating_duration_since(self.since);
        (self.now + self.before) as f64 / time.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_long_ago_does_not_count() {
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let mut burst = Recent::new(began);
        burst.add(1_000_000, at(0));
        let mut steady = Recent::new(began);
        let mut speeds = Vec::new();
        for second in 1..=20 {
            steady.add(1000, at(second));
            burst.add(1, at(second));
            speeds.push((burst.speed(at(second)), steady.speed(at(second))));
        }
        assert!(speeds[..4].iter().all(|(burst, steady)| burst > steady), "{speeds:?}");
        assert!(speeds[8..].iter().all(|(burst, steady)| burst < steady), "{speeds:?}");
        assert!(
            speeds[8..].iter().all(|(_, steady)| (500.0..=1300.0).contains(steady)),
            "{speeds:?}"
        );
        assert!(steady.speed(at(100)) < 1.0);
    }
}
