//! After the end of a log is lost, nothing that the lost events brought out is out again.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{ALL, Ledger, START, policy, raw, submission};
use gcs_core::DAY_SECONDS;
use gcs_core::report::Code;
use gcs_server::domain::events::{FirstSeriesStarted, RangeClosed, SeriesStarted};
use gcs_server::domain::judge::{self, Recovery};
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use gcs_server::store::{MemoryStore, Store as _};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    AddProvider,
    Rotate(u16),
    Open(u16, u32),
    Later(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::AddProvider),
        2 => (1..4u16).prop_map(Step::Rotate),
        4 => (1..4u16, 1..4u32).prop_map(|(provider, count)| Step::Open(provider, count)),
        2 => (1..DAY_SECONDS / 4).prop_map(Step::Later),
    ]
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any_step(), 0..12)
}

/// A log, and the codes that its providers printed.
struct World {
    ledger: Ledger,
    printed: Vec<Code>,
    /// Keys as an operator showed them, by provider and generation.
    keys: BTreeMap<(u16, u32), [u8; 32]>,
}

impl World {
    fn new() -> World {
        let policy = Policy { max_open_codes: 1000, ..policy() };
        World { ledger: Ledger::new(&policy), printed: Vec::new(), keys: BTreeMap::new() }
    }

    fn step(&mut self, step: &Step) {
        let ledger = &mut self.ledger;
        // Nobody rotates one provider's key more than once a second.
        ledger.now += 1;
        match *step {
            Step::AddProvider => {
                ledger.act(|state, _, now| judge::add_provider(state, now, "n")).unwrap();
            }
            Step::Rotate(provider) => {
                drop(ledger.act(|state, _, _| judge::raise_key(state, provider)));
            }
            Step::Open(provider, count) => {
                let open =
                    |state: &_, _: &_, now| judge::open_range(state, now, provider, count, 5);
                let Ok(range) = ledger.act(open) else { return };
                let (state, keys) = (&ledger.state, &ledger.keys);
                let generation = Some(range.generation);
                let sheet = judge::unspent_codes(state, keys, provider, generation, range.first);
                self.printed.extend(sheet.unwrap().codes());
            }
            Step::Later(seconds) => ledger.now += seconds,
        }
        for (number, provider) in &self.ledger.state.providers {
            let key = self.ledger.keys.provider(*number, provider.generation).to_bytes();
            self.keys.insert((*number, provider.generation), key);
        }
    }

    /// The log as it is now, to be put back later.
    fn backup(&self) -> World {
        let Ledger { keys, store, now, random, .. } = &self.ledger;
        let (keys, random) = (keys.clone(), random.clone());
        let batches = store.clone().read(1, ALL).unwrap();
        let mut store = MemoryStore::new();
        batches.iter().for_each(|batch| store.append(batch).unwrap());
        let ledger =
            Ledger { keys, store, state: self.ledger.folded(), now: *now, leap: None, random };
        World { ledger, printed: self.printed.clone(), keys: self.keys.clone() }
    }

    /// The backup, put back when this log is lost.
    fn lost(&self, mut backup: World, void_codes: bool) -> World {
        backup.ledger.now = self.ledger.now + 1;
        let allow = Recovery { void_codes, ..Recovery::default() };
        let recover = |state: &_, _: &_, context| judge::recover(state, context, 0, allow);
        backup.ledger.act(recover).unwrap();
        backup
    }

    /// What a report with a code gets, without sending it.
    fn answer(&self, code: Code) -> Result<(), &'static str> {
        let Ledger { state, keys, now, .. } = &self.ledger;
        let context = judge::RequestContext { now: *now, leap: None, random: [0; 32] };
        let today = (*now - START) / DAY_SECONDS;
        let report = submission(code, &[raw(today, 1)]);
        judge::report(state, keys, context, &report).map(drop).map_err(|problem| problem.code())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_code_and_no_key_is_out_twice(
        before in any_steps(),
        lost in prop::collection::vec((any_steps(), any_steps()), 1..4),
        void_codes: bool,
    ) {
        let mut world = World::new();
        before.iter().for_each(|step| world.step(step));
        let (mut ever, mut ever_keys) = (BTreeSet::new(), BTreeSet::new());
        for (lost, after) in lost {
            let (backup, known) = (world.backup(), world.printed.clone());
            let known_keys: BTreeSet<[u8; 32]> = world.keys.values().copied().collect();
            lost.iter().for_each(|step| world.step(step));
            ever.extend(world.printed.iter().map(Code::to_string));
            ever_keys.extend(world.keys.values().copied());

            world = world.lost(backup, void_codes);
            after.iter().for_each(|step| world.step(step));
            for code in &world.printed[known.len()..] {
                prop_assert!(ever.insert(code.to_string()), "{code} is out twice");
            }
            for key in world.keys.values().filter(|key| !known_keys.contains(*key)) {
                prop_assert!(ever_keys.insert(*key), "a key is out twice");
            }
            // What only the lost events knew does not count, nor does anything once it is void.
            let now: BTreeSet<String> = world.printed.iter().map(Code::to_string).collect();
            for code in ever.iter().filter(|code| !now.contains(*code)) {
                let answer = world.answer(code.parse().unwrap());
                prop_assert!(answer.is_err(), "{code} of a lost range counts");
            }
            if void_codes {
                for code in known {
                    prop_assert_eq!(world.answer(code), Err("code_revoked"));
                }
            }
        }
    }
}

