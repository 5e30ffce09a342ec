//! Indexes and bundles of lists of seeds.

use std::collections::BTreeSet;

use gcs_core::files::{Path, SeedIndex, SeedTable};
use gcs_core::identifiers::dp3t::{HybridSeed, HybridWindow, WindowSeed};
use gcs_core::identifiers::gaen::{ExportKey, ExposureKey};
use gcs_core::publish::{Day, Keys, Publication, Publisher, PublisherSettings};
use gcs_core::seeds::{SeedDay, SeedList};
use gcs_core::{DAY_SECONDS, Date};
use serde_json::{Value, json};

use super::out::{Case, Vectors};
use super::raw::{edited, flipped};
use crate::golden::hex;
use crate::naive::seed_files::{Bundle, Entry, Row, Table};
use crate::naive::seeds::SeedList as NaiveList;
use crate::naive::sha256;

/// Lengths of a header of an index and of a bundle, and of a row.
const INDEX: usize = 24;
const BUNDLE: usize = 88;
const ROW: usize = 48;

pub(crate) fn add(vectors: &mut Vectors) {
    let world = World::new();
    valid(vectors, &world);
    indexes(vectors, &world);
    frames(vectors, &world);
    applied(vectors, &world);
}

/// Two publications with lists.
struct World {
    publications: Vec<Publication>,
}

fn date(number: u32) -> Date {
    Date::from_days(20_458 + number).unwrap()
}

fn window(number: u32, byte: u8) -> WindowSeed {
    let windows = HybridWindow::FourHours;
    let window = windows.of_time(date(number).start()).unwrap();
    WindowSeed { windows, window, seed: HybridSeed::new([byte; 16]) }
}

fn key(number: u32, byte: u8) -> ExportKey {
    let start = (date(number).start() / 600) as u32;
    ExposureKey::new([byte; 16], start, 144).unwrap().into()
}

fn windows(number: u32, bytes: &[u8]) -> SeedDay {
    let list = SeedList::build(bytes.iter().map(|byte| window(number, *byte))).unwrap();
    SeedDay::new(date(number), list)
}

fn keys(number: u32, bytes: &[u8]) -> SeedDay {
    let list = SeedList::build(bytes.iter().map(|byte| key(number, *byte))).unwrap();
    SeedDay::new(date(number), list)
}

impl World {
    fn new() -> World {
        let many: Vec<u8> = (0..40).collect();
        let ticks = [
            (0..2, vec![windows(0, &[1]), keys(0, &[1, 2]), keys(1, &many)]),
            (0..3, vec![keys(0, &[2, 3]), keys(1, &many[..39]), windows(2, &[4])]),
        ];
        let signing = Keys::from_secret([5; 32], date(0).start() + 365 * DAY_SECONDS);
        let mut publisher = Publisher::new(PublisherSettings::default(), 7);
        let mut publications = Vec::new();
        for (tick, (dates, lists)) in (0..).zip(ticks) {
            let day = |number| Day { date: date(number), elements: vec![[number as u8; 16]] };
            let days: Vec<_> = dates.map(day).collect();
            let now = date(2).entry() + 900 * tick;
            let made = publisher.with_seeds(lists).publish_next(now, &days, &signing).unwrap();
            publisher = made.publisher.clone();
            publications.push(made);
        }
        World { publications }
    }

    fn file(&self, digest: gcs_core::Digest) -> &[u8] {
        let files = self.publications.iter().flat_map(|publication| &publication.files);
        &files.into_iter().find(|file| file.path == Path::Seeds(digest)).unwrap().bytes
    }

    fn index(&self, at: usize) -> &[u8] {
        self.file(self.publications[at].manifest.seeds.unwrap().index.sha256)
    }

    fn table(&self, at: usize) -> SeedTable {
        SeedIndex::parse(self.index(at)).unwrap().table
    }

    fn bundle(&self) -> &[u8] {
        self.file(self.publications[1].manifest.seeds.unwrap().bundle.unwrap().sha256)
    }
}

fn expect_table(table: &SeedTable) -> Value {
    let rows = table.rows().iter().map(|row| {
        let (date, digest) = (row.date.to_string(), row.sha256.to_string());
        json!({ "date": date, "kind": row.kind, "bytes": row.bytes, "sha256": digest })
    });
    json!({ "state": table.state().to_string(), "rows": rows.collect::<Vec<_>>() })
}

