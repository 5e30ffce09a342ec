//! The golden vectors, read in pieces: a reader gives what `Set::parse` gives, values and errors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod golden;

use std::io::{self, Cursor, Read};

use gcs_core::set::{ReadError, SetReader, StreamError};
use gcs_core::{Delta, ParseError, Set};

/// Gives a file in pieces of changing sizes, some of them interrupted.
struct Pieces<'a> {
    rest: &'a [u8],
    largest: u64,
    random: u64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        if self.random >> 61 == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = 1 + ((self.random >> 33) % self.largest) as usize;
        let piece = &self.rest[..size.min(into.len()).min(self.rest.len())];
        into[..piece.len()].copy_from_slice(piece);
        self.rest = &self.rest[piece.len()..];
        Ok(piece.len())
    }
}

fn read(source: impl Read) -> Result<Vec<u64>, ReadError> {
    let mut reader = SetReader::with_capacity(0, source)?;
    let mut values = Vec::new();
    while let Some(value) = reader.next_value()? {
        values.push(value);
    }
    Ok(values)
}

#[test]
fn every_set_reads_in_pieces_as_it_parses() {
    for case in golden::cases("set") {
        let bytes = case.bytes();
        for (random, largest) in [(1, 1), (2, 3), (3, 60), (4, 1_000), (5, u64::MAX >> 31)] {
            let name = format!("{} in pieces of up to {largest} bytes", case.name());
            let by_reader = read(Pieces { rest: &bytes, largest, random });
            match (by_reader, Set::parse(&bytes)) {
                (Ok(values), Ok(set)) => {
                    assert!(set.iter().eq(values), "{name}");
                    let reader = SetReader::open(Pieces { rest: &bytes, largest, random });
                    assert_eq!(reader.unwrap().finish().unwrap(), set.info(), "{name}");
                }
                (Err(ReadError::Parse(got)), Err(expected)) => match (&got, &expected) {
                    // The reader stops at the first byte too many.
                    (
                        ParseError::Length { expected: a, got },
                        ParseError::Length { expected: b, got: len },
                    ) if len > b => assert_eq!((a, *got), (b, b + 1), "{name}"),
                    _ => assert_eq!(got, expected, "{name}"),
                },
                (got, expected) => panic!("{name}: {got:?}, but parsed: {expected:?}"),
            }
        }
    }
}

#[test]
fn every_match_in_pieces_is_that_in_memory() {
    for case in golden::cases("match") {
        let bytes = case.bytes();
        let heard = case.get("heard").and_then(serde_json::Value::as_array).unwrap();
        let heard: Vec<Vec<u8>> =
            heard.iter().map(|element| golden::bytes_of_hex(element.as_str().unwrap())).collect();
        let expected = Set::parse(&bytes).unwrap().matches(&heard);
        for largest in [1, 50, 100_000] {
            let reader = SetReader::open(Pieces { rest: &bytes, largest, random: 9 }).unwrap();
            assert_eq!(reader.matches(&heard).unwrap(), expected, "{}", case.name());
        }
    }
}

#[test]
fn every_delta_applies_in_pieces_as_in_memory() {
    for case in golden::cases("delta") {
        let Ok(delta) = Delta::parse(case.bytes()) else { continue };
        let Some(name) = case.get("base").and_then(serde_json::Value::as_str) else { continue };
        let base = golden::file(name);
        let base_set = Set::parse(&base).unwrap();
        let expected = delta.apply(&base_set);
        for largest in [1, 70, 100_000] {
            let reader = SetReader::open(Pieces { rest: &base, largest, random: 5 }).unwrap();
            let applied = delta.apply_to_reader(reader, Cursor::new(Vec::new()));
            match (applied, &expected) {
                (Ok((out, info)), Ok(target)) => {
                    assert_eq!(out.into_inner(), target.as_bytes(), "{}", case.name());
                    assert_eq!(info, target.info(), "{}", case.name());
                    let open = |rest| SetReader::open(Pieces { rest, largest, random: 6 }).unwrap();
                    let between = Delta::between_readers(open(&base), open(target.as_bytes()));
                    let in_memory = Delta::between(&base_set, target).unwrap();
                    assert_eq!(
                        between.unwrap().as_bytes(),
                        in_memory.as_bytes(),
                        "{}",
                        case.name()
                    );
                }
                (Err(StreamError::Delta(got)), Err(expected)) => {
                    assert_eq!(got, *expected, "{}", case.name());
                }
                (got, expected) => panic!("{}: {got:?}, in memory {expected:?}", case.name()),
            }
        }
    }
}
