//! The client's folder: the state, the queue, and tables and sets named by their hashes.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Incident;
use super::error::SyncError;
use super::mailbox::DriverProxy;
use super::queue::Queue;
use super::state::{ClientState, TableVersion};
use crate::bytes::{expect_digest, expect_len};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{Row, Table};
use crate::keys::{PublicKey, Stream};
use crate::set::Set;
use crate::version::Version;

const STATE: &str = "state";
const QUEUE: &str = "queue";

fn table_name(state: Digest) -> String {
    format!("table-{state}")
}

fn set_name(identity: Digest) -> String {
    format!("set-{identity}")
}

/// What the client has, in memory and in its folder.
///
/// The state is written before files that it announces and after files that it relies
/// on. So it names all files that are there, and all files that it names are there, except those
/// of `target`, which may be missing. Files that a lost state named stay; they do no harm.
pub(super) struct ClientStore {
    pub driver: DriverProxy,
    pub state: ClientState,
    /// The table that is held; empty at first.
    pub table: Table,
    /// Whether all sets of the table are there, so that bundles have a base.
    pub complete: bool,
    /// The table that the client is about to reach.
    pub target: Option<Table>,
    /// Those sets of both tables that are there.
    pub sets: BTreeMap<Digest, Set>,
    pub incidents: Vec<Incident>,
    /// State and queue as they are in the folder.
    written: ClientState,
    written_queue: Vec<u8>,
}

impl ClientStore {
    /// Reads the folder, validates everything in it, and deletes files that are not used.
    pub(super) async fn open(
        driver: DriverProxy,
        root: PublicKey,
    ) -> Result<ClientStore, SyncError> {
        let mut store = ClientStore {
            driver,
            state: ClientState::new(root),
            table: Table::default(),
            complete: false,
            target: None,
            sets: BTreeMap::new(),
            incidents: Vec::new(),
            written: ClientState::new(root),
            written_queue: Vec::new(),
        };
        store.load_state(root).await?;
        if let Some(held) = store.state.held {
            let table = store.load_table(held.table, true).await?;
            store.complete = table.is_some();
            store.table = table.unwrap_or_default();
        }
        if let Some(target) = store.state.target {
            store.target = store.load_table(target.table, false).await?;
        }
        store.load_sets().await?;
        store.clear_retired().await?;
        Ok(store)
    }

    async fn load_state(&mut self, root: PublicKey) -> Result<(), SyncError> {
        let Some(bytes) = self.get(STATE.to_string()).await? else { return Ok(()) };
        match ClientState::parse(&bytes) {
            Ok(state) if state.root == root => {
                self.written = state.clone();
                self.state = state;
            }
            Ok(state) => {
                // The client starts over: the tables and sets of the other root are deleted.
                let named = [state.held, state.target].into_iter().flatten();
                let tables = named.map(|named| named.table).chain(state.retired);
                tables.for_each(|table| self.state.retire(table));
                self.incidents.push(Incident::OtherRoot { was: state.root });
                self.delete(QUEUE.to_string()).await?;
            }
            Err(error) => self.lost(STATE.to_string(), Some(error)),
        }
        Ok(())
    }

    /// A table of the folder; it counts as lost if it was `expected` to be there.
    async fn load_table(
        &mut self,
        state: Digest,
        expected: bool,
    ) -> Result<Option<Table>, SyncError> {
        let name = table_name(state);
        let table = match self.get(name.clone()).await? {
            None if !expected => return Ok(None),
            None => Err(None),
            Some(bytes) => expect_digest("table", &bytes, state)
                .and_then(|()| Table::parse(&bytes))
                .map_err(Some),
        };
        match table {
            Ok(table) => Ok(Some(table)),
            Err(error) => {
                self.lost(name, error);
                Ok(None)
            }
        }
    }

