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
        "record_ranks": row.record_shape.ranks,
        "spare_slots": row.record_shape.spare_slots,
        "records": row.records(),
        "record_bytes": row.record_shape.record_len(),
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

/// The most fingerprints of a date whose records hold 2048 ranks.
const MOST_FOR_2048: u32 = 64 * 2048;

/// A row with so many fingerprints, whose file is as long as it may be, and such records.
fn large_row(row: &[u8], len: u32, ranks: u32, spares: u32) -> Vec<u8> {
    let range = 1u64 << 40;
    let parameter = bits::parameter(range, len);
    let most = 80 + (u64::from(len) * u64::from(parameter + 1) + (range >> parameter)).div_ceil(8);
    edited(
        row,
        &[
            (4, &len.to_le_bytes()),
            (24, &range.to_le_bytes()),
            (32, &most.to_le_bytes()),
            (104, &ranks.to_le_bytes()),
            (108, &spares.to_le_bytes()),
        ],
    )
}

/// The same row, a day later.
fn next_date(row: &[u8]) -> Vec<u8> {
    rows_of_dates(row, 2).remove(1)
}

fn valid(vectors: &mut Vectors, world: &World) {
    let small = row(world);
    let at_most = large_row(&small, MOST_FOR_2048, 2048, 16);
    let beyond = large_row(&small, MOST_FOR_2048 + 1, 4096, 256);
    let beside = next_date(&edited(&small, &[(104, &4096u32.to_le_bytes()), (108, &[0, 1])]));
    for (name, note, bytes) in [
        ("table-one", "one row", world.table(5).to_bytes()),
        ("table-two", "two rows, one without elements", world.table(8).to_bytes()),
        ("table-empty", "no rows", table_of(&[])),
        ("table-full", "32 rows, the most", full(world)),
        ("table-2048", "the largest date for which k is 2048", table_of(&[&at_most])),
        (
            "table-large",
            "k = 4096, 256 spare slots and the longest file, and a small date with such records",
            table_of(&[&beyond, &beside]),
        ),
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
    let row_bytes = row(world);
    let row = world.table(5).rows()[0];
    let (range, len) = (row.hash_range.get(), row.len);
    let parameter = bits::parameter(range, len);
    let least = 80 + (u64::from(len) * u64::from(parameter + 1)).div_ceil(8);
    let most = 80 + (u64::from(len) * u64::from(parameter + 1) + (range >> parameter)).div_ceil(8);
    let set32 = |at: usize, value: u32| edited(&one, &[(at, &value.to_le_bytes())]);
    let set64 = |at: usize, value: u64| edited(&one, &[(at, &value.to_le_bytes())]);
    let wide = u64::from(bits::parameter(1 << 53, len) + 1) * u64::from(len);
    let wide = edited(&set64(RANGE, 1 << 53), &[(BYTES, &(80 + wide.div_ceil(8)).to_le_bytes())]);
    for (name, note, bytes, error) in [
        ("table-date-10000", "10000-01-01", set32(HEADER, 2_932_897), "Limit"),
        ("table-range-0", "F = 0", set64(RANGE, 0), "Limit"),
        ("table-range-2-53", "F = 2^53", set64(RANGE, 1 << 53), "Limit"),
        ("table-range-0-of-none", "F = 0 with N = 0", edited(&none, &[(RANGE, &[0; 8])]), "Limit"),
        ("table-range-2-53-file", "F = 2^53, and the file would be as long", wide, "Limit"),
        ("table-over-full", "N = F + 1", set32(LEN, range as u32 + 1), "Limit"),
        (
            "table-over-full-file",
            "N = F + 1, and the file would be as long",
            edited(&set32(LEN, range as u32 + 1), &[(BYTES, &[110])]),
            "Limit",
        ),
        ("table-bytes-too-many", "a set of N in F is shorter", set64(BYTES, most + 1), "Limit"),
        ("table-bytes-too-few", "a set of N in F is longer", set64(BYTES, least - 1), "Length"),
        ("table-bytes-of-none", "a set of none has 80", edited(&none, &[(BYTES, &[81])]), "Limit"),
        ("table-ranks-1024", "k = 1024", set32(RANKS, 1024), "Limit"),
        ("table-ranks-3072", "k is no power of two", set32(RANKS, 3072), "Limit"),
        ("table-ranks-2-27", "k is larger than any set needs", set32(RANKS, 1 << 27), "Limit"),
        ("table-ranks-4096", "k = 4096 and no date is large", set32(RANKS, 4096), "Mismatch"),
        (
            "table-ranks-too-large",
            "k = 4096, and 64 records of 2048 would do",
            table_of(&[&large_row(&row_bytes, MOST_FOR_2048, 4096, 16)]),
            "Mismatch",
        ),
        (
            "table-ranks-too-small",
            "k = 2048, and a date would have 65 records",
            table_of(&[&large_row(&row_bytes, MOST_FOR_2048 + 1, 2048, 16)]),
            "Limit",
        ),
        (
            "table-ranks-differ",
            "k = 4096 beside k = 2048",
            table_of(&[
                &large_row(&row_bytes, MOST_FOR_2048 + 1, 4096, 16),
                &next_date(&row_bytes),
            ]),
            "Mismatch",
        ),
        (
            "table-spares-differ",
            "s = 16 beside s = 64",
            table_of(&[&row_bytes, &next_date(&edited(&row_bytes, &[(108, &[64])]))]),
            "Mismatch",
        ),
        ("table-spare-17", "17 spare slots", set32(SPARES, 17), "Limit"),
        ("table-spare-32", "32 spare slots", set32(SPARES, 32), "Limit"),
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
