//! What changed between two ascending streams, and a stream with its changes.

use alloc::vec::Vec;
use core::iter::Peekable;
use core::ops::Range;

use super::error::DeltaError;
use super::merge::Source;
use super::rice::{Decoded, Values};

/// Values of both streams that are compared at once.
const STEP: usize = 8;

/// Ranks of the values that only `base` has, and the values that only `target` has.
pub(super) fn between<B: Source, T: Source<Error = B::Error>>(
    base: &mut B,
    target: &mut T,
) -> Result<(Vec<u64>, Vec<u64>), B::Error> {
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let mut rank = 0;
    loop {
        let (old, new) = (base.chunk()?, target.chunk()?);
        let (used, new_used) = match (old.is_empty(), new.is_empty()) {
            (true, true) => return Ok((removed, added)),
            (false, true) => {
                removed.extend(rank..rank + old.len() as u64);
                (old.len(), 0)
            }
            (true, false) => {
                added.extend_from_slice(new);
                (0, new.len())
            }
            (false, false) => compare(old, new, rank, &mut removed, &mut added),
        };
        base.consume(used);
        target.consume(new_used);
        rank += used as u64;
    }
}

/// Compares two chunks up to the end of one; returns how many values of each it has compared.
///
/// Most values of most sets are in both, so blocks that are equal are passed over at once: with
/// 1 % removed and 1 % added that takes some 6 instructions a value, beside 29 to decode it.
fn compare(
    old: &[u64],
    new: &[u64],
    rank: u64,
    removed: &mut Vec<u64>,
    added: &mut Vec<u64>,
) -> (usize, usize) {
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        let same = old[i..].chunks_exact(STEP).zip(new[j..].chunks_exact(STEP));
        let same = STEP * same.take_while(|(old, new)| old == new).count();
        (i, j) = (i + same, j + same);
        // The next block has a difference, or is the last one.
        let end = (i + STEP).min(old.len());
        while i < end && j < new.len() {
            let (a, b) = (old[i], new[j]);
            if a < b {
                removed.push(rank + i as u64);
            }
            if b < a {
                added.push(b);
            }
            i += usize::from(a <= b);
            j += usize::from(b <= a);
        }
    }
    (i, j)
}

/// Removals as ranks and additions as values, each in ascending order.
pub(super) type Changes<'a> = (Values<'a>, Values<'a>);

/// Hands the values of `base` with its changes to `write`, in ascending order, a span at a time.
pub(super) fn apply<B: Source, E: From<B::Error> + From<DeltaError>>(
    base: &mut B,
    (removed, added): Changes<'_>,
    mut write: impl FnMut(&[u64]) -> Result<(), E>,
) -> Result<(), E> {
    let (mut removed, mut added) = (removed.peekable(), added.peekable());
    let mut rank = 0;
    loop {
        let chunk = base.chunk()?;
        if chunk.is_empty() {
            break;
        }
        apply_to_chunk(chunk, rank, &mut removed, &mut added, &mut |piece| match piece {
            Piece::Span(span) => write(&chunk[span]),
            Piece::Added(value) => write(&[value]),
        })?;
        let count = chunk.len();
        rank += count as u64;
        base.consume(count);
    }
    added.try_for_each(|value| write(&[value]))
}

/// A part of a chunk with its changes.
pub(super) enum Piece {
    /// Values of the chunk that stay.
    Span(Range<usize>),
    /// A value that is added.
    Added(u64),
}

/// Hands on a chunk, which begins at `rank`, with the changes that lie in it.
pub(super) fn apply_to_chunk<T: Decoded, E: From<DeltaError>>(
    chunk: &[T],
    rank: u64,
    removed: &mut Peekable<Values<'_>>,
    added: &mut Peekable<Values<'_>>,
    write: &mut impl FnMut(Piece) -> Result<(), E>,
) -> Result<(), E> {
    let last = chunk[chunk.len() - 1].value();
    let after = rank + chunk.len() as u64;
    let mut from = 0;
    loop {
        // Where the next removal of this chunk is; an addition stands before that place.
        let cut = removed.peek().filter(|&&removed| removed < after);
        let cut = cut.map_or(chunk.len(), |removed| (removed - rank) as usize);
        let new = added.peek().copied().filter(|&new| new <= last);
        let place = |new| from + chunk[from..].partition_point(|kept| kept.value() < new);
        let addition = new.map(|new| (new, place(new))).filter(|&(_, at)| at <= cut);
        if let Some((value, at)) = addition {
            if chunk.get(at).is_some_and(|kept| kept.value() == value) {
                return Err(DeltaError::AlreadyPresent { value }.into());
            }
            write(Piece::Span(from..at))?;
            write(Piece::Added(value))?;
            added.next();
            from = at;
        } else {
            write(Piece::Span(from..cut))?;
            if cut == chunk.len() {
                return Ok(());
            }
            from = cut + 1;
            removed.next();
        }
    }
}