    /// Reads the sets of both tables. It is no incident if sets of the target are missing.
    async fn load_sets(&mut self) -> Result<(), SyncError> {
        let held = self.table.rows().to_vec();
        for row in held {
            if !self.load_set(&row, true).await? {
                self.complete = false;
            }
        }
        let target = self.target.as_ref().map_or(Vec::new(), |table| table.rows().to_vec());
        for row in target {
            if !self.sets.contains_key(&row.identity) {
                self.load_set(&row, false).await?;
            }
        }
        Ok(())
    }

    async fn load_set(&mut self, row: &Row, expected: bool) -> Result<bool, SyncError> {
        let name = set_name(row.identity);
        let set = match self.get(name.clone()).await? {
            None if !expected => return Ok(false),
            None => Err(None),
            Some(bytes) => parse_set(bytes, row).map_err(Some),
        };
        match set {
            Ok(set) => {
                self.sets.insert(row.identity, set);
                Ok(true)
            }
            Err(error) => {
                self.lost(name, error);
                Ok(false)
            }
        }
    }

    pub(super) fn lost(&mut self, name: String, error: Option<ParseError>) {
        self.incidents.push(Incident::OwnFile { name, error });
    }

    /// Announces a table as the target; from here on its sets may be written.
    pub(super) async fn announce(
        &mut self,
        version: Version,
        table: &Table,
    ) -> Result<(), SyncError> {
        let target = TableVersion { version, table: table.state() };
        if let Some(old) = self.state.target.filter(|old| old.table != target.table) {
            self.state.retire(old.table);
        }
        self.state.target = Some(target);
        self.save_state().await?;
        self.put(table_name(target.table), table.to_bytes()).await?;
        self.target = Some(table.clone());
        self.clear_retired().await
    }

    /// Gives up the target.
    pub(super) async fn abandon_target(&mut self) -> Result<(), SyncError> {
        self.target = None;
        if let Some(old) = self.state.target.take() {
            self.state.retire(old.table);
            self.save_state().await?;
            self.clear_retired().await?;
        }
        Ok(())
    }

    /// Writes a set of the target.
    pub(super) async fn keep_set(&mut self, set: Set) -> Result<(), SyncError> {
        self.put(set_name(set.identity()), set.as_bytes().to_vec()).await?;
        self.sets.insert(set.identity(), set);
        Ok(())
    }

    /// Counts what the target adds to the table that is held, whose sets are all there.
    fn extend_window(&mut self, random: &mut Stream) {
        for row in self.target.iter().flat_map(Table::rows) {
            let old = self.table.row(row.date).and_then(|old| self.sets.get(&old.identity));
            if let Some(set) = self.sets.get(&row.identity)
                && old.is_none_or(|old| old.identity() != row.identity)
            {
                self.state.window.extend(row, set, old, random);
            }
        }
    }

    /// The rows to match against: of every date the newest whose set is there. While the
    /// target lacks a date's set, the set that the client had before serves.
    pub(super) fn usable_rows(&self) -> Vec<Row> {
        let rows = self.newest_table().rows().iter();
        rows.filter_map(|row| self.usable_row(row.date)).collect()
    }

    /// The row of one date among [`ClientStore::usable_rows`].
    pub(super) fn usable_row(&self, date: Date) -> Option<Row> {
        let newest = self.newest_table().row(date)?;
        let rows = [Some(newest), self.table.row(date)];
        rows.into_iter().flatten().find(|row| self.sets.contains_key(&row.identity)).copied()
    }

    /// The set of one date to match against.
    pub(super) fn set_of(&self, date: Date) -> Option<&Set> {
        self.sets.get(&self.usable_row(date)?.identity)
    }

    /// Whether hits of a date may still be right, because its newest set is not there to say
    /// otherwise.
    pub(super) fn may_still_hold(&self, date: Date) -> bool {
        match self.newest_table().row(date) {
            Some(row) => !self.sets.contains_key(&row.identity),
            None => !self.complete && self.target.is_none(),
        }
    }

