//! The export files of a publication, beside its sets.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{File, PublishError, Publisher};
use crate::bytes::{Cursor, Put as _};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{ExportList, FileHash, MAX_EXPORTS, Path, Table};
use crate::identifiers::gaen::ExportKey;
use crate::publish::saved::{put_block, take_block, take_list};
use crate::seeds::SeedList;

#[cfg(feature = "gaen-export")]
pub(super) use super::next_exports::NextExports;
#[cfg(not(feature = "gaen-export"))]
pub(super) use core::convert::Infallible as NextExports;

/// What has been exported.
#[derive(Clone, Debug, Default)]
pub(super) struct Exported {
    /// The time until which keys were exported last, a multiple of the interval of then.
    pub end: u64,
    /// The keys of each published date as they were exported last, as files of lists.
    pub lists: BTreeMap<Date, Arc<Vec<u8>>>,
    /// The files that are there.
    pub list: ExportList,
    /// The bytes of files that no publication has written, since those that made them were left out.
    pub unwritten: BTreeMap<Digest, Arc<Vec<u8>>>,
}

/// What a publication has of exports.
#[derive(Debug, Default)]
pub(super) struct ExportPart {
    /// The list of exports, as the manifest names it; `None` if nothing is exported.
    pub named: Option<FileHash>,
    /// The list and all files that were made, whether they were written before or not.
    pub files: Vec<File>,
    /// The list under its other name, if that has to be replaced.
    pub index: Option<File>,
    /// Every file that must be there.
    pub live: Vec<Path>,
    /// What has been exported with this publication.
    pub exported: Option<Exported>,
}

impl Exported {
    /// Adds a file behind all others.
    #[cfg(feature = "gaen-export")]
    pub(super) fn push(&mut self, date: Date, bytes: Vec<u8>) {
        let sha256 = Digest::of(&bytes);
        self.list.files.push((date, sha256));
        self.unwritten.insert(sha256, Arc::new(bytes));
    }

    /// Forgets the dates that are not published any more. What they had is not revoked.
    fn keep_dates(&mut self, table: &Table) {
        self.lists.retain(|date, _| table.row(*date).is_some());
        self.list.files.retain(|(date, _)| table.row(*date).is_some());
        let named: BTreeSet<Digest> = self.list.files.iter().map(|(_, sha256)| *sha256).collect();
        self.unwritten.retain(|sha256, _| named.contains(sha256));
    }

    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.end);
        bytes.put_u32(self.lists.len() as u32);
        for (date, list) in &self.lists {
            bytes.put_u32(date.days());
            put_block(bytes, list);
        }
        bytes.put_u32(self.list.files.len() as u32);
        for (date, sha256) in &self.list.files {
            bytes.put_u32(date.days()).put(&sha256.0);
        }
        bytes.put_u32(self.unwritten.len() as u32);
        self.unwritten.values().for_each(|file| put_block(bytes, file));
    }

    pub(super) fn take(cursor: &mut Cursor<'_>) -> Result<Exported, ParseError> {
        let end = cursor.u64()?;
        let lists = take_list(cursor, u64::MAX, |cursor| {
            let (date, list) = (cursor.date()?, take_block(cursor)?);
            SeedList::<ExportKey, _>::parse(list)?;
            Ok((date, Arc::new(list.to_vec())))
        })?;
        let files =
            take_list(cursor, MAX_EXPORTS as u64, |cursor| Ok((cursor.date()?, cursor.digest()?)))?;
        let unwritten = take_list(cursor, MAX_EXPORTS as u64, |cursor| {
            let file = take_block(cursor)?;
            Ok((Digest::of(file), Arc::new(file.to_vec())))
        })?;
        let (lists, unwritten) = (lists.into_iter().collect(), unwritten.into_iter().collect());
        Ok(Exported { end, lists, list: ExportList { files }, unwritten })
    }
}

impl Publisher {
    /// The export files of the last publication; `None` if it has none.
    pub fn exports(&self) -> Option<ExportList> {
        self.exported.as_ref().map(|exported| exported.list.clone())
    }

    /// Whether a publication at the Unix time `now` exports what has changed: it is the first one in
    /// its slot of `interval` seconds, counted from 1970.
    pub fn is_export_time(&self, now: u64, interval: u64) -> bool {
        let slot = |time: u64| time / interval.max(1);
        self.exported.as_ref().is_none_or(|exported| slot(exported.end) != slot(now))
    }

    /// What has been exported after a publication at `now` of the dates of `table`.
    pub(super) fn export(&self, now: u64, table: &Table) -> Result<Option<Exported>, PublishError> {
        let Some(next) = &self.next_exports else { return Ok(None) };
        let mut exported = self.exported.clone().unwrap_or_default();
        exported.keep_dates(table);
        self.export_changes(now, table, next, &mut exported)?;
        let (max, got) = (MAX_EXPORTS, exported.list.files.len());
        if got > max {
            return Err(PublishError::TooManyExports { max, got });
        }
        Ok(Some(exported))
    }

    /// Without the feature there is nothing that could be exported.
    #[cfg(not(feature = "gaen-export"))]
    fn export_changes(
        &self,
        _: u64,
        _: &Table,
        next: &NextExports,
        _: &mut Exported,
    ) -> Result<(), PublishError> {
        match *next {}
    }

    /// The exports of a publication at `now`, whose sets are those of `table`.
    pub(super) fn publish_exports(
        &self,
        now: u64,
        table: &Table,
    ) -> Result<ExportPart, PublishError> {
        let Some(mut exported) = self.export(now, table)? else {
            // Whoever reads the list under its other name sees that there are none any more.
            let was_there = self.live.contains(&Path::ExportIndex);
            let empty = || File { path: Path::ExportIndex, bytes: Vec::new() };
            return Ok(ExportPart { index: was_there.then(empty), ..ExportPart::default() });
        };
        let unwritten = core::mem::take(&mut exported.unwritten);
        let list = &exported.list;
        let bytes = list.to_bytes();
        let named = FileHash::of(&bytes);
        let path = Path::ExportList(named.sha256);
        let index = File { path: Path::ExportIndex, bytes: bytes.clone() };
        let is_new = !self.live.contains(&path);
        let live = list.paths().chain([path, Path::ExportIndex]).collect();
        let is_unwritten = |(date, sha256): &(Date, Digest)| {
            let bytes = Vec::clone(unwritten.get(sha256)?);
            Some(File { path: Path::Export { date: *date, sha256: *sha256 }, bytes })
        };
        let mut files: Vec<File> = list.files.iter().filter_map(is_unwritten).collect();
        files.push(File { path, bytes });
        let (index, exported) = (is_new.then_some(index), Some(exported));
        Ok(ExportPart { named: Some(named), files, index, live, exported })
    }

    /// What the file that changes must hold; `None` if it is not there.
    pub(super) fn export_index(&self) -> Option<Vec<u8>> {
        if self.live.contains(&Path::ExportIndex) {
            return self.exports().map(|list| list.to_bytes());
        }
        self.retired.contains_key(&Path::ExportIndex).then(Vec::new)
    }
}
