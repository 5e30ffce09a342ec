//! The log: every change to it is found, and what it looks like stays as it is.

use std::collections::BTreeSet;

use crate::common::{HOUR, Ledger, date, make_newer, policy, raw};
use data_encoding::HEXLOWER;
use gcs_core::DAY_SECONDS;
use gcs_core::Element;
use gcs_core::Version;
use gcs_core::publish::{Publisher, PublisherSettings};
use gcs_core::report::{Item, ItemProblem};
use gcs_server::app::{StartError, catch_up};
use gcs_server::domain::chain::{EventHeader, HEADER_LEN, LogError, RULES};
use gcs_server::domain::events;
use gcs_server::domain::events::Event;
use gcs_server::domain::events::{Act, CodeId, ForeignVerdict, ProviderStatus};
use gcs_server::domain::policy::{FirstPolicy, SecondPolicy};
use gcs_server::domain::state::LAYOUT;
use gcs_server::node::{ReplayError, Replayed, Survey, TickPosition, replay};
use gcs_server::publishing::Outbox;
use gcs_server::store::{AppendError, Batch, Store, StoreError, StoredBody, StoredEvent};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

/// A store of whatever batches it is given.
struct Tampered(Vec<Batch>);

fn last(batch: &Batch) -> u64 {
    batch.first + batch.events.len() as u64 - 1
}

impl Store for Tampered {
    fn last(&mut self) -> Result<u64, StoreError> {
        Ok(self.0.last().map_or(0, last))
    }

    fn append(&mut self, _: &Batch) -> Result<(), AppendError> {
        Err(AppendError::Conflict)
    }

    fn read(&mut self, from: u64, _: usize) -> Result<Vec<Batch>, StoreError> {
        Ok(self.0.iter().filter(|batch| last(batch) >= from).cloned().collect())
    }

