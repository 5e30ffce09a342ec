//! What items of each kind stand for, and which are refused.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::date::DAY_SECONDS;
use crate::identifiers::dp3t::{DayKey, HybridSeed};
use crate::identifiers::gaen::ExposureKey;
use crate::identifiers::tcn::{MemoType, ReportAuthorizationKey};
use proptest::prelude::*;

const RULES: ItemRules = ItemRules {
    kinds: Kinds::ALL,
    hybrid: HybridWindow::FourHours,
    retention_days: 14,
    publication_delay: 8100,
    max_elements_per_date: 512,
};

fn date(days: u32) -> Date {
    Date::from_days(20_458 + days).unwrap()
}

/// Noon of a date.
fn noon(days: u32) -> u64 {
    date(days).start() + DAY_SECONDS / 2
}

fn low_cost(days: u32, byte: u8) -> Item {
    Item::Dp3tLowCost { date: date(days), key: [byte; 32] }
}

fn tcn(days: u32, secret: u8, first: u16, last: u16) -> Item {
    let key = ReportAuthorizationKey::new([secret; 32]);
    Item::Tcn { date: date(days), report: key.report(first, last, MemoType::Ito, b"").unwrap() }
}

fn gaen(start: u32, period: u32, byte: u8) -> Item {
    Item::Gaen(GaenKey::new([byte; 16], start, period))
}

/// What is wrong with items of one report; `None` of one that is accepted.
fn problems(rules: &ItemRules, items: &[Item], now: u64) -> Vec<Option<ItemProblem>> {
    let items: Vec<_> = items.iter().cloned().map(Ok).collect();
    let found = rules.accept(&items, now).problems;
    let of = |at: u32| found.iter().find(|(index, _)| *index == at).map(|(_, problem)| *problem);
    (0..items.len() as u32).map(of).collect()
}

#[test]
fn a_key_of_the_low_cost_design_stands_for_every_day_up_to_the_report() {
    let item = low_cost(1, 7);
    let dates = |accepted| item.counts(accepted).collect::<Vec<_>>();
    assert_eq!(dates(noon(1)), [(date(1), 96)]);
    assert_eq!(dates(noon(3)), [(date(1), 96), (date(2), 96), (date(3), 96)]);
    // A phone whose clock is ahead may have begun the next day.
    assert_eq!(dates(date(2).start() - CLOCK_SKEW - 1).len(), 1);
    assert_eq!(dates(date(2).start() - CLOCK_SKEW).len(), 2);
    // As far as phones can have it: a report of before the date has that date alone.
    assert_eq!(dates(0), [(date(1), 96)]);

    let mut expected = Vec::new();
    let mut key = DayKey::new(date(1), [7; 32]);
    for day in 1..=3 {
        expected.extend(key.elements().map(|element| (date(day), Element::from(&element[..]))));
        key = key.next().unwrap();
    }
    assert_eq!(item.elements(noon(3)).collect::<Vec<_>>(), expected);
}

/// A phone broadcasts from one key a day.
#[test]
fn keys_of_the_low_cost_design_are_bounded_for_each_date() {
    let items: Vec<Item> =
        [1, 2, 2, 2, 3].into_iter().zip(0..).map(|(day, byte)| low_cost(day, byte)).collect();
    let too_many = Some(ItemProblem::TooManyKeys);
    // The first three all have the third day, so that the others do not fit.
    assert_eq!(problems(&RULES, &items, noon(3)), [None, None, None, too_many, too_many]);
    // The same key again is no further one.
    let same = [low_cost(1, 1), low_cost(1, 1), low_cost(1, 1), low_cost(1, 1)];
    assert_eq!(problems(&RULES, &same, noon(3)), [None; 4]);
    // Nothing of an item that does not fit is counted.
    let rules = ItemRules { max_elements_per_date: 96, ..RULES };
    let items = [low_cost(3, 1), low_cost(1, 2), low_cost(2, 3)];
    let too_many = Some(ItemProblem::TooManyForDate);
    assert_eq!(problems(&rules, &items, noon(3)), [None, too_many, too_many]);
    let rules = ItemRules { max_elements_per_date: 95, ..RULES };
    assert_eq!(problems(&rules, &items[..1], noon(3)), [too_many]);
    // One that begins before what is kept, even if later dates are.
    assert_eq!(low_cost(0, 1).validate(&RULES, noon(14)), Ok(()));
    assert_eq!(low_cost(0, 1).validate(&RULES, noon(15)), Err(ItemProblem::DateTooOld));
    // However many dates it would have.
    let old = Item::Dp3tLowCost { date: Date::from_days(0).unwrap(), key: [0; 32] };
    assert_eq!(old.validate(&RULES, noon(1)), Err(ItemProblem::DateTooOld));
    let early = low_cost(2, 1).validate(&RULES, date(2).start() - CLOCK_SKEW - 1);
    assert_eq!(early, Err(ItemProblem::DateInFuture));
}

