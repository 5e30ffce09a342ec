//! What is erased when, by the log alone.

use gcs_core::DAY_SECONDS;
use gcs_server::domain::chain::EventHeader;
use gcs_server::domain::events::{
    BlueTraceBegun, CodeBound, CodeId, Event, ShortCodeMade, UploadAccepted, UserRegistered,
    UserTokenSet, UserWithdrawn, VerdictCounts,
};
use gcs_server::domain::judge;
use gcs_server::domain::state::CodeStatus;
use gcs_server::store::Store as _;

use crate::common::{HOUR, Ledger, policy};

fn code(serial: u32) -> CodeId {
    CodeId { provider: 1, generation: 1, serial }
}

/// The registration of a user, the place of whom is that among all registrations.
fn registered(place: u32) -> Event {
    let number = 6_591_000_000 + u64::from(place);
    let mut id = [0; 21];
    id[..8].copy_from_slice(&number.to_le_bytes());
    UserRegistered { number, id, token: gcs_core::Digest::of(&id).0 }.into()
}

fn bound(user: u32, serial: u32) -> Event {
    CodeBound { user, code: code(serial) }.into()
}

fn uploaded(case: u64) -> Event {
    let (digest, counts) = ([0; 32], VerdictCounts::default());
    let (sightings, foreign) = (Vec::new(), Vec::new());
    UploadAccepted { case, digest, piece: 0, pieces: 1, counts, sightings, foreign }.into()
}

/// An authority with so many users, and codes for a year.
fn begun(users: u32) -> Ledger {
    let mut ledger = Ledger::with_codes(&policy(), 20);
    ledger.append(&[BlueTraceBegun { hai: "SG_OTC".into(), keys: [0; 32] }.into()]);
    let events: Vec<Event> = (0..users).map(registered).collect();
    events.chunks(1000).for_each(|batch| ledger.append(batch));
    ledger
}

/// An event's position.
fn add(ledger: &mut Ledger, event: Event) -> u64 {
    ledger.append(&[event]);
    ledger.state.position
}

/// What a tick has erased now, and the codes that stay used.
fn purged(ledger: &mut Ledger) -> (Vec<u64>, Vec<CodeId>) {
    let (mut all, mut codes) = (Vec::new(), Vec::new());
    loop {
        let decision = judge::purge_bluetrace(&ledger.state).unwrap();
        ledger.append(&decision.events);
        for event in &decision.events {
            if let Event::BlueTracePurge(purge) = event {
                ledger.store.erase(&purge.events).unwrap();
                all.extend(&purge.events);
                codes.extend(&purge.used);
                // Whoever replays the log in between knows the same.
                assert_eq!(ledger.folded().digest(), ledger.state.digest());
            }
        }
        if decision.answer == 0 {
            return (all, codes);
        }
    }
}

/// Ticks, half a day apart.
fn live(ledger: &mut Ledger, days: u64) {
    for _ in 0..2 * days {
        ledger.now += 12 * HOUR;
        ledger.tick();
    }
}

#[test]
fn a_case_is_erased_in_time_though_an_earlier_one_has_a_later_time() {
    let mut ledger = begun(2);
    ledger.tick();
    let start = ledger.now;
    ledger.now = start + 20 * HOUR;
    let first = add(&mut ledger, bound(0, 0));
    ledger.now = start;
    let second = add(&mut ledger, bound(1, 1));
    let piece = add(&mut ledger, uploaded(second));
    live(&mut ledger, 20);
    assert!(purged(&mut ledger).0.is_empty());
    live(&mut ledger, 1);
    assert_eq!(purged(&mut ledger).0, [second, piece]);
    live(&mut ledger, 1);
    assert_eq!(purged(&mut ledger).0, [first]);
}

/// What came while the clock was far ahead is erased 21 days after it was put right.
#[test]
fn a_clock_that_was_far_ahead_keeps_nothing_for_longer() {
    let mut ledger = begun(1);
    let right = ledger.now;
    ledger.now += 300 * DAY_SECONDS;
    let expires = ledger.now + DAY_SECONDS;
    let case = add(&mut ledger, bound(0, 0));
    let piece = add(&mut ledger, uploaded(case));
    let made = ShortCodeMade { user: 0, code: code(1), expires };
    let short = add(&mut ledger, made.into());
    ledger.now = right;
    ledger.act(|state, _, now| judge::start_series(state, now, false)).unwrap();
    ledger.tick();
    live(&mut ledger, 20);
    assert!(purged(&mut ledger).0.is_empty());
    live(&mut ledger, 1);
    assert_eq!(purged(&mut ledger).0, [case, piece, short]);
}

/// The code stays used, whoever types it, until its range has expired and no report of it can wait in a spool.
#[test]
fn a_code_of_a_user_who_withdrew_stays_used() {
    let mut ledger = begun(2);
    let short_lived = ledger.open(5, 7);
    ledger.tick();
    let (registration, _) = registrations(&ledger).next().unwrap();
    let case = add(&mut ledger, bound(0, 0));
    let token = add(&mut ledger, UserTokenSet { user: 0, token: [1; 32] }.into());
    add(&mut ledger, UserWithdrawn { user: 0 }.into());
    assert_eq!(purged(&mut ledger), (vec![registration, case, token], vec![code(0)]));
    let status = |ledger: &Ledger, serial| {
        let [live, replayed] = [&ledger.state, &ledger.folded()]
            .map(|state| state.code_status(code(serial), ledger.now));
        assert_eq!(live, replayed);
        live
    };
    assert_eq!(status(&ledger, 0), CodeStatus::Used);
    let last = add(&mut ledger, bound(1, short_lived));
    assert!(purged(&mut ledger).0.is_empty());
    live(&mut ledger, 21);
    assert_eq!(purged(&mut ledger), (vec![last], vec![]));
    assert_eq!(status(&ledger, short_lived), CodeStatus::Expired);
}

/// Positions of the registrations, and whether they have their bodies.
fn registrations(ledger: &Ledger) -> impl Iterator<Item = (u64, bool)> {
    let events = ledger.batches().into_iter().flat_map(|batch| batch.events);
    events.filter_map(|event| {
        let header = EventHeader::from_bytes(&event.header).unwrap();
        (header.kind == UserRegistered::KIND).then_some((header.position, event.body.is_some()))
    })
}

/// More than one purge can name: nothing is left over, and each purge leads every reader to the same.
#[test]
fn however_many_withdraw_at_once_all_of_them_are_erased() {
    const USERS: u32 = 11_000;
    let mut ledger = begun(USERS);
    ledger.tick();
    let withdrawn: Vec<Event> = (0..USERS).map(|user| UserWithdrawn { user }.into()).collect();
    withdrawn.chunks(1000).for_each(|batch| ledger.append(batch));
    let (erased, codes) = purged(&mut ledger);
    assert_eq!((erased.len(), codes.len()), (USERS as usize, 0));
    assert!(registrations(&ledger).all(|(_, has_body)| !has_body));
}
