//! Section 21: lists of seeds, and the difference of two of them.

use std::collections::BTreeSet;

use bitvec::prelude::{BitVec, Lsb0};
use bitvec::view::BitView as _;

use super::bits::{self, Shape};
use super::{Digest, Outcome, Reader, expect, expect_date, sealed, sha256};

/// A note and a seed.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// W and L of a kind.
pub(crate) fn lengths(kind: u16) -> (usize, usize) {
    match kind {
        1 => (5, 32),
        2 => (5, 16),
        _ => (9, 16),
    }
}

/// The note rules.
fn expect_note(kind: u16, note: &[u8]) -> Outcome<()> {
    let number = note[..4].iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    match kind {
        1 => {
            expect((1..=32).contains(&note[4]), "Limit")?;
            expect_date(number.saturating_add(note[4].into()).saturating_sub(1))?;
            Ok(())
        }
        2 => expect((1..=2).contains(&note[0]), "Limit"),
        _ => {
            expect(number <= u32::MAX - 144, "Limit")?;
            expect((1..=144).contains(&note[4]), "Limit")?;
            for (byte, most) in [(note[5], 5), (note[6], 4), (note[7], 8)] {
                expect(byte <= most || byte == 255, "Limit")?;
            }
            Ok(())
        }
    }
}

/// R of a group.
fn bound(count: u32) -> u64 {
    (1 << 48) + u64::from(count) - 1
}

/// n·(P + 1), and P.
fn least_bits(count: u32) -> (u64, u8) {
    let parameter = bits::parameter(bound(count), count);
    (u64::from(count) * (u64::from(parameter) + 1), parameter)
}

/// n·(P + 1) + (R >> P).
fn most_bits(count: u32) -> u64 {
    let (least, parameter) = least_bits(count);
    least + (bound(count) >> parameter)
}

/// n of a group.
fn read_count(reader: &mut Reader<'_>) -> Outcome<u32> {
    let mut count = 0;
    for place in 0..5 {
        let byte = reader.u8()?;
        count += u64::from(byte % 128) << (7 * place);
        if byte < 128 {
            expect(byte > 0, "Padding")?;
            return u32::try_from(count).map_err(|_| "Limit".into());
        }
    }
    Err("Limit".into())
}

fn write_count(mut count: u32, out: &mut Vec<u8>) {
    while count >= 128 {
        out.push((count % 128) as u8 + 128);
        count /= 128;
    }
    out.push(count as u8);
}

/// Reads the groups of a directory: notes and lengths.
fn read_groups(reader: &mut Reader<'_>, kind: u16, groups: u32) -> Outcome<Vec<(Vec<u8>, u32)>> {
    let width = lengths(kind).0;
    let mut directory: Vec<(Vec<u8>, u32)> = Vec::new();
    let mut total: u64 = 0;
    for number in 0..groups {
        let before = directory.last().map_or_else(|| vec![0; width], |group| group.0.clone());
        let most = if number == 0 { 0 } else { width - 1 };
        let shared = usize::from(reader.u8()?);
        expect(shared <= most, "Limit")?;
        let own = reader.bytes((width - shared) as u128)?;
        expect(number == 0 || own[0] > before[shared], "Order")?;
        let note = [&before[..shared], own].concat();
        expect_note(kind, &note)?;
        let count = read_count(reader)?;
        total += u64::from(count);
        expect(total < 1 << 32, "Limit")?;
        directory.push((note, count));
    }
    Ok(directory)
}

/// Reads a body.
pub(crate) fn read_body(bytes: &[u8], kind: u16) -> Outcome<Vec<Pair>> {
    let mut reader = Reader::new(bytes);
    let (groups, bits) = (reader.u32()?, reader.u64()?);
    let directory = read_groups(&mut reader, kind, groups)?;
    let sum = |of: fn(u32) -> u64| directory.iter().map(|group| u128::from(of(group.1))).sum();
    let (least, most): (u128, u128) = (sum(|count| least_bits(count).0), sum(most_bits));
    expect((least..=most).contains(&bits.into()), "BitLength")?;
    let tail = (lengths(kind).1 - 6) as u128;
    let total: u128 = sum(u64::from);
    let code_bytes = u128::from(bits).div_ceil(8);
    expect(reader.rest().len() as u128 == code_bytes + total * tail, "Length")?;

    let code = reader.bytes(code_bytes)?;
    let (mut at, mut heads) = (0, Vec::new());
    for (note, count) in &directory {
        let end = bits.min(at + most_bits(*count));
        let parameter = least_bits(*count).1;
        let gaps;
        (gaps, at) = bits::gaps(parameter, *count, at, end, code)?;
        let mut head = 0;
        for gap in gaps {
            head += gap;
            heads.push((note, head as u64));
        }
        expect(head < 1 << 48, "Limit")?;
    }
    expect(at == bits, "Mismatch")?;
    let mut padding = code.view_bits::<Lsb0>().iter().by_vals().skip(at as usize);
    expect(padding.all(|bit| !bit), "Padding")?;

    let mut pairs: Vec<Pair> = Vec::new();
    for (note, head) in heads {
        let seed = [&head.to_be_bytes()[2..], reader.bytes(tail)?].concat();
        pairs.push((note.clone(), seed));
    }
    expect(pairs.is_sorted_by(|a, b| a < b), "Order")?;
    Ok(pairs)
}

