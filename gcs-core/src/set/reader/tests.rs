use super::*;
use crate::bytes::seal;
use crate::set::Set;
use crate::set::pieces::Pieces;
use crate::set::rice::Shape;
use alloc::vec::Vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::string::ToString;

const SALT: Salt = Salt([8; 16]);

fn set_of(hash_range: u64, values: impl IntoIterator<Item = u64>) -> Set {
    Set::from_fingerprints(SALT, HashRange::new(hash_range).unwrap(), values).unwrap()
}

/// All values, if the file is valid.
fn read(capacity: usize, source: impl Read) -> Result<(Vec<u64>, SetInfo), ReadError> {
    let mut reader = SetReader::with_capacity(capacity, source)?;
    let mut values = Vec::new();
    loop {
        let chunk = reader.next_chunk()?;
        if chunk.is_empty() {
            return Ok((values, reader.finish()?));
        }
        values.extend_from_slice(chunk);
    }
}

/// Fails unless the reader gives what `Set::parse` does, values and errors alike.
fn assert_reads_as_parsed(bytes: &[u8], sizes: &[usize]) {
    let by_reader = read(0, Pieces::new(bytes, sizes));
    match (by_reader, Set::parse(bytes)) {
        (Ok((values, info)), Ok(set)) => {
            assert!(set.iter().eq(values));
            assert_eq!(info, set.info());
        }
        (Err(ReadError::Parse(got)), Err(expected)) => assert_alike(&got, &expected),
        (got, expected) => panic!("{got:?}, but parsed: {expected:?}"),
    }
}

/// Equal, but for the length of a file that is too long, which the reader does not look for.
fn assert_alike(got: &ParseError, expected: &ParseError) {
    match (got, expected) {
        (ParseError::Length { expected: a, got }, ParseError::Length { expected: b, got: len })
            if got > a =>
        {
            assert_eq!((a, *got), (b, a + 1).min((b, *len)));
        }
        _ => assert_eq!(got, expected),
    }
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(std::vec![1]),
        Just(std::vec![usize::MAX]),
        prop::collection::vec(prop_oneof![0usize..5, 0usize..300, 0usize..20_000], 1..8)
    ]
}

fn hash_range_and_values() -> impl Strategy<Value = (u64, BTreeSet<u64>)> {
    let hash_range = prop_oneof![1u64..2_000, 1u64..1 << 57, Just((1 << 57) - 1)];
    hash_range.prop_flat_map(|hash_range| {
        let value = prop_oneof![0..hash_range, (hash_range - hash_range.min(600))..hash_range];
        (Just(hash_range), prop::collection::btree_set(value, 0..1_500))
    })
}

proptest! {
    #[test]
    fn valid_files((hash_range, model) in hash_range_and_values(), sizes in sizes()) {
        let set = set_of(hash_range, model.iter().copied());
        let (values, info) = read(0, Pieces::new(set.as_bytes(), &sizes)).unwrap();
        prop_assert!(model.iter().copied().eq(values));
        prop_assert_eq!(info, set.info());

        let queries: Vec<u64> = model.iter().rev().step_by(3).flat_map(|value| [*value, value + 1, value / 2]).collect();
        let reader = SetReader::open(Pieces::new(set.as_bytes(), &sizes)).unwrap();
        prop_assert_eq!(reader.matches_fingerprints(&queries).unwrap(), set.matches_fingerprints(&queries));

        let mut reader = SetReader::open(Pieces::new(set.as_bytes(), &sizes)).unwrap();
        for _ in 0..2 {
            for value in &model {
                prop_assert_eq!(reader.next_value().unwrap(), Some(*value));
            }
            prop_assert_eq!(reader.next_value().unwrap(), None);
            prop_assert_eq!(reader.next_value().unwrap(), None);
            reader.rewind().unwrap();
        }
    }

    /// Any code behind a legal header and before a right trailer.
    #[test]
    fn codes_of_any_bytes(
        hash_range in prop_oneof![1u64..2_000, 1u64..1 << 57],
        len in 0u32..2_000,
        share in 0.0..=1.0f64,
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0)], 1..9_000),
        change in -1i64..=1,
        sizes in sizes(),
    ) {
        let len = len.min(u32::try_from(hash_range).unwrap_or(u32::MAX));
        let hash_range = HashRange::new(hash_range).unwrap();
        let mut shape = Shape { bound: hash_range.get(), len, parameter: hash_range.rice_parameter(len), bits: 0 };
        let (least, most) = shape.possible_bits();
        shape.bits = least + ((most - least) as f64 * share) as u64;
        let mut file = Header { salt: SALT, hash_range, shape }.to_bytes();
        let code = bytes.iter().copied().cycle().take((shape.bytes() as i64 + change).max(0) as usize);
        file.extend(code);
        seal(&mut file);
        assert_reads_as_parsed(&file, &sizes);
    }
}