fn expect_index(bytes: &[u8]) -> Value {
    let index = SeedIndex::parse(bytes).unwrap();
    let bundles = index.bundles.iter().map(|entry| {
        let digest = entry.sha256.to_string();
        json!({ "span": entry.span, "to": entry.to, "bytes": entry.bytes, "sha256": digest })
    });
    let bundles: Vec<_> = bundles.collect();
    let table = expect_table(&index.table);
    json!({ "series": index.series, "tick": index.tick, "table": table, "bundles": bundles })
}

/// A case about a bundle that is applied to the first table and its lists.
fn case(vectors: &mut Vectors, world: &World, name: &str, note: &str, bundle: &[u8]) -> Case {
    let table = world.table(0);
    let lists: Vec<String> = (0..)
        .zip(table.rows())
        .map(|(at, row): (u32, _)| {
            vectors.file(&format!("seedbundle-before-{at}.list.bin"), world.file(row.sha256))
        })
        .collect();
    let table = vectors.file("seedbundle-before.table.bin", &table.to_bytes());
    vectors.file_case("seed_bundle", name, note, bundle).with("table", table).with("lists", lists)
}

fn valid(vectors: &mut Vectors, world: &World) {
    for (at, name, note) in [
        (0, "seedindex-first", "three lists and no bundle"),
        (1, "seedindex-second", "a list less, a list more, and a bundle"),
    ] {
        let bytes = world.index(at);
        let case = vectors.file_case("seed_index", name, note, bytes);
        vectors.valid(case, expect_index(bytes));
    }
    let empty = [
        &edited(&world.index(0)[..INDEX], &[(16, &16u32.to_le_bytes())])[..],
        &Table::default().write(),
    ]
    .concat();
    let case_of = vectors.file_case("seed_index", "seedindex-empty", "no list at all", &empty);
    vectors.valid(case_of, expect_index(&empty));

    let after = world.table(1);
    let before = world.table(0);
    let is_new = |row: &&gcs_core::files::SeedRow| before.row(row.date, row.kind) != Some(*row);
    let lists: Vec<String> = (0..)
        .zip(after.rows().iter().filter(is_new))
        .map(|(at, row): (u32, _)| {
            vectors.file(&format!("seedbundle-after-{at}.list.bin"), world.file(row.sha256))
        })
        .collect();
    let bundle = Bundle::parse(world.bundle()).unwrap();
    let forms: Vec<u8> = bundle.entries.iter().map(|entry| entry.form).collect();
    assert_eq!((bundle.dropped.len(), &forms[..]), (1, &[2, 1, 2][..]));
    let table_after = vectors.file("seedbundle-after.table.bin", &after.to_bytes());
    let one = case(
        vectors,
        world,
        "seedbundle-all",
        "a list dropped, one by a delta, two whole",
        world.bundle(),
    );
    let expected = |series: u32, lists: &[String], table_after: &str, bundle: &Bundle| {
        json!({
            "series": series, "to": bundle.to, "span": bundle.span,
            "before": hex(&bundle.before), "after": hex(&bundle.after),
            "table_after": table_after, "new_lists": lists,
        })
    };
    vectors.valid(one, expected(7, &lists, &table_after, &bundle));

    // A kind that the reader does not know changes as well.
    let mut private = bundle.clone();
    let payload = b"of a kind of one's own".to_vec();
    let place = (date(2).days(), 40_000);
    let row = Row { place, length: payload.len() as u64, digest: sha256(&[&payload]) };
    private.entries.push(Entry { row, form: 2, payload });
    let (bytes, after) = with_after(world, private);
    let table_after = vectors.file("seedbundle-private.table.bin", &after.write());
    let name = "seedbundle-private";
    let one = case(vectors, world, name, "a list of another kind, which is passed over", &bytes);
    vectors.valid(one, expected(7, &lists, &table_after, &Bundle::parse(&bytes).unwrap()));
}

/// A bundle with the state after that its rows lead to, and that table.
fn with_after(world: &World, mut bundle: Bundle) -> (Vec<u8>, Table) {
    let mut table = Table::parse(&world.table(0).to_bytes()).unwrap();
    let changed: BTreeSet<_> = bundle.entries.iter().map(|entry| entry.row.place).collect();
    table.0.retain(|row| !bundle.dropped.contains(&row.place) && !changed.contains(&row.place));
    table.0.extend(bundle.entries.iter().map(|entry| entry.row.clone()));
    table.0.sort_by_key(|row| row.place);
    bundle.after = table.state();
    (bundle.write(), table)
}

fn refused(vectors: &mut Vectors, kind: &str, cases: Vec<(&str, &str, Vec<u8>, &str)>) {
    for (name, note, bytes, error) in cases {
        let case = vectors.file_case(kind, name, note, &bytes);
        vectors.invalid(case, error);
    }
}

