//! Items as seeds, for phones that expand seeds themselves.

use super::{Diagnosis, GaenKey, Item, Kind};
use crate::date::Date;
use crate::element::Element;
use crate::identifiers::dp3t::{DayKey, DayKeys, HybridSeed, WindowSeed};
use crate::identifiers::gaen::{ExportKey, ReportType};
use crate::seeds::{Seed, SeedKind, parts_of};

/// The seed of an item, as a list of seeds holds it, and the dates on which it was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemSeed {
    /// Its kind.
    pub kind: Kind,
    /// The UTC date of its first elements.
    pub first: Date,
    /// The UTC date of its last elements: the date of its list.
    pub last: Date,
    /// Its note and its bytes, one after the other.
    pub parts: Element,
}

impl Kind {
    /// How seeds of this kind are listed; `None` if they are not.
    ///
    /// ```
    /// use gcs_core::report::Kind;
    ///
    /// assert_eq!(Kind::Gaen.seeds().unwrap().number(), 3);
    /// assert!(Kind::Raw.seeds().is_none() && Kind::Tcn.seeds().is_none());
    /// ```
    pub const fn seeds(self) -> Option<SeedKind> {
        match self {
            Kind::Dp3tLowCost => Some(SeedKind::of::<DayKeys>()),
            Kind::Dp3tHybrid => Some(SeedKind::of::<WindowSeed>()),
            Kind::Gaen => Some(SeedKind::of::<ExportKey>()),
            Kind::Dp3tUnlinkable | Kind::Raw | Kind::Tcn => None,
        }
    }
}

impl Item {
    /// The seed of which phones make the elements of this item, if the report is accepted at a Unix
    /// time; `None` for kinds that are not listed ([`Kind::seeds`]).
    ///
    /// ```
    /// use gcs_core::identifiers::dp3t::DayKeys;
    /// use gcs_core::report::Item;
    /// use gcs_core::seeds::{SeedDay, SeedList};
    ///
    /// let item = Item::Dp3tLowCost { date: "2026-01-05".parse()?, key: [7; 32] };
    /// let accepted = 1_767_800_000; // Two days later.
    /// let seed = item.seed(accepted).unwrap();
    /// let day = SeedDay::build(seed.last, seed.kind.seeds().unwrap(), [&seed.parts[..]])?;
    /// let keys = SeedList::<DayKeys, _>::parse(day.as_bytes())?.iter().next().unwrap();
    /// assert!(keys.elements().eq(item.elements(accepted).map(|(_, element)| {
    ///     <[u8; 20]>::try_from(&element[..]).unwrap()
    /// })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seed(&self, accepted: u64) -> Option<ItemSeed> {
        let (kind, mut dates) = (self.kind(), self.counts(accepted).map(|(date, _)| date));
        let first = dates.next()?;
        let last = dates.last().unwrap_or(first);
        let parts = match self {
            Item::Dp3tLowCost { date, key } => {
                let days = u8::try_from(last.days() - first.days() + 1).ok()?;
                parts(&DayKeys::new(DayKey::new(*date, *key), days).ok()?)
            }
            Item::Dp3tHybrid { windows, window, seed } => {
                let (windows, window) = (*windows, *window);
                parts(&WindowSeed { windows, window, seed: HybridSeed::new(*seed) })
            }
            Item::Gaen(key) => parts(&key.export_key()?),
            Item::Dp3tUnlinkable { .. } | Item::Raw { .. } | Item::Tcn { .. } => None,
        }?;
        Some(ItemSeed { kind, first, last, parts })
    }
}

fn parts<S: Seed>(seed: &S) -> Option<Element> {
    parts_of(seed).ok().map(Element::from)
}

impl GaenKey {
    /// The key as it is published; `None` if its intervals are none of a key.
    fn export_key(&self) -> Option<ExportKey> {
        let report_type = match self.diagnosis {
            Diagnosis::Confirmed => ReportType::ConfirmedTest,
            Diagnosis::Likely => ReportType::ConfirmedClinicalDiagnosis,
        };
        let risk = self.transmission_risk;
        Some(ExportKey {
            transmission_risk: (risk > 0).then_some(risk),
            report_type: Some(report_type),
            days_since_onset: self.days_since_onset.map(i32::from),
            ..ExportKey::from(self.exposure_key().ok()?)
        })
    }
}