#[test]
fn a_window_of_the_hybrid_design_must_be_over() {
    for windows in [HybridWindow::TwoHours, HybridWindow::FourHours] {
        let rules = ItemRules { hybrid: windows, ..RULES };
        let window = windows.of_time(noon(1)).unwrap();
        let item = |window, byte| Item::Dp3tHybrid { windows, window, seed: [byte; 16] };
        let end = u64::from(window + 1) * windows.seconds();
        // Phones' clocks may be two minutes apart.
        assert_eq!(item(window, 1).validate(&rules, end - 120), Ok(()));
        let open = item(window, 1).validate(&rules, end - 121);
        assert_eq!(open, Err(ItemProblem::WindowOpen));
        let far = item(window, 1).validate(&rules, end - windows.seconds() - CLOCK_SKEW - 1);
        assert_eq!(far, Err(ItemProblem::DateInFuture));
        let late = item(window, 1).validate(&rules, noon(16));
        assert_eq!(late, Err(ItemProblem::DateTooOld));
        // The largest window there is must be refused, not overflow.
        let last = item(u32::MAX, 1);
        assert_eq!(last.validate(&rules, noon(1)), Err(ItemProblem::DateInFuture));
        assert_eq!(last.elements(0).next().unwrap().0, Date::MAX);
        let other = ItemRules { hybrid: HybridWindow::TwoHours, ..RULES };
        let refused = item(window, 1).validate(&other, end).is_err();
        assert_eq!(refused, windows == HybridWindow::FourHours);

        let seeds: Vec<Item> = (0..4).map(|byte| item(window, byte)).collect();
        let too_many = Some(ItemProblem::TooManyForWindow);
        assert_eq!(problems(&rules, &seeds, end), [None, None, None, too_many]);
        let expected = HybridSeed::new([1; 16]).elements(windows, window);
        let expected = expected.map(|element| (date(1), Element::from(&element[..])));
        assert!(item(window, 1).elements(0).eq(expected));
    }
}

#[test]
fn a_tcn_report_stands_for_the_numbers_of_its_span_alone() {
    let item = tcn(1, 7, 3, 26);
    assert_eq!(item.validate(&RULES, noon(1)), Ok(()));
    let numbers = ReportAuthorizationKey::new([7; 32]).numbers().skip(2).take(24);
    let expected = numbers.map(|number| (date(1), Element::from(number)));
    assert!(item.elements(noon(9)).eq(expected));

    let span = |last| tcn(1, 7, 1, last).validate(&RULES, noon(1));
    assert_eq!((span(72), span(73)), (Ok(()), Err(ItemProblem::SpanTooLong)));
    assert_eq!(span(u16::MAX), Err(ItemProblem::SpanTooLong));
    let Item::Tcn { report, .. } = item else { panic!("{item:?}") };
    for at in 0..report.len() {
        let mut bytes = report.clone();
        bytes[at] ^= 1;
        let bad = Item::Tcn { date: date(1), report: bytes };
        let problem = bad.validate(&RULES, noon(1)).unwrap_err();
        let is_shape = matches!(at, 64..=67 | 69);
        assert!(problem == ItemProblem::SignatureWrong || is_shape, "{at}: {problem:?}");
    }
    for bytes in [&report[..133], &[], &[report.as_slice(), &[0]].concat()] {
        let bad = Item::Tcn { date: date(1), report: bytes.to_vec() };
        assert_eq!(bad.validate(&RULES, noon(1)), Err(ItemProblem::ReportInvalid));
        assert_eq!(bad.elements(0).count(), 0);
    }
}

/// So that nobody has many signatures verified, wrong ones are counted too.
#[test]
fn tcn_reports_of_a_date_are_bounded() {
    let right = tcn(1, 1, 1, 2);
    let wrong = |number: u8| {
        let Item::Tcn { date, mut report } = tcn(1, number, 1, 2) else { unreachable!() };
        *report.last_mut().unwrap() ^= 1;
        Item::Tcn { date, report }
    };
    let mut items: Vec<Item> = (0..24).map(wrong).collect();
    items.push(right.clone());
    let found = problems(&RULES, &items, noon(1));
    assert_eq!(found[..24], [Some(ItemProblem::SignatureWrong); 24]);
    assert_eq!(found[24], Some(ItemProblem::TooManyForDate));
    items.swap(0, 24);
    let found = problems(&RULES, &items, noon(1));
    assert_eq!((found[0], found[24]), (None, Some(ItemProblem::TooManyForDate)));
}

