//! All connections of one worker.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Connection, Phase};

/// How long a connection is safe in a phase, however little it does.
const SAFE: Duration = Duration::from_secs(1);

/// The connections of one worker, of which there are at most so many. Silence costs an attacker nothing, so when all
/// places are taken those connections end that have waited longest for a request, or else those that move the
/// fewest bytes a second.
#[derive(Debug)]
pub(in crate::http) struct Crowd {
    most: usize,
    next: Cell<u64>,
    open: RefCell<BTreeMap<u64, Rc<Connection>>>,
}

/// A place among the connections, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Rc<Crowd>,
    number: u64,
    pub(super) connection: Rc<Connection>,
}

impl Crowd {
    pub(in crate::http) fn new(most: usize) -> Rc<Crowd> {
        Rc::new(Crowd { most, next: Cell::new(0), open: RefCell::default() })
    }

    /// A place for a new connection; `None` if all are taken by connections that are busy.
    pub(super) fn enter(self: Rc<Crowd>) -> Option<Place> {
        if self.open.borrow().len() >= self.most {
            self.make_room(Instant::now())?;
        }
        let (number, connection) = (self.next.get(), Rc::new(Connection::new()));
        self.next.set(number + 1);
        self.open.borrow_mut().insert(number, Rc::clone(&connection));
        Some(Place { crowd: self, number, connection })
    }

    /// Ends the connections that do least; `None` if none can be ended. They count no more, although
    /// each is closed only when it is woken. It looks at all, so of idle ones it ends some more than one.
    fn make_room(&self, now: Instant) -> Option<()> {
        let mut open = self.open.borrow_mut();
        let speeds = open
            .iter()
            .filter_map(|(number, connection)| connection.speed(now).map(|speed| (speed, *number)));
        let mut speeds: Vec<(f64, u64)> = speeds.collect();
        let idle = speeds.iter().filter(|(speed, _)| *speed < 0.0).count();
        speeds.first()?;
        let last = (self.most / 64).min(idle.saturating_sub(1));
        speeds.select_nth_unstable_by(last, |(one, _), (other, _)| one.total_cmp(other));
        for (_, number) in &speeds[..=last] {
            open.remove(number)?.give_up();
        }
        Some(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.open.borrow_mut().remove(&self.number);
    }
}

impl Connection {
    /// Bytes a second, if it may have to give its place up. That of an idle connection is below 0, and
    /// the lower the longer it waits.
    fn speed(&self, now: Instant) -> Option<f64> {
        let time = now.saturating_duration_since(self.since.get());
        match self.phase.get() {
            Phase::Idle if !self.is_blocked.get() => Some(-time.as_secs_f64()),
            // Not the client is to blame.
            Phase::Parsing | Phase::Busy if !self.is_blocked.get() => None,
            _ if time < SAFE => None,
            _ => Some(self.moved.get() as f64 / time.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(place: &Place, seconds: u64, phase: Phase, moved: u64) {
        place.connection.phase.set(phase);
        place.connection.since.set(Instant::now() - Duration::from_secs(seconds));
        place.connection.moved.set(moved);
    }

    #[test]
    fn whoever_does_least_makes_room() {
        let crowd = Crowd::new(4);
        let enter = || Rc::clone(&crowd).enter();
        let places: Vec<Place> = std::iter::repeat_with(|| enter().unwrap()).take(4).collect();
        let is_over = |i: usize| places[i].connection.is_over.get();
        after(&places[0], 10, Phase::Busy, 0);
        after(&places[1], 10, Phase::Body(Some(9)), 500);
        after(&places[2], 20, Phase::Head, 20);
        after(&places[3], 2, Phase::Idle, 0);
        // The idle one, then the slow ones,
        let mut new = Vec::new();
        for over in [3, 2, 1] {
            assert!(!is_over(over));
            let place = enter().unwrap();
            assert!(is_over(over));
            after(&place, 10, Phase::Busy, 0);
            new.push(place);
        }
        // but nobody who waits for the server, and nobody who has only begun.
        assert!(enter().is_none() && !is_over(0));
        after(&new[0], 0, Phase::Head, 1);
        assert!(enter().is_none());
        // Who does not take an answer waits for nobody.
        new[1].connection.is_blocked.set(true);
        let last = enter().unwrap();
        assert!(new[1].connection.is_over.get());
        drop((places, new, last));
        assert!(crowd.open.borrow().is_empty());
    }
}
