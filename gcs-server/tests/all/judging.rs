//! What the judge says of codes, reports, providers, ticks and purges.

use crate::common::{Ledger, date, policy, raw, submission};
use gcs_core::DAY_SECONDS;
use gcs_core::Element;
use gcs_core::Version;
use gcs_core::files::SignedKeyList;
use gcs_core::report::{Code, MAX_SERIAL};
use gcs_core::report::{Item, ItemProblem};
use gcs_server::domain::events::{CodeId, ProviderStatus, RangeOpened};
use gcs_server::domain::judge;
use gcs_server::domain::judge::MAX_RANGE;
use gcs_server::domain::keys::KEY_LIST_SECONDS;
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use proptest::prelude::*;

fn ledger() -> Ledger {
    Ledger::with_codes(&policy(), 100)
}

/// How a report of one good item by this code is answered.
fn answer(ledger: &mut Ledger, code: Code) -> &'static str {
    match ledger.submit(&submission(code, &[raw(2, 1)])) {
        Ok(_) => "accepted",
        Err(problem) => problem.code(),
    }
}

fn set_status(ledger: &mut Ledger, status: ProviderStatus) {
    ledger.act(|state, _, _| judge::set_status(state, 1, status)).unwrap();
}

#[test]
fn every_kind_of_code_has_its_answer() {
    let mut ledger = ledger();
    let short = ledger.open(5, 1);
    assert_eq!(short, 100);
    let foreign = crate::common::keys(9);
    let foreign = Code::issue(&foreign.provider(1, 1), 1, 0).unwrap();
    assert_eq!(answer(&mut ledger, foreign), "code_invalid");
    let of_nobody = ledger.code_of(2, 1, 0);
    assert_eq!(answer(&mut ledger, of_nobody), "code_invalid");
    let of_next_key = ledger.code_of(1, 2, 0);
    assert_eq!(answer(&mut ledger, of_next_key), "code_invalid");
    for (serial, expected) in [(0, "accepted"), (104, "accepted"), (105, "code_not_open")] {
        let code = ledger.code(serial);
        assert_eq!(answer(&mut ledger, code), expected, "{serial}");
    }
    let code = ledger.code(1);
    ledger.act(|state, keys, now| judge::revoke_code(state, keys, now, &code)).unwrap();
    assert_eq!(answer(&mut ledger, code), "code_revoked");

    let expiring = ledger.code(101);
    ledger.now += DAY_SECONDS - 1;
    assert_eq!(answer(&mut ledger, expiring), "accepted");
    ledger.now += 1;
    let expired = ledger.code(102);
    assert_eq!(answer(&mut ledger, expired), "code_expired");

    let code = ledger.code(2);
    set_status(&mut ledger, ProviderStatus::Suspended);
    assert_eq!(answer(&mut ledger, code), "code_suspended");
    set_status(&mut ledger, ProviderStatus::Active);
    assert_eq!(answer(&mut ledger, code), "accepted");

    ledger.act(|state, _, _| judge::close_range(state, 1, None, 0)).unwrap();
    let code = ledger.code(3);
    assert_eq!(answer(&mut ledger, code), "code_revoked");
    ledger.act(|state, _, _| judge::raise_key(state, 1)).unwrap();
    let (old, new) = (ledger.code(102), ledger.code_of(1, 2, 0));
    assert_eq!(answer(&mut ledger, old), "code_revoked");
    assert_eq!(answer(&mut ledger, new), "code_not_open");
    ledger.open(1, 1);
    set_status(&mut ledger, ProviderStatus::Revoked);
    assert_eq!(answer(&mut ledger, new), "code_revoked");
}