fn indexes(vectors: &mut Vectors, world: &World) {
    let index = world.index(1);
    let edit = |at: usize, new: &[u8]| edited(index, &[(at, new)]);
    let first_row = INDEX + 16;
    let bundles = INDEX + 16 + ROW * world.table(1).rows().len();
    let swapped = edited(
        index,
        &[
            (first_row, &index[first_row + ROW..][..ROW]),
            (first_row + ROW, &index[first_row..][..ROW]),
        ],
    );
    let twice = [&edit(20, &2u32.to_le_bytes())[..], &index[bundles..]].concat();
    let rows: Vec<Row> =
        (0..129).map(|at| Row { place: (at, 3), length: 1, digest: [7; 32] }).collect();
    let many = Table(rows).write();
    let head = edited(&index[..INDEX], &[(16, &(many.len() as u32).to_le_bytes()), (20, &[0; 4])]);
    let longer = edited(
        &index[..bundles],
        &[
            (16, &(17 + ROW as u32 * world.table(1).rows().len() as u32).to_le_bytes()),
            (20, &[0; 4]),
        ],
    );
    refused(
        vectors,
        "seed_index",
        vec![
            ("seedindex-magic", "magic of an index of sets", edit(0, b"GCSIDX"), "Magic"),
            ("seedindex-version", "version 2", edit(6, &[2]), "Version"),
            ("seedindex-table-magic", "magic of a table of sets", edit(INDEX, b"GCSTBL"), "Magic"),
            ("seedindex-reserved", "reserved of the table", edit(INDEX + 12, &[1]), "Padding"),
            ("seedindex-129-lists", "one list too many", [head, many].concat(), "Limit"),
            (
                "seedindex-date",
                "a date after 9999-12-31",
                edit(first_row + ROW * 2, &2_932_897u32.to_le_bytes()),
                "Limit",
            ),
            ("seedindex-row-reserved", "reserved of a row", edit(first_row + 7, &[1]), "Padding"),
            ("seedindex-order", "two rows have changed places", swapped, "Order"),
            (
                "seedindex-table-longer",
                "a byte behind the rows",
                [&longer[..], &[0]].concat(),
                "Length",
            ),
            (
                "seedindex-251-bundles",
                "one bundle too many",
                edit(20, &251u32.to_le_bytes()),
                "Limit",
            ),
            ("seedindex-span", "a bundle of 2 ticks", edit(bundles, &[2]), "Limit"),
            ("seedindex-twice", "a bundle twice", twice, "Order"),
            ("seedindex-trailing", "a byte behind the bundles", [index, &[0]].concat(), "Length"),
            (
                "seedindex-cut",
                "the last byte is missing",
                index[..index.len() - 1].to_vec(),
                "Length",
            ),
        ],
    );
}

fn frames(vectors: &mut Vectors, world: &World) {
    let bytes = world.bundle();
    let edit = |at: usize, new: &[u8]| edited(bytes, &[(at, new)]);
    let parsed = || Bundle::parse(bytes).unwrap();
    let changed = |change: fn(&mut Bundle)| {
        let mut bundle = parsed();
        change(&mut bundle);
        bundle.write()
    };
    let entry = BUNDLE + 8;
    let mut places = parsed();
    places.dropped = (0..129).map(|at| (at, 3)).collect();
    let mut entries = parsed();
    let one = Entry {
        row: Row { place: (0, 40_000), length: 0, digest: sha256(&[]) },
        form: 2,
        payload: vec![],
    };
    let nth = |at| Entry { row: Row { place: (at, 40_000), ..one.row.clone() }, ..one.clone() };
    entries.entries = (0..129).map(nth).collect();
    refused(
        vectors,
        "seed_bundle",
        vec![
            ("seedbundle-magic", "magic of a bundle of sets", edit(0, b"GCSBDL"), "Magic"),
            ("seedbundle-version", "version 2", edit(6, &[2]), "Version"),
            ("seedbundle-span", "a span of 2 ticks", edit(16, &[2]), "Limit"),
            ("seedbundle-129-dropped", "one dropped list too many", places.write(), "Limit"),
            ("seedbundle-129-changed", "one changed list too many", entries.write(), "Limit"),
            (
                "seedbundle-dropped-date",
                "a date after 9999-12-31",
                edit(BUNDLE, &2_932_897u32.to_le_bytes()),
                "Limit",
            ),
            (
                "seedbundle-dropped-reserved",
                "reserved of a dropped list",
                edit(BUNDLE + 6, &[1]),
                "Padding",
            ),
            (
                "seedbundle-dropped-twice",
                "a dropped list twice",
                changed(|bundle| bundle.dropped.push(bundle.dropped[0])),
                "Order",
            ),
            (
                "seedbundle-row-date",
                "a date after 9999-12-31 in a row",
                edit(entry, &2_932_897u32.to_le_bytes()),
                "Limit",
            ),
            ("seedbundle-row-reserved", "reserved of a row", edit(entry + 6, &[1]), "Padding"),
            ("seedbundle-form-0", "form 0", edit(entry + ROW, &[0]), "Limit"),
            ("seedbundle-form-3", "form 3", edit(entry + ROW, &[3]), "Limit"),
            ("seedbundle-reserved", "reserved of an entry", edit(entry + ROW + 1, &[1]), "Padding"),
            (
                "seedbundle-length",
                "a whole list of another length than its row has",
                edit(entry + 8, &(1u64 << 40).to_le_bytes()),
                "Mismatch",
            ),
            (
                "seedbundle-order",
                "entries have changed places",
                changed(|bundle| bundle.entries.swap(0, 1)),
                "Order",
            ),
            ("seedbundle-trailing", "a byte behind the entries", [bytes, &[0]].concat(), "Length"),
            (
                "seedbundle-cut",
                "the last byte is missing",
                bytes[..bytes.len() - 1].to_vec(),
                "Length",
            ),
        ],
    );
}

