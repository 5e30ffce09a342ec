//! The bytes of events that have kinds of items, which never change.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use gcs_core::DAY_SECONDS;
use gcs_core::identifiers::dp3t::{DayKeys, HybridWindow};
use gcs_core::identifiers::gaen::ExportKey;
use gcs_core::live::LiveSeedDay;
use gcs_core::report::{Diagnosis, GaenKey, Item, ItemProblem, Kind, Kinds};
use gcs_core::seeds::SeedList;
use gcs_server::domain::chain::{EventHeader, RULES};
use gcs_server::domain::events::{self, CodeId, Event};
use gcs_server::domain::policy::{ExportPolicy, FourthPolicy, Policy, ThirdPolicy};
use gcs_server::node::replay;
use gcs_server::store::{Batch, MemoryStore, Store as _, StoredBody, StoredEvent};

use super::{interval, tcn};
use crate::common::{START, date};

const PROBLEMS: [ItemProblem; 17] = [
    ItemProblem::KindNotAllowed,
    ItemProblem::KeyInvalid,
    ItemProblem::KeyLength,
    ItemProblem::WindowInvalid,
    ItemProblem::HoursInvalid,
    ItemProblem::HoursNotAllowed,
    ItemProblem::WindowOpen,
    ItemProblem::TooManyForWindow,
    ItemProblem::TooManyKeys,
    ItemProblem::ReportInvalid,
    ItemProblem::SpanTooLong,
    ItemProblem::SignatureWrong,
    ItemProblem::RollingStartInvalid,
    ItemProblem::RollingPeriodInvalid,
    ItemProblem::TransmissionRiskInvalid,
    ItemProblem::DiagnosisInvalid,
    ItemProblem::DaysSinceOnsetInvalid,
];

/// A log with every kind of item.
pub fn events() -> Vec<Event> {
    let code = CodeId { provider: 1, generation: 1, serial: 0 };
    let key = GaenKey {
        transmission_risk: 8,
        diagnosis: Diagnosis::Likely,
        days_since_onset: Some(-3),
        ..GaenKey::new([4; 16], interval(date(2), 12), 144)
    };
    let windows = HybridWindow::TwoHours;
    let window = windows.of_time(date(3).start()).unwrap();
    let items = vec![
        Item::Dp3tLowCost { date: date(1), key: [1; 32] },
        Item::Dp3tHybrid { windows, window, seed: [2; 16] },
        tcn(date(3), 3, [2, 9]).1,
        Item::Gaen(key),
    ];
    let report = events::ReportAccepted {
        code,
        payload: [5; 32],
        tracking: [6; 16],
        items,
        problems: (0..).zip(PROBLEMS).collect(),
    };
    let policy = ThirdPolicy {
        rate_bits: 20,
        expected_per_date: 1000,
        interval: 900,
        min_reports: 1,
        max_hold: 7200,
        retention_days: 14,
        kinds: Kinds::ALL,
        hybrid_hours: 2,
        max_elements_per_date: 512,
        max_code_days: 400,
        max_open_codes: 100_000,
        max_filler: 100_000,
        gaen_authority: "nl.example".into(),
    };
    let seeds = FourthPolicy {
        rate_bits: 20,
        expected_per_date: 1000,
        interval: 900,
        min_reports: 1,
        max_hold: 7200,
        retention_days: 14,
        kinds: Kinds::ALL,
        hybrid_hours: 2,
        max_elements_per_date: 512,
        max_code_days: 400,
        max_open_codes: 100_000,
        max_filler: 100_000,
        gaen_authority: "nl.example".into(),
        seeds: super::seeds::listed(),
    };
    let exports = ExportPolicy {
        region: "NL".into(),
        interval: 14_400,
        key_id: "204".into(),
        key_version: "v1".into(),
    };
    let exports = Policy { exports: Some(exports), ..policy.clone().into() };
    let again = events::ReportAccepted {
        code: CodeId { serial: 1, ..code },
        tracking: [7; 16],
        problems: vec![],
        ..report.clone()
    };
    let other = Item::Gaen(GaenKey::new([9; 16], interval(date(3), 0), 144));
    let third = events::ReportAccepted {
        code: CodeId { serial: 2, ..code },
        tracking: [8; 16],
        items: vec![Item::Dp3tLowCost { date: date(2), key: [8; 32] }, other],
        ..again.clone()
    };
    let expires = START + 400 * DAY_SECONDS;
    vec![
        events::Deployment { id: [7; 16], root: [8; 32], master_check: [9; 32] }.into(),
        events::ThirdPolicySet { policy }.into(),
        events::ProviderAdded { provider: 1, name: "City".into(), token: [10; 32] }.into(),
        events::RangeOpened { provider: 1, generation: 1, first: 0, count: 5, expires }.into(),
        report.into(),
        events::TickMade { series: 1, number: 1 }.into(),
        events::FourthPolicySet { policy: seeds }.into(),
        again.into(),
        events::TickMade { series: 1, number: 2 }.into(),
        events::PolicySet { policy: exports }.into(),
        third.into(),
        events::TickMade { series: 1, number: 3 }.into(),
    ]
}

