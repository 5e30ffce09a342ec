//! Deltas: what changed between two sets of one salt and hash range.

use alloc::vec::Vec;

use super::changes::{self, Changes};
use super::error::DeltaError;
use super::hash::Salt;
use super::hash_range::HashRange;
#[cfg(feature = "std")]
use super::info::SetInfo;
use super::rice::{self, RiceReader, Shape, Values};
use super::set::{Set, SetWriter};
use super::spans;
use crate::bytes::{self, Cursor, Put, TRAILER_LEN};
use crate::digest::Digest;
use crate::error::ParseError;

const MAGIC: &[u8; 6] = b"GCSDLT";

/// Length of the header before the body.
const HEADER_LEN: usize = 104;

/// Length of the fixed part of the body.
const BODY_LEN: usize = 28;

/// The exact difference of two sets: `delta.apply(base)` equals a fresh build of the
/// target byte for byte.
///
/// Removals are ranks in the base, additions are fingerprints; each has the Rice
/// parameter that suits its own density, within 0.5 % of the bound for a thousand
/// changes or more.
///
/// ```text
///   0  magic "GCSDLT"           32  base length    u32
///   6  version      u16         36  target length  u32
///   8  salt         16 bytes    40  base identity  32 bytes
///  24  hash range F u64         72  target identity 32 bytes
/// 104  body: removed u32, added u32, Rice parameters of removals and additions
///      u8 each, 2 zero bytes, their bit lengths u64 each, then both Rice codes,
///      each zero padded to a byte
/// end  SHA-256 of everything before it
/// ```
///
/// ```
/// use gcs_core::{Delta, HashRange, Salt, Set};
///
/// let (salt, hash_range) = (Salt([0; 16]), HashRange::for_expected(3, 20)?);
/// let monday = Set::build(salt, hash_range, ["identifier one..", "identifier two.."])?;
/// let tuesday = Set::build(salt, hash_range, ["identifier two..", "identifier three"])?;
/// let delta = Delta::between(&monday, &tuesday)?;
/// assert_eq!((delta.removed_len(), delta.added_len()), (1, 1));
/// assert_eq!(delta.apply(&monday)?, tuesday);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Delta<D = Vec<u8>> {
    data: D,
    header: Header,
    removed: Shape,
    added: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    salt: Salt,
    hash_range: HashRange,
    base_len: u32,
    target_len: u32,
    base: Digest,
    target: Digest,
}

impl Delta {
    /// The delta that turns `base` into `target`. O(n) time.
    ///
    /// # Errors
    /// [`DeltaError::Salt`] or [`DeltaError::HashRange`] when the sets differ in them.
    pub fn between<A: AsRef<[u8]>, B: AsRef<[u8]>>(
        base: &Set<A>,
        target: &Set<B>,
    ) -> Result<Delta, DeltaError> {
        let header = Header {
            salt: base.salt(),
            hash_range: base.hash_range(),
            base_len: base.len(),
            target_len: target.len(),
            base: base.identity(),
            target: target.identity(),
        };
        let mut data = header.to_bytes();
        let (removed, added) = append_body(&mut data, base, target)?;
        bytes::seal(&mut data);
        Ok(Delta { data, header, removed, added })
    }

    /// The delta between two sets of one salt and hash range, of its ascending changes.
    #[cfg(feature = "std")]
    pub(super) fn of_changes(
        base: &SetInfo,
        target: &SetInfo,
        removed: &[u64],
        added: &[u64],
    ) -> Delta {
        let header = Header {
            salt: base.salt,
            hash_range: base.hash_range,
            base_len: base.len,
            target_len: target.len,
            base: base.identity,
            target: target.identity,
        };
        let mut data = header.to_bytes();
        let (removed, added) = append_changes(&mut data, base.len, base.hash_range, removed, added);
        bytes::seal(&mut data);
        Delta { data, header, removed, added }
    }
}

