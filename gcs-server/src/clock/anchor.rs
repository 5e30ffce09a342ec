//! The anchor: by it a leap of the clock is noticed.
//!
//! A clock that is set, by hand or by a faulty time service, does not tell. But the time since the boot
//! goes on evenly. So when the clock can be trusted, the Unix time of the boot is noted, and from then on
//! the clock must agree with it. Machines that were never trusted since they booted have no anchor: there
//! only the times in the log tell.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Clock;

/// Seconds by which a clock may be off the anchor, or off the clock of a store.
pub(crate) const LARGEST_STEP: u64 = 300;

/// Seconds in which the anchor follows the clock by one second. A time service that corrects the clock by
/// small steps brings less, so the steps of years do not add up to a leap.
const FOLLOW: u64 = 1000;

/// Seconds after the boot in which no anchor is taken: time services set the clock then.
const SETTLING: u64 = 600;

/// Seconds that are no more than a moment.
const MOMENT: i64 = 5;

/// How often the time is read again when the process was stopped meanwhile.
const TRIES: usize = 5;

/// When the machine booted, by a clock that was trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The name of this boot.
    boot: String,
    /// The Unix time of the boot.
    booted: i64,
    /// How many seconds after the boot `booted` was last made to follow the clock.
    followed: u64,
}

impl Anchor {
    /// Seconds by which the clock is off, if that is a leap; negative if it went back.
    fn leap(&mut self, now: u64, uptime: u64) -> Option<i64> {
        let leap = difference(now, uptime).saturating_sub(self.booted);
        if leap.unsigned_abs() > LARGEST_STEP {
            return Some(leap);
        }
        let most = i64::try_from(uptime.saturating_sub(self.followed) / FOLLOW).unwrap_or(i64::MAX);
        if most > 0 {
            self.booted = self.booted.saturating_add(leap.clamp(-most, most));
            self.followed = uptime;
        }
        None
    }
}

fn difference(a: u64, b: u64) -> i64 {
    let signed = |seconds| i64::try_from(seconds).unwrap_or(i64::MAX);
    signed(a).saturating_sub(signed(b))
}

/// What a clock says, and whether it leapt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Unix time in seconds, by the clock of the store if it has one that agrees.
    pub now: u64,
    /// Seconds by which the clock is off the time that has passed since it was trusted, or off the clock of
    /// the store, if that is more than five minutes; negative if it is behind.
    pub leap: Option<i64>,
}

/// A clock whose leaps are noticed.
#[derive(Clone, Debug)]
pub struct WatchedClock {
    clock: Clock,
    /// The name of this boot.
    boot: String,
    anchor: Arc<Mutex<Option<Anchor>>>,
    /// Seconds by which the clock is ahead of that of the store; negative if it is behind.
    ahead: Arc<AtomicI64>,
}

impl From<Clock> for WatchedClock {
    fn from(clock: Clock) -> WatchedClock {
        WatchedClock::new(clock, None)
    }
}

impl WatchedClock {
    /// A clock, and the anchor of an earlier run, if there is one. It counts if it is of this boot.
    pub fn new(clock: Clock, saved: Option<Anchor>) -> WatchedClock {
        let boot = clock.boot();
        let saved = saved.filter(|saved| saved.boot == boot && !boot.is_empty());
        WatchedClock { clock, boot, anchor: Arc::new(Mutex::new(saved)), ahead: Arc::default() }
    }

    /// Unix time in seconds, right or wrong. Where a store has a clock, it is that clock's time as long as
    /// the two agree: so all nodes of a shared log judge by one time.
    pub fn now(&self) -> u64 {
        self.by_store(self.clock.now())
    }

    /// As [`WatchedClock::now`], in milliseconds.
    pub fn now_ms(&self) -> u64 {
        let now = self.clock.now_ms();
        self.by_store(now / 1000).saturating_mul(1000) + now % 1000
    }

    /// The time of the store when this clock says `now`, if they agree.
    fn by_store(&self, now: u64) -> u64 {
        match self.ahead.load(Ordering::Relaxed) {
            ahead if ahead.unsigned_abs() > LARGEST_STEP => now,
            ahead => now.saturating_add_signed(-ahead),
        }
    }

    /// Whether this is the system's clock.
    pub fn is_system(&self) -> bool {
        matches!(self.clock, Clock::System)
    }

    /// What the clock says, and whether it leapt. Where there is no anchor yet, it is taken if the log has
    /// nothing against this time.
    pub fn look(&self, agrees_with_log: impl FnOnce(u64) -> bool) -> Reading {
        let (now, uptime) = self.moment();
        let ahead = self.ahead.load(Ordering::Relaxed);
        let ahead = Some(ahead).filter(|ahead| ahead.unsigned_abs() > LARGEST_STEP);
        let by_store = self.by_store(now);
        let Some(uptime) = uptime else { return Reading { now: by_store, leap: ahead } };
        let mut anchor = self.lock();
        if let Some(anchor) = &mut *anchor {
            // The machine's own clock is what may leap.
            return Reading { now: by_store, leap: anchor.leap(now, uptime).or(ahead) };
        }
        if uptime >= SETTLING && ahead.is_none() && agrees_with_log(by_store) {
            *anchor = Some(self.anchored(now, uptime));
        }
        Reading { now: by_store, leap: ahead }
    }