    fn erase(&mut self, _: &[u64]) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

/// A log of about twenty events, some of them in one batch, ending with a tick.
fn ledger() -> Ledger {
    seeded_ledger(1)
}

fn seeded_ledger(seed: u64) -> Ledger {
    let mut ledger = Ledger::seeded(seed, &policy());
    ledger.open(10, 365);
    let reports = [ledger.report(0, &[raw(1, 1), raw(2, 2)]), ledger.report(1, &[raw(2, 3)])];
    ledger.tick();
    for serial in 2..6 {
        ledger.report(serial, &[raw(2, u64::from(serial))]);
    }
    let correction =
        |act| events::Correction { act, reports: reports.to_vec(), selection: "x".into() };
    ledger.append(&[correction(Act::Retract).into(), correction(Act::Reinstate).into()]);
    ledger.now += HOUR;
    ledger.tick();
    ledger.tick();
    ledger
}

/// What is said of a log, without keys, as `verify-log` does it.
fn verify(batches: &[Batch]) -> Result<gcs_core::Digest, String> {
    let replayed = replay(&mut Tampered(batches.to_vec()), None, |_, _| Ok(()));
    let state = replayed.and_then(Replayed::whole);
    state.map(|state| state.digest()).map_err(|error| error.to_string())
}

/// The event at a position.
fn at(batches: &mut [Batch], position: u64) -> &mut StoredEvent {
    let batch = batches.iter_mut().find(|batch| last(batch) >= position).unwrap();
    let at = position - batch.first;
    &mut batch.events[at as usize]
}

fn names(error: &str, position: u64) -> bool {
    error.contains(&format!("event {position}:")) || error.contains(&format!("event {position} is"))
}

#[test]
fn a_flipped_bit_is_found_where_it_is() {
    let batches = ledger().batches();
    let count = last(batches.last().unwrap());
    verify(&batches).unwrap();
    for position in 1..=count {
        for byte in 0..HEADER_LEN {
            let mut bad = batches.clone();
            at(&mut bad, position).header[byte] ^= 1 << (byte % 8);
            // Of the last event too, which no other header is bound to.
            let error = verify(&bad).unwrap_err();
            assert!(names(&error, position), "{position}, byte {byte}: {error}");
        }
        for bit in [0, 100, 255] {
            let mut bad = batches.clone();
            at(&mut bad, position).body.as_mut().unwrap().salt[bit / 8] ^= 1 << (bit % 8);
            assert!(names(&verify(&bad).unwrap_err(), position), "{position}, salt");
        }
        let length = at(&mut batches.clone(), position).body.as_ref().unwrap().bytes.len();
        for byte in 0..length {
            let mut bad = batches.clone();
            at(&mut bad, position).body.as_mut().unwrap().bytes[byte] ^= 0x10;
            assert!(names(&verify(&bad).unwrap_err(), position), "{position}, body {byte}");
        }
        let mut bad = batches.clone();
        at(&mut bad, position).header.pop();
        assert!(names(&verify(&bad).unwrap_err(), position), "{position}, a byte less");
    }
}

#[test]
fn swapped_missing_and_foreign_events_are_found() {
    let mut batches = ledger().batches();
    let other = seeded_ledger(2).batches();
    let singles: Vec<usize> =
        (0..batches.len()).filter(|at| batches[*at].events.len() == 1).collect();
    for pair in singles.windows(2) {
        let mut bad = batches.clone();
        let (one, two) = (bad[pair[0]].events.clone(), bad[pair[1]].events.clone());
        (bad[pair[0]].events, bad[pair[1]].events) = (two, one);
        assert!(names(&verify(&bad).unwrap_err(), batches[pair[0]].first));
    }
    for gap in 0..batches.len() - 1 {
        let mut bad = batches.clone();
        let removed = bad.remove(gap);
        let error = verify(&bad).unwrap_err();
        assert!(names(&error, removed.first), "{error}");
    }
    for foreign in 1..batches.len() {
        let mut bad = batches.clone();
        bad[foreign] = other[foreign].clone();
        assert!(names(&verify(&bad).unwrap_err(), batches[foreign].first));
    }
    // Another body with its own salt, though it says the same.
    let twin = at(&mut other.clone(), 6).body.clone();
    at(&mut batches, 6).body = twin;
    assert!(names(&verify(&batches).unwrap_err(), 6));
}

#[test]
fn a_body_that_no_purge_names_is_missed() {
    let batches = ledger().batches();
    for position in 1..=last(batches.last().unwrap()) {
        let mut bad = batches.clone();
        at(&mut bad, position).body = None;
        let error = verify(&bad).unwrap_err();
        assert!(names(&error, position), "{position}: {error}");
    }
}

#[test]
fn an_empty_log_is_no_log() {
    let error = verify(&[]).unwrap_err();
    assert!(error.contains("event 1"), "{error}");
}

fn event_of_today() -> Event {
    events::ClockResumed {}.into()
}

/// A flipped bit of a kind or an outcome would look like an event of a newer release, or of another kind with the
/// same shape of body, if the commitment did not cover it.
#[test]
fn a_damaged_header_is_not_taken_for_one_of_a_newer_release() {
    let batches = ledger().batches();
    for position in 1..=last(batches.last().unwrap()) {
        for bit in 0..8 * HEADER_LEN {
            let mut bad = batches.clone();
            at(&mut bad, position).header[bit / 8] ^= 1 << (bit % 8);
            let error = verify(&bad).unwrap_err();
            assert!(!error.contains("newer"), "{position}, bit {bit}: {error}");
            assert!(names(&error, position), "{position}, bit {bit}: {error}");
        }
    }
}

#[test]
fn an_event_of_an_unknown_kind_or_outcome_is_named_with_what_to_do() {
    let mut ledger = ledger();
    let mut batches = ledger.batches();
    let position = last(batches.last().unwrap()) + 1;
    let (head, now) = (ledger.state.head, ledger.now);
    for (kind, outcome) in [(900, 1), (14, 2), (14, 0)] {
        let event = events::TickMade { series: 1, number: 4 };
        let mut batch = crate::common::seal(position - 1, head, &[event.into()], now);
        let header = make_newer(&mut batch, kind, outcome);
        batches.push(batch);
        let error = verify(&batches).unwrap_err();
        assert!(names(&error, position) && error.contains("newer"), "{error}");
        // What the newer release wrote behind it is read as far as this one can.
        let next = crate::common::seal(position, header.hash(), &[event_of_today()], now);
        batches.push(next);
        let error = verify(&batches).unwrap_err();
        assert!(names(&error, position) && error.contains("newer"), "{error}");
        at(&mut batches, position + 1).header[8] ^= 1;
        let error = verify(&batches).unwrap_err();
        assert!(names(&error, position) && error.contains("damaged"), "{error}");
        batches.truncate(batches.len() - 2);
    }
    ledger.tick();
    verify(&ledger.batches()).unwrap();
}

#[test]
fn a_log_without_the_tick_that_was_published_is_refused() {
    let ledger = ledger();
    let batches = ledger.batches();
    let last_tick = batches.last().unwrap();
    let position = TickPosition {
        version: Version { series: 1, tick: 3 },
        time: ledger.now,
        position: last_tick.first,
        head: ledger.state.head,
    };
    let start = |batches: &[Batch], position| {
        let publisher = Publisher::new(PublisherSettings::default(), 1);
        let saved = Outbox::resume(publisher, position);
        catch_up(&mut Tampered(batches.to_vec()), &ledger.keys, saved)
    };
    start(&batches, position).unwrap();
    let cut = start(&batches[..batches.len() - 1], position).unwrap_err();
    assert!(matches!(cut, StartError::Behind { tick: 3 }));
    assert!(cut.to_string().contains("recover"), "{cut}");
    // Another event at that position.
    let other = start(&batches, TickPosition { head: [1; 32], ..position }).unwrap_err();
    assert!(matches!(other, StartError::Behind { tick: 3 }));
    // What was flipped in the last header.
    let mut flipped = batches.clone();
    at(&mut flipped, last_tick.first).header[40] ^= 1;
    assert!(start(&flipped, position).is_err());
}

#[test]
fn a_log_is_only_read_with_the_keys_that_it_was_made_with() {
    let ledger = ledger();
    let other = crate::common::keys(9);
    let error =
        replay(&mut ledger.store.clone(), Some(&other), |_, _| panic!("a tick")).unwrap_err();
    assert!(matches!(error, ReplayError::OtherKeys), "{error}");
}

/// One event of every kind.
fn every_kind() -> Vec<Event> {
    let code = CodeId { provider: 300, generation: 2, serial: 70_000 };
    let days = date(1);
    let seed = Item::Dp3tUnlinkable { epoch: (days.start() / 900) as u32, seed: [2; 32] };
    let element = Item::Raw { date: days, element: Element::from_slice(&[3; 40]) };
    let problems = [
        ItemProblem::Shape,
        ItemProblem::SeedLength,
        ItemProblem::ElementLength,
        ItemProblem::RawNotAllowed,
        ItemProblem::DateTooOld,
        ItemProblem::DateInFuture,
        ItemProblem::TooManyForDate,
    ];
    let report = events::ReportAccepted {
        code,
        payload: [4; 32],
        tracking: [5; 16],
        items: vec![seed, element],
        problems: (200..).zip(problems).collect(),
    };
    let problems = [
        ItemProblem::TooManyForEpoch,
        ItemProblem::KindUnknown,
        ItemProblem::EpochInvalid,
        ItemProblem::SeedInvalid,
        ItemProblem::DateInvalid,
        ItemProblem::ElementInvalid,
    ];
    let later = events::ReportAccepted {
        code: CodeId { serial: 70_002, ..code },
        tracking: [6; 16],
        problems: (200..).zip(problems).collect(),
        ..report.clone()
    };
    let status = |status| events::ProviderStatusSet { provider: 300, status };
    let (generation, first, count) = (2, 69_999, 1000);
    let expires = crate::common::START + 400 * DAY_SECONDS;
    let selection = r#"{"provider":300}"#.to_owned();
    let correction = events::Correction { act: Act::Retract, reports: vec![14], selection };
    let first_policy = FirstPolicy {
        rate_bits: 20,
        expected_per_date: 1000,
        interval: 900,
        min_reports: 10,
        max_hold: 7200,
        retention_days: 14,
        raw: false,
        max_items_per_date: 256,
        max_code_days: 400,
        max_open_codes: 100_000,
    };
    let second_policy = SecondPolicy {
        rate_bits: 20,
        expected_per_date: 1000,
        interval: 900,
        min_reports: 10,
        max_hold: 7200,
        retention_days: 14,
        raw: false,
        max_items_per_date: 256,
        max_code_days: 400,
        max_open_codes: 100_000,
        max_filler: 100_000,
    };
    let of_spool = |verdict| events::SpooledReportJudged { tracking: [13; 16], verdict };
    let reinstate = events::Correction { act: Act::Reinstate, ..correction.clone() };
    let registered =
        events::UserRegistered { number: 6_591_234_567, id: [15; 21], token: [16; 32] };
    let bound = CodeId { serial: 70_003, ..code };
    let sighting = events::Sighting {
        user: 1,
        time: 1_767_600_000,
        rssi: Some(-70),
        tx_power: None,
        expired: true,
    };
    let foreign = events::ForeignSighting {
        hai: "NZ_MOH".into(),
        msg: "msg".into(),
        time: 1_767_600_001,
        rssi: None,
    };
    let counts = events::VerdictCounts {
        valid: 1,
        no_msg: 2,
        expired_id: 3,
        failed_decryption: 4,
        other_authority: 5,
        unreadable: 600,
    };
    let piece = events::UploadAccepted {
        case: 38,
        digest: [20; 32],
        piece: 0,
        pieces: 1,
        counts,
        sightings: vec![sighting],
        foreign: vec![foreign.clone()],
    };
    let of_another = events::ForeignSighting { hai: "AU_DTA".into(), ..foreign.clone() };
    let authority = |hai: &str| {
        let url = "https://bluetrace.example".to_owned();
        events::AuthoritySet { hai: hai.into(), url, key: [29; 32] }
    };
    let verdict = ForeignVerdict::Valid([30; 16]);
    let contacts = || vec![events::ForeignContact { pseudo_id: [30; 16], day: 20_458 }];
    vec![
        events::Deployment { id: [6; 16], root: [7; 32], master_check: [8; 32] }.into(),
        events::FirstPolicySet { policy: first_policy }.into(),
        events::KeyListSet { signed: "{}".into() }.into(),
        events::OperatorTokenSet { token: [9; 32] }.into(),
        events::ProviderAdded { provider: 300, name: "Städtisches Labor".into(), token: [10; 32] }
            .into(),
        status(ProviderStatus::Suspended).into(),
        status(ProviderStatus::Active).into(),
        events::ProviderTokenSet { provider: 300, token: [11; 32] }.into(),
        events::ProviderKeyRaised { provider: 300, generation }.into(),
        events::RangeOpened { provider: 300, generation, first, count, expires }.into(),
        events::RangeOpened { provider: 300, generation, first: 71_000, count: 5, expires }.into(),
        events::PresentRangeClosed { provider: 300, first: 71_000 }.into(),
        events::CodeRevoked { code: CodeId { serial: 70_001, ..code } }.into(),
        report.into(),
        events::TickMade { series: 1, number: 1 }.into(),
        correction.into(),
        reinstate.into(),
        events::FirstSeriesStarted { series: 2 }.into(),
        events::ClockResumed {}.into(),
        events::Purge { reports: vec![14], used: vec![code] }.into(),
        status(ProviderStatus::Revoked).into(),
        events::BackendTokenSet { token: [12; 32] }.into(),
        later.into(),
        events::SecondPolicySet { policy: second_policy }.into(),
        events::RangeClosed { provider: 300, generation, first }.into(),
        events::KeyRenewed { provider: 300, generation: 3 }.into(),
        events::LogRecovered { series: 3, generation: 4, void_codes: false }.into(),
        events::SeriesStarted { series: 4 }.into(),
        // From here on by rules 2.
        events::SeriesStarted { series: 5 }.into(),
        of_spool(events::Verdict::Known(23)).into(),
        of_spool(events::Verdict::Refused(events::Refusal::CodeSuspended)).into(),
        events::BodiesLost { events: vec![] }.into(),
        events::BlueTraceBegun { hai: "SG_OTC".into(), keys: [14; 32] }.into(),
        registered.clone().into(),
        events::UserRegistered { number: 4_915_112_345_678, id: [17; 21], ..registered }.into(),
        events::UserTokenSet { user: 0, token: [18; 32] }.into(),
        events::ShortCodeMade { user: 0, code: bound, expires }.into(),
        events::CodeBound { user: 0, code: bound }.into(),
        piece.clone().into(),
        events::TracerTokenSet { token: [19; 32] }.into(),
        events::CaseSeen { case: 38 }.into(),
        events::UploadUndone { case: 38 }.into(),
        events::UserWithdrawn { user: 1 }.into(),
        events::DayKeysAdvanced { date: date(40) }.into(),
        events::BlueTracePurge { events: vec![35, 37, 39], used: vec![] }.into(),
        // From here on with other authorities.
        authority("NZ_MOH").into(),
        authority("AU_DTA").into(),
        events::CodeBound { user: 0, code: CodeId { serial: 70_004, ..code } }.into(),
        events::UploadAccepted { case: 48, foreign: vec![foreign, of_another], ..piece }.into(),
        events::BatchAnswered { piece: 49, hai: "NZ_MOH".into(), verdicts: vec![verdict] }.into(),
        events::FollowUpMade { case: 48, hai: "NZ_MOH".into(), id: [21; 16], contacts: contacts() }
            .into(),
        events::FollowUpDelivered { case: 48, follow_up: 51 }.into(),
        events::BatchJudged {
            hai: "AU_DTA".into(),
            id: [22; 16],
            digest: [23; 32],
            expires,
            verdicts: vec![verdict, ForeignVerdict::ExpiredId, ForeignVerdict::FailedDecryption],
        }
        .into(),
        events::FollowUpReceived {
            hai: "AU_DTA".into(),
            id: [24; 16],
            digest: [25; 32],
            expires,
            contacts: contacts(),
        }
        .into(),
        events::FollowUpSeen { follow_up: 54 }.into(),
        events::MessageWithdrawn {
            hai: "AU_DTA".into(),
            id: [26; 16],
            expires,
            content: events::WithdrawnContent {
                received: 57,
                records: 58,
                valid: 59,
                contacts: 60,
            },
        }
        .into(),
        events::MessagesWithdrawn {
            messages: vec![("NZ_MOH".into(), [27; 16]), ("NZ_MOH".into(), [28; 16])],
        }
        .into(),
        events::WithdrawalDelivered { hai: "NZ_MOH".into(), id: [27; 16] }.into(),
        events::AuthorityRemoved { hai: "AU_DTA".into() }.into(),
        events::BlueTracePurge { events: vec![48, 49, 50, 51, 53, 54], used: vec![] }.into(),
        events::LogMoved { to: "another place".into() }.into(),
    ]
}

/// Number of events of [`every_kind`] that are by rules 1.
const BY_FIRST_RULES: u64 = 28;

/// Those events as the log of 2026 has them: header, salt and body in hexadecimal.
fn golden() -> String {
    let mut previous = [0; 32];
    let mut lines = String::new();
    for (position, event) in (1..).zip(every_kind()) {
        let (salt, bytes) = ([position as u8; 32], event.encode());
        let rules = if position <= BY_FIRST_RULES { 1 } else { 2 };
        let (kind, time) = (event.kind(), crate::common::START + 4 * DAY_SECONDS + position);
        let commitment = [0; 32];
        let mut header =
            EventHeader { position, previous, time, kind, outcome: 1, rules, commitment };
        let start = if rules == 1 { vec![] } else { header.to_bytes()[..53].to_vec() };
        let committed = [&salt[..], &start, &bytes].concat();
        header.commitment = gcs_core::Digest::of(&committed).0;
        previous = header.hash();
        let hex = [&header.to_bytes()[..], &salt, &bytes].map(|part| HEXLOWER.encode(part));
        lines += &format!("{} {} {} {}\n", event.name(), hex[0], hex[1], hex[2]);
    }
    lines
}

/// What is in a log today must be read for ever: new kinds are added to the end of this file,
/// and none of the bytes that are in it change.
#[test]
fn a_log_with_every_kind_of_event_is_the_golden_one() {
    let file = include_str!("vectors/log.txt");
    assert_eq!(golden(), file);
    assert_eq!(RULES, 2);
    let stored = |line: &str| {
        let hex: Vec<&str> = line.split(' ').collect();
        let bytes = |at: usize| HEXLOWER.decode(hex[at].as_bytes()).unwrap();
        let body = StoredBody { salt: bytes(2).try_into().unwrap(), bytes: bytes(3) };
        StoredEvent { header: bytes(1), body: Some(body) }
    };
    let events: Vec<StoredEvent> = file.lines().map(stored).collect();
    for (stored, event) in events.iter().zip(every_kind()) {
        let body = &stored.body.as_ref().unwrap().bytes;
        assert_eq!(Event::decode(event.kind(), body), Ok(event));
    }
    let is_known = |kind: &u16| Event::decode(*kind, &[]) != Err(events::DecodeError::UnknownKind);
    let known: BTreeSet<u16> = (0..=u16::MAX).filter(is_known).collect();
    let kinds: BTreeSet<u16> =
        every_kind().iter().chain(&crate::kinds::log::events()).map(Event::kind).collect();
    assert_eq!(kinds, known, "a kind of event is missing here");
    let mut batch = Batch { first: 1, id: [0; 16], events };
    let moved = replay(&mut Tampered(vec![batch.clone()]), None, |_, _| Ok(())).unwrap_err();
    assert!(moved.to_string().contains("was moved to another place"), "{moved}");
    batch.events.pop();
    let mut states = Sha256::new();
    let mut digests = Vec::new();
    let replayed = replay(&mut Tampered(vec![batch.clone()]), None, |state, _| {
        states.update(state.digest().0);
        digests.push(HEXLOWER.encode(&states.clone().finalize()));
        Ok(())
    });
    let replayed = replayed.unwrap();
    let mut erased = vec![14, 35, 37, 39, 48, 49, 50, 51, 53, 54];
    // Of events before there were those of BlueTrace, before those with other authorities, and of all.
    assert_eq!(
        (LAYOUT, [31, 44, 59].map(|event: usize| digests[event].as_str())),
        (
            4,
            [
                "64fbc4988b5e5af3e301d7f7adcd2f9b5d8d8ab03dacec7df9ee99ac6997deac",
                "18746a54f0a98c92b2d570c4a2190989fec519e45bf7fd953ff0ba31b325472e",
                "d28ff4fa79c4797f0432818c00321efed6179182e97be7184c71e34b93738a36",
            ]
        ),
        "the state has another layout, or other events give another one: if so, raise LAYOUT, \
         so that no checkpoint of before is used, and put them here"
    );
    assert_eq!((replayed.state.position, replayed.unerased), (60, erased.clone()));
    let digest = replayed.state.digest();
    for erased in erased.split_off(1).into_iter().map(|position| position as usize) {
        batch.events[erased - 1].body = None;
    }
    let replayed = replay(&mut Tampered(vec![batch.clone()]), None, |_, _| Ok(())).unwrap();
    assert_eq!((replayed.state.digest(), replayed.unerased), (digest, vec![14]));
    batch.events[13].body = None;
    let replayed = replay(&mut Tampered(vec![batch]), None, |_, _| Ok(())).unwrap();
    assert_eq!((replayed.state.position, replayed.unerased), (60, vec![]));
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_say_why_not(
        kind in 0..60u16,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(event) = Event::decode(kind, &bytes) {
            prop_assert_eq!(event.kind(), kind);
            prop_assert_eq!(Event::decode(kind, &event.encode()), Ok(event));
        }
        let header = EventHeader::from_bytes(&bytes);
        prop_assert_eq!(header.is_some(), bytes.len() == HEADER_LEN);
    }

    /// Bodies that are nearly right are the likeliest to go wrong.
    #[test]
    fn damaged_bodies_are_an_event_or_say_why_not(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let events = every_kind();
        let event = which.get(&events);
        let mut bytes = event.encode();
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len() + 1)]] {
            if let Ok(read) = Event::decode(event.kind(), bytes) {
                prop_assert_eq!(Event::decode(event.kind(), &read.encode()), Ok(read));
            }
        }
    }

    #[test]
    fn headers_are_bytes_and_back(bytes in prop::collection::vec(any::<u8>(), HEADER_LEN)) {
        let header = EventHeader::from_bytes(&bytes).unwrap();
        prop_assert_eq!(bytes, header.to_bytes());
    }
}

