//! The memory for bodies of requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::problem::Problem;

/// How long a body is safe, however slowly it arrives.
const SAFE: Duration = Duration::from_secs(1);

/// The memory for the bodies of a listener's requests, until these are answered. When it is used up, the body that
/// arrives most slowly makes room, so that many who send slowly cannot keep out one who does not.
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
        let body = Body { began: Instant::now(), bytes: 0, end: Some(Arc::clone(&end)) };
        open.bodies.insert(number, body);
        drop(open);
        Share { budget: self, number, end }
    }
}

impl Open {
    /// Ends the slowest body but this one. Its bytes count no more, since it is about to be dropped. `None` if there is
    /// none that can be ended.
    fn make_room(&mut self, but: u64, now: Instant) -> Option<()> {
        let speeds = self.bodies.iter().filter_map(|(number, body)| {
            let time = now.saturating_duration_since(body.began);
            let can_end = body.end.is_some() && *number != but && time >= SAFE;
            can_end.then(|| (body.bytes as f64 / time.as_secs_f64(), *number))
        });
        let (_, slowest) = speeds.min_by(|(one, _), (other, _)| one.total_cmp(other))?;
        let body = self.bodies.get_mut(&slowest)?;
        body.end.take()?.notify_one();
        self.used -= std::mem::take(&mut body.bytes);
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
    /// Lets the body take this much memory in all.
    pub(super) fn grow(&self, bytes: usize) -> Result<(), Problem> {
        let mut open = self.budget.open();
        let Some(body) = open.bodies.get_mut(&self.number) else { return Err(Problem::Internal) };
        if body.end.is_none() {
            return Err(Problem::Unavailable);
        }
        let more = bytes.saturating_sub(body.bytes);
        body.bytes += more;
        open.used += more;
        while open.used > self.budget.most {
            open.make_room(self.number, Instant::now()).ok_or(Problem::Unavailable)?;
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

    fn age(share: &Share, seconds: u64) {
        let mut open = share.budget.open();
        let body = open.bodies.get_mut(&share.number).unwrap();
        body.began = Instant::now() - Duration::from_secs(seconds);
    }

    #[actix_web::test]
    async fn the_slowest_makes_room() {
        let budget = Arc::new(Budget::new(100));
        let share = || Arc::clone(&budget).share();
        let (slow, fast, done, new) = (share(), share(), share(), share());
        for (share, bytes, seconds) in [(&slow, 40, 100), (&fast, 30, 10), (&done, 20, 1000)] {
            share.grow(bytes).unwrap();
            age(share, seconds);
        }
        done.complete().unwrap();
        new.grow(10).unwrap();
        assert_eq!(budget.open().used, 100);
        // Not the one that is complete, and only as many as it takes.
        new.grow(50).unwrap();
        slow.ended().await;
        assert!(matches!(slow.grow(41), Err(Problem::Unavailable)));
        assert!(matches!(slow.complete(), Err(Problem::Unavailable)));
        fast.grow(30).unwrap();
        assert_eq!(budget.open().used, 100);
        new.grow(80).unwrap();
        fast.ended().await;
        // Now nobody can be ended, and whoever asks for more gets nothing.
        let last = share();
        age(&last, 1);
        assert!(matches!(last.grow(1), Err(Problem::Unavailable)));
        drop((slow, fast, done, new, last));
        assert_eq!(budget.open().used, 0);
        assert!(budget.open().bodies.is_empty());
    }
}
