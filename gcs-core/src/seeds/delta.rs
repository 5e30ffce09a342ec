//! Deltas: what changed between two lists of one kind.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::body::{Body, Entries, Parts, Writer};
use super::error::SeedDeltaError;
use super::groups::Layout;
use super::list::{SeedList, Seeds, parse_kind};
use super::seed::Seed;
use crate::bytes::{self, Cursor, Put, TRAILER_LEN};
use crate::digest::Digest;
use crate::error::ParseError;
use crate::set::{RiceReader, Shape, Values, append_code, validate_code};

pub(super) const MAGIC: &[u8; 6] = b"GCSSDD";

/// Length of the header before the code of removals.
const HEADER_LEN: usize = 92;

/// The exact difference of two lists: `delta.apply(base)` equals a fresh build of the target byte
/// for byte.
///
/// Removals are ranks in the base; additions are a list's body. A seed whose note changes is
/// removed and added.
///
/// ```text
///  0  magic "GCSSDD"            12  base length       u32
///  6  version       u16         16  base identity     32 bytes
///  8  kind of seed  u16         48  target identity   32 bytes
/// 10  2 zero bytes              80  removed           u32
///                               84  bits of the code  u64
/// 92  Rice code of the removed ranks, zero padded to a byte
///     body of the added seeds, as in a list
/// end SHA-256 of everything before it
/// ```
#[cfg_attr(
    feature = "dp3t",
    doc = r#"
