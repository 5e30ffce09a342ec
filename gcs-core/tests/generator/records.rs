//! Check records: three whole files, everything else as patches of them.

use gcs_core::Set;
use gcs_core::files::Row;
use serde_json::{Value, json};

use super::out::{Case, Vectors, hex_number};
use super::raw::{edited, element, flipped};
use super::world::World;
use crate::golden::hex;
use crate::naive::sha256;

/// Where the main slots and, with k = 2048, the spare slots begin.
const MAIN: usize = 56;
const SPARE: usize = MAIN + 2048 * 8;

/// Length of a record of k = 2048 and 16 spare slots without its path.
const BODY: usize = SPARE + 16 * 12;

/// Length of the path.
const PATH: usize = 6 * 32;

/// Where a table's only row has its date and its check root.
const ROW_DATE: usize = 16;
const ROW_ROOT: usize = 16 + 72;

pub(crate) fn add(vectors: &mut Vectors, world: &World) {
    let small = Small::new(vectors, world);
    small.valid(vectors, world);
    small.valid_patches(vectors, world);
    small.refused_for_row(vectors, world);
    small.refused_trees(vectors);
    small.refused_bytes(vectors);
    small.refused_order(vectors);
    crowd(vectors, world);
}

/// The one record of the first date at tick 7: eleven ranks, one of two elements.
struct Small<'w> {
    row: &'w Row,
    bytes: &'w [u8],
    table: Vec<u8>,
}

/// Bytes to write over others.
type Edit = (usize, Vec<u8>);

