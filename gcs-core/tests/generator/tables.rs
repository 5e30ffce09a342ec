//! Tables.

use gcs_core::files::{Row, Table};
use serde_json::{Value, json};

use super::out::Vectors;
use super::raw::edited;
use super::world::World;
use crate::golden::hex;
use crate::naive::{bits, sha256};

/// Length of a table's header and of a row; offsets within a row.
const HEADER: usize = 16;
const ROW: usize = 112;
const LEN: usize = HEADER + 4;
const RANGE: usize = HEADER + 24;
const BYTES: usize = HEADER + 32;
const ROOT: usize = HEADER + 72;
const RANKS: usize = HEADER + 104;
const SPARES: usize = HEADER + 108;

pub(crate) fn add(vectors: &mut Vectors, world: &World) {
    valid(vectors, world);
    frames(vectors, world);
    rows(vectors, world);
}

pub(crate) fn expect_table(table: &Table) -> Value {
    let rows: Vec<Value> = table.rows().iter().map(expect_row).collect();
    json!({ "state": hex(&sha256(&[&table.to_bytes()])), "rows": rows })
}

fn expect_row(row: &Row) -> Value {
    json!({
        "date": row.date.to_string(),
        "count": row.len,
        "salt": hex(&row.salt.0),
        "range": row.hash_range.get(),
        "bytes": row.bytes,
        "identity": row.identity.to_string(),
        "check_root": row.check_root.to_string(),
        "record_ranks": row.record_ranks(),
        "spare_slots": row.spare_slots,
        "records": row.records(),
        "record_bytes": row.record_len(),
    })
}

