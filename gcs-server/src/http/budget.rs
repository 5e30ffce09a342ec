//! The memory for bodies of requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::recent::Recent;
use crate::domain::problem::Problem;

/// How long a body is safe, however slowly it arrives.
const SAFE: Duration = Duration::from_secs(1);

/// The memory for the bodies of a listener's requests, until these are answered. When it is used up, the body that
/// arrived most slowly of late makes room, so that many who send slowly cannot keep out one who does not.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    used: usize,
    next: u64,
    bodies: BTreeMap<u64, Body>,
}

#[derive(Debug)]
struct Body {
    began: Instant,
    bytes: usize,
    recent: Recent,
    /// `None` once all of it is there, or it has been told to end.
    end: Option<Arc<Notify>>,
}

impl Budget {
    pub(super) fn new(most: usize) -> Budget {
        Budget { most, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A share for a body that begins to arrive.
    pub(super) fn share(self: Arc<Budget>) -> Share {
        let end = Arc::new(Notify::new());
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        let (began, end_of_it) = (Instant::now(), Some(Arc::clone(&end)));
        let body = Body { began, bytes: 0, recent: Recent::new(began), end: end_of_it };
        open.bodies.insert(number, body);
        drop(open);
        Share { budget: self, number, end }
    }
}

impl Open {
    /// Ends the slowest bodies but this one until so much is free. Their bytes count no more, since they are
    /// about to be dropped. `None` if that does not suffice; then none is ended.
    fn make_room(&mut self, room: usize, but: u64, now: Instant) -> Option<()> {
        let can_end = |number: u64, body: &Body| {
            let time = now.saturating_duration_since(body.began);
            body.end.is_some() && number != but && time >= SAFE && body.bytes > 0
        };
        let others = self.bodies.iter_mut().filter(|(number, body)| can_end(**number, body));
        let mut others: Vec<&mut Body> = others.map(|(_, body)| body).collect();
        if others.iter().map(|body| body.bytes).sum::<usize>() < room {
            return None;
        }
        others.sort_by(|one, other| one.recent.speed(now).total_cmp(&other.recent.speed(now)));
        let mut freed = 0;
        for body in others {
            if freed >= room {
                break;
            }
            body.end.take()?.notify_one();
            freed += std::mem::take(&mut body.bytes);
        }
        self.used -= freed;
        Some(())
    }
}

/// The memory of one body, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    number: u64,
    end: Arc<Notify>,
}

impl Share {
    /// Lets the body take this much memory in all, now that so many bytes of it have arrived.
    pub(super) fn grow(&self, bytes: usize, arrived: usize) -> Result<(), Problem> {
        let (now, mut open) = (Instant::now(), self.budget.open());
        let Some(body) = open.bodies.get_mut(&self.number) else { return Err(Problem::Internal) };
        if body.end.is_none() {
            return Err(Problem::Unavailable);
        }
        body.recent.add(arrived as u64, now);
        let more = bytes.saturating_sub(body.bytes);
        let over = (open.used + more).saturating_sub(self.budget.most);
        if over > 0 {
            open.make_room(over, self.number, now).ok_or(Problem::Unavailable)?;
        }
        open.used += more;
        if let Some(body) = open.bodies.get_mut(&self.number) {
            body.bytes += more;
        }
        Ok(())
    }

    /// Waits until the body has to make room for others.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }

    /// All of the body is there: it keeps its memory until it is answered.
    pub(super) fn complete(&self) -> Result<(), Problem> {
        match self.budget.open().bodies.get_mut(&self.number).and_then(|body| body.end.take()) {
            Some(_) => Ok(()),
            None => Err(Problem::Unavailable),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.budget.open();
        if let Some(body) = open.bodies.remove(&self.number) {
            open.used -= body.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes it a body that began some seconds ago, and of which so many bytes arrived of late.
    fn age(share: &Share, seconds: u64, arrived: u64) {
        let mut open = share.budget.open();
        let body = open.bodies.get_mut(&share.number).unwrap();
        let now = Instant::now();
        body.began = now - Duration::from_secs(seconds);
        body.recent = Recent::new(now);
        body.recent.add(arrived, now);
    }

    #[actix_web::test]
    async fn the_slowest_makes_room() {
        let budget = Arc::new(Budget::new(100));
        let share = || Arc::clone(&budget).share();
        let (slow, fast, done, new) = (share(), share(), share(), share());
        // Who sent much once and little since is the slow one.
        for (share, bytes, arrived) in [(&slow, 40, 4), (&fast, 30, 12), (&done, 20, 0)] {
            share.grow(bytes, bytes).unwrap();
            age(share, 10, arrived);
        }
        done.complete().unwrap();
        new.grow(10, 10).unwrap();
        assert_eq!(budget.open().used, 100);
        // Nobody is ended in vain,
        assert!(matches!(new.grow(81, 0), Err(Problem::Unavailable)));
        // nor is the one that is complete, and only as many as it takes.
        new.grow(50, 40).unwrap();
        slow.ended().await;
        assert!(matches!(slow.grow(41, 1), Err(Problem::Unavailable)));
        assert!(matches!(slow.complete(), Err(Problem::Unavailable)));
        fast.grow(30, 0).unwrap();
        assert_eq!(budget.open().used, 100);
        new.grow(80, 30).unwrap();
        fast.ended().await;
        // Now nobody can be ended, and whoever asks for more gets nothing.
        let last = share();
        age(&last, 1, 0);
        assert!(matches!(last.grow(1, 1), Err(Problem::Unavailable)));
        drop((slow, fast, done, new, last));
        assert_eq!(budget.open().used, 0);
        assert!(budget.open().bodies.is_empty());
    }
}
