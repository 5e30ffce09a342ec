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
    /// What changed from `base` to `target`. A key that is gone was a mistake, so give no lists from
    /// which keys are missing because they expired. O(n log c) time for c changes.
    pub fn between<A: AsRef<[u8]>, B: AsRef<[u8]>>(
        base: &SeedList<ExportKey, A>,
        target: &SeedList<ExportKey, B>,
    ) -> KeyChanges {
        let (gone, added) = (SeedDelta::between(target, base), SeedDelta::between(base, target));
        let bytes = |key: ExportKey| (key.key.to_bytes(), key);
        let mut gone: BTreeMap<[u8; 16], ExportKey> = gone.added().map(bytes).collect();
        let is_known = |key: &ExportKey| gone.contains_key(&key.key.to_bytes());
        let (mut revised, new): (Vec<_>, Vec<_>) = added.added().partition(is_known);
        for key in target {
            gone.remove(&key.key.to_bytes());
        }
        let is_news = |key: &ExportKey| key.report_type != Some(ReportType::Revoked);
        let revoked = |key| ExportKey { report_type: Some(ReportType::Revoked), ..key };
        revised.extend(gone.into_values().filter(is_news).map(revoked));
        KeyChanges { new, revised }
    }
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
