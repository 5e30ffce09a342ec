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
        let rest = rest(std::mem::take(&mut self.others), took);
        self.next = rest.map(|rest| Instant::now() + rest);
    }

    /// Waits until the others have had their time.
    pub(super) fn wait(&mut self) {
        if let Some(next) = self.next.take() {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// How long a node leaves the log to others, which appended so many batches since its own last one; `None` if there are no
/// others.
fn rest(others: u32, took: Duration) -> Option<Duration> {
    // One more than were seen: the one that has lost is not among them. Half of the time, since a part of it was
    // spent on waiting for them. Of six ways that were tried with three nodes on two cores (`load`), this one gave the
    // most reports a second.
    let given = took * (others.min(MOST_OTHERS) + 1) / 2;
    (others > 0).then(|| given.min(MOST_REST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gives_others_time_only_where_there_are_others() {
        let took = Duration::from_millis(10);
        assert_eq!(rest(0, took), None);
        assert_eq!(rest(1, took), Some(took));
        assert_eq!(rest(2, took), Some(took * 3 / 2));
        assert_eq!(rest(1000, Duration::from_secs(100)), Some(MOST_REST));
    }

    #[test]
    fn what_others_did_counts_once() {
        let mut turns = Turns::default();
        turns.appended(MOST_REST);
        assert!(turns.next.is_none());
        turns.others_appended();
        turns.appended(MOST_REST);
        assert!(turns.next.is_some());
        turns.wait();
        assert!(turns.next.is_none());
        turns.appended(MOST_REST);
        assert!(turns.next.is_none());
    }
}
