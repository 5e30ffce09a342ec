//! Interleaved passes and their medians.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Something to time.
pub struct Case<'a> {
    /// Its name.
    pub name: String,
    /// Operations of one run, by which times are divided.
    pub operations: f64,
    run: Box<dyn Fn() -> u64 + 'a>,
}

impl<'a> Case<'a> {
    /// A case; `run` gives a number that depends on all that it did, so that none of it is left out.
    pub fn new(name: &str, operations: usize, run: impl Fn() -> u64 + 'a) -> Case<'a> {
        Case { name: name.into(), operations: operations.max(1) as f64, run: Box::new(run) }
    }
}

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub struct Passes {
    /// How many passes.
    pub count: usize,
    /// How long a case runs in each pass, at least.
    pub least: Duration,
    /// Which clock.
    pub clock: Clock,
}

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The time that the processor has spent in this thread. Other programs that run meanwhile do
    /// not add to it.
    Processor,
    /// The time on the wall, for what runs in several threads.
    Wall,
}

/// The times of a case: one number for each pass.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Name of the case.
    pub name: String,
    /// Nanoseconds of one operation, ascending.
    pub nanos: Vec<f64>,
}

impl Timing {
    /// The median of the passes, in nanoseconds.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value below which a part of the passes lies; between two passes, a mean of them.
    pub fn quantile(&self, part: f64) -> f64 {
        let Some(last) = self.nanos.len().checked_sub(1) else { return f64::NAN };
        let place = part * last as f64;
        let (below, above) = (place.floor() as usize, place.ceil() as usize);
        let weight = place - place.floor();
        self.nanos[below] * (1.0 - weight) + self.nanos[above] * weight
    }
}

/// Times all cases in every pass, so that a slow second of the machine meets all of them. Each
/// pass begins with another case. A short case runs once untimed before it is timed, as often as
/// fits into the least time.
pub fn interleave(cases: &[Case<'_>], passes: Passes) -> Vec<Timing> {
    let mut nanos = vec![Vec::new(); cases.len()];
    for pass in 0..passes.count {
        for place in 0..cases.len() {
            let place = (place + pass) % cases.len();
            nanos[place].push(time(&cases[place], passes));
        }
    }
    let timing = |(case, mut nanos): (&Case<'_>, Vec<f64>)| {
        nanos.sort_unstable_by(f64::total_cmp);
        Timing { name: case.name.clone(), nanos }
    };
    cases.iter().zip(nanos).map(timing).collect()
}

/// Nanoseconds of one operation.
fn time(case: &Case<'_>, passes: Passes) -> f64 {
    let Passes { least, clock, .. } = passes;
    let run = || {
        let start = clock.now();
        black_box((case.run)());
        clock.now().saturating_sub(start)
    };
    let first = run();
    if first >= least {
        return first.as_nanos() as f64 / case.operations;
    }
    let (mut runs, mut total) = (0u32, Duration::ZERO);
    while total < least || runs == 0 {
        total += run();
        runs += 1;
    }
    total.as_nanos() as f64 / f64::from(runs) / case.operations
}

impl Clock {
    /// The time since some moment. Where the system tells no other, it is the time on the wall.
    fn now(self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match self {
            #[cfg(unix)]
            Clock::Processor => {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
            }
            _ => START.elapsed(),
        }
    }
}

/// Times in seconds, ascending.
#[derive(Clone, Debug, Default)]
pub struct Times(pub Vec<f64>);

impl Times {
    /// These times, in order.
    pub fn new(mut times: Vec<f64>) -> Times {
        times.sort_by(f64::total_cmp);
        Times(times)
    }

    /// How many there are a second, one after the other.
    pub fn per_second(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().sum::<f64>()
    }

    /// The longest; NaN if there are none.
    pub fn longest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// That of so many in 100; NaN if there are none.
    pub fn at(&self, share: usize) -> f64 {
        self.0.get(self.0.len() * share / 100).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn medians_and_quartiles() {
        let timing = |nanos: &[f64]| Timing { name: String::new(), nanos: nanos.to_vec() };
        assert_eq!(timing(&[1.0, 2.0, 9.0]).median(), 2.0);
        assert_eq!(timing(&[1.0, 3.0]).median(), 2.0);
        assert_eq!(timing(&[1.0, 2.0, 3.0, 4.0, 5.0]).quantile(0.25), 2.0);
        assert!(timing(&[]).median().is_nan());
    }

    #[test]
    fn passes_are_interleaved_and_begin_elsewhere_each_time() {
        let order = RefCell::new(Vec::new());
        let order = &order;
        let case = |name: &'static str| {
            Case::new(name, 10, move || {
                order.borrow_mut().push(name);
                let start = Clock::Processor.now();
                while Clock::Processor.now() - start < Duration::from_micros(50) {}
                1
            })
        };
        let cases = [case("a"), case("b"), case("c")];
        for clock in [Clock::Processor, Clock::Wall] {
            let passes = Passes { count: 3, least: Duration::ZERO, clock };
            let timings = interleave(&cases, passes);
            assert_eq!(order.take(), ["a", "b", "c", "b", "c", "a", "c", "a", "b"]);
            for timing in timings {
                assert_eq!(timing.nanos.len(), 3);
                // 50 microseconds for ten operations.
                assert!(timing.median() >= 5_000.0, "{timing:?}");
            }
        }
    }
}
