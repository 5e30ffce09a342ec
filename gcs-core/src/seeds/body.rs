//! The body of a list, which is also the additions of a delta: a directory of groups, the codes of
//! their heads, and the tails.

use alloc::vec::Vec;

use super::groups::{Directory, Group, HEAD_LEN, Layout, Note};
use crate::bytes::{self, Cursor, Put};
use crate::error::ParseError;
use crate::set::{CHUNK, Overrun, RiceReader, RiceWriter, expect_padding};

/// Length of the fixed part of a body.
const FIXED_LEN: u64 = 12;

/// A note and a seed, in the order in which a list holds them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry<'a> {
    pub(super) note: Note,
    pub(super) head: u64,
    pub(super) tail: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(super) fn new(note: &[u8], seed: &'a [u8]) -> Entry<'a> {
        let (head, tail) = seed.split_at(HEAD_LEN);
        let head = head.iter().fold(0, |head, byte| head << 8 | u64::from(*byte));
        Entry { note: Note::new(note), head, tail }
    }

    /// Writes the bytes of the seed.
    pub(super) fn write_seed(&self, out: &mut [u8]) {
        let (head, tail) = out.split_at_mut(HEAD_LEN);
        head.copy_from_slice(&self.head.to_be_bytes()[8 - HEAD_LEN..]);
        tail.copy_from_slice(self.tail);
    }
}

/// Where the parts of a body are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    groups: u32,
    bits: u64,
    /// Where the codes begin.
    code: usize,
    pub(super) len: u32,
}

impl Parts {
    /// Where the tails begin.
    fn tails(&self) -> usize {
        self.code + self.bits.div_ceil(8) as usize
    }
}

/// A body that was validated.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    /// The body, and perhaps what follows it.
    bytes: &'a [u8],
    parts: Parts,
    layout: Layout,
}

impl<'a> Body<'a> {
    /// A body that was parsed or written before.
    pub(super) fn new(bytes: &'a [u8], parts: Parts, layout: Layout) -> Body<'a> {
        Body { bytes, parts, layout }
    }

    /// Validates a body of this length; `bytes` may go on behind it, which makes decoding faster.
    pub(super) fn parse(bytes: &'a [u8], len: usize, layout: Layout) -> Result<Parts, ParseError> {
        let parts = Parts::read(&bytes[..len], layout)?;
        let body = Body::new(bytes, parts, layout);
        body.validate_entries()?;
        Ok(parts)
    }

    /// The pairs in ascending order.
    pub(super) fn entries(&self) -> Entries<'a> {
        let mut cursor = Cursor::new(self.bytes);
        // The fixed part is there: it was parsed or written.
        let _ = cursor.take(FIXED_LEN);
        Entries {
            body: *self,
            directory: Directory::new(cursor, self.parts.groups, self.layout),
            group: Group::default(),
            decoded: 0,
            before: None,
            reader: RiceReader::new(&self.bytes[self.parts.code..], 0, 0),
            heads: [0; CHUNK],
            at: 0,
            filled: 0,
            rank: 0,
        }
    }

    /// A reader of a group's code, which begins at `bit`.
    ///
    /// It ends where no code of so many heads below the bound can go on, so that no sum of gaps
    /// overflows, whatever other groups declare.
    fn reader(&self, group: &Group, bit: u64) -> RiceReader<'a> {
        let shape = group.shape();
        let end = self.parts.bits.min(bit + shape.possible_bits().1);
        RiceReader::new(&self.bytes[self.parts.code..], shape.parameter, end).resume(bit, 0)
    }

    /// The last bytes of the seed of a rank.
    fn tail(&self, rank: usize) -> &'a [u8] {
        let len = self.layout.tail_len;
        &self.bytes[self.parts.tails() + rank * len..][..len]
    }

    fn validate_entries(&self) -> Result<(), ParseError> {
        let Parts { bits, len, code, .. } = self.parts;
        let mut entries = self.entries();
        let mut misplaced = None;
        let overrun = |Overrun| ParseError::Overrun { bits, values: len.into() };
        while entries.refill().map_err(overrun)? {
            entries.expect_bound()?;
            let position = entries.pass_chunk();
            misplaced = misplaced.or(position);
        }
        bytes::expect_equal("bit length", bits, entries.reader.bit())?;
        expect_padding(&self.bytes[code..], bits)?;
        misplaced.map_or(Ok(()), |position| Err(ParseError::Order { field: "seed", position }))
    }
}

impl Parts {
    /// Reads fixed part and directory, and validates that so many bytes are there.
    fn read(bytes: &[u8], layout: Layout) -> Result<Parts, ParseError> {
        let mut cursor = Cursor::new(bytes);
        let (groups, bits) = (cursor.u32()?, cursor.u64()?);
        let mut directory = Directory::new(cursor, groups, layout);
        let (mut len, mut least, mut most) = (0, 0, 0);
        while let Some(group) = directory.read()? {
            len += u64::from(group.len);
            bytes::expect_at_most("number of seeds", len, u32::MAX.into())?;
            let possible = group.shape().possible_bits();
            (least, most) = (least + possible.0, most + possible.1);
        }
        if bits < least || bits > most {
            return Err(ParseError::BitLength { least, most, got: bits });
        }
        let code = directory.into_cursor().position();
        bytes::expect_len(bytes, code + bits.div_ceil(8) + len * layout.tail_len as u64)?;
        Ok(Parts { groups, bits, code: code as usize, len: len as u32 })
    }
}