```
use gcs_core::identifiers::dp3t::{HybridSeed, HybridWindow, WindowSeed};
use gcs_core::seeds::{SeedDelta, SeedList};

let windows = HybridWindow::FourHours;
let seed = |byte| WindowSeed { windows, window: 110_174, seed: HybridSeed::new([byte; 16]) };
let monday = SeedList::build([seed(1), seed(2)])?;
let tuesday = SeedList::build([seed(2), seed(3), seed(4)])?;
let delta = SeedDelta::between(&monday, &tuesday);
assert_eq!((delta.removed_len(), delta.added_len()), (1, 2));
assert_eq!(delta.apply(&monday)?, tuesday);
assert!(delta.removed_from(&monday)?.eq([seed(1)]));
assert!(delta.added().eq([seed(3), seed(4)]));
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
)]
pub struct SeedDelta<S, D = Vec<u8>> {
    data: D,
    header: Header,
    added: Parts,
    seed: PhantomData<fn() -> S>,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    base: Digest,
    target: Digest,
    removed: Shape,
}

impl Header {
    fn parse<S: Seed>(cursor: &mut Cursor<'_>) -> Result<Header, ParseError> {
        parse_kind::<S>(cursor)?;
        let base_len = cursor.u32()?;
        let (base, target) = (cursor.digest()?, cursor.digest()?);
        let (len, bits) = (cursor.u32()?, cursor.u64()?);
        let mut removed = Shape { bound: base_len.into(), len, parameter: 0, bits };
        removed.parameter = removed.canonical_parameter();
        removed.validate()?;
        Ok(Header { base, target, removed })
    }

    /// Where the body of the added seeds begins.
    fn body(&self) -> usize {
        HEADER_LEN + self.removed.bytes() as usize
    }
}

impl<S: Seed> SeedDelta<S> {
    /// The delta that turns `base` into `target`. O(n) time.
    pub fn between<A: AsRef<[u8]>, B: AsRef<[u8]>>(
        base: &SeedList<S, A>,
        target: &SeedList<S, B>,
    ) -> SeedDelta<S> {
        let (removed, added) = difference(base.entries(), target.entries(), Layout::of::<S>());
        let mut data = Vec::open(MAGIC);
        data.put_u16(S::KIND)
            .put_u16(0)
            .put_u32(base.len())
            .put(&base.identity().0)
            .put(&target.identity().0)
            .put_u32(removed.len() as u32)
            .put_u64(0);
        let removed = append_code(&mut data, base.len().into(), &removed);
        data[HEADER_LEN - 8..HEADER_LEN].copy_from_slice(&removed.bits.to_le_bytes());
        let header = Header { base: base.identity(), target: target.identity(), removed };
        let added = added.finish(&mut data);
        bytes::seal(&mut data);
        SeedDelta { data, header, added, seed: PhantomData }
    }
}

/// Ranks of the pairs that only `base` has, and the pairs that only `target` has.
fn difference(base: Entries<'_>, target: Entries<'_>, layout: Layout) -> (Vec<u64>, Writer) {
    let (mut removed, mut added) = (Vec::new(), Writer::new(layout));
    let mut target = target.peekable();
    for (rank, old) in (0..).zip(base) {
        while let Some(new) = target.next_if(|new| *new < old) {
            added.push(&new);
        }
        if target.next_if_eq(&old).is_none() {
            removed.push(rank);
        }
    }
    target.for_each(|new| added.push(&new));
    (removed, added)
}

impl<S: Seed, D: AsRef<[u8]>> SeedDelta<S, D> {
    /// Validates every byte of a delta, as [`SeedList::parse`] does of a list. O(changes) time, no
    /// allocation.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(data: D) -> Result<SeedDelta<S, D>, ParseError> {
        let bytes = data.as_ref();
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let header = Header::parse::<S>(&mut cursor)?;
        let code = cursor.rest();
        cursor.take(header.removed.bytes())?;
        let body = cursor.rest();
        let Some(len) = body.len().checked_sub(TRAILER_LEN) else {
            let expected = cursor.position() + TRAILER_LEN as u64;
            return Err(ParseError::Length { expected, got: bytes.len() as u64 });
        };
        validate_code(code, &header.removed)?;
        let added = Body::parse(body, len, Layout::of::<S>())?;
        let target_len = target_len(&header, &added);
        bytes::expect_at_most("target length", target_len, u32::MAX.into())?;
        bytes::expect_trailer(bytes)?;
        Ok(SeedDelta { data, header, added, seed: PhantomData })
    }

    /// Applies the delta. O(n) time; besides the result as much memory again.
    ///
    /// # Errors
    /// A [`SeedDeltaError`] when `base` is not the delta's base, when an addition is in it
    /// already, or when the result is not the declared target.
    pub fn apply<A: AsRef<[u8]>>(
        &self,
        base: &SeedList<S, A>,
    ) -> Result<SeedList<S>, SeedDeltaError> {
        self.expect_base(base)?;
        let mut removed = self.ranks().peekable();
        let mut added = self.body().entries().peekable();
        let mut writer = Writer::new(Layout::of::<S>());
        for (rank, old) in (0..).zip(base.entries()) {
            while let Some(new) = added.next_if(|new| *new < old) {
                writer.push(&new);
            }
            if added.peek() == Some(&old) {
                return Err(SeedDeltaError::AlreadyPresent { rank: rank as u32 });
            }
            if removed.next_if_eq(&rank).is_none() {
                writer.push(&old);
            }
        }
        added.for_each(|new| writer.push(&new));
        let list = SeedList::from_writer(writer);
        let (expected, got) = (self.header.target, list.identity());
        if expected == got { Ok(list) } else { Err(SeedDeltaError::Target { expected, got }) }
    }

    /// Identity of the list that it applies to.
    pub fn base(&self) -> Digest {
        self.header.base
    }

    /// Identity of the list that it results in.
    pub fn target(&self) -> Digest {
        self.header.target
    }

    /// Length of the list that it applies to.
    pub fn base_len(&self) -> u32 {
        self.header.removed.bound as u32
    }

    /// Length of the list that it results in.
    pub fn target_len(&self) -> u32 {
        target_len(&self.header, &self.added) as u32
    }

    /// How many seeds it removes.
    pub fn removed_len(&self) -> u32 {
        self.header.removed.len
    }

    /// How many seeds it adds.
    pub fn added_len(&self) -> u32 {
        self.added.len
    }

    /// Ranks in the base of the seeds that it removes, ascending.
    pub fn removed(&self) -> impl Iterator<Item = u32> {
        self.ranks().map(|rank| rank as u32)
    }

    /// Seeds that it removes from its base, in the order of a list. O(n) time, no allocation.
    ///
    /// # Errors
    /// [`SeedDeltaError::Base`] or [`SeedDeltaError::BaseLength`] for a list that is not its base.
    pub fn removed_from<'a, A: AsRef<[u8]>>(
        &'a self,
        base: &'a SeedList<S, A>,
    ) -> Result<impl Iterator<Item = S>, SeedDeltaError> {
        self.expect_base(base)?;
        let mut removed = self.removed().peekable();
        let ranked = (0..).zip(base).filter(move |(rank, _)| removed.next_if_eq(rank).is_some());
        Ok(ranked.map(|(_, seed)| seed))
    }

    /// Seeds that it adds, in the order of a list.
    pub fn added(&self) -> Seeds<'_, S> {
        Seeds::new(self.body().entries())
    }

    /// The whole file.
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// Returns the bytes of the whole file.
    pub fn into_inner(self) -> D {
        self.data
    }

    fn expect_base<A: AsRef<[u8]>>(&self, base: &SeedList<S, A>) -> Result<(), SeedDeltaError> {
        let (expected, got) = (self.header.base, base.identity());
        if expected != got {
            return Err(SeedDeltaError::Base { expected, got });
        }
        let (expected, got) = (self.base_len(), base.len());
        if expected == got { Ok(()) } else { Err(SeedDeltaError::BaseLength { expected, got }) }
    }

    fn ranks(&self) -> Values<'_> {
        let Shape { parameter, bits, len, .. } = self.header.removed;
        Values::new(RiceReader::new(&self.as_bytes()[HEADER_LEN..], parameter, bits), len)
    }

    fn body(&self) -> Body<'_> {
        Body::new(&self.as_bytes()[self.header.body()..], self.added, Layout::of::<S>())
    }
}

fn target_len(header: &Header, added: &Parts) -> u64 {
    header.removed.bound - u64::from(header.removed.len) + u64::from(added.len)
}

impl<S, D: Clone> Clone for SeedDelta<S, D> {
    fn clone(&self) -> SeedDelta<S, D> {
        SeedDelta { data: self.data.clone(), ..*self }
    }
}

/// The whole file.
impl<S: Seed, D: AsRef<[u8]>> AsRef<[u8]> for SeedDelta<S, D> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Two deltas are equal if their bytes are equal, whatever types hold them.
impl<S: Seed, D: AsRef<[u8]>, E: AsRef<[u8]>> PartialEq<SeedDelta<S, E>> for SeedDelta<S, D> {
    fn eq(&self, other: &SeedDelta<S, E>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<S: Seed, D: AsRef<[u8]>> Eq for SeedDelta<S, D> {}

impl<S, D> fmt::Debug for SeedDelta<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeedDelta")
            .field("base", &self.header.base)
            .field("target", &self.header.target)
            .field("removed", &self.header.removed.len)
            .field("added", &self.added.len)
            .finish()
    }
}