/// The one body of some pairs.
pub(crate) fn body(pairs: &BTreeSet<Pair>) -> Vec<u8> {
    let notes: BTreeSet<&Vec<u8>> = pairs.iter().map(|pair| &pair.0).collect();
    let (mut directory, mut code, mut tails) = (Vec::new(), BitVec::<u8, Lsb0>::new(), Vec::new());
    let mut before: Option<&Vec<u8>> = None;
    for note in &notes {
        let seeds: Vec<&Vec<u8>> =
            pairs.iter().filter(|pair| pair.0 == **note).map(|pair| &pair.1).collect();
        let count = seeds.len() as u32;
        let shared =
            before.map_or(0, |before| before.iter().zip(*note).take_while(|(a, b)| a == b).count());
        directory.push(shared as u8);
        directory.extend(&note[shared..]);
        write_count(count, &mut directory);
        let head =
            |seed: &[u8]| seed[..6].iter().fold(0, |head, byte| head << 8 | u64::from(*byte));
        let values: Vec<u64> = (0..).zip(&seeds).map(|(at, seed)| head(seed) + at).collect();
        let (bytes, length) = bits::code(&values, least_bits(count).1);
        code.extend(bytes.view_bits::<Lsb0>().iter().by_vals().take(length as usize));
        seeds.iter().for_each(|seed| tails.extend(&seed[6..]));
        before = Some(note);
    }
    let length = code.len() as u64;
    code.set_uninitialized(false);
    let groups = notes.len() as u32;
    [&groups.to_le_bytes()[..], &length.to_le_bytes(), &directory, &code.into_vec(), &tails]
        .concat()
}

/// A list that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SeedList {
    pub(crate) kind: u16,
    pub(crate) pairs: BTreeSet<Pair>,
    pub(crate) identity: Digest,
}

/// Magic, version, kind, reserved.
fn header<'a>(file: &'a [u8], magic: &[u8; 6], kind: u16) -> Outcome<Reader<'a>> {
    let mut reader = Reader::new(file);
    reader.magic(magic)?;
    expect(reader.u16()? == kind, "Mismatch")?;
    reader.reserved(2)?;
    Ok(reader)
}

/// What the next bytes are but the last 32.
fn but_trailer<'a>(reader: &mut Reader<'a>) -> Outcome<&'a [u8]> {
    let length = reader.rest().len().checked_sub(32).ok_or("Length")?;
    reader.bytes(length as u128)
}

impl SeedList {
    /// Reads a file that has seeds of this kind.
    pub(crate) fn parse(file: &[u8], kind: u16) -> Outcome<Self> {
        let mut reader = header(file, b"GCSSED", kind)?;
        let pairs = read_body(but_trailer(&mut reader)?, kind)?.into_iter().collect();
        let identity = sha256(&[&file[..file.len() - 32]]);
        expect(reader.digest()? == identity, "Digest")?;
        Ok(Self { kind, pairs, identity })
    }

    /// Writes the file.
    pub(crate) fn write(kind: u16, pairs: &BTreeSet<Pair>) -> Vec<u8> {
        let header = [b"GCSSED\x01\x00", &kind.to_le_bytes()[..], &[0; 2]].concat();
        sealed(&[header, body(pairs)].concat())
    }
}

/// A delta that was read.
#[derive(Clone, Debug)]
pub(crate) struct SeedDelta {
    pub(crate) kind: u16,
    pub(crate) base_length: u32,
    pub(crate) base: Digest,
    pub(crate) target: Digest,
    /// Ranks in the base.
    pub(crate) removed: BTreeSet<u64>,
    pub(crate) added: BTreeSet<Pair>,
}

impl SeedDelta {
    /// Reads a file that is about seeds of this kind.
    pub(crate) fn parse(file: &[u8], kind: u16) -> Outcome<Self> {
        let mut reader = header(file, b"GCSSDD", kind)?;
        let base_length = reader.u32()?;
        let (base, target) = (reader.digest()?, reader.digest()?);
        let (count, bits) = (reader.u32()?, reader.u64()?);
        let parameter = bits::parameter(base_length.into(), count);
        let removals = Shape { bound: base_length.into(), count, parameter, bits };
        removals.validate()?;
        let code = reader.bytes(removals.bytes())?;
        let body = but_trailer(&mut reader)?;
        let removed: BTreeSet<u64> = removals.decode(code)?.into_iter().collect();
        let added: BTreeSet<Pair> = read_body(body, kind)?.into_iter().collect();
        let length = u64::from(base_length) - u64::from(count) + added.len() as u64;
        expect(length < 1 << 32, "Limit")?;
        expect(reader.digest()? == sha256(&[&file[..file.len() - 32]]), "Digest")?;
        Ok(Self { kind, base_length, base, target, removed, added })
    }

    /// The file of the target.
    pub(crate) fn apply(&self, base: &SeedList) -> Outcome<Vec<u8>> {
        expect(self.base == base.identity, "Base")?;
        expect(self.base_length as usize == base.pairs.len(), "BaseLength")?;
        let file = self.result(base)?;
        expect(file.ends_with(&self.target), "Target")?;
        Ok(file)
    }

    /// The file that it leads to, whichever it promises.
    pub(crate) fn result(&self, base: &SeedList) -> Outcome<Vec<u8>> {
        expect(self.added.is_disjoint(&base.pairs), "AlreadyPresent")?;
        let ranked = (0..).zip(&base.pairs);
        let kept = ranked.filter(|(rank, _)| !self.removed.contains(rank)).map(|(_, pair)| pair);
        Ok(SeedList::write(self.kind, &kept.chain(&self.added).cloned().collect()))
    }
}