/// Reads the pairs of a body, a chunk of heads at a time.
#[derive(Clone)]
pub(super) struct Entries<'a> {
    body: Body<'a>,
    directory: Directory<'a>,
    group: Group,
    /// Heads of the group that are decoded, and the last one before the chunk.
    decoded: u32,
    before: Option<u64>,
    reader: RiceReader<'a>,
    heads: [u64; CHUNK],
    at: usize,
    filled: usize,
    /// Rank of the next pair.
    rank: usize,
}

impl<'a> Entries<'a> {
    /// How many pairs are still to come.
    pub(super) fn remaining(&self) -> usize {
        self.body.parts.len as usize - self.rank
    }

    /// Decodes the next chunk of a group; the present one was read. False at the end.
    fn refill(&mut self) -> Result<bool, Overrun> {
        self.before = self.filled.checked_sub(1).map(|last| self.heads[last]);
        if self.decoded == self.group.len {
            // A directory that was parsed does not fail.
            let Ok(Some(group)) = self.directory.read() else { return Ok(false) };
            (self.group, self.decoded, self.before) = (group, 0, None);
            self.reader = self.body.reader(&group, self.reader.bit());
        }
        let chunk = (self.group.len - self.decoded).min(CHUNK as u32);
        let heads = &mut self.heads[..chunk as usize];
        self.reader.fill(heads)?;
        for (rank, head) in (u64::from(self.decoded)..).zip(heads) {
            *head = head.wrapping_sub(rank);
        }
        self.decoded += chunk;
        (self.at, self.filled) = (0, chunk as usize);
        Ok(true)
    }

    /// Fails if the group ends with this chunk, and with a value that is too large.
    fn expect_bound(&self) -> Result<(), ParseError> {
        let (next, bound) = (self.reader.next_least(), self.group.shape().bound);
        if self.decoded < self.group.len || next <= bound {
            return Ok(());
        }
        Err(ParseError::Limit { field: "last value", max: bound - 1, got: next - 1 })
    }

    /// Passes the chunk; the rank of the first seed in it that is not above the one before.
    fn pass_chunk(&mut self) -> Option<u64> {
        let mut before = self.before;
        let mut misplaced = None;
        for &head in &self.heads[..self.filled] {
            if before == Some(head)
                && misplaced.is_none()
                && self.body.tail(self.rank - 1) >= self.body.tail(self.rank)
            {
                misplaced = Some(self.rank as u64);
            }
            (before, self.rank) = (Some(head), self.rank + 1);
        }
        self.at = self.filled;
        misplaced
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        // A validated code does not overrun. If it did, iteration would end here.
        if self.at == self.filled && !self.refill().ok()? {
            return None;
        }
        let (head, tail) = (self.heads[self.at], self.body.tail(self.rank));
        (self.at, self.rank) = (self.at + 1, self.rank + 1);
        Some(Entry { note: self.group.note, head, tail })
    }
}

/// Writes a body of pairs in ascending order.
pub(super) struct Writer {
    layout: Layout,
    groups: Vec<u8>,
    group_count: u32,
    /// The group before, and the note of the present one.
    before: Option<Group>,
    note: Note,
    /// Heads of the present group, each with its rank within it added.
    heads: Vec<u64>,
    code: RiceWriter,
    tails: Vec<u8>,
    len: u32,
}

impl Writer {
    pub(super) fn new(layout: Layout) -> Writer {
        Writer {
            layout,
            groups: Vec::new(),
            group_count: 0,
            before: None,
            note: Note::default(),
            heads: Vec::new(),
            code: RiceWriter::append_to(Vec::new(), 0, 0),
            tails: Vec::new(),
            len: 0,
        }
    }

    /// Writes a pair above all before it.
    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        if entry.note != self.note {
            self.end_group();
            self.note = entry.note;
        }
        self.heads.push(entry.head + self.heads.len() as u64);
        self.tails.extend_from_slice(entry.tail);
        self.len += 1;
    }

    fn end_group(&mut self) {
        if self.heads.is_empty() {
            return;
        }
        let group = Group { note: self.note, len: self.heads.len() as u32 };
        group.write(&mut self.groups, self.before.as_ref(), &self.layout);
        self.code.restart(group.shape().parameter);
        self.code.extend(&self.heads);
        self.heads.clear();
        self.before = Some(group);
        self.group_count += 1;
    }

    /// Appends the body to a header.
    pub(super) fn finish(mut self, data: &mut Vec<u8>) -> Parts {
        self.end_group();
        let (code, _, bits) = self.code.finish();
        let start = data.len();
        data.put_u32(self.group_count).put_u64(bits).put(&self.groups);
        let parts =
            Parts { groups: self.group_count, bits, code: data.len() - start, len: self.len };
        data.put(&code).put(&self.tails);
        parts
    }
}