/// The chain of headers says of every event whether it is right, also behind one that is not.
#[test]
fn every_damaged_event_is_named() {
    let whole = ledger().batches();
    let all: u64 = whole.iter().map(|batch| batch.events.len() as u64).sum();
    let survey = Survey::of(&mut Tampered(whole.clone()));
    assert_eq!((survey.count, survey.chained, survey.end.is_none()), (0, all, true));

    let mut damaged = whole.clone();
    let mut positions = Vec::new();
    for batch in damaged.iter_mut().step_by(3) {
        let first = batch.first;
        for (event, position) in batch.events.iter_mut().zip(first..) {
            let Some(body) = &mut event.body else { continue };
            let Some(byte) = body.bytes.first_mut() else { continue };
            *byte ^= 4;
            positions.push(position);
        }
    }
    assert!(positions.len() >= 4, "{positions:?}");
    let survey = Survey::of(&mut Tampered(damaged.clone()));
    let named: Vec<u64> = survey.damaged.iter().map(LogError::position).collect();
    assert_eq!(
        (named, survey.count, survey.chained),
        (positions.clone(), positions.len() as u64, all)
    );
    assert!(survey.end.is_none());

    // Behind a header that is damaged nothing is known; of itself neither.
    let at = damaged.len() / 2;
    damaged[at].events[0].header[50] ^= 1;
    damaged[at].events[0].header[8] ^= 1;
    let broken = damaged[at].first;
    let survey = Survey::of(&mut Tampered(damaged));
    assert!((broken - 1..=broken).contains(&survey.chained), "{}", survey.chained);
    let named: Vec<u64> = survey.damaged.iter().map(LogError::position).collect();
    let before: Vec<u64> = positions.into_iter().filter(|position| *position < broken).collect();
    assert_eq!(named[..before.len()], before);
    assert!(survey.end.is_some());
}