impl<D: AsRef<[u8]>> Delta<D> {
    /// Validates every byte of a delta, as [`Set::parse`] does of a set. O(changes) time,
    /// no allocation.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(data: D) -> Result<Delta<D>, ParseError> {
        let bytes = data.as_ref();
        let header = Header::parse(bytes)?;
        let least = (HEADER_LEN + BODY_LEN + TRAILER_LEN) as u64;
        if (bytes.len() as u64) < least {
            return Err(ParseError::Length { expected: least, got: bytes.len() as u64 });
        }
        let body = &bytes[HEADER_LEN..bytes.len() - TRAILER_LEN];
        let body = Body::parse(body, header.base_len, header.hash_range)?;
        let (removed, added) = (body.removed, body.added);
        let target_len = body.target_len();
        bytes::expect_equal("target length", u64::from(header.target_len), target_len)?;
        bytes::expect_trailer(bytes)?;
        Ok(Delta { data, header, removed, added })
    }

    /// Applies the delta as a stream, in O(1) memory besides the result. O(n) time.
    ///
    /// # Errors
    /// A [`DeltaError`] when `base` is not the delta's base, when an addition is in it
    /// already, or when the result is not the declared target.
    pub fn apply<A: AsRef<[u8]>>(&self, base: &Set<A>) -> Result<Set, DeltaError> {
        expect_same_hashing(self.header.salt, self.header.hash_range, base)?;
        if base.identity() != self.header.base {
            return Err(DeltaError::Base { expected: self.header.base, got: base.identity() });
        }
        if base.len() != self.header.base_len {
            let (expected, got) = (self.header.base_len, base.len());
            return Err(DeltaError::BaseLength { expected, got });
        }
        self.body().apply(base, self.header.target)
    }

    /// Identity of the set that it applies to.
    pub fn base(&self) -> Digest {
        self.header.base
    }

    /// Identity of the set that it results in.
    pub fn target(&self) -> Digest {
        self.header.target
    }

    /// Length N of the set that it applies to.
    pub fn base_len(&self) -> u32 {
        self.header.base_len
    }

    /// Length N of the set that it results in.
    pub fn target_len(&self) -> u32 {
        self.header.target_len
    }

    /// Salt of both sets.
    pub fn salt(&self) -> Salt {
        self.header.salt
    }

    /// Hash range F of both sets.
    pub fn hash_range(&self) -> HashRange {
        self.header.hash_range
    }

    /// How many fingerprints it removes.
    pub fn removed_len(&self) -> u32 {
        self.removed.len
    }

    /// How many fingerprints it adds.
    pub fn added_len(&self) -> u32 {
        self.added.len
    }

    /// Ranks in the base of the fingerprints that it removes, ascending.
    pub fn removed(&self) -> impl Iterator<Item = u32> {
        self.body().removed().map(|rank| rank as u32)
    }

    /// Fingerprints that it adds, ascending.
    pub fn added(&self) -> impl Iterator<Item = u64> {
        self.body().added()
    }

    /// The whole file.
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// Returns the bytes of the whole file.
    pub fn into_inner(self) -> D {
        self.data
    }

    /// What it removes and adds.
    #[cfg(feature = "std")]
    pub(super) fn changes(&self) -> Changes<'_> {
        self.body().changes()
    }

    fn body(&self) -> Body<'_> {
        Body::new(&self.data.as_ref()[HEADER_LEN..], self.removed, self.added)
    }
}

/// The whole file.
impl<D: AsRef<[u8]>> AsRef<[u8]> for Delta<D> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Two deltas are equal if their bytes are equal, whatever types hold them.
impl<D: AsRef<[u8]>, E: AsRef<[u8]>> PartialEq<Delta<E>> for Delta<D> {
    fn eq(&self, other: &Delta<E>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<D: AsRef<[u8]>> Eq for Delta<D> {}

impl<D: AsRef<[u8]>> core::fmt::Debug for Delta<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Delta")
            .field("base", &self.base())
            .field("target", &self.target())
            .field("removed", &self.removed_len())
            .field("added", &self.added_len())
            .finish()
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Header, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let salt = Salt::parse(&mut cursor)?;
        let hash_range = HashRange::parse(&mut cursor)?;
        Ok(Header {
            salt,
            hash_range,
            base_len: cursor.u32()?,
            target_len: cursor.u32()?,
            base: cursor.digest()?,
            target: cursor.digest()?,
        })
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::open(MAGIC);
        bytes
            .put(&self.salt.0)
            .put_u64(self.hash_range.get())
            .put_u32(self.base_len)
            .put_u32(self.target_len)
            .put(&self.base.0)
            .put(&self.target.0);
        bytes
    }
}

/// Fails unless the set has this salt and hash range.
fn expect_same_hashing<A: AsRef<[u8]>>(
    salt: Salt,
    hash_range: HashRange,
    set: &Set<A>,
) -> Result<(), DeltaError> {
    if set.salt() != salt {
        return Err(DeltaError::Salt { expected: salt, got: set.salt() });
    }
    if set.hash_range() != hash_range {
        return Err(DeltaError::HashRange {
            expected: hash_range.get(),
            got: set.hash_range().get(),
        });
    }
    Ok(())
}

/// The changes alone: the body of a delta file, or the payload of an entry in a bundle,
/// whose rows name base and target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    base_len: u64,
    removed: Shape,
    added: Shape,
    /// Both codes, and the bytes that follow them.
    codes: &'a [u8],
}

