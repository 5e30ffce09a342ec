//! Items of every kind.

use super::*;
use crate::date::DAY_SECONDS;
use alloc::collections::BTreeMap;
use alloc::vec;
use data_encoding::BASE64;
use proptest::prelude::*;

const RULES: ItemRules = ItemRules {
    kinds: Kinds::ALL,
    hybrid: HybridWindow::FourHours,
    retention_days: 14,
    publication_delay: 8100,
    max_elements_per_date: 2,
};

fn raw(date: Date, length: usize) -> Item {
    Item::Raw { date, element: Element::from(alloc::vec![1; length]) }
}

#[test]
fn the_window_of_dates_is_exact() {
    let date: Date = "2026-01-05".parse().unwrap();
    let item = raw(date, 16);
    // It must be published before its date expires.
    let last = date.end() + 14 * DAY_SECONDS - 8100;
    assert_eq!(item.validate(&RULES, last - 1), Ok(()));
    assert_eq!(item.validate(&RULES, last), Err(ItemProblem::DateTooOld));
    assert_eq!(item.validate(&RULES, date.start() - CLOCK_SKEW), Ok(()));
    let early = date.start() - CLOCK_SKEW - 1;
    assert_eq!(item.validate(&RULES, early), Err(ItemProblem::DateInFuture));
    let rules = ItemRules { kinds: Kinds::of(&[Kind::Gaen]), ..RULES };
    assert_eq!(item.validate(&rules, date.start()), Err(ItemProblem::KindNotAllowed));
    for length in [0, 15, 65] {
        let problem = raw(date, length).validate(&RULES, date.start());
        assert_eq!(problem, Err(ItemProblem::ElementLength), "{length}");
    }
}

/// A date is published two hours after its end at the earliest.
#[test]
fn what_could_not_be_published_is_refused_while_its_date_lasts() {
    let date: Date = "2026-01-05".parse().unwrap();
    let item = raw(date, 16);
    let delay = |publication_delay| ItemRules { retention_days: 1, publication_delay, ..RULES };
    assert_eq!(item.validate(&delay(22 * 3600 - 1), date.start()), Ok(()));
    let late = item.validate(&delay(22 * 3600), date.start());
    assert_eq!(late, Err(ItemProblem::DateTooOld));
}

#[test]
fn a_seed_of_an_epoch_that_has_not_begun_is_refused() {
    let item = Item::Dp3tUnlinkable { epoch: 2_000_000, seed: [0; 32] };
    let begin = 2_000_000 * dp3t::EPOCH_SECONDS;
    assert_eq!(item.validate(&RULES, begin - CLOCK_SKEW), Ok(()));
    let early = item.validate(&RULES, begin - CLOCK_SKEW - 1);
    assert_eq!(early, Err(ItemProblem::DateInFuture));
}

/// A phone broadcasts one seed in an epoch.
#[test]
fn seeds_of_one_epoch_are_bounded() {
    let item = |epoch, byte| Ok(Item::Dp3tUnlinkable { epoch, seed: [byte; 32] });
    let rules = ItemRules { max_elements_per_date: 5, ..RULES };
    let epoch = 2_000_000;
    let mut items: Vec<_> = (0..5).map(|byte| item(epoch, byte)).collect();
    items.extend([item(epoch, 1), item(epoch + 1, 0), item(epoch + 2, 0), item(epoch + 3, 0)]);
    let accepted = rules.accept(&items, (u64::from(epoch) + 3) * dp3t::EPOCH_SECONDS);
    assert_eq!(accepted.items.len(), 5);
    let too_many = ItemProblem::TooManyForEpoch;
    let problems = [(3, too_many), (4, too_many), (8, ItemProblem::TooManyForDate)];
    assert_eq!(accepted.problems, problems);
}

