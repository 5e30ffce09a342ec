//! Which reports a correction takes, and that its preview is true.

use crate::common::{Ledger, element, policy, raw, submission};
use gcs_server::domain::events::Act;
use gcs_server::domain::judge;
use gcs_server::domain::judge::{CorrectionAnswer, Selection};
use gcs_server::domain::problem::Problem;

/// Reports of two providers, two ranges and two keys; the n-th brings element n on date 2
/// and element 100 besides. Their positions and tracking ids.
struct World {
    ledger: Ledger,
    positions: Vec<u64>,
    tracking: Vec<String>,
    codes: Vec<String>,
    times: Vec<u64>,
}

impl World {
    /// 0, 1: provider 1, range 0. 2: provider 1, range 10. 3: provider 2.
    /// 4, 5: provider 1, range 0 of its second key.
    fn new() -> World {
        let mut ledger = Ledger::with_codes(&policy(), 10);
        ledger.open(10, 1);
        ledger.act(|state, _, now| judge::add_provider(state, now, "another")).unwrap();
        ledger.act(|state, _, now| judge::open_range(state, now, 2, 5, 5)).unwrap();
        let (positions, tracking, codes, times) = (vec![], vec![], vec![], vec![]);
        let mut world = World { ledger, positions, tracking, codes, times };
        for code in [(1, 1, 0), (1, 1, 9), (1, 1, 10), (2, 1, 0)] {
            world.report(code);
        }
        world.ledger.act(|state, _, _| judge::raise_key(state, 1)).unwrap();
        world.ledger.open(10, 5);
        world.report((1, 2, 0));
        world.report((1, 2, 1));
        world.ledger.tick();
        world
    }

    fn report(&mut self, (provider, generation, serial): (u16, u32, u32)) {
        self.ledger.now += 10;
        let code = self.ledger.code_of(provider, generation, serial);
        let items = [raw(2, self.positions.len() as u64), raw(2, 100)];
        let answer = self.ledger.submit(&submission(code, &items)).unwrap();
        self.positions.push(self.ledger.state.position);
        self.tracking.push(answer.tracking_id);
        self.codes.push(code.to_string());
        self.times.push(self.ledger.now);
    }

    /// Numbers of the reports that are taken, by trying it on a copy.
    fn taken(&self, selection: &Selection) -> Result<Vec<usize>, &'static str> {
        let (state, keys) = (self.ledger.folded(), &self.ledger.keys);
        let position = state.position;
        let decision = judge::correct(&state, keys, Act::Retract, selection, position)
            .map_err(|problem| problem.code())?;
        let mut copy = Ledger {
            state,
            keys: keys.clone(),
            store: gcs_server::store::MemoryStore::new(),
            now: self.ledger.now,
            leap: None,
            random: self.ledger.random.clone(),
        };
        // Its own log begins in the middle, which is nobody's business here.
        let (chain, random) = (copy.state.chain(), &copy.random);
        let sealed = gcs_server::node::seal(chain, &decision.events, copy.now, random).unwrap();
        let logged = sealed.into_iter().flat_map(|sealed| sealed.logged);
        logged.for_each(|logged| copy.state.apply(&logged).unwrap());
        let is_retracted =
            |number: &usize| copy.state.live.report(self.positions[*number]).unwrap().retracted;
        let taken: Vec<usize> = (0..self.positions.len()).filter(is_retracted).collect();
        assert_eq!(decision.answer.reports, taken.len() as u64);
        assert_eq!(decision.answer.position, position);
        Ok(taken)
    }
}

fn all() -> Selection {
    Selection { received_from: Some(0), ..Selection::default() }
}

#[test]
fn each_criterion_takes_just_its_reports() {
    let world = World::new();
    let taken = |selection| world.taken(&selection);
    assert_eq!(taken(all()), Ok(vec![0, 1, 2, 3, 4, 5]));
    for number in 0..6 {
        let report = Some(world.tracking[number].clone());
        assert_eq!(taken(Selection { report, ..Selection::default() }), Ok(vec![number]));
        let code = Some(world.codes[number].to_lowercase());
        assert_eq!(taken(Selection { code, ..Selection::default() }), Ok(vec![number]));
    }
    let provider = |provider| Selection { provider: Some(provider), ..Selection::default() };
    assert_eq!(taken(provider(1)), Ok(vec![0, 1, 2, 4, 5]));
    assert_eq!(taken(provider(2)), Ok(vec![3]));
    let range = |range, generation| Selection { range: Some(range), generation, ..provider(1) };
    assert_eq!(taken(range(0, None)), Ok(vec![4, 5]), "of the present key");
    assert_eq!(taken(range(0, Some(1))), Ok(vec![0, 1]));
    assert_eq!(taken(range(10, Some(1))), Ok(vec![2]));
    let from = Some(world.times[1]);
    let until = Some(world.times[3]);
    assert_eq!(
        taken(Selection { received_from: from, ..Selection::default() }),
        Ok(vec![1, 2, 3, 4, 5])
    );
    assert_eq!(
        taken(Selection { received_until: until, ..Selection::default() }),
        Ok(vec![0, 1, 2])
    );
}

