//! The export files of a publication, beside its sets.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Publisher;
use crate::date::Date;
use crate::digest::Digest;
use crate::files::{ExportList, FileHash};

#[cfg(feature = "gaen-export")]
pub(super) use super::export_settings::NextExports;
#[cfg(not(feature = "gaen-export"))]
pub(super) use core::convert::Infallible as NextExports;

/// What has been exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exported {
    /// The time until which keys have been exported, a multiple of the interval of then.
    pub end: u64,
    /// The keys of each published date that were exported last, as files of lists.
    pub lists: BTreeMap<Date, Arc<Vec<u8>>>,
    /// The files that are there, in the order in which phones must take them.
    pub files: Vec<(Date, FileHash)>,
    /// The bytes of those files that no publication has written yet, since it was left out.
    pub unwritten: BTreeMap<Digest, Arc<Vec<u8>>>,
}

impl Publisher {
    /// The export files of the last publication; `None` if it has none.
    pub fn exports(&self) -> Option<ExportList> {
        let exported = self.exported.as_ref()?;
        let files = exported.files.iter().map(|(date, file)| (*date, file.sha256)).collect();
        Some(ExportList { files })
    }

    /// Whether a publication at the Unix time `now` exports what has changed: it is the first one of
    /// a slot of `interval` seconds, counted from 1970.
    pub fn is_export_time(&self, now: u64, interval: u64) -> bool {
        let slot = |time: u64| time / interval.max(1);
        self.exported.as_ref().is_none_or(|exported| slot(exported.end) != slot(now))
    }
}