/// Every cut, every changed byte, and bytes behind the end.
#[test]
fn every_small_damage() {
    let spread = (0..300u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
    for set in [set_of(1 << 24, spread), set_of(1 << 57 >> 1, [5, 1 << 55]), set_of(9, [])] {
        let mut bytes = set.into_inner();
        for at in 0..bytes.len() {
            assert_reads_as_parsed(&bytes[..at], &[usize::MAX]);
            for flip in [1, 0x80, 0xff] {
                bytes[at] ^= flip;
                assert_reads_as_parsed(&bytes, &[7, 3, 0]);
                bytes[at] ^= flip;
            }
        }
        for _ in 0..40 {
            bytes.push(0);
            assert_reads_as_parsed(&bytes, &[5, usize::MAX]);
        }
        // Its length is wrong, which comes before what is wrong in it.
        bytes[60] ^= 0xff;
        assert_reads_as_parsed(&bytes, &[usize::MAX]);
    }
}

/// Runs of ones that are longer than the buffer.
#[test]
fn long_runs() {
    let hash_range = 1u64 << 50;
    let high = (0..50_000).map(|i| hash_range - 50_000 + i);
    let middle = (0..50_000).map(|i| hash_range / 2 + i);
    for values in [high.clone().collect(), middle.chain([hash_range - 1]).collect::<Vec<u64>>()] {
        let set = set_of(hash_range, values.iter().copied());
        let bits = set.info().code_bits - 50_000 * u64::from(set.rice_parameter() + 1);
        assert!(bits > 8 * LEAST_CAPACITY as u64, "{bits}");
        for sizes in [&[usize::MAX][..], &[1_000, 7]] {
            assert_eq!(read(0, Pieces::new(set.as_bytes(), sizes)).unwrap().0, values);
            // The run never ends; the code ends in it.
            let mut bytes = set.as_bytes().to_vec();
            let end = bytes.len() - TRAILER_LEN;
            bytes[HEADER_LEN..end].fill(0xff);
            assert_reads_as_parsed(&bytes, sizes);
        }
    }
}

/// Of the code with the run all but the last bit fits into the buffer.
#[test]
fn a_run_that_ends_with_a_byte() {
    let set = {
        let first = (8 * LEAST_CAPACITY as u64 - 16) << 16;
        set_of(40_000 << 17, first..first + 40_000)
    };
    assert_eq!(set.rice_parameter(), 16);
    assert!(set.iter().eq(read(0, set.as_bytes()).unwrap().0));
}

/// The header declares more bits than the values take, and more than the buffer holds.
#[test]
fn a_code_that_goes_on_behind_its_values() {
    let set = set_of(100_000 << 17, 0..100_000);
    let mut bytes = set.as_bytes().to_vec();
    bytes[40..HEADER_LEN].copy_from_slice(&(set.info().code_bits + 8 * 9_000).to_le_bytes());
    bytes.truncate(bytes.len() - TRAILER_LEN);
    bytes.resize(bytes.len() + 9_000, 0);
    seal(&mut bytes);
    let error = read(0, &bytes[..]).unwrap_err();
    assert!(matches!(error, ReadError::Parse(ParseError::Mismatch { .. })), "{error}");
    let len = bytes.len();
    bytes.resize(len + 100, 0);
    for cut in [0, 1, TRAILER_LEN, TRAILER_LEN + 1, TRAILER_LEN + 2_000] {
        for sizes in [&[usize::MAX][..], &[1_000, 7]] {
            assert_reads_as_parsed(&bytes[..len - cut], sizes);
            assert_reads_as_parsed(&bytes[..len + cut.min(100)], sizes);
        }
    }
}

/// The last code ends in the padding, far behind what is buffered first.
#[test]
fn a_code_that_ends_too_late() {
    let set = set_of(1 << 40, (0..20_000).map(|i| i * ((1 << 40) / 20_000)));
    let bits = set.info().code_bits - 1;
    assert!(!bits.is_multiple_of(8), "as many bytes as before");
    let mut bytes = set.as_bytes().to_vec();
    bytes[40..HEADER_LEN].copy_from_slice(&bits.to_le_bytes());
    bytes.truncate(bytes.len() - TRAILER_LEN);
    seal(&mut bytes);
    let error = read(0, &bytes[..]).unwrap_err();
    assert!(matches!(error, ReadError::Parse(ParseError::Overrun { .. })), "{error}");
    assert_reads_as_parsed(&bytes, &[usize::MAX]);
}

/// An error of the source breaks off nothing: the next call goes on.
#[test]
fn an_io_error_at_any_byte_can_be_tried_again() {
    let set = set_of(1 << 40, (0..2_000u64).map(|i| i * i * 250_000));
    let bytes = set.as_bytes();
    for at in 0..=bytes.len() {
        let source = Pieces::failing(bytes, at);
        let mut reader = match SetReader::open(source) {
            Ok(reader) => reader,
            Err(error) => {
                assert!(at < HEADER_LEN && matches!(error, ReadError::Io(_)), "{error}");
                continue;
            }
        };
        let mut values = Vec::new();
        let mut errors = 0;
        loop {
            match reader.next_value() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(ReadError::Io(error)) => {
                    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                    errors += 1;
                    if errors == 2 {
                        reader.source.fails_at = None;
                    }
                }
                Err(ReadError::Parse(error)) => panic!("{error}"),
            }
        }
        assert!(set.iter().eq(values) && errors == 2);
        assert_eq!(reader.finish().unwrap(), set.info());
    }
}

