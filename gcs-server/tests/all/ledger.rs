//! What a log adds up to, beside a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{HOUR, Ledger, START, date, element, elements, policy, raw};
use gcs_core::ENTRY_DELAY;
use gcs_core::Element;
use gcs_core::live::LiveDay;
use gcs_core::{DAY_SECONDS, Date};
use gcs_server::domain::events::{Act, Correction};
use gcs_server::domain::judge;
use gcs_server::domain::policy::Policy;
use proptest::prelude::*;

/// Elements are drawn from so many, so that reports share some.
const UNIVERSE: u64 = 10;

/// A report as the model knows it.
struct Sent {
    position: u64,
    received: u64,
    retracted: bool,
    days: BTreeMap<Date, Brought>,
}

#[derive(Default)]
struct Brought {
    elements: BTreeSet<Element>,
    released: bool,
    /// The date was dropped since.
    gone: bool,
}

/// Reports, what was let go, and how much filler went with it.
#[derive(Default)]
struct Model {
    sent: Vec<Sent>,
    let_go: BTreeSet<(Date, Element)>,
    filler: BTreeMap<Date, usize>,
    listed: BTreeSet<Date>,
}

fn is_expired(date: Date, now: u64, policy: &Policy) -> bool {
    date.end() + u64::from(policy.retention_days) * DAY_SECONDS <= now
}

impl Model {
    fn supporters(&self, date: Date) -> impl Iterator<Item = (&Sent, &Brought)> {
        let brought = move |sent: &'_ Sent| sent.days.get(&date).is_some_and(|day| !day.gone);
        self.sent
            .iter()
            .filter(move |sent| !sent.retracted && brought(sent))
            .map(move |sent| (sent, &sent.days[&date]))
    }

    fn dates(&self) -> BTreeSet<Date> {
        self.sent.iter().flat_map(|sent| sent.days.keys().copied()).collect()
    }

    fn tick(&mut self, now: u64, policy: &Policy) {
        for date in self.dates() {
            if is_expired(date, now, policy) {
                self.let_go.retain(|(other, _)| *other != date);
                self.filler.remove(&date);
                self.listed.remove(&date);
                let days = self.sent.iter_mut().filter_map(|sent| sent.days.get_mut(&date));
                days.for_each(|day| day.gone = true);
            } else if self.listed.contains(&date) || date.end() + ENTRY_DELAY <= now {
                self.release(date, now, policy);
            }
        }
    }

    fn release(&mut self, date: Date, now: u64, policy: &Policy) {
        let waiting: Vec<_> = self.supporters(date).filter(|(_, day)| !day.released).collect();
        let is_new = |element: &Element| !self.let_go.contains(&(date, element.clone()));
        let mut company = Vec::new();
        let mut before: Vec<&Element> = Vec::new();
        for (_, day) in &waiting {
            let adds = |element: &Element| is_new(element) && !before.contains(&element);
            if day.elements.iter().any(adds) {
                company.push(day.elements.len());
            }
            before.extend(&day.elements);
        }
        let entered = date.end() + ENTRY_DELAY;
        let is_late =
            waiting.iter().any(|(sent, _)| sent.received.max(entered) + policy.max_hold <= now);
        let enough = policy.min_reports as usize;
        if waiting.is_empty() || (!company.is_empty() && company.len() < enough && !is_late) {
            return;
        }
        let elements: Vec<Element> =
            waiting.iter().flat_map(|(_, day)| day.elements.iter().cloned()).collect();
        self.let_go.extend(elements.into_iter().map(|element| (date, element)));
        if !company.is_empty() {
            let missing = company.len()..enough;
            let filler: usize = missing.map(|at| company[at % company.len()]).sum();
            *self.filler.entry(date).or_default() += filler;
        }
        self.listed.insert(date);
        for sent in self.sent.iter_mut().filter(|sent| !sent.retracted) {
            if let Some(day) = sent.days.get_mut(&date).filter(|day| !day.gone) {
                day.released = true;
            }
        }
    }