/// These events as the log of 2026 has them: header, salt and body in hexadecimal. Last comes the digest of the
/// state that they add up to.
fn golden() -> String {
    let mut previous = [0; 32];
    let mut lines = String::new();
    for (position, event) in (1..).zip(events()) {
        let (salt, bytes) = ([position as u8; 32], event.encode());
        let (kind, time) = (event.kind(), START + 5 * DAY_SECONDS + position);
        let (rules, commitment) = (RULES, [0; 32]);
        let mut header =
            EventHeader { position, previous, time, kind, outcome: 1, rules, commitment };
        header.commitment = header.commitment_to(&salt, &bytes);
        previous = header.hash();
        let hex = [&header.to_bytes()[..], &salt, &bytes].map(|part| HEXLOWER.encode(part));
        lines += &format!("{} {} {} {}\n", event.name(), hex[0], hex[1], hex[2]);
    }
    lines
}

#[test]
fn a_log_with_every_kind_of_item_is_the_golden_one() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/vectors/log-kinds.txt");
    let file = std::fs::read_to_string(file).unwrap();
    let (file, digest) = file.split_once("state ").unwrap();
    assert_eq!(golden(), file);
    let stored = |line: &str| {
        let hex: Vec<&str> = line.split(' ').collect();
        let bytes = |at: usize| HEXLOWER.decode(hex[at].as_bytes()).unwrap();
        let body = StoredBody { salt: bytes(2).try_into().unwrap(), bytes: bytes(3) };
        StoredEvent { header: bytes(1), body: Some(body) }
    };
    let mut store = MemoryStore::new();
    let stored = file.lines().map(stored).collect();
    store.append(&Batch { first: 1, id: [0; 16], events: stored }).unwrap();
    let state = replay(&mut store, None, |_, _| Ok(())).unwrap().state;
    let published = state.live.days();
    let counts: Vec<(u64, usize)> = (0..6)
        .filter_map(|number| {
            let day = published.iter().find(|day| day.date() == date(number))?;
            Some((number, day.len()))
        })
        .collect();
    // The key of the second date has 96 of each date that is published; that of Exposure Notification two halves;
    // the window 8, and the TCN report 8. The key of the third date has 96 of each that is left, and the other key of
    // Exposure Notification is of the last one alone.
    assert_eq!(counts, [(1, 96), (2, 96 + 72 + 96), (3, 96 + 72 + 8 + 8 + 96 + 144)]);
    // Keys are kept of the second report, and of the third, when they are exported.
    let lists = state.live.seeds(Kinds::of(&[Kind::Gaen]));
    assert_eq!(lists.iter().map(LiveSeedDay::date).collect::<Vec<_>>(), [date(3)]);
    let list = lists[0].build().unwrap();
    assert_eq!(SeedList::<ExportKey, _>::parse(list.as_bytes()).unwrap().len(), 2);
    assert!(state.live.seeds(Kinds::of(&[Kind::Dp3tLowCost])).iter().all(|list| {
        SeedList::<DayKeys, _>::parse(list.build().unwrap().as_bytes()).unwrap().len() == 1
    }));
    assert_eq!(
        state.digest().to_string(),
        digest.trim(),
        "the state has another layout, or items have other elements: see `LAYOUT`"
    );
    let names: BTreeSet<String> = PROBLEMS.iter().map(|problem| format!("{problem:?}")).collect();
    assert_eq!(names.len(), PROBLEMS.len());
}
