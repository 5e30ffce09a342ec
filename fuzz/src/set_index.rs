//! Index files of sets.

use gcs_core::set::write_index;
use gcs_core::{HashRange, IndexedFile, Salt, Set};

use crate::naive::{self, resealed};
use crate::reader::{Reader, pair};

/// About as many values as a set has at most: a dozen blocks.
const MOST_VALUES: usize = 3_000;

/// The input describes a set behind a length, then changes to its file and to its index file behind
/// a length, then bytes of an index, if any. Whatever becomes of the two files, each answer is
/// right, or is an error; and the library verifies them as a whole if and only if the naive reader
/// does.
pub fn set_index(data: &[u8]) {
    let Some((set, rest)) = pair(data) else { return };
    let Some((changes, given)) = pair(rest) else { return };
    let set = described(&mut Reader::new(set));
    let mut index = Vec::new();
    let info = write_index(&set.as_bytes(), &mut index).expect("a set has an index");
    assert_eq!(info, set.info());
    assert!(verifies(set.as_bytes(), &index));
    ask(set.as_bytes(), &index, &set, true);

    let mut files = [set.as_bytes().to_vec(), index];
    change(&mut files, &mut Reader::new(changes));
    let index = resealed(&files[1]);
    for (set_file, index) in [(&files[0], &files[1]), (&files[0], &index)] {
        ask(set_file, index, &set, verifies(set_file, index));
    }
    if !given.is_empty() {
        ask(set.as_bytes(), given, &set, verifies(set.as_bytes(), given));
    }
}

/// A set: salt, hash range, and values with some gaps, single ones or runs.
fn described(reader: &mut Reader<'_>) -> Set {
    let salt = Salt([reader.u8(); 16]);
    let range = HashRange::new(reader.u64() >> (7 + reader.u8() % 57)).unwrap_or(HashRange::MAX);
    let (mut values, mut next) = (Vec::new(), 0u64);
    while !reader.is_empty() && values.len() < MOST_VALUES {
        let kind = reader.u8();
        let gap = reader.u64() >> (7 + (kind >> 2) % 57);
        let count = if kind & 3 == 0 { 1 } else { reader.u16() % 1_024 };
        for _ in 0..count {
            let value = next.saturating_add(gap);
            if value >= range.get() {
                break;
            }
            values.push(value);
            next = value + 1;
        }
    }
    Set::from_fingerprints(salt, range, values).expect("below the range")
}

/// Changes the set's file or that of the index: bytes are overwritten, copied to another place,
/// zeroed, or lost at the end.
fn change(files: &mut [Vec<u8>; 2], reader: &mut Reader<'_>) {
    while !reader.is_empty() {
        let kind = reader.u8();
        let file = &mut files[usize::from(kind & 1)];
        let (at, len) = (reader.position(file.len()), usize::from(reader.u8()));
        let end = (at + len).min(file.len());
        match (kind >> 1) & 3 {
            0 => file[at..].iter_mut().take(1).for_each(|byte| *byte ^= len as u8),
            1 => file[at..end].fill(0),
            2 => {
                let to = reader.position(file.len() - (end - at) + 1);
                file.copy_within(at..end, to);
            }
            _ => file.truncate(end),
        }
    }
}

/// Whether both files are in order as a whole, by the library and by the naive reader.
fn verifies(set: &[u8], index: &[u8]) -> bool {
    let verified = IndexedFile::open(set, index).and_then(|file| file.verify()).is_ok();
    assert_eq!(verified, naive::set_index::SetIndex::parse(index, set).is_ok());
    verified
}

/// Compares every answer with that of the set that was described.
fn ask(set_file: &[u8], index: &[u8], set: &Set, all_right: bool) {
    let Ok(file) = IndexedFile::open(set_file, index) else {
        return assert!(!all_right);
    };
    if all_right {
        assert_eq!(file.info(), set.info());
    }
    let range = set.hash_range().get();
    let some = set.iter().step_by(set.len() as usize / 50 + 1);
    let around = some.flat_map(|value| [value.saturating_sub(1), value, value + 1]);
    let edges = [0, 1, range / 2, range - 1, range, u64::MAX];
    let queries: Vec<u64> = edges.into_iter().chain(around).collect();
    let expected = set.matches_fingerprints(&queries);
    let mut has_failed = false;
    for (at, &query) in queries.iter().enumerate() {
        match file.rank_of(query) {
            Ok(rank) => {
                let found = expected.iter().find(|found| found.query == at);
                assert_eq!(rank, found.map(|found| found.rank));
            }
            Err(_) => has_failed = true,
        }
    }
    assert!(!(has_failed && all_right));
    match file.matches_fingerprints(&queries) {
        Ok(found) => assert!(!has_failed && found[..] == expected[..]),
        Err(_) => assert!(has_failed),
    }
}
