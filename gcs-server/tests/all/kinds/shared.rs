//! Reports of all kinds that share elements, beside a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::Date;
use gcs_core::Element;
use gcs_core::report::Item;
use gcs_server::domain::events::{Act, Correction};
use gcs_server::domain::state::State;
use proptest::prelude::*;

use super::{day_key, gaen, hybrid, interval, tcn};
use crate::common::{Ledger, date, policy};

/// The n-th of a few items that have elements in common.
fn item(number: u8) -> Item {
    let day = date(u64::from(number % 3));
    let [first, last] = [[1, 9], [5, 20]][usize::from(number / 3 % 2)];
    match number / 6 {
        0 => day_key(day, number / 3).1,
        1 => hybrid(day.start(), number / 3).1,
        2 => tcn(day, 7, [first, last]).1,
        3 => Item::Gaen(gaen(interval(day, 12), 20 * u32::from(first), 7)),
        // An identifier of those keys, as somebody heard it.
        _ => {
            let keys = gaen(interval(day, 12), 144, 7).exposure_key().unwrap().rolling_keys();
            let element = keys.identifier(interval(day, 12) + u32::from(first));
            Item::Raw { date: day, element: element.into() }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_retraction_takes_what_no_other_report_brought(
        reports in prop::collection::vec(prop::collection::btree_set(0..30u8, 1..6), 1..8),
        acts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..12),
        ticks_between: bool,
    ) {
        let mut ledger = Ledger::with_codes(&policy(), 10);
        let accepted = ledger.now;
        let mut sent = Vec::new();
        for (serial, numbers) in (0..).zip(&reports) {
            let items: Vec<Item> = numbers.iter().map(|number| item(*number)).collect();
            let position = ledger.report(serial, &items);
            sent.push((position, items, true));
            if ticks_between {
                ledger.tick();
            }
        }
        for (at, is_live) in acts {
            let at = at.index(sent.len());
            let (position, _, live) = &mut sent[at];
            *live = is_live;
            let act = if is_live { Act::Reinstate } else { Act::Retract };
            let correction = Correction { act, reports: vec![*position], selection: "x".into() };
            ledger.append(&[correction.into()]);
        }
        ledger.tick();
        let mut expected: BTreeMap<Date, BTreeSet<Element>> = BTreeMap::new();
        for (_, items, is_live) in &sent {
            for (date, element) in items.iter().flat_map(|item| item.elements(accepted)) {
                let of_date = expected.entry(date).or_default();
                if *is_live {
                    of_date.insert(element);
                }
            }
        }
        for number in 0..3 {
            let found = ledger.published(number).unwrap_or_default();
            let wanted = expected.remove(&date(number)).unwrap_or_default();
            prop_assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
        }
        // The log adds up to the same, and so does a checkpoint.
        prop_assert_eq!(ledger.folded().digest(), ledger.state.digest());
        let mut bytes = Vec::new();
        let written = ledger.state.write(|block| {
            bytes.extend_from_slice(block);
            Ok::<(), ()>(())
        });
        written.unwrap();
        let read = State::read(&bytes, ledger.keys.filler()).unwrap();
        prop_assert_eq!(read.digest(), ledger.state.digest());
    }
}
