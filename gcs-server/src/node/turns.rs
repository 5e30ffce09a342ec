//! Turns of the nodes that append to one log.
//!
//! Nobody gives turns: a batch is appended by whoever is first. But a node with many waiting reports takes longer to
//! judge them again than one with few takes to append its own, and could lose for ever. So a node that
//! has appended while others did gives them the time in which they can, and meanwhile its own next batch grows.

use std::time::{Duration, Instant};

/// Most other batches that are given time.
const MOST_OTHERS: u32 = 4;

/// Longest time that is given.
const MOST_REST: Duration = Duration::from_millis(50);

/// When a node may append again.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Batches of other nodes since this node's last one.
    others: u32,
    next: Option<Instant>,
}

impl Turns {
    /// Notes a batch of another node.
    pub(super) fn others_appended(&mut self) {
        self.others = self.others.saturating_add(1);
    }

    /// Notes that this node has appended a batch, and how long that took from the question for news on.
    pub(super) fn appended(&mut self, took: Duration) {
        let others = std::mem::take(&mut self.others).min(MOST_OTHERS);
        // One more than were seen: the one that has lost is not among them. Half of the time, since a part of it was
        // spent on waiting for them. Measured with three nodes on two cores, `load`: of 0, 1/4, 1/2 and 1, with and
        // without that one more, this gives the most reports a second and the shortest waits.
        let rest = (took * (others + 1) / 2).min(MOST_REST);
        self.next = (others > 0).then(|| Instant::now() + rest);
    }

    /// Waits until the others have had their time.
    pub(super) fn wait(&mut self) {
        if let Some(next) = self.next.take() {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(turns: &Turns) -> Duration {
        turns.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()))
    }

    #[test]
    fn a_node_gives_others_time_only_where_there_are_others() {
        let took = Duration::from_millis(10);
        let mut turns = Turns::default();
        turns.appended(took);
        assert_eq!(rest(&turns), Duration::ZERO);
        turns.others_appended();
        turns.appended(took);
        let time = rest(&turns);
        assert!(time > took / 2 && time <= took, "{time:?}");
        // Alone again.
        turns.appended(took);
        assert_eq!(rest(&turns), Duration::ZERO);
    }

    #[test]
    fn the_time_is_bounded() {
        let mut turns = Turns::default();
        (0..1000).for_each(|_| turns.others_appended());
        turns.appended(Duration::from_secs(100));
        assert!(rest(&turns) <= MOST_REST);
        turns.wait();
        assert_eq!(rest(&turns), Duration::ZERO);
    }
}