#[test]
fn the_elements_of_a_key_have_the_dates_on_which_they_were_broadcast() {
    // From 22:00, so that 12 intervals are of the first date.
    let start = (date(1).end() - 7200) as u32 / 600;
    let item = gaen(start, 144, 7);
    assert_eq!(item.counts(0).collect::<Vec<_>>(), [(date(1), 12), (date(2), 132)]);
    assert_eq!(gaen(start, 12, 7).counts(0).collect::<Vec<_>>(), [(date(1), 12)]);
    let identifiers = ExposureKey::new([7; 16], start, 144).unwrap().identifiers();
    let dates = (0..144).map(|at| if at < 12 { date(1) } else { date(2) });
    assert!(item.elements(0).eq(dates.zip(identifiers.map(Element::from))));

    let bad = |change: fn(&mut GaenKey)| {
        let mut key = GaenKey::new([7; 16], start, 144);
        change(&mut key);
        Item::Gaen(key).validate(&RULES, noon(2)).err()
    };
    assert_eq!(bad(|_| {}), None);
    assert_eq!(bad(|key| key.rolling_period = 0), Some(ItemProblem::RollingPeriodInvalid));
    assert_eq!(bad(|key| key.rolling_period = 145), Some(ItemProblem::RollingPeriodInvalid));
    assert_eq!(bad(|key| key.rolling_start = u32::MAX), Some(ItemProblem::RollingStartInvalid));
    assert_eq!(bad(|key| key.rolling_start += 1000), Some(ItemProblem::DateInFuture));
    assert_eq!(bad(|key| key.rolling_start -= 144 * 16), Some(ItemProblem::DateTooOld));
    assert_eq!(bad(|key| key.transmission_risk = 9), Some(ItemProblem::TransmissionRiskInvalid));
    for days in [-15, 15, i8::MIN] {
        let key = GaenKey { days_since_onset: Some(days), ..GaenKey::new([7; 16], start, 144) };
        let problem = Item::Gaen(key).validate(&RULES, noon(2));
        assert_eq!(problem, Err(ItemProblem::DaysSinceOnsetInvalid));
    }
}

#[test]
fn keys_that_start_together_are_bounded() {
    let start = date(1).start() as u32 / 600;
    let periods = [144, 80, 100, 144, 20];
    let items: Vec<Item> =
        periods.into_iter().zip(0..).map(|(period, byte)| gaen(start, period, byte)).collect();
    let too_many = Some(ItemProblem::TooManyKeys);
    assert_eq!(problems(&RULES, &items, noon(1)), [None, None, None, too_many, too_many]);
    // Keys that start one after the other, and all last for a day, are more than a phone has too.
    let items: Vec<Item> = (0..5).map(|at| gaen(start + at, 144, 1)).collect();
    let too_many = Some(ItemProblem::TooManyForDate);
    assert_eq!(problems(&RULES, &items, noon(1)), [None, None, None, too_many, too_many]);
}

proptest! {
    /// However many items of whatever kind: what is accepted keeps to the bounds, and was not expanded to
    /// know it.
    #[test]
    fn a_report_has_no_more_elements_than_it_may(
        keys in prop::collection::vec((0..16u32, 0..5u8), 0..9),
        exposures in prop::collection::vec((0..16u32, 0..144u32, 1..=144u32, 0..5u8), 0..40),
        reports in prop::collection::vec((0..16u32, 0..5u8, 1..80u16), 0..6),
        most in 90..600u32,
    ) {
        let start = |days, at| date(days).start() as u32 / 600 + at;
        let mut items = vec![];
        items.extend(keys.into_iter().map(|(days, byte)| low_cost(days, byte)));
        items.extend(exposures.into_iter().map(|(days, at, period, byte)| gaen(start(days, at), period, byte)));
        items.extend(reports.into_iter().map(|(days, secret, last)| tcn(days, secret, 1, last)));
        let rules = ItemRules { max_elements_per_date: most, ..RULES };
        let items: Vec<_> = items.into_iter().map(Ok).collect();
        let accepted = rules.accept(&items, noon(12)).items;
        let mut dates = alloc::collections::BTreeMap::<Date, u32>::new();
        for (date, _) in accepted.iter().flat_map(|item| item.elements(noon(12))) {
            *dates.entry(date).or_default() += 1;
        }
        prop_assert!(dates.values().all(|count| *count <= most));
        prop_assert!(dates.len() <= 16);
    }
}
