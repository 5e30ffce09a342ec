//! What an export file says of two versions of a list.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{ExportKey, ReportType};
use crate::seeds::{SeedDelta, SeedList};

/// What changed between two versions of the keys of one date, as phones want it: an export file has
/// new keys apart from those that phones know and must look at again.
///
/// ```
/// use gcs_core::identifiers::gaen::{ExportKey, ExposureKey, KeyChanges, ReportType};
/// use gcs_core::seeds::SeedList;
///
/// let key = |byte| ExposureKey::new([byte; 16], 2_649_888, 144).map(ExportKey::from);
/// let before = SeedList::build([key(1)?, key(2)?])?;
/// // A report was a mistake, and its key is gone; another came.
/// let after = SeedList::build([key(2)?, key(3)?])?;
/// let changes = KeyChanges::between(&before, &after);
/// assert_eq!(changes.new, [key(3)?]);
/// assert_eq!(changes.revised[0].key, key(1)?.key);
/// assert_eq!(changes.revised[0].report_type, Some(ReportType::Revoked));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChanges {
    /// Keys that were not there before.
    pub new: Vec<ExportKey>,
    /// Keys of which something else is known now; those that are gone are [`ReportType::Revoked`].
    /// Both as `revised_keys` of an export file has them.
    pub revised: Vec<ExportKey>,
}

impl KeyChanges {
    /// What changed from `base` to `target`. Of several entries of one key in a list the last one counts: phones know a key
    /// by its 16 bytes. A key that is gone was a mistake, so give no lists from which keys are missing because they expired.
    /// O(n log c) time for c changes.
    pub fn between<A: AsRef<[u8]>, B: AsRef<[u8]>>(
        base: &SeedList<ExportKey, A>,
        target: &SeedList<ExportKey, B>,
    ) -> KeyChanges {
        let (gone, added) = (SeedDelta::between(target, base), SeedDelta::between(base, target));
        let changed = gone.added().chain(added.added());
        let mut entries: BTreeMap<[u8; 16], Entries> =
            changed.map(|key| (key.key.to_bytes(), Entries::default())).collect();
        for key in base {
            entries.entry(key.key.to_bytes()).and_modify(|of| of.before = Some(key));
        }
        for key in target {
            entries.entry(key.key.to_bytes()).and_modify(|of| of.after = Some(key));
        }
        let mut changes = KeyChanges::default();
        for Entries { before, after } in entries.into_values() {
            match (before, after) {
                (None, Some(after)) => changes.new.push(after),
                (Some(before), Some(after)) if before != after => changes.revised.push(after),
                (Some(before), None) if before.report_type != Some(ReportType::Revoked) => {
                    let report_type = Some(ReportType::Revoked);
                    changes.revised.push(ExportKey { report_type, ..before });
                }
                _ => {}
            }
        }
        changes
    }
}

/// The last entry of a key in two versions of a list.
#[derive(Default)]
struct Entries {
    before: Option<ExportKey>,
    after: Option<ExportKey>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifiers::gaen::ExposureKey;
    use proptest::prelude::*;

    fn key(byte: u8, report_type: ReportType) -> ExportKey {
        let key = ExposureKey::new([byte; 16], 2_649_888, 144).unwrap();
        ExportKey { report_type: Some(report_type), ..key.into() }
    }

    fn list(keys: &BTreeMap<u8, ReportType>) -> SeedList<ExportKey> {
        SeedList::build(keys.iter().map(|(byte, report_type)| key(*byte, *report_type))).unwrap()
    }

    /// A key that is reported before its period is over, and once more afterwards by another code.
    #[test]
    fn of_several_entries_of_a_key_the_last_one_counts() {
        let of = |period: u32| ExportKey {
            report_type: Some(ReportType::ConfirmedTest),
            ..ExposureKey::new([1; 16], 2_649_888, period).unwrap().into()
        };
        let list =
            |periods: &[u32]| SeedList::build(periods.iter().map(|period| of(*period))).unwrap();
        let revoked = |period| ExportKey { report_type: Some(ReportType::Revoked), ..of(period) };
        type Case<'c> = (&'c [u32], &'c [u32], &'c [ExportKey], &'c [ExportKey]);
        let cases: [Case<'_>; 7] = [
            (&[], &[60, 144], &[of(144)], &[]),
            (&[60], &[60, 144], &[], &[of(144)]),
            (&[60, 144], &[60], &[], &[of(60)]),
            (&[60, 144], &[144], &[], &[]),
            (&[144], &[60, 144], &[], &[]),
            (&[60, 144], &[], &[], &[revoked(144)]),
            (&[60, 144], &[60, 144], &[], &[]),
        ];
        for (base, target, new, revised) in cases {
            let changes = KeyChanges::between(&list(base), &list(target));
            assert_eq!(
                (&changes.new[..], &changes.revised[..]),
                (new, revised),
                "{base:?} {target:?}"
            );
        }
    }

    fn keys() -> impl Strategy<Value = BTreeMap<u8, ReportType>> {
        let report_type = prop_oneof![
            Just(ReportType::ConfirmedTest),
            Just(ReportType::ConfirmedClinicalDiagnosis),
            Just(ReportType::Revoked),
        ];
        prop::collection::btree_map(0..40u8, report_type, 0..30)
    }

    proptest! {
        #[test]
        fn each_key_is_told_once_with_what_is_known_of_it(base in keys(), target in keys()) {
            let changes = KeyChanges::between(&list(&base), &list(&target));
            let told = |keys: &[ExportKey]| -> BTreeMap<u8, ReportType> {
                let told = keys.iter().map(|key| (key.key.to_bytes()[0], key.report_type.unwrap()));
                let map: BTreeMap<_, _> = told.collect();
                assert_eq!(map.len(), keys.len());
                map
            };
            let of = |is: &dyn Fn(&u8) -> bool| -> BTreeMap<u8, ReportType> {
                target.iter().filter(|(byte, _)| is(byte)).map(|(byte, of)| (*byte, *of)).collect()
            };
            prop_assert_eq!(told(&changes.new), of(&|byte| !base.contains_key(byte)));
            let mut revised = of(&|byte| base.get(byte).is_some_and(|of| *of != target[byte]));
            for (byte, report_type) in &base {
                if !target.contains_key(byte) && *report_type != ReportType::Revoked {
                    revised.insert(*byte, ReportType::Revoked);
                }
            }
            prop_assert_eq!(told(&changes.revised), revised);
        }
    }
}