fn applied(vectors: &mut Vectors, world: &World) {
    let bytes = world.bundle();
    let parsed = || Bundle::parse(bytes).unwrap();
    let changed = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = parsed();
        change(&mut bundle);
        with_after(world, bundle).0
    };
    // The second entry is a delta, the others are whole.
    let other_list = |bundle: &mut Bundle| {
        let pairs = NaiveList::parse(&bundle.entries[0].payload, 3).unwrap().pairs;
        let fewer = NaiveList::write(3, &pairs.into_iter().skip(1).collect());
        bundle.entries[0].row.length = fewer.len() as u64;
        bundle.entries[0].payload = fewer;
    };
    let full = |bundle: &mut Bundle| {
        let one = |at| Row { place: (at, 40_000), length: 0, digest: sha256(&[]) };
        let more = (0..128).map(|at| Entry { row: one(at), form: 2, payload: vec![] });
        (bundle.dropped, bundle.entries) = (vec![], more.collect());
    };
    for (name, note, bundle, error) in [
        ("seedbundle-before", "from another state", flipped(bytes, 24, 0), "Before"),
        ("seedbundle-after", "to another state", flipped(bytes, 56, 0), "After"),
        (
            "seedbundle-no-list-dropped",
            "a list is dropped that is not there",
            changed(&|bundle| bundle.dropped[0].1 = 9),
            "NoSuchList",
        ),
        (
            "seedbundle-no-list-changed",
            "a delta of a list that is not there",
            changed(&|bundle| {
                bundle.entries[1].row.place.1 = 2;
            }),
            "NoSuchList",
        ),
        (
            "seedbundle-delta-damaged",
            "a delta with a bit flipped",
            changed(&|bundle| {
                let delta = &mut bundle.entries[1].payload;
                *delta = flipped(delta, delta.len() - 1, 0);
            }),
            "Part.Digest",
        ),
        (
            "seedbundle-delta-of-another",
            "a delta of another list",
            changed(&|bundle| {
                let delta = &mut bundle.entries[1].payload;
                *delta = crate::naive::resealed(&flipped(delta, 16, 0));
            }),
            "SeedDelta.Base",
        ),
        (
            "seedbundle-delta-length",
            "a delta to a list of another length",
            changed(&|bundle| {
                bundle.entries[1].row.length += 1;
            }),
            "Part.Length",
        ),
        (
            "seedbundle-delta-digest",
            "a delta to a list of another hash",
            changed(&|bundle| {
                bundle.entries[1].row.digest[0] ^= 1;
            }),
            "Part.Digest",
        ),
        (
            "seedbundle-whole-digest",
            "another list than the row says",
            changed(&other_list),
            "Part.Digest",
        ),
        (
            "seedbundle-whole-kind",
            "a list of another kind",
            changed(&|bundle| {
                bundle.entries[2].row.place.1 = 3;
            }),
            "Part.Mismatch",
        ),
        ("seedbundle-full", "more than 128 lists", changed(&full), "Limit"),
    ] {
        let case = case(vectors, world, name, note, &bundle);
        vectors.invalid(case, error);
    }
}