#[test]
fn a_retry_gets_the_first_answer_whatever_has_happened_since() {
    let mut ledger = ledger();
    ledger.open(1, 1);
    let bad = Item::Raw { date: date(2), element: Element::from_slice(&[1; 3]) };
    let sent = submission(ledger.code(100), &[raw(2, 1), bad, raw(1, 1)]);
    let first = ledger.submit(&sent).unwrap();
    assert_eq!((first.accepted, first.problems.len()), (2, 1));
    let other = submission(ledger.code(100), &[raw(2, 2)]);
    let position = ledger.state.position;
    let assert_same = |ledger: &mut Ledger, after: &str| {
        let position = ledger.state.position;
        assert_eq!(ledger.submit(&sent).unwrap(), first, "{after}");
        let refused = ledger.submit(&other).unwrap_err();
        assert!(matches!(refused, Problem::CodeUsed), "{after}: {refused}");
        assert_eq!(ledger.state.position, position, "{after}: a retry is no event");
        assert_eq!(ledger.folded().digest(), ledger.state.digest(), "{after}");
        ledger.state = ledger.folded();
        assert_eq!(ledger.submit(&sent).unwrap(), first, "{after}, restarted");
    };
    assert_same(&mut ledger, "nothing");
    ledger.tick();
    assert_same(&mut ledger, "a tick");
    set_status(&mut ledger, ProviderStatus::Suspended);
    assert_same(&mut ledger, "suspension");
    set_status(&mut ledger, ProviderStatus::Active);
    ledger.live(2 * DAY_SECONDS);
    assert_same(&mut ledger, "expiry of the code");
    ledger.act(|state, _, _| judge::close_range(state, 1, None, 100)).unwrap();
    assert_same(&mut ledger, "its range was closed");
    for rotation in 1..=4 {
        ledger.act(|state, _, _| judge::raise_key(state, 1)).unwrap();
        assert_same(&mut ledger, &format!("{rotation} rotations"));
    }
    let all = judge::Selection { provider: Some(1), ..judge::Selection::default() };
    ledger
        .act(|state, keys, _| {
            judge::correct(state, keys, gcs_server::domain::events::Act::Retract, &all, position)
        })
        .unwrap();
    assert_same(&mut ledger, "retraction");
    set_status(&mut ledger, ProviderStatus::Revoked);
    assert_same(&mut ledger, "revocation of the provider");
    ledger.live(13 * DAY_SECONDS);
    assert!(ledger.published(2).is_none());
    assert_same(&mut ledger, "expiry of the dates");
}

#[test]
fn a_code_stays_used_when_its_report_is_purged() {
    let mut ledger = ledger();
    let sent = submission(ledger.code(7), &[raw(2, 1)]);
    ledger.submit(&sent).unwrap();
    ledger.live(25 * DAY_SECONDS);
    assert_eq!(ledger.purge(true).len(), 1);
    let unused = ledger.code(8);
    for restarted in [false, true] {
        if restarted {
            ledger.state = ledger.folded();
        }
        for status in [ProviderStatus::Active, ProviderStatus::Suspended, ProviderStatus::Active] {
            ledger.act(|state, _, _| judge::set_status(state, 1, status)).unwrap();
            let refused = ledger.submit(&sent).unwrap_err();
            assert!(matches!(refused, Problem::CodeUsed), "{status:?}: {refused}");
        }
        let code = ledger.code(7);
        let refused = ledger.act(|state, keys, now| judge::revoke_code(state, keys, now, &code));
        assert!(matches!(refused, Err(Problem::CodeSpent)));
    }
    assert_eq!(answer(&mut ledger, unused), "no_items");
}

#[test]
fn nothing_good_spends_nothing_and_one_bad_item_drops_no_other() {
    let mut ledger = ledger();
    let code = ledger.code(0);
    let position = ledger.state.position;
    let late = 40;
    let bad = [raw(late, 1), Item::Dp3tUnlinkable { epoch: 0, seed: [1; 32] }];
    let refused = ledger.submit(&submission(code, &bad)).unwrap_err();
    let Problem::NoItems { problems } = refused else { panic!("{refused}") };
    assert_eq!(problems, [(0, ItemProblem::DateInFuture), (1, ItemProblem::DateTooOld)]);
    assert!(matches!(ledger.submit(&submission(code, &[])), Err(Problem::NoItems { .. })));
    assert_eq!(ledger.state.position, position);

    let mut mixed = submission(code, &[raw(late, 1), raw(2, 1), raw(2, 2), bad[1].clone()]);
    mixed.items.insert(1, Err(ItemProblem::SeedLength));
    let answer = ledger.submit(&mixed).unwrap();
    let problems: Vec<_> = answer.problems.iter().map(|item| (item.index, item.code)).collect();
    let expected = [
        (0, ItemProblem::DateInFuture),
        (1, ItemProblem::SeedLength),
        (4, ItemProblem::DateTooOld),
    ];
    assert_eq!((answer.accepted, problems.as_slice()), (2, expected.as_slice()));
    ledger.tick();
    assert_eq!(ledger.published(2).unwrap(), crate::common::elements(&[1, 2]));
}