#[test]
fn the_member_that_is_wrong_is_named() {
    use ItemProblem as P;
    let seed = BASE64.encode(&[1; 32]);
    let dp3t = |members: &str| alloc::format!(r#"{{"kind":"dp3t-unlinkable"{members}}}"#);
    let good = dp3t(&alloc::format!(r#","epoch":7,"seed":"{seed}""#));
    assert!(Item::from_json(&good).is_ok());
    let raw = r#"{"kind":"raw","date":"2026-01-05","element":"AAAA"}"#;
    assert!(Item::from_json(raw).is_ok());
    let report = BASE64.encode(&[0; 390]);
    let long_report = alloc::format!(r#"{{"kind":"tcn","date":"2026-01-05","report":"{report}"}}"#);
    let gaen = |members: &str| {
        let key = BASE64.encode(&[1; 16]);
        alloc::format!(r#"{{"kind":"gaen","key":"{key}"{members}}}"#)
    };
    let whole = |name: &str, value: &str| {
        gaen(&alloc::format!(r#","rolling_start":1,"rolling_period":1,"{name}":{value}"#))
    };
    for (json, problem) in [
        ("7", P::Shape),
        ("null", P::Shape),
        ("[]", P::Shape),
        (&alloc::format!(r#"["dp3t-unlinkable",7,"{seed}"]"#), P::Shape),
        ("{", P::Shape),
        ("{}", P::KindUnknown),
        (r#"{"kind":7}"#, P::KindUnknown),
        (r#"{"kind":"bluetrace"}"#, P::KindUnknown),
        (&good.replace("7", "\"7\""), P::EpochInvalid),
        (&good.replace("7", "7.0"), P::EpochInvalid),
        (&good.replace("7", "-1"), P::EpochInvalid),
        (&good.replace("7", "4294967296"), P::EpochInvalid),
        (&dp3t(r#","epoch":7"#), P::SeedInvalid),
        (&dp3t(r#","epoch":7,"seed":[1]"#), P::SeedInvalid),
        (&good.replace('=', ""), P::SeedInvalid),
        (&dp3t(r#","epoch":7,"seed":"AAAA""#), P::SeedLength),
        (&good.replace("epoch", "date"), P::Shape),
        (&good.replace("epoch", "Epoch"), P::Shape),
        (&good.replace("\"epoch\":7", "\"epoch\":7,\"epoch\":7"), P::Shape),
        (&raw.replace("01-05", "02-30"), P::DateInvalid),
        (&raw.replace("AAAA", "?"), P::ElementInvalid),
        (&raw.replace("date", "epoch"), P::Shape),
        (r#"{"kind":"dp3t-low-cost","date":"2026-01-05"}"#, P::KeyInvalid),
        (r#"{"kind":"dp3t-low-cost","date":"2026-01-05","key":"AAAA"}"#, P::KeyLength),
        (r#"{"kind":"dp3t-low-cost","key":"AAAA"}"#, P::DateInvalid),
        (r#"{"kind":"dp3t-low-cost","date":"2026-01-05","seed":"AAAA"}"#, P::Shape),
        (r#"{"kind":"dp3t-hybrid","window":1,"seed":"AAAA"}"#, P::HoursInvalid),
        (r#"{"kind":"dp3t-hybrid","hours":3,"window":1,"seed":"AAAA"}"#, P::HoursInvalid),
        (r#"{"kind":"dp3t-hybrid","hours":2,"window":-1,"seed":"AAAA"}"#, P::WindowInvalid),
        (r#"{"kind":"dp3t-hybrid","hours":2,"window":1,"seed":"A"}"#, P::SeedInvalid),
        (r#"{"kind":"dp3t-hybrid","hours":2,"window":1,"seed":"AAAA"}"#, P::SeedLength),
        (r#"{"kind":"tcn","report":"AAAA"}"#, P::DateInvalid),
        (r#"{"kind":"tcn","date":"2026-01-05","report":"AAA"}"#, P::ReportInvalid),
        (&long_report, P::ReportInvalid),
        (r#"{"kind":"gaen"}"#, P::KeyInvalid),
        (r#"{"kind":"gaen","key":"AAAA"}"#, P::KeyLength),
        (&gaen(""), P::RollingStartInvalid),
        (&gaen(r#","rolling_start":4294967296"#), P::RollingStartInvalid),
        (&gaen(r#","rolling_start":1"#), P::RollingPeriodInvalid),
        (&gaen(r#","rolling_start":1,"rolling_period":"1""#), P::RollingPeriodInvalid),
        (&whole("transmission_risk", "256"), P::TransmissionRiskInvalid),
        (&whole("transmission_risk", "null"), P::TransmissionRiskInvalid),
        (&whole("diagnosis", r#""negative""#), P::DiagnosisInvalid),
        (&whole("days_since_onset", "128"), P::DaysSinceOnsetInvalid),
        (&whole("days_since_onset", "1.0"), P::DaysSinceOnsetInvalid),
        (&whole("report_type", "1"), P::Shape),
    ] {
        assert_eq!(Item::from_json(json), Err(problem), "{json}");
    }
}

#[test]
fn debug_shows_neither_secret_nor_element() {
    let date = "2026-01-05".parse().unwrap();
    let windows = HybridWindow::TwoHours;
    let items = [
        Item::Dp3tUnlinkable { epoch: 9, seed: [0xab; 32] },
        raw(date, 16),
        Item::Dp3tLowCost { date, key: [0xab; 32] },
        Item::Dp3tHybrid { windows, window: 7, seed: [0xab; 16] },
        Item::Tcn { date, report: vec![0xab; 134] },
        Item::Gaen(GaenKey::new([0xab; 16], 9, 2)),
    ];
    assert_eq!(
        alloc::format!("{items:?}"),
        "[Dp3tUnlinkable { epoch: 9, .. }, Raw { date: 2026-01-05, .. }, \
         Dp3tLowCost { date: 2026-01-05, .. }, Dp3tHybrid { window: 7, .. }, \
         Tcn { date: 2026-01-05, .. }, Gaen { rolling_start: 9, .. }]"
    );
    let key = GaenKey::new([0xab; 16], 9, 2);
    let shown = alloc::format!("{key:?}");
    assert_eq!(shown, "GaenKey { rolling_start: 9, rolling_period: 2, .. }");
}

#[test]
fn a_seed_has_the_date_of_its_epoch() {
    let item = |epoch| Item::Dp3tUnlinkable { epoch, seed: [0; 32] };
    let date = |item: Item| item.elements(0).next().unwrap().0;
    assert_eq!(date(item(95)).days(), 0);
    assert_eq!(date(item(96)).days(), 1);
    // The largest epoch there is must be refused, not overflow.
    assert_eq!(item(u32::MAX).validate(&RULES, 0), Err(ItemProblem::DateInFuture));
}

#[test]
fn a_bad_item_does_not_affect_the_others() {
    let date: Date = "2026-01-05".parse().unwrap();
    let items = [
        Ok(raw(date, 16)),
        Err(ItemProblem::Shape),
        Ok(raw(date, 15)),
        Ok(raw(date, 16)),
        Ok(raw(date, 17)),
        Ok(raw(date, 18)),
    ];
    let accepted = RULES.accept(&items, date.end());
    assert_eq!(accepted.items, [raw(date, 16), raw(date, 17)]);
    let problems = [
        (1, ItemProblem::Shape),
        (2, ItemProblem::ElementLength),
        (5, ItemProblem::TooManyForDate),
    ];
    assert_eq!(accepted.problems, problems);
}

fn any_date() -> impl Strategy<Value = Date> {
    (0..=Date::MAX.days()).prop_map(|days| Date::from_days(days).unwrap())
}

prop_compose! {
    fn any_key()(
        key: [u8; 16],
        rolling_start in prop_oneof![0..450_000_000u32, any::<u32>()],
        rolling_period in 0..150u32,
        transmission_risk: u8,
        is_likely: bool,
        days_since_onset: Option<i8>,
    ) -> GaenKey {
        let diagnosis = if is_likely { Diagnosis::Likely } else { Diagnosis::Confirmed };
        let key = GaenKey::new(key, rolling_start, rolling_period);
        GaenKey { transmission_risk, diagnosis, days_since_onset, ..key }
    }
}

fn any_item() -> impl Strategy<Value = Item> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let windows = prop_oneof![Just(HybridWindow::TwoHours), Just(HybridWindow::FourHours)];
    prop_oneof![
        any::<(u32, [u8; 32])>().prop_map(|(epoch, seed)| Item::Dp3tUnlinkable { epoch, seed }),
        (any_date(), bytes(200).prop_map(Element::from))
            .prop_map(|(date, element)| Item::Raw { date, element }),
        (any_date(), any::<[u8; 32]>()).prop_map(|(date, key)| Item::Dp3tLowCost { date, key }),
        (windows, any::<(u32, [u8; 16])>())
            .prop_map(|(windows, (window, seed))| Item::Dp3tHybrid { windows, window, seed }),
        (any_date(), bytes(390)).prop_map(|(date, report)| Item::Tcn { date, report }),
        any_key().prop_map(Item::Gaen),
    ]
}

proptest! {
    #[test]
    fn items_are_read_as_written(item in any_item()) {
        let json = serde_json::to_string(&item).unwrap();
        prop_assert_eq!(Item::from_json(&json), Ok(item.clone()));
        prop_assert_eq!(serde_json::from_str::<Item>(&json).unwrap(), item.clone());
        let compact = postcard::to_allocvec(&item).unwrap();
        prop_assert_eq!(&compact, &item.to_bytes());
        prop_assert_eq!(postcard::from_bytes::<Item>(&compact), Ok(item));
    }

    /// What is counted before anything is derived is what is derived.
    #[test]
    fn counts_are_those_of_the_elements(item in any_item(), days in 0..30u64) {
        let accepted = item.start().saturating_add(days * DAY_SECONDS);
        let mut expected: BTreeMap<Date, u32> = BTreeMap::new();
        for (date, _) in item.elements(accepted) {
            *expected.entry(date).or_default() += 1;
        }
        // Keys that are none, or of after the last date, are refused.
        let is_whole = match &item {
            Item::Gaen(key) => key.exposure_key().is_ok() && item.start() < Date::MAX.start(),
            _ => true,
        };
        prop_assume!(is_whole);
        let counts = item.counts(accepted).filter(|(_, count)| *count > 0);
        prop_assert_eq!(counts.collect::<BTreeMap<_, _>>(), expected);
    }
}

/// A retry must be known by every release, and a log be read by it: the bytes never change.
#[test]
fn the_bytes_of_each_kind_are_golden() {
    let date: Date = "2026-01-05".parse().unwrap();
    let key = GaenKey {
        transmission_risk: 8,
        diagnosis: Diagnosis::Likely,
        days_since_onset: Some(-3),
        ..GaenKey::new([5; 16], 2_946_240, 144)
    };
    let windows = HybridWindow::FourHours;
    for (item, json, bytes) in [
        (
            Item::Dp3tLowCost { date, key: [1; 32] },
            r#"{"kind":"dp3t-low-cost","date":"2026-01-05","key":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}"#,
            ["02ea9f01", &"01".repeat(32)].concat(),
        ),
        (
            Item::Dp3tHybrid { windows, window: 122_760, seed: [2; 16] },
            r#"{"kind":"dp3t-hybrid","hours":4,"window":122760,"seed":"AgICAgICAgICAgICAgICAg=="}"#,
            ["030488bf07", &"02".repeat(16)].concat(),
        ),
        (
            Item::Tcn { date, report: vec![3; 3] },
            r#"{"kind":"tcn","date":"2026-01-05","report":"AwMD"}"#,
            "04ea9f0103030303".into(),
        ),
        (
            Item::Gaen(key),
            r#"{"kind":"gaen","key":"BQUFBQUFBQUFBQUFBQUFBQ==","rolling_start":2946240,"rolling_period":144,"transmission_risk":8,"diagnosis":"likely","days_since_onset":-3}"#,
            ["05", &"05".repeat(16), "c0e9b301900108", "0101fd"].concat(),
        ),
        (
            Item::Gaen(GaenKey::new([5; 16], 1, 2)),
            r#"{"kind":"gaen","key":"BQUFBQUFBQUFBQUFBQUFBQ==","rolling_start":1,"rolling_period":2,"transmission_risk":0,"diagnosis":"confirmed"}"#,
            ["05", &"05".repeat(16), "01020000", "00"].concat(),
        ),
    ] {
        assert_eq!(serde_json::to_string(&item).unwrap(), json);
        assert_eq!(data_encoding::HEXLOWER.encode(&item.to_bytes()), bytes, "{item:?}");
    }
    let short =
        r#"{"kind":"gaen","key":"BQUFBQUFBQUFBQUFBQUFBQ==","rolling_start":1,"rolling_period":2}"#;
    assert_eq!(Item::from_json(short), Ok(Item::Gaen(GaenKey::new([5; 16], 1, 2))));
}