#[test]
fn criteria_together_take_what_fits_all_of_them() {
    let world = World::new();
    let (from, until) = (Some(world.times[1]), Some(world.times[5]));
    let span = Selection { received_from: from, received_until: until, ..Selection::default() };
    assert_eq!(world.taken(&span), Ok(vec![1, 2, 3, 4]));
    let of_provider = Selection { provider: Some(1), ..span.clone() };
    assert_eq!(world.taken(&of_provider), Ok(vec![1, 2, 4]));
    let of_range = Selection { range: Some(0), generation: Some(1), ..of_provider.clone() };
    assert_eq!(world.taken(&of_range), Ok(vec![1]));
    let report = Some(world.tracking[1].clone());
    assert_eq!(world.taken(&Selection { report, ..of_range.clone() }), Ok(vec![1]));
    let report = Some(world.tracking[0].clone());
    assert_eq!(world.taken(&Selection { report, ..of_range }), Err("selection_none"));
    let code = Some(world.codes[3].clone());
    assert_eq!(world.taken(&Selection { code, ..of_provider }), Err("selection_none"));
}

/// The reports under one stolen key, and not the provider's others.
#[test]
fn a_generation_is_never_ignored() {
    let world = World::new();
    let generation = Some(1);
    let of_key = Selection { provider: Some(1), generation, ..Selection::default() };
    assert_eq!(world.taken(&of_key), Ok(vec![0, 1, 2]));
    let alone = Selection { generation, ..Selection::default() };
    assert_eq!(world.taken(&alone), Err("selection_range"));
    assert_eq!(world.taken(&Selection { generation, ..all() }), Err("selection_range"));
    assert_eq!(world.taken(&Selection { range: Some(0), ..all() }), Err("selection_range"));
}

#[test]
fn a_selection_of_nothing_is_refused_by_what_is_wrong() {
    let world = World::new();
    assert_eq!(world.taken(&Selection::default()), Err("selection_empty"));
    let provider = Some(9);
    assert_eq!(
        world.taken(&Selection { provider, ..Selection::default() }),
        Err("provider_unknown")
    );
    let range = Selection { provider: Some(1), range: Some(5), ..Selection::default() };
    assert_eq!(world.taken(&range), Err("range_unknown"));
    for report in ["", "xyz", &"0".repeat(31)] {
        let report = Some(report.to_owned());
        assert_eq!(
            world.taken(&Selection { report, ..Selection::default() }),
            Err("report_unknown")
        );
    }
    let report = Some("0".repeat(32));
    assert_eq!(world.taken(&Selection { report, ..Selection::default() }), Err("selection_none"));
    let mistyped = Some(world.codes[0][1..].to_owned());
    let foreign = Some(world.ledger.code_of(3, 1, 0).to_string());
    for code in [mistyped, foreign] {
        assert_eq!(world.taken(&Selection { code, ..Selection::default() }), Err("code_invalid"));
    }
    let ahead = judge::preview(
        &world.ledger.state,
        &world.ledger.keys,
        Act::Retract,
        &all(),
        Some(world.ledger.state.position + 1),
    );
    assert!(matches!(ahead, Err(Problem::PositionAhead { .. })));
}

#[test]
fn a_correction_does_what_its_preview_said_and_leaves_later_reports() {
    let mut world = World::new();
    let correct = |world: &mut World, act, position| {
        world
            .ledger
            .act(|state, keys, _| judge::correct(state, keys, act, &all(), position))
            .unwrap()
    };
    let preview = |world: &World, act| {
        judge::preview(&world.ledger.state, &world.ledger.keys, act, &all(), None).unwrap()
    };
    let seen = preview(&world, Act::Retract);
    let change = seen.dates[0].change;
    assert_eq!((seen.reports, seen.unchanged, seen.dates.len()), (6, 0, 1));
    assert_eq!((change.reports, change.elements_out, change.elements_back), (6, 7, 0));

    world.report((2, 1, 1));
    world.ledger.tick();
    let done = correct(&mut world, Act::Retract, seen.position);
    // Element 100 has a supporter that was not there yet.
    assert_eq!((done.reports, done.position), (6, seen.position));
    assert_eq!((done.dates[0].change.elements_out, done.dates[0].change.unchanged), (6, 1));
    let mut left = vec![element(6), element(100)];
    left.sort();
    assert_eq!(world.ledger.published(2).unwrap(), left);

    let position = world.ledger.state.position;
    let again = correct(&mut world, Act::Retract, seen.position);
    assert_eq!((again.reports, again.unchanged, again.dates.len()), (0, 6, 0));
    assert_eq!(world.ledger.state.position, position, "nothing to do is no event");

    let seen = preview(&world, Act::Reinstate);
    let done = correct(&mut world, Act::Reinstate, seen.position);
    assert_eq!(done, CorrectionAnswer { position: seen.position, ..seen });
    assert_eq!((done.reports, done.unchanged), (6, 1));
    assert_eq!(world.ledger.published(2).unwrap().len(), 8);
    assert_eq!(world.ledger.folded().digest(), world.ledger.state.digest());
}

#[test]
fn what_selects_in_secret_is_not_in_the_log() {
    let mut world = World::new();
    let (report, code) = (Some(world.tracking[0].clone()), Some(world.codes[0].clone()));
    let selection =
        Selection { report: report.clone(), code: code.clone(), ..Selection::default() };
    let position = world.ledger.state.position;
    world
        .ledger
        .act(|state, keys, _| judge::correct(state, keys, Act::Retract, &selection, position))
        .unwrap();
    let last = world.ledger.batches().pop().unwrap();
    let body = last.events[0].body.clone().unwrap().bytes;
    let text = String::from_utf8_lossy(&body).into_owned() + &format!("{selection:?}");
    assert!(!text.contains(&report.unwrap()) && !text.contains(&code.unwrap()), "{text}");
}