/// What is left is what was neither consumed nor is decoded yet.
#[test]
fn a_reader_tells_how_much_is_left() {
    let (none, set) = (set_of(1 << 40, []), set_of(1 << 40, 0..1_000));
    assert!(SetReader::open(none.as_bytes()).unwrap().is_empty());
    let mut reader = SetReader::open(set.as_bytes()).unwrap();
    assert!(!reader.is_empty());
    for consumed in [0, 1, 3, 200] {
        assert!(reader.chunk().unwrap().len() > consumed);
        let before = reader.lengths();
        reader.consume(consumed);
        assert_eq!(reader.lengths(), Lengths::exact(before.least - consumed as u64));
    }
    assert_eq!(reader.lengths(), Lengths::exact(1_000 - 204));
}

#[test]
fn an_error_of_the_bytes_stays() {
    let mut bytes = set_of(1 << 40, 0..600).into_inner();
    *bytes.last_mut().unwrap() ^= 1;
    let mut reader = SetReader::open(&bytes[..]).unwrap();
    let chunks = core::iter::from_fn(|| reader.next_chunk().ok().map(<[u64]>::len));
    assert_eq!(chunks.sum::<usize>(), 600);
    let again = [reader.next_value().unwrap_err(), reader.next_chunk().map(drop).unwrap_err()];
    for error in [
        again.map(|error| error.to_string()),
        [reader.finish().unwrap_err().to_string(), "trailer".into()],
    ]
    .concat()
    {
        assert!(error.contains("trailer"), "{error}");
    }
    // Not one match of a file that is damaged.
    let reader = SetReader::open(&bytes[..]).unwrap();
    assert!(reader.matches_fingerprints([1u64, 2, 3]).is_err());
    let reader = SetReader::open(&bytes[..]).unwrap();
    assert!(reader.matches_fingerprints([0u64; 0]).is_err());
}

/// Neither is a wrong value given nor the place lost.
#[test]
fn going_back_can_be_tried_again() {
    let set = set_of(1 << 40, 0..600);
    let mut reader = SetReader::open(Pieces::new(set.as_bytes(), &[7])).unwrap();
    for taken in [0, 1, 600] {
        (0..taken).for_each(|_| assert!(reader.next_value().unwrap().is_some()));
        for fails_at in [0, 20, 47] {
            reader.source.fails_at = Some(fails_at);
            assert!(matches!(reader.rewind(), Err(ReadError::Io(_))));
            assert!(matches!(reader.next_value(), Err(ReadError::Io(_))));
        }
        reader.source.fails_at = None;
        assert!(matches!(reader.next_value(), Err(ReadError::Io(_))));
        reader.rewind().unwrap();
        assert_eq!(reader.drain().unwrap(), set.info());
        reader.rewind().unwrap();
    }
}

#[test]
fn a_file_that_changes_between_two_passes() {
    let (one, other) = (set_of(1 << 40, 0..600), set_of(1 << 40, 1..602));
    let mut reader = SetReader::open(Pieces::new(one.as_bytes(), &[usize::MAX])).unwrap();
    reader.drain().unwrap();
    reader.source.bytes = other.as_bytes().to_vec();
    assert!(matches!(reader.rewind(), Err(ReadError::Io(_))));
}

#[test]
fn debug_shows_no_value() {
    let set = set_of(1 << 50, [123_456_789]);
    let mut reader = SetReader::open(set.as_bytes()).unwrap();
    reader.prepare().unwrap();
    let shown = std::format!("{reader:?}");
    assert!(shown.starts_with("SetReader { len: 1,") && !shown.contains("123456789"));
}