/// Appends the body of the delta from `base` to `target`; returns its shapes.
pub(crate) fn append_body<A: AsRef<[u8]>, B: AsRef<[u8]>>(
    data: &mut Vec<u8>,
    base: &Set<A>,
    target: &Set<B>,
) -> Result<(Shape, Shape), DeltaError> {
    expect_same_hashing(base.salt(), base.hash_range(), target)?;
    let (removed, added) = if base.rice_parameter() == target.rice_parameter() {
        spans::between(base.codes(), target.reader(), target.len())
    } else {
        let Ok(changes) = changes::between(&mut base.values(), &mut target.values());
        changes
    };
    Ok(append_changes(data, base.len(), base.hash_range(), &removed, &added))
}

/// Appends the body of a delta of these changes; returns its shapes.
fn append_changes(
    data: &mut Vec<u8>,
    base_len: u32,
    hash_range: HashRange,
    removed: &[u64],
    added: &[u64],
) -> (Shape, Shape) {
    let fixed = data.len();
    data.resize(fixed + BODY_LEN, 0);
    // A difference has no more entries than the larger set, whose length is a u32.
    let ranks = rice::append(data, u64::from(base_len), removed);
    let values = rice::append(data, hash_range.get(), added);
    let mut header = Vec::with_capacity(BODY_LEN);
    header
        .put_u32(ranks.len)
        .put_u32(values.len)
        .put_u8(ranks.parameter as u8)
        .put_u8(values.parameter as u8)
        .put_u16(0)
        .put_u64(ranks.bits)
        .put_u64(values.bits);
    data[fixed..fixed + BODY_LEN].copy_from_slice(&header);
    (ranks, values)
}

impl<'a> Body<'a> {
    /// Validates every byte of a body for a base of `base_len` fingerprints below `hash_range`.
    pub(crate) fn parse(
        bytes: &'a [u8],
        base_len: u32,
        hash_range: HashRange,
    ) -> Result<Body<'a>, ParseError> {
        let mut cursor = Cursor::new(bytes);
        let (removed_len, added_len) = (cursor.u32()?, cursor.u32()?);
        let (removed_parameter, added_parameter) = (cursor.u8()?, cursor.u8()?);
        cursor.zeros(2)?;
        let (removed_bits, added_bits) = (cursor.u64()?, cursor.u64()?);
        let shape = |bound, len, parameter: u8, bits| {
            let shape = Shape { bound, len, parameter: u32::from(parameter), bits };
            shape.validate().map(|()| shape)
        };
        let removed = shape(u64::from(base_len), removed_len, removed_parameter, removed_bits)?;
        let added = shape(hash_range.get(), added_len, added_parameter, added_bits)?;
        let length = BODY_LEN as u64 + removed.bytes() + added.bytes();
        bytes::expect_len(bytes, length)?;
        let body = Body::new(bytes, removed, added);
        rice::validate(body.codes, &removed)?;
        rice::validate(body.added_code(), &added)?;
        bytes::expect_at_most("target length", body.target_len(), u64::from(u32::MAX))?;
        Ok(body)
    }

    /// A body that was parsed or written before, and so is valid.
    fn new(bytes: &'a [u8], removed: Shape, added: Shape) -> Body<'a> {
        Body { base_len: removed.bound, removed, added, codes: &bytes[BODY_LEN..] }
    }

    pub(crate) fn target_len(&self) -> u64 {
        self.base_len - u64::from(self.removed.len) + u64::from(self.added.len)
    }

    fn changes(&self) -> Changes<'a> {
        (self.removed(), self.added())
    }

    fn removed(&self) -> Values<'a> {
        let reader = RiceReader::new(self.codes, self.removed.parameter, self.removed.bits);
        Values::new(reader, self.removed.len)
    }

    fn added(&self) -> Values<'a> {
        let reader = RiceReader::new(self.added_code(), self.added.parameter, self.added.bits);
        Values::new(reader, self.added.len)
    }

    fn added_code(&self) -> &'a [u8] {
        &self.codes[self.removed.bytes() as usize..]
    }

    /// Applies the changes to a base of the length that the body was parsed for. The
    /// result must have the identity `target`.
    pub(crate) fn apply<A: AsRef<[u8]>>(
        &self,
        base: &Set<A>,
        target: Digest,
    ) -> Result<Set, DeltaError> {
        debug_assert_eq!(u64::from(base.len()), self.base_len);
        let len = u32::try_from(self.target_len())
            .map_err(|_| DeltaError::TooMany { got: self.target_len() })?;
        let mut writer = SetWriter::new(base.salt(), base.hash_range(), len);
        if base.rice_parameter() == writer.parameter() {
            spans::apply(base.codes(), self.changes(), writer.code())?;
        } else {
            changes::apply(&mut base.values(), self.changes(), |values| {
                writer.extend(values);
                Ok::<(), DeltaError>(())
            })?;
        }
        let set = writer.finish();
        if set.identity() != target {
            return Err(DeltaError::Target { expected: target, got: set.identity() });
        }
        Ok(set)
    }
}
