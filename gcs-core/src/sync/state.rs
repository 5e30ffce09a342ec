//! What a client remembers between wakes, apart from tables, sets and the queue.

use alloc::vec::Vec;

use super::window::{Question, Window};
use crate::bytes::{self, Cursor, Put, TRAILER_LEN, expect_at_most};
use crate::date::DAY_SECONDS;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::keys::PublicKey;
use crate::version::Version;

const MAGIC: &[u8; 6] = b"GCSCLI";

/// Most tables whose files wait to be deleted.
const MAX_RETIRED: usize = 8;

/// A version and the table that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableVersion {
    pub version: Version,
    /// SHA-256 of the table, which also names its file.
    pub table: Digest,
}

/// The client's state, less than 4 KB in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientState {
    /// The key that was pinned.
    pub root: PublicKey,
    /// Newest version of the key list seen.
    pub key_list: u32,
    /// Newest manifest accepted.
    pub seen: Option<TableVersion>,
    /// Unix time at which it expires.
    pub expires: u64,
    /// The table of which the client has all sets.
    pub held: Option<TableVersion>,
    /// The table that the client is about to reach; some of its sets may be there already.
    pub target: Option<TableVersion>,
    /// Tables that are not used any more, but whose files may still be there.
    pub retired: Vec<Digest>,
    /// Unix time of the next poll; 0 at first.
    pub next_poll: u64,
    /// Unix time of the next confirmation slot; 0 before the first is drawn.
    pub next_slot: u64,
    /// The question that was asked last, if no authentic record has answered it.
    pub question: Option<Question>,
    /// What is new since the last question was drawn.
    pub window: Window,
}

impl ClientState {
    pub(super) fn new(root: PublicKey) -> ClientState {
        ClientState {
            root,
            key_list: 0,
            seen: None,
            expires: 0,
            held: None,
            target: None,
            retired: Vec::new(),
            next_poll: 0,
            next_slot: 0,
            question: None,
            window: Window::default(),
        }
    }

    /// Time of issue of the newest manifest accepted.
    pub(super) fn issued(&self) -> u64 {
        self.expires.saturating_sub(DAY_SECONDS)
    }

    /// Notes that the files of a table are to be deleted.
    pub(super) fn retire(&mut self, table: Digest) {
        if !self.retired.contains(&table) {
            self.retired.push(table);
        }
        // Beyond the limit the oldest is forgotten. Its files stay, which does no harm.
        let excess = self.retired.len().saturating_sub(MAX_RETIRED);
        self.retired.drain(..excess);
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::open(MAGIC);
        bytes.put(&self.root.0).put_u32(self.key_list);
        for known in [self.seen, self.held, self.target] {
            let there = u32::from(known.is_some());
            let known = known.unwrap_or(TableVersion {
                version: Version { series: 0, tick: 0 },
                table: Digest::ZERO,
            });
            bytes.put_u32(there).put_u32(known.version.series).put_u32(known.version.tick);
            bytes.put(&known.table.0);
        }
        bytes.put_u64(self.expires).put_u64(self.next_poll).put_u64(self.next_slot);
        bytes.put_u64(self.window.since).put_u64(self.window.added);
        for question in [self.question, self.window.sample] {
            let there = u32::from(question.is_some());
            let (date, fingerprint) =
                question.map_or((0, 0), |question| (question.date.days(), question.fingerprint));
            bytes.put_u32(there).put_u32(date).put_u64(fingerprint);
        }
        bytes.put_u32(self.retired.len() as u32);
        for table in &self.retired {
            bytes.put(&table.0);
        }
        bytes::seal(&mut bytes);
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<ClientState, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let (root, key_list) = (PublicKey(cursor.array()?), cursor.u32()?);
        let mut known = [None; 3];
        for known in &mut known {
            let there = take_presence(&mut cursor)?;
            let version = Version { series: cursor.u32()?, tick: cursor.u32()? };
            let table = cursor.digest()?;
            *known = there.then_some(TableVersion { version, table });
        }
        let (expires, next_poll, next_slot) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let (since, added) = (cursor.u64()?, cursor.u64()?);
        let question = take_question(&mut cursor)?;
        let window = Window { since, added, sample: take_question(&mut cursor)? };
        let count = cursor.u32()?;
        expect_at_most("retired tables", u64::from(count), MAX_RETIRED as u64)?;
        let retired = (0..count).map(|_| cursor.digest()).collect::<Result<_, _>>()?;
        cursor.take(TRAILER_LEN as u64)?;
        cursor.finish()?;
        bytes::expect_trailer(bytes)?;
        let [seen, held, target] = known;
        Ok(ClientState {
            root,
            key_list,
            seen,
            expires,
            held,
            target,
            retired,
            next_poll,
            next_slot,
            question,
            window,
        })
    }
}

fn take_question(cursor: &mut Cursor<'_>) -> Result<Option<Question>, ParseError> {
    let there = take_presence(cursor)?;
    let question = Question { date: cursor.date()?, fingerprint: cursor.u64()? };
    Ok(there.then_some(question))
}

fn take_presence(cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
    let there = cursor.u32()?;
    expect_at_most("presence", u64::from(there), 1)?;
    Ok(there == 1)
}