#[test]
fn duplicates_are_no_error_and_the_bound_per_date_is_exact() {
    let limit = Policy { max_elements_per_date: 3, ..policy() };
    let mut ledger = Ledger::with_codes(&limit, 10);
    let same = vec![raw(2, 1); 1000];
    let answer = ledger.submit(&submission(ledger.code(0), &same)).unwrap();
    assert_eq!((answer.accepted, answer.problems.len()), (1, 0));

    let numbers = [1, 2, 3, 4, 2, 5, 1];
    let mut items: Vec<Item> = numbers.iter().map(|number| raw(2, *number)).collect();
    items.extend([1, 2, 3].map(|number| raw(1, number)));
    let answer = ledger.submit(&submission(ledger.code(1), &items)).unwrap();
    let problems: Vec<_> = answer.problems.iter().map(|item| (item.index, item.code)).collect();
    let too_many = ItemProblem::TooManyForDate;
    assert_eq!(
        (answer.accepted, problems.as_slice()),
        (6, [(3, too_many), (5, too_many)].as_slice())
    );
    ledger.tick();
    assert_eq!(ledger.published(2).unwrap(), crate::common::elements(&[1, 2, 3]));
    assert_eq!(ledger.published(1).unwrap(), crate::common::elements(&[1, 2, 3]));
}

#[test]
fn an_element_brought_as_seed_and_raw_goes_with_its_only_report() {
    let mut ledger = ledger();
    let seed = Item::Dp3tUnlinkable { epoch: (date(2).start() / 900) as u32, seed: [9; 32] };
    let element = seed.elements(0).next().unwrap().1;
    let both = [seed, Item::Raw { date: date(2), element: element.clone() }];
    let position = ledger.report(0, &both);
    ledger.tick();
    assert_eq!(ledger.published(2).unwrap(), [element]);
    let select = judge::Selection { provider: Some(1), ..judge::Selection::default() };
    let retract = gcs_server::domain::events::Act::Retract;
    let answer =
        ledger.act(|state, keys, _| judge::correct(state, keys, retract, &select, position));
    assert_eq!(answer.unwrap().dates[0].change.elements_out, 1);
    assert_eq!(ledger.published(2).unwrap(), Vec::<Element>::new());
}