    /// What phones should find, without filler.
    fn published(&self) -> BTreeMap<Date, BTreeSet<Element>> {
        let real = |date: &Date| {
            let supported = self.supporters(*date).flat_map(|(_, day)| day.elements.clone());
            supported.filter(|element| self.let_go.contains(&(*date, element.clone()))).collect()
        };
        self.listed.iter().map(|date| (*date, real(date))).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Report(Vec<(i64, u64)>),
    Correct {
        act: Act,
        reports: Vec<prop::sample::Index>,
        unknown: bool,
    },
    Tick(u64),
    Policy {
        min_reports: u32,
        max_hold: u64,
        retention_days: u32,
    },
    /// Enough time and ticks for a purge, and whether bodies are erased by it.
    Weeks {
        erase: bool,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let items = prop::collection::vec((-3..=1i64, 0..UNIVERSE), 1..7);
    let act = prop_oneof![Just(Act::Retract), Just(Act::Reinstate)];
    let reports = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    prop_oneof![
        8 => items.prop_map(Step::Report),
        4 => (act, reports, any::<bool>())
            .prop_map(|(act, reports, unknown)| Step::Correct { act, reports, unknown }),
        8 => (1..14 * HOUR).prop_map(Step::Tick),
        1 => (1..5u32, 0..8 * HOUR, 1..5u32).prop_map(|(min_reports, max_hold, retention_days)| {
            Step::Policy { min_reports, max_hold, retention_days }
        }),
    ]
}

/// The world of a test: the ledger, and the model beside it.
struct World {
    ledger: Ledger,
    model: Model,
    /// Filler that was seen for a date, which must stay.
    filler: BTreeMap<Date, BTreeSet<Element>>,
    next_serial: u32,
}

impl World {
    fn new() -> World {
        let policy = Policy { min_reports: 2, retention_days: 2, ..policy() };
        let (model, filler) = (Model::default(), BTreeMap::new());
        World { ledger: Ledger::with_codes(&policy, 200), model, filler, next_serial: 0 }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Report(items) => self.report(items),
            Step::Correct { act, reports, unknown } => self.correct(*act, reports, *unknown),
            Step::Tick(seconds) => {
                self.ledger.now += seconds;
                self.ledger.tick();
                self.model.tick(self.ledger.now, &self.ledger.state.policy);
                self.compare();
            }
            Step::Policy { min_reports, max_hold, retention_days } => {
                let (min_reports, max_hold) = (*min_reports, *max_hold);
                let retention_days = *retention_days;
                let present = self.ledger.state.policy.clone();
                let policy = Policy { min_reports, max_hold, retention_days, ..present };
                self.ledger
                    .act(|state, _, now| judge::set_policy(state, now, &policy, true))
                    .unwrap();
            }
            Step::Weeks { erase } => {
                self.ledger.live(10 * DAY_SECONDS);
                self.ledger.purge(*erase);
            }
        }
    }

    fn report(&mut self, items: &[(i64, u64)]) {
        let now = self.ledger.now;
        let today = (now - START) / DAY_SECONDS;
        let items: Vec<_> =
            items.iter().map(|(ago, number)| (today.strict_add_signed(*ago), *number)).collect();
        let sent: Vec<_> = items.iter().map(|(date, number)| raw(*date, *number)).collect();
        let submission = crate::common::submission(self.ledger.code(self.next_serial), &sent);
        let accepted = self.ledger.submit(&submission).is_ok();
        let mut days: BTreeMap<Date, Brought> = BTreeMap::new();
        let policy = &self.ledger.state.policy;
        let hold = if policy.min_reports == 1 { 0 } else { policy.max_hold };
        for (at, number) in items {
            let date = date(at);
            let published = now.max(date.end() + ENTRY_DELAY) + hold + 2 * policy.interval;
            if date.start() <= now + 2 * HOUR && !is_expired(date, published, policy) {
                days.entry(date).or_default().elements.insert(element(number));
            }
        }
        assert_eq!(accepted, !days.is_empty());
        if accepted {
            self.next_serial += 1;
            let position = self.ledger.state.position;
            self.model.sent.push(Sent { position, received: now, retracted: false, days });
        }
    }

    /// Corrections never wait, and the preview says what they do.
    fn correct(&mut self, act: Act, reports: &[prop::sample::Index], unknown: bool) {
        let mut chosen = BTreeSet::new();
        let some = if self.model.sent.is_empty() { &[] } else { reports };
        for index in some {
            let sent = index.index(self.model.sent.len());
            self.model.sent[sent].retracted = act == Act::Retract;
            chosen.insert(self.model.sent[sent].position);
        }
        let mut reports: Vec<u64> = chosen.into_iter().collect();
        let before = self.real();
        let preview = self.ledger.state.live.preview(act, &reports);
        if unknown {
            reports.push(1_000_000);
        }
        let correction = Correction {
            act,
            reports: [reports.clone(), reports].concat(),
            selection: String::new(),
        };
        self.ledger.append(&[correction.into()]);
        let after = self.real();
        assert_eq!(after, self.model.published());
        for (date, before) in before {
            let change = preview.get(&date).copied().unwrap_or_default();
            assert_eq!(
                change.elements_out,
                before.difference(&after[&date]).count() as u64,
                "{date}"
            );
            assert_eq!(
                change.elements_back,
                after[&date].difference(&before).count() as u64,
                "{date}"
            );
        }
    }

    /// What is published but filler, by date.
    fn real(&self) -> BTreeMap<Date, BTreeSet<Element>> {
        let universe: BTreeSet<Element> = (0..UNIVERSE).map(element).collect();
        let real = |day: &LiveDay| {
            let elements = day.elements().map(Element::from_slice);
            elements.filter(|element| universe.contains(element)).collect()
        };
        self.ledger.state.live.days().iter().map(|day| (day.date(), real(day))).collect()
    }

    fn compare(&mut self) {
        assert_eq!(self.real(), self.model.published());
        let mut everywhere = BTreeSet::new();
        self.filler.retain(|date, _| self.model.listed.contains(date));
        for day in self.ledger.state.live.days() {
            let distinct: BTreeSet<Element> = day.elements().map(Element::from_slice).collect();
            assert_eq!(distinct.len(), day.len(), "an element twice");
            let filler: BTreeSet<Element> =
                distinct.into_iter().filter(|element| element.len() == 32).collect();
            assert_eq!(filler.len(), self.model.filler.get(&day.date()).copied().unwrap_or(0));
            assert!(
                filler.iter().all(|element| everywhere.insert(element.clone())),
                "filler twice"
            );
            let earlier = self.filler.insert(day.date(), filler.clone()).unwrap_or_default();
            assert!(earlier.is_subset(&filler), "filler went away");
        }
        self.assert_nobody_waits_too_long();
    }

    fn assert_nobody_waits_too_long(&self) {
        let (now, policy) = (self.ledger.now, &self.ledger.state.policy);
        for sent in self.model.sent.iter().filter(|sent| !sent.retracted) {
            let report = self.ledger.state.live.report(sent.position).unwrap();
            for day in report.dates.iter().filter(|day| !sent.days[&day.date].gone) {
                let due = sent.received.max(day.date.end() + ENTRY_DELAY) + policy.max_hold;
                assert!(day.since.is_some() || due > now, "{} waits", day.date);
                assert_eq!(day.since.is_some(), sent.days[&day.date].released);
            }
        }
    }

    fn assert_folds_to_the_same(&self) {
        assert_eq!(self.ledger.folded().digest(), self.ledger.state.digest());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn published_is_what_was_let_go_and_has_a_supporter(
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        world.step(&Step::Tick(15 * HOUR));
        world.assert_folds_to_the_same();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_log_adds_up_to_the_same_without_its_purged_bodies(
        mut steps in prop::collection::vec(any_step(), 1..20),
        weeks in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..4),
    ) {
        for (at, erase) in weeks {
            steps.insert(at.index(steps.len() + 1), Step::Weeks { erase });
        }
        let mut world = World::new();
        for step in &steps {
            // The model has no purge; what it says of the rest is told above.
            match step {
                Step::Correct { act, reports, .. } if !world.model.sent.is_empty() => {
                    let position = |at: &prop::sample::Index| world.model.sent[at.index(world.model.sent.len())].position;
                    let reports = reports.iter().map(position).collect();
                    let correction = Correction { act: *act, reports, selection: String::new() };
                    world.ledger.append(&[correction.into()]);
                }
                Step::Correct { .. } => {}
                Step::Tick(seconds) => {
                    world.ledger.now += seconds;
                    world.ledger.tick();
                }
                step => world.step(step),
            }
        }
        world.assert_folds_to_the_same();
        world.ledger.live(DAY_SECONDS);
        world.assert_folds_to_the_same();
    }
}

/// Reports of date 2 at noon of date 3, unless said otherwise.
#[test]
fn one_reports_retraction_never_removes_what_another_supports() {
    let mut ledger = Ledger::with_codes(&policy(), 10);
    let first = ledger.report(0, &[raw(2, 1), raw(2, 2)]);
    ledger.report(1, &[raw(2, 2), raw(2, 3), raw(2, 3)]);
    ledger.tick();
    assert_eq!(ledger.published(2).unwrap(), elements(&[1, 2, 3]));
    let retract = |reports| Correction { act: Act::Retract, reports, selection: String::new() };
    // Twice: the second time changes nothing.
    ledger.append(&[retract(vec![first]).into(), retract(vec![first]).into()]);
    assert_eq!(ledger.published(2).unwrap(), elements(&[2, 3]));
    let reinstate = Correction { act: Act::Reinstate, ..retract(vec![first, first]) };
    ledger.append(&[reinstate.into()]);
    assert_eq!(ledger.published(2).unwrap(), elements(&[1, 2, 3]));
}

#[test]
fn a_date_that_comes_back_knows_nothing_of_reports_from_before() {
    let mut ledger = Ledger::with_codes(&Policy { retention_days: 1, ..policy() }, 10);
    let old = ledger.report(0, &[raw(2, 1), raw(2, 2)]);
    ledger.live(DAY_SECONDS);
    assert_eq!(ledger.published(2), None);
    let longer = Policy { retention_days: 5, ..ledger.state.policy.clone() };
    ledger.act(|state, _, now| judge::set_policy(state, now, &longer, true)).unwrap();
    ledger.report(1, &[raw(2, 5), raw(2, 6)]);
    ledger.tick();
    assert_eq!(ledger.published(2).unwrap(), elements(&[5, 6]));
    let retract = Correction { act: Act::Retract, reports: vec![old], selection: String::new() };
    assert!(ledger.state.live.preview(Act::Retract, &[old]).is_empty());
    ledger.append(&[retract.into()]);
    assert_eq!(ledger.published(2).unwrap(), elements(&[5, 6]));
}

#[test]
fn a_date_enters_two_hours_after_its_end_and_leaves_after_its_retention() {
    let mut ledger = Ledger::with_codes(&policy(), 10);
    ledger.report(0, &[raw(3, 1)]);
    let entry = date(3).end() + 2 * HOUR;
    ledger.now = entry - 1;
    ledger.tick();
    assert_eq!(ledger.published(3), None);
    ledger.now = entry;
    ledger.tick();
    assert_eq!(ledger.published(3).unwrap(), elements(&[1]));
    let end = date(3).end() + 14 * DAY_SECONDS;
    while ledger.now + 12 * HOUR < end {
        ledger.now += 12 * HOUR;
        ledger.tick();
    }
    ledger.now = end - 1;
    ledger.tick();
    assert!(ledger.published(3).is_some());
    ledger.now = end;
    ledger.tick();
    assert_eq!(ledger.published(3), None);
}

#[test]
fn additions_wait_for_company_or_for_max_hold_and_corrections_for_nobody() {
    let hold = Policy { min_reports: 3, max_hold: HOUR, ..policy() };
    let mut ledger = Ledger::with_codes(&hold, 10);
    let first = ledger.report(0, &[raw(2, 1), raw(2, 2)]);
    ledger.now += HOUR - 1;
    ledger.tick();
    assert_eq!(ledger.published(2), None);
    ledger.now += 1;
    ledger.tick();
    // Two reports are missing: as many elements of filler each as the one has.
    let published = ledger.published(2).unwrap();
    assert_eq!(published.len(), 2 + 2 * 2);
    assert!(elements(&[1, 2]).iter().all(|element| published.contains(element)));
    ledger.append(&[Correction {
        act: Act::Retract,
        reports: vec![first],
        selection: String::new(),
    }
    .into()]);
    ledger.tick();
    assert_eq!(ledger.published(2).unwrap().len(), 4, "filler stays");
    // Three reports at once wait for nothing, and need no filler.
    for serial in 1..4 {
        ledger.report(serial, &[raw(2, 10 + u64::from(serial))]);
    }
    ledger.tick();
    assert_eq!(ledger.published(2).unwrap().len(), 4 + 3);
    // What adds nothing waits for nothing.
    ledger.report(4, &[raw(2, 11)]);
    ledger.tick();
    let (_, last) = ledger.state.live.reports().last().unwrap();
    assert!(last.dates[0].since.is_some());
    assert_eq!(ledger.folded().live.days().len(), 1);
}

#[test]
fn filler_is_the_same_wherever_it_is_computed_and_depends_on_the_key() {
    let hold = Policy { min_reports: 5, max_hold: 0, ..policy() };
    let mut ledger = Ledger::with_codes(&hold, 10);
    ledger.report(0, &[raw(1, 1), raw(2, 1)]);
    ledger.tick();
    ledger.report(1, &[raw(1, 2), raw(2, 2)]);
    ledger.tick();
    let filler = |date| {
        let published = ledger.published(date).unwrap();
        published.into_iter().filter(|element| element.len() == 32).collect::<BTreeSet<_>>()
    };
    // Four patients are missing at each tick and date.
    assert_eq!((filler(1).len(), filler(2).len()), (8, 8));
    assert!(filler(1).is_disjoint(&filler(2)));
    let folded = ledger.folded();
    let other = crate::common::keys(9);
    assert_ne!(folded.digest(), gcs_server::domain::state::State::new(other.filler()).digest());
    assert_eq!(folded.digest(), ledger.state.digest());
    // Without keys the log still adds up, but for the filler.
    let keyless = gcs_server::node::replay(&mut ledger.store.clone(), None, |_, _| Ok(())).unwrap();
    assert_eq!(keyless.state.position, ledger.state.position);
    assert_ne!(keyless.state.digest(), ledger.state.digest());
}
