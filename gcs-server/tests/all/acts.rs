//! Anybody does anything in any order: what the judge decides always fits the log, and no
//! code ever brings two reports.

use std::collections::BTreeMap;

use crate::common::{Ledger, START, policy, raw, submission};
use gcs_core::DAY_SECONDS;
use gcs_core::report::ReportAnswer;
use gcs_server::domain::events::{Act, ProviderStatus};
use gcs_server::domain::judge;
use gcs_server::domain::judge::Selection;
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use gcs_server::store::Store as _;
use proptest::prelude::*;

/// Provider, generation of its key and serial number; some exist.
type Numbers = (u16, u32, u32);

#[derive(Clone, Debug)]
enum Step {
    AddProvider,
    Stand(u16, ProviderStatus),
    Token(u16),
    RaiseKey(u16),
    Open(u16, u32, u32),
    Close(u16, u32),
    Revoke(Numbers),
    Report(Numbers, u64),
    Correct(Act, u16),
    Tick(u64),
    Days(u64),
    Purge,
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    let provider = 1..4u16;
    let numbers = || (1..4u16, 1..3u32, 0..8u32);
    let status = prop_oneof![
        4 => Just(ProviderStatus::Active),
        2 => Just(ProviderStatus::Suspended),
        1 => Just(ProviderStatus::Revoked),
    ];
    let act = prop_oneof![Just(Act::Retract), Just(Act::Reinstate)];
    prop_oneof![
        1 => Just(Step::AddProvider),
        3 => (provider.clone(), status).prop_map(|(provider, to)| Step::Stand(provider, to)),
        1 => provider.clone().prop_map(Step::Token),
        1 => provider.clone().prop_map(Step::RaiseKey),
        4 => (provider.clone(), 0..4u32, 1..40u32)
            .prop_map(|(provider, count, days)| Step::Open(provider, count, days)),
        2 => (provider.clone(), 0..8u32).prop_map(|(provider, first)| Step::Close(provider, first)),
        3 => numbers().prop_map(Step::Revoke),
        10 => (numbers(), 0..3u64).prop_map(|(code, element)| Step::Report(code, element)),
        1 => (act, provider).prop_map(|(act, provider)| Step::Correct(act, provider)),
        3 => (0..DAY_SECONDS).prop_map(Step::Tick),
        1 => (1..20u64).prop_map(Step::Days),
        1 => Just(Step::Purge),
        1 => Just(Step::Restart),
    ]
}

struct World {
    ledger: Ledger,
    /// First answers, by code and element; purged ones without.
    used: BTreeMap<Numbers, (u64, ReportAnswer)>,
}

impl World {
    fn new() -> World {
        let mut ledger = Ledger::new(&Policy { retention_days: 1, max_open_codes: 20, ..policy() });
        ledger.act(|state, _, now| judge::add_provider(state, now, "another")).unwrap();
        ledger.open(4, 30);
        World { ledger, used: BTreeMap::new() }
    }

    /// Whatever comes of it; events that do not fit the log panic in `act`.
    fn step(&mut self, step: &Step) {
        let ledger = &mut self.ledger;
        match step.clone() {
            Step::AddProvider => {
                drop(ledger.act(|state, _, now| judge::add_provider(state, now, "n")));
            }
            Step::Stand(provider, to) => {
                drop(ledger.act(|state, _, _| judge::set_status(state, provider, to)));
            }
            Step::Token(provider) => {
                drop(ledger.act(|state, _, now| judge::set_provider_token(state, now, provider)));
            }
            Step::RaiseKey(provider) => {
                drop(ledger.act(|state, _, _| judge::raise_key(state, provider)));
            }
            Step::Open(provider, count, days) => drop(
                ledger.act(|state, _, now| judge::open_range(state, now, provider, count, days)),
            ),
            Step::Close(provider, first) => {
                drop(ledger.act(|state, _, _| judge::close_range(state, provider, None, first)));
            }
            Step::Revoke((provider, generation, serial)) => {
                let code = ledger.code_of(provider, generation, serial);
                let judge = |state: &_, keys: &_, now| judge::revoke_code(state, keys, now, &code);
                drop(ledger.act(judge));
            }
            Step::Report(code, element) => self.report(code, element),
            Step::Correct(act, provider) => {
                let select = Selection { provider: Some(provider), ..Selection::default() };
                let position = ledger.state.position;
                let judge =
                    |state: &_, keys: &_, _| judge::correct(state, keys, act, &select, position);
                drop(ledger.act(judge));
            }
            Step::Tick(seconds) => {
                ledger.now += seconds;
                ledger.tick();
            }
            Step::Days(days) => ledger.live(days * DAY_SECONDS),
            Step::Purge => {
                let purged = ledger.act(|state, _, _| judge::purge(state)).unwrap();
                ledger.store.erase(&purged).unwrap();
            }
            Step::Restart => self.restart(),
        }
    }

    fn report(&mut self, numbers: Numbers, element: u64) {
        let (provider, generation, serial) = numbers;
        let today = (self.ledger.now - START) / DAY_SECONDS;
        let code = self.ledger.code_of(provider, generation, serial);
        // The items of a retry are those of the first time, whatever the day.
        let mut sent = submission(code, &[raw(today, element)]);
        sent.payload = [element as u8; 32];
        let answer = self.ledger.submit(&sent);
        match (self.used.get(&numbers), answer) {
            (None, Ok(answer)) => drop(self.used.insert(numbers, (element, answer))),
            (None, Err(refused)) => {
                assert!(!matches!(refused, Problem::CodeUsed), "{numbers:?} was never used");
            }
            (Some((first, known)), Ok(answer)) => {
                assert_eq!((*first, known), (element, &answer), "{numbers:?}: another report");
            }
            (Some((first, _)), Err(refused)) => {
                // After a purge nobody knows what it was, and long after, not even that.
                let code = refused.code();
                let position = self.ledger.state.reports.iter().any(|(_, report)| {
                    let id = report.code;
                    (id.provider, id.generation, id.serial) == numbers
                });
                let known = ["code_used", "code_expired", "code_revoked"].contains(&code);
                // The key of a range that is forgotten counts no more once there is another.
                let is_replaced = self.ledger.state.providers[&provider].generation != generation;
                assert!(known || (code == "code_invalid" && is_replaced), "{code}");
                assert!(!position || (*first != element && code == "code_used"), "{code}");
            }
        }
    }

    fn restart(&mut self) {
        let folded = self.ledger.folded();
        assert_eq!(folded.digest(), self.ledger.state.digest());
        self.ledger.state = folded;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_is_decided_fits_the_log_and_a_code_brings_one_report(
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        world.restart();
    }
}
