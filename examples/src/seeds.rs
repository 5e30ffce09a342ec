//! A phone that computes from published seeds what was broadcast, instead of testing sets alone.

use std::collections::BTreeSet;

use clap::ValueEnum;
use gcs_core::files::SeedRow;
use gcs_core::identifiers::dp3t::{DayKeys, WindowSeed};
use gcs_core::identifiers::gaen::ExportKey;
use gcs_core::seeds::{SeedKind, SeedList};
use gcs_core::sync::{Heard, Outcome, seed_list_name};
use gcs_core::{Date, Element, Folder};

use crate::Checked;

/// Kinds of seeds that a publication can have lists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Seeds {
    /// Keys of DP-3T's low-cost design.
    Dp3tLowCost,
    /// Seeds of DP-3T's hybrid design.
    Dp3tHybrid,
    /// Keys of Exposure Notification, by Apple and Google.
    Gaen,
}

impl Seeds {
    /// The kind, for the settings of a client.
    pub fn kind(self) -> SeedKind {
        match self {
            Seeds::Dp3tLowCost => SeedKind::of::<DayKeys>(),
            Seeds::Dp3tHybrid => SeedKind::of::<WindowSeed>(),
            Seeds::Gaen => SeedKind::of::<ExportKey>(),
        }
    }

    /// What the seeds of a list stand for: everything that was broadcast, each with its date.
    ///
    /// # Errors
    /// When it is no list of this kind.
    pub fn expand(self, list: &[u8]) -> Checked<Vec<(Date, Element)>> {
        let mut all = Vec::new();
        match self {
            Seeds::Dp3tLowCost => {
                let keys = SeedList::<DayKeys, _>::parse(list)?;
                for key in keys.iter().flat_map(|keys| keys.keys()) {
                    all.extend(key.elements().map(|it| (key.date(), Element::from(&it[..]))));
                }
            }
            Seeds::Dp3tHybrid => {
                for seed in &SeedList::<WindowSeed, _>::parse(list)? {
                    let date = Date::of_time(u64::from(seed.window) * seed.windows.seconds());
                    all.extend(seed.elements().map(|it| (date, Element::from(&it[..]))));
                }
            }
            Seeds::Gaen => {
                for ExportKey { key, .. } in &SeedList::<ExportKey, _>::parse(list)? {
                    let dates = key.intervals().map(|at| Date::of_time(u64::from(at) * 600));
                    all.extend(dates.zip(key.identifiers().map(Element::from)));
                }
            }
        }
        Ok(all)
    }

    /// What was heard of what the client's lists stand for, on the dates that are published. There are no
    /// false alarms, so each is a contact. `None` if the client could not read what it keeps: what was found
    /// before is still valid then.
    ///
    /// # Errors
    /// When a list cannot be read.
    pub fn find(
        self,
        outcome: &Outcome,
        folder: &Folder,
        heard: &[Heard],
    ) -> Checked<Option<BTreeSet<(Date, Element)>>> {
        let Some(lists) = &outcome.seeds else { return Ok(None) };
        let of = |heard: &Heard| (Date::of_time(heard.time), Element::from(&heard.element[..]));
        let heard: BTreeSet<(Date, Element)> = heard.iter().map(of).collect();
        let mut found = BTreeSet::new();
        for row in lists {
            let broadcast = self.expand(&read(folder, row)?)?;
            found.extend(broadcast.into_iter().filter(|it| heard.contains(it)));
        }
        found.retain(|(date, _)| outcome.dates.contains(date));
        Ok(Some(found))
    }
}

fn read(folder: &Folder, row: &SeedRow) -> Checked<Vec<u8>> {
    let name = seed_list_name(row);
    folder.read(&name)?.ok_or_else(|| format!("{name} is not there").into())
}
