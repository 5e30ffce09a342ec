//! All connections of one worker.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Connection, Phase};

/// How long a connection counts as new in a phase, however little it does.
const SAFE: Duration = Duration::from_secs(1);

/// The connections of one worker, of which there are at most so many. Silence costs an attacker nothing, so when all
/// places are taken those connections end that have waited longest for a request, or else the one that moved the
/// fewest bytes lately, or else the oldest of those that have only just come.
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
        let worth = |(number, connection): (&u64, &Rc<Connection>)| {
            connection.worth(now).map(|worth| (worth, *number))
        };
        let mut worths: Vec<(Worth, u64)> = open.iter().filter_map(worth).collect();
        let idle = worths.iter().filter(|(worth, _)| matches!(worth, Worth::Idle(_))).count();
        worths.first()?;
        let last = (self.most / 64).min(idle.saturating_sub(1));
        worths.select_nth_unstable_by(last, |(one, _), (other, _)| one.total_cmp(other));
        for (_, number) in &worths[..=last] {
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

/// How much a connection that may have to give its place up is worth, from the least.
#[derive(Clone, Copy, Debug)]
enum Worth {
    /// It waits for a request: the less, the longer.
    Idle(f64),
    /// It moved so many bytes a second lately.
    Speed(f64),
    /// It has only just come, or begun to ask: the less, the longer ago.
    New(f64),
}

impl Worth {
    fn total_cmp(&self, other: &Worth) -> Ordering {
        let [(class, value), (other_class, other_value)] = [self, other].map(|worth| match worth {
            Worth::Idle(seconds) => (0, -seconds),
            Worth::Speed(speed) => (1, *speed),
            Worth::New(seconds) => (2, -seconds),
        });
        class.cmp(&other_class).then(value.total_cmp(&other_value))
    }
}

impl Connection {
    /// What it is worth; `None` if it may keep its place.
    fn worth(&self, now: Instant) -> Option<Worth> {
        let time = now.saturating_duration_since(self.since.get());
        match self.phase.get() {
            // Not the client is to blame.
            Phase::Parsing | Phase::Busy if !self.is_blocked.get() => None,
            Phase::Idle if !self.is_blocked.get() && (time >= SAFE || self.has_asked.get()) => {
                Some(Worth::Idle(time.as_secs_f64()))
            }
            _ if time < SAFE => Some(Worth::New(time.as_secs_f64())),
            _ => Some(Worth::Speed(self.recent.get().speed(now))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Left;
    use super::super::Recent;
    use super::*;

    /// A connection that has been in a phase for some seconds, and moved so many bytes of late.
    fn after(place: &Place, seconds: u64, phase: Phase, moved: u64) {
        let now = Instant::now();
        place.connection.phase.set(phase);
        place.connection.since.set(now - Duration::from_secs(seconds));
        let mut recent = Recent::new(now);
        recent.add(moved, now);
        place.connection.recent.set(recent);
    }

    #[test]
    fn whoever_does_least_makes_room() {
        let crowd = Crowd::new(4);
        let enter = || Rc::clone(&crowd).enter();
        let places: Vec<Place> = std::iter::repeat_with(|| enter().unwrap()).take(4).collect();
        let is_over = |i: usize| places[i].connection.is_over.get();
        after(&places[0], 10, Phase::Busy, 0);
        after(&places[1], 10, Phase::Body(Left::Bytes(9)), 500);
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
        // but nobody who waits for the server.
        assert!(enter().is_none() && !is_over(0));
        // Who does not take an answer waits for nobody.
        new[1].connection.is_blocked.set(true);
        after(&new[0], 0, Phase::Head, 1);
        let last = enter().unwrap();
        assert!(new[1].connection.is_over.get());
        // Who has only just come, or begun, goes last, and the oldest of them first.
        let newest = enter().unwrap();
        assert!(new[0].connection.is_over.get() && !last.connection.is_over.get());
        after(&last, 10, Phase::Head, 1);
        let more = enter().unwrap();
        assert!(last.connection.is_over.get() && !newest.connection.is_over.get());
        // Who has had an answer already is idle at once.
        more.connection.has_asked.set(true);
        let other = enter().unwrap();
        assert!(more.connection.is_over.get() && !newest.connection.is_over.get());
        drop((places, new, last, newest, more, other));
        assert!(crowd.open.borrow().is_empty());
    }
}
