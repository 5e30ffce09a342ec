//! Groups: the seeds of one note. Their directory tells of each the note and how many seeds it has.

use alloc::vec::Vec;

use super::seed::{ByteArray, Seed};
use crate::bytes::{self, Cursor, Put};
use crate::error::{NoteError, ParseError};
use crate::set::Shape;

/// Most bytes of a note.
pub(super) const MAX_NOTE_LEN: usize = 16;

/// Bytes of a seed that are Rice-coded: its head. A head is exact in languages whose numbers are
/// doubles, and with its rank within the group it stays so.
pub(super) const HEAD_LEN: usize = 6;

/// What a kind of seed determines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) note_len: usize,
    pub(super) tail_len: usize,
    check: fn(&[u8]) -> Result<(), NoteError>,
}

impl Layout {
    pub(super) const fn of<S: Seed>() -> Layout {
        const {
            assert!(1 <= S::Note::LEN && S::Note::LEN <= MAX_NOTE_LEN, "a note has 1 to 16 bytes");
            assert!(8 <= S::Bytes::LEN && S::Bytes::LEN <= 64, "a seed has 8 to 64 bytes");
        }
        Layout {
            note_len: S::Note::LEN,
            tail_len: S::Bytes::LEN - HEAD_LEN,
            check: |bytes| {
                let mut note = S::Note::ZERO;
                note.as_mut().copy_from_slice(bytes);
                S::from_parts(note, S::Bytes::ZERO).map(drop)
            },
        }
    }

    fn check(&self, note: &Note) -> Result<(), NoteError> {
        (self.check)(&note.0[..self.note_len])
    }
}

/// A note, with zeros behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Note(pub(super) [u8; MAX_NOTE_LEN]);

impl Note {
    pub(super) fn new(bytes: &[u8]) -> Note {
        let mut note = Note::default();
        note.0[..bytes.len()].copy_from_slice(bytes);
        note
    }

    /// How many bytes it has in common with another.
    fn shared(&self, other: &Note) -> usize {
        self.0.iter().zip(&other.0).take_while(|(a, b)| a == b).count()
    }
}

/// The seeds of one note.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pub(super) note: Note,
    /// How many there are, at least 1.
    pub(super) len: u32,
}

impl Group {
    /// The shape of its code, whose length is not declared. Values are heads, each with its rank
    /// within the group added: so they ascend strictly where heads are equal.
    pub(super) fn shape(&self) -> Shape {
        let bound = (1 << (8 * HEAD_LEN)) + u64::from(self.len) - 1;
        let mut shape = Shape { bound, len: self.len, parameter: 0, bits: 0 };
        shape.parameter = shape.canonical_parameter();
        shape
    }

    /// Reads the entry of a directory that follows that of `before`.
    fn read(
        cursor: &mut Cursor<'_>,
        before: Option<&Group>,
        position: u64,
        layout: &Layout,
    ) -> Result<Group, ParseError> {
        let shared = cursor.u8()?;
        let most = before.map_or(0, |_| layout.note_len - 1);
        bytes::expect_at_most("shared bytes of a note", shared.into(), most as u64)?;
        let shared = usize::from(shared);
        let mut note = before.map_or(Note::default(), |before| before.note);
        let own = cursor.take((layout.note_len - shared) as u64)?;
        if before.is_some() && own[0] <= note.0[shared] {
            return Err(ParseError::Order { field: "note", position });
        }
        note.0[shared..layout.note_len].copy_from_slice(own);
        layout.check(&note)?;
        Ok(Group { note, len: read_count(cursor)? })
    }

    /// Appends its entry in a directory, behind that of `before`.
    pub(super) fn write(&self, out: &mut Vec<u8>, before: Option<&Group>, layout: &Layout) {
        let shared = before.map_or(0, |before| self.note.shared(&before.note));
        out.put_u8(shared as u8).put(&self.note.0[shared..layout.note_len]);
        let mut left = self.len;
        while left >= 0x80 {
            out.put_u8(left as u8 | 0x80);
            left >>= 7;
        }
        out.put_u8(left as u8);
    }
}

/// A number from 1 on, 7 bits a byte, the lowest first; the highest bit says that more follow.
fn read_count(cursor: &mut Cursor<'_>) -> Result<u32, ParseError> {
    let mut count = 0;
    for shift in (0..35).step_by(7) {
        let byte = cursor.u8()?;
        count |= u64::from(byte & 0x7f) << shift;
        match byte {
            0 => return Err(ParseError::Padding),
            1..0x80 => break,
            0x80.. if shift == 28 => count = u64::MAX,
            0x80.. => {}
        }
    }
    bytes::expect_at_most("seeds of a group", count, u32::MAX.into())?;
    Ok(count as u32)
}

/// Reads a directory.
#[derive(Clone)]
pub(super) struct Directory<'a> {
    cursor: Cursor<'a>,
    groups: u32,
    read: u32,
    before: Option<Group>,
    layout: Layout,
}

impl<'a> Directory<'a> {
    pub(super) fn new(cursor: Cursor<'a>, groups: u32, layout: Layout) -> Directory<'a> {
        Directory { cursor, groups, read: 0, before: None, layout }
    }

    /// The next group, if one is left.
    pub(super) fn read(&mut self) -> Result<Option<Group>, ParseError> {
        if self.read == self.groups {
            return Ok(None);
        }
        let (before, position) = (self.before.as_ref(), self.read.into());
        let group = Group::read(&mut self.cursor, before, position, &self.layout)?;
        (self.read, self.before) = (self.read + 1, Some(group));
        Ok(Some(group))
    }

    /// What stands behind the groups that were read.
    pub(super) fn into_cursor(self) -> Cursor<'a> {
        self.cursor
    }
}