/// A table of rows that are cut from others.
fn table_of(rows: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"GCSTBL\x01\x00".to_vec();
    bytes.extend((rows.len() as u32).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(rows.concat());
    bytes
}

/// The only row of the table at tick 5.
fn row(world: &World) -> Vec<u8> {
    world.table(5).to_bytes()[HEADER..].to_vec()
}

/// That row on later and later dates.
fn rows_of_dates(row: &[u8], count: u32) -> Vec<Vec<u8>> {
    let first = u32::from_le_bytes(row[..4].try_into().unwrap());
    (first..first + count).map(|date| edited(row, &[(0, &date.to_le_bytes())])).collect()
}

fn table_of_dates(row: &[u8], count: u32) -> Vec<u8> {
    let rows = rows_of_dates(row, count);
    table_of(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The table of 32 dates.
pub(crate) fn full(world: &World) -> Vec<u8> {
    table_of_dates(&row(world), 32)
}

fn valid(vectors: &mut Vectors, world: &World) {
    // N = 2^19 + 1 is the least for which k is 4096; the file is as long as it may be.
    let (len, range) = ((1u32 << 19) + 1, 1u64 << 40);
    let parameter = bits::parameter(range, len);
    let most = 80 + (u64::from(len) * u64::from(parameter + 1) + (range >> parameter)).div_ceil(8);
    let large = edited(
        &table_of(&[&row(world)]),
        &[
            (LEN, &len.to_le_bytes()),
            (RANGE, &range.to_le_bytes()),
            (BYTES, &most.to_le_bytes()),
            (RANKS, &4096u32.to_le_bytes()),
            (SPARES, &256u32.to_le_bytes()),
        ],
    );
    for (name, note, bytes) in [
        ("table-one", "one row", world.table(5).to_bytes()),
        ("table-two", "two rows, one without elements", world.table(8).to_bytes()),
        ("table-empty", "no rows", table_of(&[])),
        ("table-full", "32 rows, the most", full(world)),
        ("table-large", "k = 4096, 256 spare slots and the longest file", large),
    ] {
        let table = Table::parse(&bytes).unwrap();
        let case = vectors.file_case("table", name, note, &bytes);
        vectors.valid(case, expect_table(&table));
    }
}

fn frames(vectors: &mut Vectors, world: &World) {
    let one = world.table(5).to_bytes();
    let row = row(world);
    let rows = rows_of_dates(&row, 2);
    let (earlier, later) = (&rows[0][..], &rows[1][..]);
    let longer = [&one[..], &[0]].concat();
    for (name, note, bytes, error) in [
        ("table-33-rows", "33 rows", table_of_dates(&row, 33), "Limit"),
        ("table-count-too-large", "says 2 rows, has 1", edited(&one, &[(8, &[2])]), "Length"),
        ("table-count-too-small", "says 0 rows, has 1", edited(&one, &[(8, &[0])]), "Length"),
        ("table-cut-in-header", "15 bytes", one[..15].to_vec(), "Length"),
        ("table-cut-in-row", "the last byte is missing", one[..127].to_vec(), "Length"),
        ("table-trailing-byte", "a byte behind the last row", longer, "Length"),
        ("table-magic", "magic of an index", edited(&one, &[(0, b"GCSIDX")]), "Magic"),
        ("table-version", "version 2", edited(&one, &[(6, &[2])]), "Version"),
        ("table-reserved", "reserved not zero", edited(&one, &[(15, &[1])]), "Padding"),
        ("table-date-twice", "two rows of a date", table_of(&[earlier, earlier]), "Order"),
        ("table-descending", "dates descend", table_of(&[later, earlier]), "Order"),
    ] {
        vectors.refused("table", name, note, &bytes, error);
    }
}

fn rows(vectors: &mut Vectors, world: &World) {
    let one = world.table(5).to_bytes();
    let none = table_of(&[&world.table(8).to_bytes()[HEADER + ROW..]]);
    let row = world.table(5).rows()[0];
    let (range, len) = (row.hash_range.get(), row.len);
    let parameter = bits::parameter(range, len);
    let least = 80 + (u64::from(len) * u64::from(parameter + 1)).div_ceil(8);
    let most = 80 + (u64::from(len) * u64::from(parameter + 1) + (range >> parameter)).div_ceil(8);
    let set32 = |at: usize, value: u32| edited(&one, &[(at, &value.to_le_bytes())]);
    let set64 = |at: usize, value: u64| edited(&one, &[(at, &value.to_le_bytes())]);
    for (name, note, bytes, error) in [
        ("table-date-10000", "10000-01-01", set32(HEADER, 2_932_897), "Limit"),
        ("table-range-0", "F = 0", set64(RANGE, 0), "Limit"),
        ("table-range-2-53", "F = 2^53", set64(RANGE, 1 << 53), "Limit"),
        ("table-over-full", "N = F + 1", set32(LEN, range as u32 + 1), "Limit"),
        ("table-bytes-too-many", "a set of N in F is shorter", set64(BYTES, most + 1), "Limit"),
        ("table-bytes-too-few", "a set of N in F is longer", set64(BYTES, least - 1), "Length"),
        ("table-bytes-of-none", "a set of none has 80", edited(&none, &[(BYTES, &[81])]), "Limit"),
        ("table-ranks-1024", "k = 1024", set32(RANKS, 1024), "Mismatch"),
        ("table-ranks-4096", "k = 4096", set32(RANKS, 4096), "Mismatch"),
        ("table-spare-17", "17 spare slots", set32(SPARES, 17), "Limit"),
        ("table-spare-0", "no spare slots", set32(SPARES, 0), "Limit"),
        ("table-spare-128", "128 spare slots", set32(SPARES, 128), "Limit"),
        (
            "table-root-zero",
            "check root zero with N > 0",
            edited(&one, &[(ROOT, &[0; 32])]),
            "Digest",
        ),
        (
            "table-root-of-none",
            "check root not zero with N = 0",
            edited(&none, &[(ROOT, &[1])]),
            "Digest",
        ),
    ] {
        vectors.refused("table", name, note, &bytes, error);
    }
}