impl<'w> Small<'w> {
    fn new(vectors: &mut Vectors, world: &'w World) -> Small<'w> {
        let row = &world.table(7).rows()[0];
        let bytes = world.checks(row);
        assert_eq!(bytes.len(), BODY + PATH);
        vectors.file("record-small.bin", bytes);
        // A table of that date alone.
        let table = world.table(7).to_bytes();
        let table = edited(&table[..16 + 112], &[(8, &[1])]);
        Small { row, bytes, table }
    }

    /// A case about record 0, with this table.
    fn case(&self, vectors: &mut Vectors, (name, note): (&str, &str), table: &[u8]) -> Case {
        let table = vectors.file(&format!("{name}.table.bin"), table);
        vectors
            .case("record", name, note)
            .with("file", "record/small.bin")
            .with("table", table)
            .with("date", self.row.date.to_string())
            .with("number", 0)
    }

    /// A case about the patched record, whose hash the table has.
    fn resealed(&self, vectors: &mut Vectors, names: (&str, &str), edits: &[Edit]) -> Case {
        let slices: Vec<(usize, &[u8])> = edits.iter().map(|(at, new)| (*at, &new[..])).collect();
        let (body, path) = self.bytes.split_at(BODY);
        let leaf = sha256(&[&[0], &edited(body, &slices)]);
        let root = path.chunks(32).fold(leaf, |left, right| sha256(&[&[1], &left, right]));
        let table = edited(&self.table, &[(ROW_ROOT, &root)]);
        self.case(vectors, names, &table).with("patch", patch(edits))
    }

    fn set(&self, world: &World) -> Set {
        Set::parse(world.set(self.row)).unwrap().to_owned_set()
    }

    fn main(&self, rank: usize) -> &[u8] {
        &self.bytes[MAIN + 8 * rank..][..8]
    }

    fn spare(&self, slot: usize) -> &[u8] {
        &self.bytes[SPARE + 12 * slot..][..12]
    }

    fn valid(&self, vectors: &mut Vectors, world: &World) {
        let set = self.set(world);
        let mut verdicts: Vec<Value> = (1..12)
            .map(element)
            .chain([world.shared])
            .map(|element| ask(&set, &element, "Confirmed"))
            .collect();
        // Another element of a fingerprint that is there.
        let there = |element: &[u8; 16]| set.contains(element) && *element != world.shared;
        let false_positives = (1_000..).map(element).filter(there).take(3);
        verdicts.extend(false_positives.map(|element| ask(&set, &element, "FalsePositive")));
        let file = vectors.file("record-small.set.bin", set.as_bytes());
        let note = ("record-small", "one record; two elements share a fingerprint");
        let case = self.case(vectors, note, &self.table).with("set", file);
        vectors.valid(case, json!({ "verdicts": verdicts }));
    }

    /// The rank of two elements, and the spare slot of the second.
    fn shared(&self, world: &World) -> (usize, usize) {
        let set = self.set(world);
        let rank = set.rank_of(set.hasher().fingerprint(&world.shared)).unwrap() as usize;
        let checks = [element(4), world.shared].map(|element| set.hasher().check(&element));
        let is_second = |slot: &usize| {
            let (of, check) = self.spare(*slot).split_at(4);
            of == (rank as u32).to_le_bytes() && check == checks.iter().max().unwrap().to_le_bytes()
        };
        (rank, (0..15).find(is_second).unwrap())
    }

    fn valid_patches(&self, vectors: &mut Vectors, world: &World) {
        let (rank, slot) = self.shared(world);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        let (main, spare) = (number(self.main(rank)), number(&self.spare(slot)[4..]));
        let (main_at, rank) = (MAIN + 8 * rank, rank as u32);
        let note = ("record-incomplete", "the main slot of a rank with a spare slot is 0");
        let case = self.resealed(vectors, note, &[(main_at, vec![0; 8])]);
        let verdicts = [
            verdict(rank, spare, "Confirmed"),
            verdict(rank, main, "Unknown"),
            verdict(rank, 1, "Unknown"),
            verdict(rank + 1, 1, "FalsePositive"),
        ];
        vectors.valid(case, json!({ "verdicts": verdicts }));

        let note = ("record-spare-twice", "two equal spare slots");
        let case =
            self.resealed(vectors, note, &[(SPARE + 12 * (slot + 1), self.spare(slot).to_vec())]);
        let verdicts = [
            verdict(rank, main, "Confirmed"),
            verdict(rank, spare, "Confirmed"),
            verdict(rank, 1, "FalsePositive"),
        ];
        vectors.valid(case, json!({ "verdicts": verdicts }));

        let note = ("record-spare-equals-main", "a spare slot with the check in the main slot");
        let mut equal = self.spare(slot).to_vec();
        equal[4..].copy_from_slice(&main.to_le_bytes());
        let case = self.resealed(vectors, note, &[(SPARE + 12 * slot, equal)]);
        let verdicts = [verdict(rank, main, "Confirmed"), verdict(rank, spare, "FalsePositive")];
        vectors.valid(case, json!({ "verdicts": verdicts }));

        // What noise there is at a rank that the set has not got.
        let noise = u64::from_le_bytes(self.main(11).try_into().unwrap());
        let note = ("record-rank-of-noise", "ranks that the set has not got");
        let case = self.case(vectors, note, &self.table);
        let verdicts = [
            verdict(10, 1, "FalsePositive"),
            verdict(11, noise, "Unknown"),
            verdict(11, 1, "Unknown"),
            verdict(2047, 1, "Unknown"),
            verdict(2048, 1, "Unknown"),
        ];
        vectors.valid(case, json!({ "verdicts": verdicts }));
    }

    /// The bytes are right, but not for this row or number.
    fn refused_for_row(&self, vectors: &mut Vectors, world: &World) {
        let date = (self.row.date.days() + 1).to_le_bytes();
        let other_date = edited(&self.table, &[(ROW_DATE, &date)]);
        let name = "record-other-date";
        let table = vectors.file(&format!("{name}.table.bin"), &other_date);
        let case = vectors
            .case("record", name, "the row is of the next date")
            .with("file", "record/small.bin")
            .with("table", table)
            .with("date", world.table(7).rows()[1].date.to_string())
            .with("number", 0);
        vectors.invalid(case, "Date");

        let bare = sha256(&[self.bytes]);
        let tables = [
            (
                "record-other-set",
                "the row is of another set",
                flipped(&self.table, 16 + 40, 0),
                "Digest",
            ),
            (
                "record-other-root",
                "the row has another check root",
                flipped(&self.table, ROW_ROOT, 0),
                "Digest",
            ),
            (
                "record-bare-leaf",
                "the check root is the hash without the zero byte",
                edited(&self.table, &[(ROW_ROOT, &bare)]),
                "Digest",
            ),
            (
                "record-other-spare-slots",
                "the row says 64 spare slots",
                edited(&self.table, &[(16 + 108, &[64])]),
                "Length",
            ),
        ];
        for (name, note, table, error) in tables {
            let case = self.case(vectors, (name, note), &table);
            vectors.invalid(case, error);
        }
        let table = vectors.file("record-small.table.bin", &self.table);
        let case = vectors
            .case("record", "record-number-1", "there is only record 0")
            .with("file", "record/small.bin")
            .with("table", table)
            .with("date", self.row.date.to_string())
            .with("number", 1);
        vectors.invalid(case, "Limit");
    }

    /// Authentic under the check root, but such a record must not be.
    fn refused_trees(&self, vectors: &mut Vectors) {
        let (body, path) = self.bytes.split_at(BODY);
        let node = |left: &[u8], right: &[u8]| sha256(&[&[1], left, right]);
        let up = |leaf: [u8; 32], path: &[u8]| {
            path.chunks(32).fold(leaf, |left, right| node(&left, right))
        };
        let leaf = sha256(&[&[0], body]);
        let number = (44, vec![1]);
        let second = sha256(&[&[0], &edited(body, &[(44, &[1])])]);
        let sibling = (BODY, leaf.to_vec());
        let more = "77".repeat(32);
        let trees = [
            (
                "record-number-beyond",
                "record 1 is in the tree, but 11 elements need only record 0",
                up(node(&leaf, &second), &path[32..]),
                1,
                patch(&[number, sibling]),
                "Limit",
            ),
            (
                "record-path-long",
                "a path of seven nodes that leads to the check root",
                node(&up(leaf, path), &[0x77; 32]),
                0,
                json!({ "append": more }),
                "Length",
            ),
            (
                "record-path-five",
                "a path of five nodes that leads to the check root",
                up(leaf, &path[..PATH - 32]),
                0,
                json!({ "cut": BODY + PATH - 32 }),
                "Length",
            ),
        ];
        for (name, note, root, number, patch, class) in trees {
            let table = edited(&self.table, &[(ROW_ROOT, &root)]);
            let table = vectors.file(&format!("{name}.table.bin"), &table);
            let case = vectors
                .case("record", name, note)
                .with("file", "record/small.bin")
                .with("table", table)
                .with("date", self.row.date.to_string())
                .with("number", number)
                .with("patch", patch);
            vectors.invalid(case, class);
        }
    }

    fn refused_bytes(&self, vectors: &mut Vectors) {
        let mut refuse = |name, note, patch: Value, error| {
            let table = vectors.file("record-small.table.bin", &self.table);
            let case = vectors
                .case("record", name, note)
                .with("file", "record/small.bin")
                .with("table", table)
                .with("date", self.row.date.to_string())
                .with("number", 0)
                .with("patch", patch);
            vectors.invalid(case, error);
        };
        let flip = |at: usize| patch(&[(at, vec![self.bytes[at] ^ 1])]);
        refuse("record-flipped-check", "a bit of a check flipped", flip(MAIN + 9), "Digest");
        refuse("record-flipped-spare", "a bit of a spare slot flipped", flip(BODY - 1), "Digest");
        refuse("record-flipped-identity", "a bit of the identity flipped", flip(8), "Digest");
        refuse(
            "record-cut",
            "the last byte is missing",
            json!({ "cut": BODY + PATH - 1 }),
            "Length",
        );
        refuse("record-cut-to-nothing", "no bytes at all", json!({ "cut": 0 }), "Length");
        refuse("record-trailing-byte", "a byte more", json!({ "append": "00" }), "Length");
        refuse("record-magic", "magic of a set", patch(&[(0, b"GCSSET".to_vec())]), "Magic");
        refuse("record-version", "version 2", patch(&[(6, vec![2])]), "Version");
    }

    fn refused_order(&self, vectors: &mut Vectors) {
        let late = 2_932_897u32.to_le_bytes().to_vec();
        let beyond = (SPARE + 12 * 15, 2048u32.to_le_bytes().to_vec());
        let swapped = [(SPARE, self.spare(1).to_vec()), (SPARE + 12, self.spare(0).to_vec())];
        let rank = u32::from_le_bytes(self.spare(0)[..4].try_into().unwrap()) as usize;
        let exchanged =
            [(SPARE + 4, self.main(rank).to_vec()), (MAIN + 8 * rank, self.spare(0)[4..].to_vec())];
        for (name, note, edits, error) in [
            ("record-date-10000", "10000-01-01", &[(40, late)][..], "Limit"),
            ("record-header-number", "says it is record 1", &[(44, vec![1])], "Mismatch"),
            ("record-header-ranks", "says k = 4096", &[(49, vec![16])], "Mismatch"),
            ("record-header-spare-slots", "says 64 spare slots", &[(52, vec![64])], "Mismatch"),
            ("record-spare-beyond", "a spare slot of rank 2048", &[beyond], "Limit"),
            ("record-spares-swapped", "two spare slots in the wrong order", &swapped, "Order"),
            ("record-spare-below-main", "main and spare exchanged", &exchanged, "Order"),
        ] {
            let case = self.resealed(vectors, (name, note), edits);
            vectors.invalid(case, error);
        }
    }
}

fn patch(edits: &[Edit]) -> Value {
    let edits: Vec<Value> =
        edits.iter().map(|(at, new)| json!({ "at": at, "bytes": hex(new) })).collect();
    json!({ "edits": edits })
}

/// What a record must say of a rank and a check.
fn verdict(rank: u32, check: u64, verdict: &str) -> Value {
    json!({ "rank": rank, "check": hex_number(check), "verdict": verdict })
}

/// What a record must say of an element.
fn ask(set: &Set, element: &[u8], expected: &str) -> Value {
    let hasher = set.hasher();
    let mut asked =
        verdict(set.rank_of(hasher.fingerprint(element)).unwrap(), hasher.check(element), expected);
    asked["element"] = hex(element).into();
    asked
}

/// The last two of three records, with paths; the middle one has incomplete ranks.
fn crowd(vectors: &mut Vectors, world: &World) {
    let table = world.crowd.publisher.table().unwrap();
    let row = &table.rows()[0];
    assert_eq!(row.records(), 3);
    let set = Set::parse(world.set(row)).unwrap().to_owned_set();
    let table_file = vectors.file("record-crowd.table.bin", &table.to_bytes());
    let set_file = vectors.file("record-crowd.set.bin", set.as_bytes());
    let records: Vec<&[u8]> =
        world.checks(row).chunks(row.record_shape.record_len() as usize).collect();
    for (number, name, note) in [
        (1, "record-crowd-middle", "the second of three records; ranks are incomplete"),
        (2, "record-crowd-last", "the third of three: its sibling is padding"),
    ] {
        let case = vectors
            .file_case("record", name, note, records[number])
            .with("table", table_file.clone())
            .with("set", set_file.clone())
            .with("date", row.date.to_string())
            .with("number", number);
        vectors.valid(case, json!({ "verdicts": crowd_verdicts(world, &set, number as u32) }));
    }
    let path = row.record_shape.record_len() as usize - PATH;
    let (low, high) = (&records[1][path..path + 32], &records[1][path + 32..]);
    assert_eq!(records[2][path..path + 32], [0; 32], "a padding leaf");
    let flip = patch(&[(path + 40, vec![records[1][path + 40] ^ 1])]);
    let swap = patch(&[(path, high.to_vec()), (path + 32, low.to_vec())]);
    for (name, note, number, patch, error) in [
        ("record-flipped-path", "a bit of the path flipped", 1, flip, "Digest"),
        ("record-swapped-path", "the nodes of the path exchanged", 1, swap, "Digest"),
        ("record-other-number", "record 1 in place of record 2", 2, json!({}), "Mismatch"),
        (
            "record-claims-number",
            "record 1 that says it is 2",
            2,
            patch(&[(44, vec![2])]),
            "Digest",
        ),
        ("record-number-3", "records are 0 to 2", 3, json!({}), "Limit"),
        (
            "record-path-short",
            "the path lacks its last node",
            1,
            json!({ "cut": path + PATH - 32 }),
            "Length",
        ),
    ] {
        let case = vectors
            .case("record", name, note)
            .with("file", "record/crowd-middle.bin")
            .with("table", table_file.clone())
            .with("date", row.date.to_string())
            .with("number", number)
            .with("patch", patch);
        vectors.invalid(case, error);
    }
}

fn crowd_verdicts(world: &World, set: &Set, number: u32) -> Vec<Value> {
    let index = set.index();
    let here = |element: &[u8; 16]| {
        let rank = index.rank_of(set.hasher().fingerprint(element));
        rank.is_some_and(|rank| rank / 2048 == number)
    };
    let left_out: Vec<usize> = world.crowd.left_out.iter().map(|left| left.index).collect();
    let elements = || world.crowd_elements.iter().enumerate().filter(|(_, element)| here(element));
    let ask = |element: &[u8; 16], verdict| ask(set, element, verdict);
    let placed = elements().filter(|(at, _)| !left_out.contains(at)).take(4);
    let mut verdicts: Vec<Value> = placed.map(|(_, element)| ask(element, "Confirmed")).collect();
    let lost: Vec<_> = elements().filter(|(at, _)| left_out.contains(at)).take(4).collect();
    assert_eq!(lost.is_empty(), number == 2);
    verdicts.extend(lost.iter().map(|(_, element)| ask(element, "Unknown")));
    // Elements that were never published, at ranks that are complete: those of no
    // element left out.
    let incomplete: Vec<u64> =
        left_out.iter().map(|at| set.hasher().fingerprint(&world.crowd_elements[*at])).collect();
    let others = (10_000..11_000).map(element).filter(|element| {
        here(element) && !incomplete.contains(&set.hasher().fingerprint(element))
    });
    verdicts.extend(others.take(3).map(|element| ask(&element, "FalsePositive")));
    verdicts.push(verdict((number + 1) % 3 * 2048, 1, "Unknown"));
    verdicts
}