    /// Compares the clock with that of the store, which `time` asks for, if it has one: while they differ by more
    /// than five minutes, the clock is not trusted. A clock that moves as it is told to is not compared.
    ///
    /// # Errors
    /// Those of `time`.
    pub fn compare<E>(&self, time: impl FnOnce() -> Result<Option<u64>, E>) -> Result<(), E> {
        if matches!(self.clock, Clock::File(_) | Clock::Manual(_)) {
            return Ok(());
        }
        let before = self.clock.now();
        let Some(store) = time()? else { return Ok(()) };
        let ends = [before, self.clock.now()].map(|now| difference(now, store));
        // The store looked at its clock at some moment between: perhaps long ago, if the answer came late or this
        // process was stopped meanwhile. What was known before counts unless that is impossible.
        let (least, most) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let known = self.ahead.load(Ordering::Relaxed);
        self.ahead.store(known.clamp(least, most), Ordering::Relaxed);
        Ok(())
    }

    /// The anchor of a clock that is right now; `None` if this clock has no leaps. Fails with the seconds by which the clock
    /// has moved since it said `read`, a moment ago, if it has.
    ///
    /// # Errors
    /// The clock was set meanwhile.
    pub fn here(&self, read: u64) -> Result<Option<Anchor>, i64> {
        let (now, uptime) = self.moment();
        match difference(self.by_store(now), read) {
            0..=MOMENT => Ok(uptime.map(|uptime| self.anchored(now, uptime))),
            moved => Err(moved),
        }
    }

    /// Takes the clock for right as it was when the anchor was made.
    pub fn trust(&self, here: Option<Anchor>) {
        if here.is_some() {
            *self.lock() = here;
        }
    }

    /// The anchor, to keep for the next run; `None` if there is none that would count there.
    pub fn anchor(&self) -> Option<Anchor> {
        self.lock().clone().filter(|anchor| !anchor.boot.is_empty())
    }

    fn anchored(&self, now: u64, uptime: u64) -> Anchor {
        Anchor { boot: self.boot.clone(), booted: difference(now, uptime), followed: uptime }
    }

    /// The time and the time since the boot, of the same second.
    fn moment(&self) -> (u64, Option<u64>) {
        let mut tries = 0;
        loop {
            let uptime = self.clock.uptime();
            let now = self.clock.now();
            tries += 1;
            if tries == TRIES || uptime == self.clock.uptime() {
                return (now, uptime);
            }
        }
    }

