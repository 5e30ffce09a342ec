//! What other nodes have appended, as far as it simply follows.

use gcs_core::Digest;

use crate::domain::chain::{Chain, LoggedEvent};
use crate::domain::events::Event;
use crate::store::{Batch, StoredEvent};

/// The events of the batch that follows the end of a chain, none if the chain has them already; `None` if it does not
/// follow, or is nothing that this release can apply.
pub(super) fn events_behind(mut chain: Chain, batch: Batch) -> Option<Vec<LoggedEvent>> {
    if batch.last() <= chain.position {
        let is_end = batch.last() == chain.position;
        let head = batch.events.last().map(|event| Digest::of(&event.header).0);
        return (!is_end || head == Some(chain.head)).then(Vec::new);
    }
    if batch.first != chain.position + 1 {
        return None;
    }
    let mut events = Vec::new();
    for StoredEvent { header, body } in batch.events {
        let body = body.as_ref().map(|body| (&body.salt, body.bytes.as_slice()));
        let logged = chain.verify(&header, body).ok()?;
        if matches!(logged.event, Some(Event::LogMoved(_))) {
            return None;
        }
        events.push(logged);
    }
    Some(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::{LogMoved, Purge};
    use crate::node::seal;
    use crate::random::Random;

    fn batch(chain: Chain, events: &[Event]) -> Batch {
        seal(chain, events, 1_767_000_000, &Random::seeded(1)).unwrap().unwrap().batch
    }

    fn end(batch: &Batch) -> Chain {
        let head = Digest::of(&batch.events.last().unwrap().header).0;
        Chain { position: batch.last(), head }
    }

    fn event() -> Event {
        Event::Purge(Purge { reports: vec![], used: vec![] })
    }

    #[test]
    fn only_what_follows_is_taken() {
        let first = batch(Chain::default(), &[event(), event()]);
        let chain = end(&first);
        let second = batch(chain, &[event()]);
        assert_eq!(events_behind(Chain::default(), first.clone()).unwrap().len(), 2);
        assert_eq!(events_behind(chain, second.clone()).unwrap().len(), 1);
        // There already; not yet; and what took its place.
        assert_eq!(events_behind(chain, first.clone()).unwrap().len(), 0);
        assert_eq!(events_behind(end(&second), first.clone()).unwrap().len(), 0);
        assert!(events_behind(Chain::default(), second.clone()).is_none());
        let other = Chain { head: [7; 32], ..chain };
        assert!(events_behind(other, first).is_none());
        assert!(events_behind(other, second.clone()).is_none());
        let mut damaged = second;
        damaged.events[0].body.as_mut().unwrap().salt[0] ^= 1;
        assert!(events_behind(chain, damaged).is_none());
    }

    #[test]
    fn the_end_of_a_log_that_was_moved_is_not_followed() {
        let first = batch(Chain::default(), &[event()]);
        let moved = batch(end(&first), &[LogMoved { to: "elsewhere".into() }.into()]);
        assert!(events_behind(end(&first), moved).is_none());
    }
}
