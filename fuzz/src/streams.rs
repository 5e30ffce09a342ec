//! The same in pieces: reading, combining and changing sets that are files.

use std::io::{Cursor, Read};

use gcs_core::set::algebra::Operation;
use gcs_core::set::{ReadError, SetReader, StreamError};
use gcs_core::{Delta, ParseError, Set};

/// Gives bytes in pieces whose lengths depend on the bytes.
struct Pieces<'a> {
    rest: &'a [u8],
    largest: usize,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8]) -> Pieces<'a> {
        Pieces { rest: bytes, largest: bytes.last().map_or(1, |last| usize::from(*last) * 9 + 1) }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        (&self.rest[..self.largest.min(self.rest.len())]).read(into).inspect(|&count| {
            self.rest = &self.rest[count..];
            self.largest = (self.largest * 7 + count) % 3_000 + 1;
        })
    }
}

fn open(bytes: &[u8]) -> Result<SetReader<Pieces<'_>>, ReadError> {
    SetReader::with_capacity(0, Pieces::new(bytes))
}

/// A reader in pieces gives the values and the error that `Set::parse` gives.
pub(crate) fn expect_parsed(bytes: &[u8], parsed: &Result<Set<&[u8]>, ParseError>) {
    let mut values = Vec::new();
    let read = open(bytes).and_then(|mut reader| {
        loop {
            match reader.next_chunk()? {
                [] => return reader.finish(),
                chunk => values.extend_from_slice(chunk),
            }
        }
    });
    match (read, parsed) {
        (Ok(info), Ok(set)) => {
            assert_eq!(info, set.info());
            assert!(set.iter().eq(values));
        }
        (Err(ReadError::Parse(got)), Err(expected)) => match (&got, expected) {
            // The reader stops at the first byte too many.
            (
                ParseError::Length { expected: a, got },
                ParseError::Length { expected: b, got: length },
            ) if length > b => assert_eq!((a, *got), (b, b + 1)),
            _ => assert_eq!(&got, expected),
        },
        (got, expected) => unreachable!("{got:?}, but parsed: {expected:?}"),
    }
}

/// Applying in pieces gives the set or the error that applying in memory gives.
pub(crate) fn expect_applied<D: AsRef<[u8]>>(delta: &Delta<D>, base: &[u8], target: Option<&Set>) {
    let reader = open(base).expect("the base is a set");
    match (delta.apply_to_reader(reader, Cursor::new(Vec::new())), target) {
        (Ok((file, info)), Some(target)) => {
            assert_eq!((&file.into_inner()[..], info), (target.as_bytes(), target.info()));
            let [base, target] = [base, target.as_bytes()].map(|set| open(set).expect("a set"));
            let again = Delta::between_readers(base, target).expect("they differ by this delta");
            assert_eq!(again.as_bytes(), delta.as_bytes());
        }
        (Err(StreamError::Delta(_)), None) => {}
        (got, _) => unreachable!("{got:?}, in memory {target:?}"),
    }
}

/// Every operation on two sets, in either order and with one of them twice, is that on sorted
/// vectors, in memory and from files to a file.
pub(crate) fn expect_algebra(sets: [(&Set, &[u64]); 2]) {
    let [a, b] = sets;
    for sets in [&[a, b][..], &[b, a], &[a, b, a]] {
        let mut all: Vec<u64> = sets.iter().flat_map(|set| set.1).copied().collect();
        all.sort_unstable();
        // A value as often as it is in a set.
        let runs: Vec<&[u64]> = all.chunk_by(|a, b| a == b).collect();
        let first = sets[0].1;
        for operation in [
            Operation::Union,
            Operation::Intersection,
            Operation::Difference,
            Operation::SymmetricDifference,
        ] {
            let is_in = |run: &[u64]| match operation {
                Operation::Intersection => run.len() == sets.len(),
                Operation::Difference => run.len() == 1 && first.binary_search(&run[0]).is_ok(),
                Operation::SymmetricDifference => run.len() % 2 == 1,
                _ => true,
            };
            let expected: Vec<u64> =
                runs.iter().filter(|run| is_in(run)).map(|run| run[0]).collect();
            let (salt, range) = (a.0.salt(), a.0.hash_range());
            let expected = Set::from_ascending(salt, range, expected).expect("sorted");
            let combined = operation.of(sets.iter().map(|set| set.0)).expect("alike");
            let (least, most) = combined.size_hint();
            let length = expected.len() as usize;
            assert!(least <= length && most.is_none_or(|most| length <= most));
            assert_eq!(combined.to_set().expect("few values"), expected);
            let files = sets.iter().map(|set| Cursor::new(set.0.as_bytes()));
            let combined = operation.of_readers(files).expect("alike");
            let (file, info) = combined.write(Cursor::new(Vec::new())).expect("all are sets");
            assert_eq!((&file.into_inner()[..], info), (expected.as_bytes(), expected.info()));
        }
    }
}