    /// The newest table that is known, whether its sets are there or not.
    pub(super) fn newest_table(&self) -> &Table {
        self.target.as_ref().unwrap_or(&self.table)
    }

    /// Makes the target, whose sets are all there, the table that is held.
    pub(super) async fn reach_target(&mut self, random: &mut Stream) -> Result<(), SyncError> {
        self.extend_window(random);
        let (Some(reached), Some(table)) = (self.state.target.take(), self.target.take()) else {
            return Ok(());
        };
        if let Some(old) = self.state.held.replace(reached).filter(|old| old.table != reached.table)
        {
            self.state.retire(old.table);
        }
        self.table = table;
        self.complete = true;
        self.save_state().await?;
        self.clear_retired().await
    }

    /// Deletes the files of retired tables that nothing else names, then forgets them.
    async fn clear_retired(&mut self) -> Result<(), SyncError> {
        if self.state.retired.is_empty() {
            return Ok(());
        }
        for retired in self.state.retired.clone() {
            if let Some(table) = self.load_table(retired, false).await? {
                for row in table.rows() {
                    if !self.is_named(row.identity) {
                        self.sets.remove(&row.identity);
                        self.delete(set_name(row.identity)).await?;
                    }
                }
            }
            let mut named = [self.state.held, self.state.target].into_iter().flatten();
            if !named.any(|named| named.table == retired) {
                self.delete(table_name(retired)).await?;
            }
        }
        self.state.retired.clear();
        self.save_state().await
    }

    fn is_named(&self, identity: Digest) -> bool {
        let target = self.target.as_ref();
        self.table.names(identity) || target.is_some_and(|target| target.names(identity))
    }

    pub(super) async fn load_queue(&mut self) -> Result<Queue, SyncError> {
        let stored = self.get(QUEUE.to_string()).await?;
        let Some(bytes) = stored else { return Ok(Queue::default()) };
        match Queue::parse(&bytes) {
            Ok(queue) => {
                self.written_queue = bytes;
                Ok(queue)
            }
            Err(error) => {
                self.lost(QUEUE.to_string(), Some(error));
                Ok(Queue::default())
            }
        }
    }

    pub(super) async fn save_queue(&mut self, queue: &Queue) -> Result<(), SyncError> {
        let bytes = queue.to_bytes();
        if bytes != self.written_queue {
            self.put(QUEUE.to_string(), bytes.clone()).await?;
            self.written_queue = bytes;
        }
        Ok(())
    }

    pub(super) async fn save_state(&mut self) -> Result<(), SyncError> {
        if self.state != self.written {
            self.put(STATE.to_string(), self.state.to_bytes()).await?;
            self.written = self.state.clone();
        }
        Ok(())
    }

    pub(super) async fn get(&self, name: String) -> Result<Option<Vec<u8>>, SyncError> {
        let got = self.driver.get(name.clone()).await;
        got.map_err(|message| SyncError::Storage { name, message })
    }

    pub(super) async fn put(&self, name: String, bytes: Vec<u8>) -> Result<(), SyncError> {
        let put = self.driver.put(name.clone(), bytes).await;
        put.map_err(|message| SyncError::Storage { name, message })
    }

    pub(super) async fn delete(&self, name: String) -> Result<(), SyncError> {
        let deleted = self.driver.delete(name.clone()).await;
        deleted.map_err(|message| SyncError::Storage { name, message })
    }
}

/// A set, if it is the one that the row describes.
pub(super) fn parse_set(bytes: Vec<u8>, row: &Row) -> Result<Set, ParseError> {
    expect_len(&bytes, row.bytes)?;
    let set = Set::parse(bytes)?;
    if row.describes(&set) {
        return Ok(set);
    }
    let (expected, got) = (row.identity, set.identity());
    Err(ParseError::Digest { field: "set identity", expected, got })
}