/// Codes that are out still bring reports, however often a log is recovered.
#[test]
fn codes_that_are_out_outlive_recoveries() {
    let mut world = World::new();
    world.step(&Step::Open(1, 30));
    for code in 0..20 {
        let backup = world.backup();
        world = world.lost(backup, false);
        world.step(&Step::Open(1, 1));
        assert_eq!(world.answer(world.printed[code]), Ok(()));
        assert_eq!(world.answer(*world.printed.last().unwrap()), Ok(()));
        assert_eq!(world.ledger.state.providers[&1].next_serial, 1);
    }
    world.step(&Step::Rotate(1));
    for code in world.printed.clone() {
        assert_eq!(world.answer(code), Err("code_revoked"));
    }
}

/// A clock that went back would give numbers again that were out already.
#[test]
fn nothing_is_recovered_by_a_clock_before_the_log() {
    let mut world = World::new();
    world.ledger.tick();
    let at = |seconds_back: u64| judge::RequestContext {
        now: world.ledger.now - seconds_back,
        leap: None,
        random: [0; 32],
    };
    let recover = |context, published| {
        let recovered =
            judge::recover(&world.ledger.state, context, published, Recovery::default());
        recovered.map(|decision| decision.answer)
    };
    assert!(recover(at(300), 0).is_ok());
    assert!(matches!(recover(at(301), 0), Err(Problem::ClockDoubt)));
    // A series that was published counts, whatever the clock.
    assert_eq!(recover(at(0), u32::MAX - 1).unwrap().series, u32::MAX);
}

/// A new machine whose clock is far ahead would drop every date with the first tick.
#[test]
fn a_clock_that_is_ahead_drops_nothing_by_a_recovery_or_a_new_series() {
    let mut world = World::new();
    world.step(&Step::Open(1, 1));
    world.ledger.report(0, &[raw(2, 1)]);
    world.ledger.tick();
    let now = world.ledger.now;
    let state = &world.ledger.state;
    let try_both = |now: u64, drop_dates: bool| {
        let context = judge::RequestContext { now, leap: None, random: [0; 32] };
        let allow = Recovery { drop_dates, ..Recovery::default() };
        let recovered =
            judge::recover(state, context, 0, allow).map(|decision| decision.answer.series);
        let started =
            judge::start_series(state, context, drop_dates).map(|decision| decision.answer);
        (recovered.map_err(|problem| problem.code()), started.map_err(|problem| problem.code()))
    };
    let ahead = now + 40 * DAY_SECONDS;
    assert_eq!(try_both(ahead, false), (Err("dates_dropped"), Err("dates_dropped")));
    assert_eq!(try_both(ahead, true), (Ok(ahead as u32), Ok(2)));
    // A copy of last week, whose dates have not expired, needs no question.
    let later = now + 7 * DAY_SECONDS;
    assert_eq!(try_both(later, false), (Ok(later as u32), Ok(2)));
    // No number is left for the next one.
    assert_eq!(try_both(4_290_000_000, true).0, Err("clock_doubt"));
    assert_eq!(try_both(u64::MAX, true).0, Err("clock_doubt"));
}

/// What an earlier build wrote to a log counts as it did then.
#[test]
fn a_series_of_before_left_serial_numbers_unused() {
    let mut world = World::new();
    world.ledger.append(&[FirstSeriesStarted { series: 1_800_000_000 }.into()]);
    assert_eq!(world.ledger.open(1, 1), 1 << 16);
    world.ledger.append(&[SeriesStarted { series: 1_800_000_001 }.into()]);
    assert_eq!(world.ledger.open(1, 1), (1 << 16) + 1);
}

/// Two ranges that begin with the same number are told apart.
#[test]
fn a_range_of_two_keys_is_named_with_its_generation() {
    let mut world = World::new();
    world.step(&Step::Open(1, 2));
    world = world.lost(world.backup(), false);
    world.step(&Step::Open(1, 2));
    let state = &world.ledger.state;
    let generations: Vec<u32> = state.providers[&1].ranges.keys().map(|(of, _)| *of).collect();
    let close =
        |generation| judge::close_range(state, 1, generation, 0).map(|decision| decision.events);
    let Err(Problem::RangeAmbiguous { first: 0, generations: mut named }) = close(None) else {
        panic!()
    };
    named.sort_unstable();
    assert_eq!(named, generations);
    for generation in generations {
        let closed = RangeClosed { provider: 1, generation, first: 0 };
        assert_eq!(close(Some(generation)).unwrap(), [closed.into()]);
    }
    // After a rotation only one of them can be meant.
    world.step(&Step::Rotate(1));
    world.step(&Step::Open(1, 2));
    assert!(judge::close_range(&world.ledger.state, 1, None, 0).is_ok());
}