    /// No step leaves it half changed, so it is usable even after a panic of a holder.
    fn lock(&self) -> MutexGuard<'_, Option<Anchor>> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Machine;
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU64, Ordering};

    const NOW: u64 = 1_767_571_200;
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn machine(uptime: u64) -> Machine {
        let [now, uptime] = [NOW, uptime].map(|seconds| Arc::new(AtomicU64::new(seconds)));
        Machine { now, uptime, boot: "first".to_owned() }
    }

    impl Machine {
        fn pass(&self, seconds: u64) {
            self.now.fetch_add(seconds, Ordering::SeqCst);
            self.uptime.fetch_add(seconds, Ordering::SeqCst);
        }

        fn set(&self, by: i64) {
            let now = self.now.load(Ordering::SeqCst).saturating_add_signed(by);
            self.now.store(now, Ordering::SeqCst);
        }

        fn clock(&self, saved: Option<Anchor>) -> WatchedClock {
            WatchedClock::new(Clock::Machine(self.clone()), saved)
        }
    }

    fn compare(clock: &WatchedClock, store: u64) {
        clock.compare(|| Ok::<_, Infallible>(Some(store))).unwrap();
    }

    fn leap(clock: &WatchedClock) -> Option<i64> {
        clock.look(|_| true).leap
    }

    #[test]
    fn a_leap_is_noticed_and_ends_when_the_clock_comes_right() {
        let machine = machine(5000);
        let clock = machine.clock(None);
        assert_eq!(clock.look(|_| true), Reading { now: NOW, leap: None });
        for by in [301, -301, 2 * HOUR, -2 * HOUR, DAY, -DAY, 400 * DAY, -60_000 * DAY] {
            machine.set(by);
            machine.pass(7);
            let found = leap(&clock).unwrap();
            // Before 1970 there is no time.
            assert!(found == by || by < -20_000 * DAY && found < -20_000 * DAY, "{by}: {found}");
            // However long it lasts.
            machine.pass(3 * DAY as u64);
            assert!(leap(&clock).is_some(), "{by}");
            let uptime = machine.uptime.load(Ordering::SeqCst);
            machine.now.store(NOW + uptime - 5000, Ordering::SeqCst);
            assert_eq!(leap(&clock), None, "{by}");
        }
        for by in [300, -300, -300, 300] {
            machine.set(by);
            assert_eq!(leap(&clock), None, "{by}");
        }
    }

    #[test]
    fn the_operators_word_ends_doubt() {
        let machine = machine(5000);
        let clock = machine.clock(None);
        assert_eq!(leap(&clock), None);
        machine.set(DAY);
        assert_eq!(leap(&clock), Some(DAY));
        clock.trust(clock.here(clock.now()).unwrap());
        assert_eq!(leap(&clock), None);
        machine.set(-DAY);
        assert_eq!(leap(&clock), Some(-DAY));
    }

    /// Ten years of steps of ten seconds a day are no leap, and no ladder of steps makes one unnoticed.
    #[test]
    fn the_anchor_follows_slowly() {
        let machine = machine(5000);
        let clock = machine.clock(None);
        for step in [10, -10] {
            for day in 0..3650 {
                machine.pass(DAY as u64);
                machine.set(step);
                assert_eq!(leap(&clock), None, "{day}");
            }
        }
        let mut ladder = 0;
        while leap(&clock).is_none() {
            machine.pass(60);
            machine.set(100);
            ladder += 1;
        }
        assert!((3..=4).contains(&ladder), "{ladder}");
    }

    #[test]
    fn the_anchor_of_the_same_boot_counts_after_a_restart() {
        let machine = machine(5000);
        let clock = machine.clock(None);
        assert_eq!((leap(&clock), clock.anchor().is_some()), (None, true));
        let saved = serde_json::to_string(&clock.anchor()).unwrap();
        let again = || machine.clock(serde_json::from_str(&saved).unwrap());
        machine.pass(1000);
        assert_eq!(leap(&again()), None);
        machine.set(HOUR);
        assert_eq!(leap(&again()), Some(HOUR));
        let other = Machine { boot: "second".to_owned(), ..machine.clone() };
        assert_eq!(leap(&other.clock(serde_json::from_str(&saved).unwrap())), None);
        // A boot without a name is never the same one.
        let unnamed = Machine { boot: String::new(), ..machine.clone() };
        let clock = unnamed.clock(None);
        assert_eq!((leap(&clock), clock.anchor()), (None, None));
        unnamed.set(HOUR);
        assert_eq!(leap(&clock), Some(HOUR));
    }

    #[test]
    fn no_anchor_is_taken_at_a_time_that_is_in_doubt_or_soon_after_the_boot() {
        let machine = machine(SETTLING - 1);
        let clock = machine.clock(None);
        assert_eq!((leap(&clock), clock.anchor()), (None, None));
        // What a time service does after the boot.
        machine.set(HOUR);
        assert_eq!((leap(&clock), clock.anchor()), (None, None));
        machine.pass(1);
        assert_eq!(clock.look(|_| false).leap, None);
        assert_eq!(clock.anchor(), None);
        assert_eq!(clock.look(|now| now > NOW).leap, None);
        assert!(clock.anchor().is_some());
    }

    /// Nodes whose clocks are minutes apart judge by one time.
    #[test]
    fn a_clock_that_agrees_with_that_of_the_store_gives_its_time() {
        for ahead in [-300, -240, 0, 240, 300] {
            let machine = machine(5000);
            machine.set(ahead);
            let clock = machine.clock(None);
            compare(&clock, NOW);
            assert_eq!((clock.now(), clock.look(|now| now == NOW).leap), (NOW, None));
            machine.pass(10);
            assert_eq!(clock.look(|_| true), Reading { now: NOW + 10, leap: None });
            // What was anchored is the machine's own clock.
            machine.set(-ahead);
            machine.pass(1);
            compare(&clock, NOW + 11);
            assert_eq!(clock.look(|_| true), Reading { now: NOW + 11, leap: None });
            machine.set(HOUR);
            compare(&clock, NOW + 11);
            assert_eq!(
                clock.look(|_| true),
                Reading { now: NOW + 11 + HOUR as u64, leap: Some(HOUR - ahead) }
            );
        }
    }

    /// As when a machine is suspended while it asks for the time.
    #[test]
    fn an_answer_that_comes_late_says_nothing_new() {
        let machine = machine(5000);
        machine.set(100);
        let clock = machine.clock(None);
        let late = |by: u64| {
            let answer = || {
                machine.pass(by);
                Ok::<_, Infallible>(Some(machine.now.load(Ordering::SeqCst) - 100 - by))
            };
            clock.compare(answer).unwrap();
            (clock.now() + 100 - machine.now.load(Ordering::SeqCst), leap(&clock))
        };
        assert_eq!(late(0), (0, None));
        for by in [1, 60, 301, 4000] {
            assert_eq!(late(by), (0, None), "{by}");
        }
        assert!(clock.compare(|| Err(())).is_err());
        assert_eq!(late(0), (0, None));
    }

    #[test]
    fn the_systems_clock_does_not_leap_by_itself() {
        let clock = WatchedClock::from(Clock::System);
        assert!(clock.is_system() && leap(&clock).is_none() && leap(&clock).is_none());
        assert_eq!(cfg!(target_os = "linux"), Clock::System.uptime().is_some());
        let moved = WatchedClock::from(Clock::Manual(Arc::default()));
        moved.trust(moved.here(moved.now()).unwrap());
        assert_eq!((leap(&moved), moved.anchor()), (None, None));
    }
}