/// What is published and when, of the settings that say.
fn any_schedule() -> impl Strategy<Value = Policy> {
    (1..4u32, 0..=86_400u64, 900..=21_600u64, 1..4u32).prop_map(
        |(min_reports, max_hold, interval, retention_days)| Policy {
            min_reports,
            max_hold,
            interval,
            retention_days,
            ..policy()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Acceptance is never wider than publication: whatever is accepted is in some publication
    /// before its date expires, alone or not, if every slot has its tick, anywhere in it.
    #[test]
    fn what_is_accepted_is_published(
        policy in any_schedule(),
        days_ago in -1..4i64,
        before_expiry in 0..200_000u64,
        since_tick in 0..21_600u64,
        places in prop::collection::vec(0..1_000u64, 7),
    ) {
        if policy.validate().is_err() {
            return Ok(());
        }
        let mut ledger = Ledger::with_codes(&policy, 1);
        let retention = u64::from(policy.retention_days) * DAY_SECONDS;
        // Some time before a date expires, or any time at all.
        let dated = date((3 - days_ago) as u64);
        if days_ago >= 0 {
            ledger.now = ledger.now.max((dated.end() + retention).saturating_sub(before_expiry));
        }
        ledger.act(|state, _, now| judge::resume_clock(state, now, true)).unwrap();
        ledger.tick();
        let slot = ledger.now / policy.interval;
        let mut ticks = (slot + 1..).zip(places.iter().cycle()).map(|(slot, place)| {
            slot * policy.interval + policy.interval * place / 1_000
        });
        let mut next = ticks.next().unwrap();
        ledger.now += since_tick % (next - ledger.now + 1);
        let item = Item::Raw { date: dated, element: crate::common::element(1) };
        if ledger.submit(&submission(ledger.code(0), &[item])).is_ok() {
            while ledger.state.live.days().iter().all(gcs_core::live::LiveDay::is_empty) {
                prop_assert!(!dated.is_expired(next, policy.retention_days), "never published");
                ledger.now = next;
                ledger.tick();
                next = ticks.next().unwrap();
            }
            prop_assert!(ledger.state.live.is_published(dated, &crate::common::element(1)));
        }
    }
}

#[test]
fn ranges_have_exact_bounds() {
    let mut ledger = Ledger::new(&Policy { max_open_codes: 10_500, max_code_days: 30, ..policy() });
    let open = |ledger: &mut Ledger, count, days| match ledger
        .act(|state, _, now| judge::open_range(state, now, 1, count, days))
    {
        Ok(range) => Ok(range.first),
        Err(problem) => Err(problem.code()),
    };
    assert_eq!(open(&mut ledger, 0, 1), Err("range_count"));
    assert_eq!(open(&mut ledger, MAX_RANGE + 1, 1), Err("range_count"));
    assert_eq!(open(&mut ledger, 1, 0), Err("range_days"));
    assert_eq!(open(&mut ledger, 1, 31), Err("range_days"));
    assert_eq!(open(&mut ledger, MAX_RANGE, 30), Ok(0));
    assert_eq!(open(&mut ledger, 501, 30), Err("quota_exceeded"));
    assert_eq!(open(&mut ledger, 500, 1), Ok(10_000));
    assert_eq!(open(&mut ledger, 1, 1), Err("quota_exceeded"));
    ledger.report(10_499, &[raw(2, 1)]);
    assert_eq!(open(&mut ledger, 1, 1), Ok(10_500), "a used code leaves the quota");
    ledger.now += DAY_SECONDS;
    assert_eq!(open(&mut ledger, 500, 1), Ok(10_501), "so do expired ones");
    let unknown = ledger.act(|state, _, _| judge::close_range(state, 1, None, 9));
    assert!(matches!(unknown, Err(Problem::RangeUnknown { first: 9, .. })));
    let unknown = ledger.act(|state, _, now| judge::open_range(state, now, 2, 1, 1));
    assert!(matches!(unknown, Err(Problem::ProviderUnknown { provider: 2 })));
}

#[test]
fn a_key_whose_serial_numbers_end_is_renewed_and_codes_that_are_out_stay_valid() {
    let mut ledger = Ledger::new(&policy());
    let (first, count) = (MAX_SERIAL - 9, 5);
    let expires = ledger.now + DAY_SECONDS;
    let nearly = RangeOpened { provider: 1, generation: 1, first, count, expires };
    ledger.append(&[nearly.into()]);
    assert_eq!(ledger.state.providers[&1].serials_left(), 5);
    let open = |state: &_, _: &_, now| judge::open_range(state, now, 1, 6, 1);
    let range = ledger.act(open).unwrap();
    assert_eq!((range.generation, range.first), (2, 0));
    for code in [ledger.code(MAX_SERIAL - 5), ledger.code_of(1, 2, 5)] {
        assert_eq!(answer(&mut ledger, code), "accepted");
    }
    for code in [ledger.code(MAX_SERIAL - 4), ledger.code(5)] {
        assert_eq!(answer(&mut ledger, code), "code_expired", "no range will have it");
    }
    let code = ledger.code_of(1, 2, 6);
    assert_eq!(answer(&mut ledger, code), "code_not_open");
    // Ranges of both keys are printed and closed.
    for (generation, first) in [(1, MAX_SERIAL - 9), (2, 0)] {
        let print = |ledger: &Ledger| {
            judge::unspent_codes(&ledger.state, &ledger.keys, 1, Some(generation), first).unwrap()
        };
        let codes = print(&ledger).codes();
        let last = if generation == 1 { count - 1 } else { 5 };
        assert_eq!(codes.len() as u32, last, "one is used");
        assert_eq!(codes[0], ledger.code_of(1, generation, first));
        ledger.act(|state, _, _| judge::close_range(state, 1, Some(generation), first)).unwrap();
        assert!(print(&ledger).codes().is_empty());
        assert_eq!(answer(&mut ledger, codes[0]), "code_revoked");
    }
    // A rotation voids what both keys made.
    ledger.append(&[RangeOpened { provider: 1, generation: 2, first: 20, count, expires }.into()]);
    ledger.act(|state, _, _| judge::raise_key(state, 1)).unwrap();
    for code in [ledger.code_of(1, 2, 20), ledger.code(MAX_SERIAL - 9)] {
        assert_eq!(answer(&mut ledger, code), "code_revoked");
    }
    assert_eq!(ledger.open(5, 1), 0);
    let again = ledger.code_of(1, 3, 4);
    assert_eq!(answer(&mut ledger, again), "accepted");
}

/// A new series is no reason to use up anything.
#[test]
fn the_series_can_be_raised_any_number_of_times() {
    let mut ledger = Ledger::with_codes(&policy(), 10);
    for _ in 0..100 {
        ledger.act(|state, _, now| judge::start_series(state, now, true)).unwrap();
        ledger.tick();
    }
    assert_eq!(ledger.open(10, 1), 10);
    let code = ledger.code(9);
    assert_eq!(answer(&mut ledger, code), "accepted");
}

#[test]
fn a_provider_that_is_not_active_opens_nothing_and_revoked_is_for_good() {
    let mut ledger = ledger();
    for (status, name) in
        [(ProviderStatus::Suspended, "suspended"), (ProviderStatus::Revoked, "revoked")]
    {
        set_status(&mut ledger, status);
        let refused = ledger.act(|state, _, now| judge::open_range(state, now, 1, 1, 1));
        let Err(Problem::ProviderInactive { status }) = refused else { panic!() };
        assert_eq!(status, name);
    }
    let resumed = ledger.act(|state, _, _| judge::set_status(state, 1, ProviderStatus::Active));
    assert!(matches!(resumed, Err(Problem::ProviderInactive { .. })));
    let token = ledger.act(|state, _, now| judge::set_provider_token(state, now, 1));
    assert!(matches!(token, Err(Problem::ProviderInactive { .. })));
    let key = ledger.act(|state, _, _| judge::raise_key(state, 1));
    assert!(matches!(key, Err(Problem::ProviderInactive { .. })));
    let position = ledger.state.position;
    set_status(&mut ledger, ProviderStatus::Revoked);
    assert_eq!(ledger.state.position, position, "what is so already is no event");
}

/// Whatever is revoked while its provider is suspended, the event must fit the log.
#[test]
fn revoking_a_code_of_a_suspended_provider_is_judged_like_any_other() {
    let mut ledger = ledger();
    ledger.open(1, 1);
    ledger.report(5, &[raw(2, 1)]);
    ledger.now += 2 * DAY_SECONDS;
    ledger.act(|state, _, now| judge::resume_clock(state, now, true)).unwrap();
    set_status(&mut ledger, ProviderStatus::Suspended);
    let revoke = |ledger: &mut Ledger, serial| {
        let code = ledger.code(serial);
        let revoked = ledger.act(|state, keys, now| judge::revoke_code(state, keys, now, &code));
        revoked.map_err(|problem| problem.code())
    };
    assert_eq!(revoke(&mut ledger, 500), Err("code_not_open"));
    assert_eq!(revoke(&mut ledger, 100), Err("code_expired"));
    assert_eq!(revoke(&mut ledger, 5), Err("code_spent"));
    assert_eq!(revoke(&mut ledger, 6), Ok(()));
    assert_eq!(revoke(&mut ledger, 6), Ok(()));
    set_status(&mut ledger, ProviderStatus::Active);
    let code = ledger.code(6);
    assert_eq!(answer(&mut ledger, code), "code_revoked");
    let id = CodeId { provider: 1, generation: 1, serial: 7 };
    let status = ledger.folded().code_status(id, ledger.now);
    assert_eq!(status, gcs_server::domain::state::CodeStatus::Open);
}

/// Whatever a wrong clock would decide is left open, and nothing is used up.
#[test]
fn nothing_is_judged_by_a_clock_in_doubt() {
    let mut ledger = ledger();
    ledger.open(1, 1);
    let first = submission(ledger.code(0), &[raw(1, 1)]);
    let answer = ledger.submit(&first).unwrap();
    let right = ledger.now;
    let codes = [ledger.code(1), ledger.code(100), ledger.code(2)];
    let day = DAY_SECONDS as i64;
    for (offset, is_in_doubt) in [
        (2 * day, true),
        (40 * day, true),
        (400 * day, true),
        (day + 1, true),
        (day, false),
        (-300, false),
        (-301, true),
        (-2 * day, true),
        (-1000 * day, true),
    ] {
        ledger.now = right.saturating_add_signed(offset);
        let position = ledger.state.position;
        // A retry gets its first answer, whatever the time.
        assert_eq!(ledger.submit(&first).unwrap(), answer, "{offset}");
        if !is_in_doubt {
            continue;
        }
        for code in &codes {
            let refused = ledger.submit(&submission(*code, &[raw(2, 7), raw(1, 8)])).unwrap_err();
            assert_eq!(refused.code(), "clock_doubt", "{offset}");
        }
        let open = ledger.act(|state, _, now| judge::open_range(state, now, 1, 5, 1));
        assert_eq!(open.unwrap_err().code(), "clock_doubt");
        assert_eq!(ledger.state.position, position);
    }
    // A leap while the machine ran counts even where the log has nothing against the time.
    ledger.now = right;
    for leap in [-301, 301] {
        ledger.leap = Some(leap);
        assert_eq!(ledger.submit(&first).unwrap(), answer);
        let refused = ledger.submit(&submission(codes[0], &[raw(2, 7)])).unwrap_err();
        assert_eq!(refused.code(), "clock_doubt");
        let shorter = Policy { retention_days: 3, ..ledger.state.policy.clone() };
        let acts = [
            ledger.act(|state, _, now| judge::open_range(state, now, 1, 5, 1)).err(),
            ledger.act(judge::tick).err(),
            ledger.act(|state, _, now| judge::start_series(state, now, true)).err(),
            ledger.act(|state, _, now| judge::set_policy(state, now, &shorter, true)).err(),
        ];
        let codes = acts.map(|problem| problem.unwrap().code());
        assert_eq!(codes, ["clock_doubt", "clock_moved", "clock_moved", "clock_moved"]);
    }
    ledger.leap = None;
    // With the clock put right, all of it is judged as if nothing had been.
    ledger.now = right + 1;
    let accepted = ledger.submit(&submission(codes[0], &[raw(1, 7), raw(1, 8)])).unwrap();
    assert_eq!((accepted.accepted, accepted.problems.len()), (2, 0));
    // If it was right all along, the operator says so.
    ledger.now = right + 2 * DAY_SECONDS;
    ledger.act(|state, _, now| judge::resume_clock(state, now, true)).unwrap();
    ledger.submit(&submission(codes[2], &[raw(2, 7)])).unwrap();
}

#[test]
fn the_clock_may_move_a_day_and_never_back() {
    let mut ledger = ledger();
    let began = ledger.now;
    ledger.now = began + DAY_SECONDS;
    ledger.tick();
    let tick = |ledger: &mut Ledger, now| {
        ledger.now = now;
        ledger.act(judge::tick).map_err(|problem| problem.to_string())
    };
    let last = ledger.now;
    let error = tick(&mut ledger, last + DAY_SECONDS + 1).unwrap_err();
    assert!(error.contains("86401 seconds after") && error.contains("clock resume"), "{error}");
    assert!(tick(&mut ledger, last + DAY_SECONDS + 1).is_err(), "only the operator's word counts");
    ledger.act(|state, _, now| judge::resume_clock(state, now, true)).unwrap();
    tick(&mut ledger, last + DAY_SECONDS + 1).unwrap();

    let last = ledger.now;
    let error = tick(&mut ledger, last - 1).unwrap_err();
    assert!(error.contains("1 seconds before"), "{error}");
    let refused = ledger.act(|state, _, now| judge::resume_clock(state, now, true));
    assert!(matches!(refused, Err(Problem::ClockBehind { .. })), "phones would refuse it");
    assert_eq!(ledger.act(|state, _, now| judge::start_series(state, now, true)).unwrap(), 2);
    let version = tick(&mut ledger, last - 1).unwrap();
    assert_eq!(version, Version { series: 2, tick: 3 });
    assert_eq!(tick(&mut ledger, last - 1).unwrap(), Version { series: 2, tick: 4 });
}

#[test]
fn the_list_of_online_keys_is_renewed_at_half_its_life() {
    let mut ledger = ledger();
    let versions = |ledger: &Ledger| {
        let list = SignedKeyList::from_json(&ledger.state.key_list).unwrap();
        let list = list.verify(&ledger.keys.root()).unwrap();
        (list.version, list.expires)
    };
    let began = ledger.now;
    assert_eq!(versions(&ledger), (1, began + KEY_LIST_SECONDS));
    let tick_at = |ledger: &mut Ledger, now| {
        ledger.now = now;
        ledger.act(|state, _, now| judge::resume_clock(state, now, true)).unwrap();
        ledger.tick();
    };
    tick_at(&mut ledger, began + KEY_LIST_SECONDS / 2 - 1);
    assert_eq!(versions(&ledger).0, 1);
    tick_at(&mut ledger, began + KEY_LIST_SECONDS / 2);
    assert_eq!(versions(&ledger), (2, ledger.now + KEY_LIST_SECONDS));
    tick_at(&mut ledger, began + 3 * KEY_LIST_SECONDS);
    assert_eq!(versions(&ledger), (3, ledger.now + KEY_LIST_SECONDS));
    assert_eq!(ledger.folded().key_list, ledger.state.key_list);
}

#[test]
fn a_policy_out_of_bounds_is_refused_and_the_same_one_is_no_event() {
    let mut ledger = ledger();
    let position = ledger.state.position;
    let bad = Policy { interval: 59, ..policy() };
    let refused = ledger.act(|state, _, now| judge::set_policy(state, now, &bad, true));
    assert!(matches!(refused, Err(Problem::PolicyInvalid(_))));
    ledger.act(|state, _, now| judge::set_policy(state, now, &policy(), true)).unwrap();
    assert_eq!(ledger.state.position, position);
}

#[test]
fn a_purge_waits_for_every_date_of_a_report_and_then_some() {
    let mut ledger = ledger();
    let old = ledger.report(0, &[raw(1, 1)]);
    let both = ledger.report(1, &[raw(1, 2), raw(3, 2)]);
    // Far apart, so that it is the number of ticks that is missing.
    while ledger.published(1).is_some() || ledger.state.last_tick.is_none() {
        ledger.now += DAY_SECONDS;
        ledger.tick();
    }
    for _ in 0..9 {
        ledger.now += DAY_SECONDS;
        ledger.tick();
        assert!(ledger.purge(false).is_empty(), "too few ticks");
    }
    assert!(ledger.published(3).is_none());
    // And without a tick no time counts.
    ledger.now += 30 * DAY_SECONDS;
    assert!(ledger.purge(false).is_empty());
    ledger.now -= 30 * DAY_SECONDS;
    let mut purged = Vec::new();
    while purged.is_empty() {
        ledger.now += 60;
        ledger.tick();
        purged = ledger.purge(true);
    }
    assert_eq!(purged, [old]);
    while purged == [old] || purged.is_empty() {
        ledger.now += 60;
        ledger.tick();
        purged = ledger.purge(true);
    }
    assert_eq!(purged, [both]);
    assert!(ledger.state.reports.is_empty());
    assert!(
        ledger.batches().iter().flat_map(|batch| &batch.events).any(|event| event.body.is_none())
    );
    assert_eq!(ledger.folded().digest(), ledger.state.digest());
    assert!(ledger.purge(true).is_empty());
}
