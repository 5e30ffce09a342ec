//! The trees: everything that a small deployment ever published.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::files::{BundleEntry, FileHash, Manifest, Path, PublicationIndex, Row, Table};
use gcs_core::publish::{Publication, Publisher, PublisherSettings};
use gcs_core::{DAY_SECONDS, Digest, Set};
use serde_json::{Value, json};

use crate::generator::out::Vectors;
use crate::naive::dsse;
use crate::world::{ONLINE_SEED, START, World, date, element, keys_of, online_key, root_key};

/// A client counts so many bytes for a request besides its answer.
const REQUEST_BYTES: u64 = 500;

/// The files that were published, and what they mean. A publication is named as in the paths
/// of kept manifests: by series and tick.
pub(super) struct Tree {
    pub name: &'static str,
    files: BTreeMap<String, Vec<u8>>,
    published: BTreeMap<String, (Manifest, Table)>,
}

impl Tree {
    fn new(name: &'static str) -> Tree {
        Tree { name, files: BTreeMap::new(), published: BTreeMap::new() }
    }

    /// Publishes the next tick of a world.
    fn publish(&mut self, world: &mut World) -> Publication {
        let publication = world.publish();
        let name = format!("{}-{}", publication.manifest.series, publication.manifest.tick);
        for file in &publication.files {
            let path = match file.path {
                Path::Manifest => format!("/v1/manifests/{name}"),
                path => path.to_string(),
            };
            self.files.insert(path, file.bytes.clone());
        }
        self.published.insert(name, (publication.manifest.clone(), world.table().clone()));
        publication
    }

    /// Leaves out the files that nobody needs who asks nothing and is at one of these ticks, or goes
    /// from there to the last.
    fn keep_ticks(&mut self, ticks: &[u32]) {
        self.published.retain(|_, (manifest, _)| ticks.contains(&manifest.tick));
        let mut kept: BTreeSet<String> =
            self.published.keys().map(|name| format!("/v1/manifests/{name}")).collect();
        for (manifest, table) in self.published.values() {
            kept.insert(Path::Index(manifest.index.sha256).to_string());
            kept.extend(table.rows().iter().map(set_path));
        }
        let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
        self.files.retain(|path, _| match path.parse() {
            Ok(Path::Bundle { span, to, .. }) => to - span >= first && to <= last,
            _ => kept.contains(path),
        });
    }

    /// Signs any manifest with the online key, and puts it where kept ones are.
    fn sign(&mut self, manifest: &Manifest, world: &World) {
        let file =
            |file: FileHash| json!({ "bytes": file.bytes, "sha256": file.sha256.to_string() });
        let payload = json!({
            "format": 1, "series": manifest.series, "tick": manifest.tick,
            "issued": manifest.issued, "expires": manifest.expires, "next": manifest.next,
            "state": manifest.state.to_string(), "index": file(manifest.index),
            "bundle": manifest.bundle.map(file),
            "keys": serde_json::from_str::<Value>(&world.keys.key_list.to_json()).unwrap(),
        });
        let key = ed25519_dalek::SigningKey::from_bytes(&ONLINE_SEED);
        let signed = dsse::envelope(dsse::MANIFEST, payload.to_string().as_bytes(), &key);
        let path = format!("/v1/manifests/{}-{}", manifest.series, manifest.tick);
        self.files.insert(path, signed.into_bytes());
    }

    pub(super) fn manifest(&self, of: &str) -> &Manifest {
        &self.published[of].0
    }

    /// The length of the index.
    pub(super) fn index_bytes(&self, of: &str) -> u64 {
        self.manifest(of).index.bytes
    }

    pub(super) fn issued(&self, of: &str) -> u64 {
        self.manifest(of).issued
    }

    pub(super) fn table(&self, of: &str) -> &Table {
        &self.published[of].1
    }

    pub(super) fn row(&self, of: &str, number: u64) -> &Row {
        self.table(of).row(date(number)).unwrap()
    }

    pub(super) fn state(&self, of: &str) -> String {
        self.manifest(of).state.to_string()
    }

    pub(super) fn index(&self, of: &str) -> String {
        Path::Index(self.manifest(of).index.sha256).to_string()
    }

    pub(super) fn sets(&self, of: &str) -> Vec<String> {
        self.table(of).rows().iter().map(set_path).collect()
    }

    pub(super) fn set(&self, of: &str, number: u64) -> Set {
        Set::parse(self.files[&set_path(self.row(of, number))].clone()).unwrap()
    }

    /// Record `record` of a date: its path, and the first and last byte.
    pub(super) fn record(&self, of: &str, number: u64, record: u32) -> Value {
        let row = self.row(of, number);
        let length = row.record_shape.record_len();
        let first = u64::from(record) * length;
        json!({ "path": checks_path(row), "bytes": [first, first + length - 1] })
    }

    /// All records of all dates.
    pub(super) fn records(&self, of: &str) -> Vec<Value> {
        let numbers = (0..10).filter(|number| self.table(of).row(date(*number)).is_some());
        let of_date = |number| {
            let records = 0..self.row(of, number).records();
            records.map(move |record| self.record(of, number, record)).collect::<Vec<_>>()
        };
        numbers.flat_map(of_date).collect()
    }

    pub(super) fn checks(&self, of: &str, number: u64) -> String {
        checks_path(self.row(of, number))
    }

    /// The record that an element's fingerprint lies in.
    pub(super) fn record_of(&self, of: &str, number: u64, element: &[u8]) -> u32 {
        let set = self.set(of, number);
        let rank = set.rank_of(set.hasher().fingerprint(element)).unwrap();
        rank / self.row(of, number).record_shape.ranks
    }

    /// The record in which a fingerprint of an earlier publication lies, or would lie.
    pub(super) fn place_of(&self, of: &str, number: u64, element: &[u8], earlier: &str) -> u32 {
        let fingerprint = self.set(earlier, number).hasher().fingerprint(element);
        let set = self.set(of, number);
        assert_eq!(set.salt(), self.set(earlier, number).salt());
        let below = set.iter().filter(|other| *other < fingerprint).count() as u32;
        below.min(set.len() - 1) / self.row(of, number).record_shape.ranks
    }

    /// The cheapest way from one tick of series 1 to another: the paths of its bundles, or of the sets
    /// that differ if those cost less. Found by trying all.
    pub(super) fn way(&self, from: &str, to: &str) -> Vec<String> {
        let tick = |of: &str| self.manifest(of).tick;
        let index = PublicationIndex::parse(&self.files[&self.index(to)]).unwrap();
        let held = self.sets(from);
        let lacks = self.table(to).rows().iter().filter(|row| !held.contains(&set_path(row)));
        let whole: Vec<&Row> = lacks.collect();
        let cost = whole.iter().map(|row| row.bytes + REQUEST_BYTES).sum();
        let mut best: (u64, Vec<String>) = (cost, whole.iter().map(|row| set_path(row)).collect());
        let mut open = vec![(tick(from), 0, Vec::new())];
        while let Some((at, cost, bundles)) = open.pop() {
            if at == tick(to) {
                assert_ne!(cost, best.0, "two ways cost the same");
                if cost < best.0 {
                    best = (cost, bundles);
                }
                continue;
            }
            for next in index.bundles.iter().filter(|bundle| bundle.to - bundle.span == at) {
                let path = Path::Bundle { span: next.span, series: 1, to: next.to }.to_string();
                let cost = cost + next.bytes + REQUEST_BYTES;
                if cost <= best.0 {
                    open.push((next.to, cost, [&bundles[..], &[path]].concat()));
                }
            }
        }
        best.1
    }
}

fn set_path(row: &Row) -> String {
    Path::Set { date: row.date, identity: row.identity }.to_string()
}

fn checks_path(row: &Row) -> String {
    Path::Checks { date: row.date, root: row.check_root }.to_string()
}

/// All trees.
pub(super) struct Trees {
    /// Three dates that change a little; nothing that is asked.
    pub main: Tree,
    /// The second tick of another history of the same publisher.
    pub fork: Tree,
    /// Key list 5.
    pub keys5: Tree,
    /// Key list 4, one tick later.
    pub keys4: Tree,
    /// Ticks 96 to 192.
    pub far: Tree,
    /// A date of two check records and a small one.
    pub asked: Tree,
    /// A date with more elements than its records hold, and one that has no slot.
    pub full: Tree,
    pub left_out: Vec<u8>,
    /// A publication whose index lists bundles of these lengths, and none of them is there.
    pub plans: Vec<Tree>,
    /// Publications that their publisher signed, and that are not in themselves right.
    pub forged: Vec<Tree>,
}

fn settings(rate_bits: u32, expected_per_date: u32) -> PublisherSettings {
    PublisherSettings { rate_bits, expected_per_date, interval: 900 }
}

impl Trees {
    pub(super) fn make() -> Trees {
        let (main, fork) = main_and_fork();
        let (keys5, keys4) = key_lists();
        let (full, left_out) = full();
        let plans = PLANS.map(|(name, long, short)| plan(name, long, short)).into();
        let (far, asked, forged) = (far(), asked(), forged(&main));
        Trees { main, fork, keys5, keys4, far, asked, full, left_out, plans, forged }
    }

    pub(super) fn write(&self, vectors: &mut Vectors) {
        let Trees { main, fork, keys5, keys4, far, asked, full, plans, forged, .. } = self;
        let single = [main, fork, keys5, keys4, far, asked, full].into_iter();
        for tree in single.chain(plans).chain(forged) {
            for (path, bytes) in &tree.files {
                let name = format!("session/trees/{}{path}", tree.name);
                vectors.file_at(&name, bytes);
            }
        }
    }
}

fn main_and_fork() -> (Tree, Tree) {
    let mut world = World::new(settings(20, 30));
    let (mut main, mut fork) = (Tree::new("main"), Tree::new("fork"));
    main.publish(&mut world);
    let mut other = world.clone();
    other.add(0, 6000);
    fork.publish(&mut other);
    // Tick 2: one date gains an element, another loses one.
    world.add(1, 5000);
    world.remove(2, 2000);
    main.publish(&mut world);
    // Tick 3: nothing changes.
    main.publish(&mut world);
    // Tick 4: a report is withdrawn.
    world.remove(1, 1003);
    main.publish(&mut world);
    // Tick 5: a date is dropped.
    world.days.remove(&date(0));
    main.publish(&mut world);
    // Tick 6: a date outgrows its plan and is based anew.
    (0..40).for_each(|number| world.add(2, 7000 + number));
    let before = *world.table().row(date(2)).unwrap();
    main.publish(&mut world);
    assert_ne!(world.table().row(date(2)).unwrap().salt, before.salt);
    // Tick 7 is in a new series, in which one date has changed.
    world.publisher = world.publisher.next_series();
    world.add(2, 9000);
    main.publish(&mut world);
    for tree in [&mut main, &mut fork] {
        tree.files.retain(|path, _| !path.starts_with("/v1/checks/"));
    }
    (main, fork)
}

fn key_lists() -> (Tree, Tree) {
    let expires = START + 400 * DAY_SECONDS;
    let keys = |version| keys_of(&root_key(), &online_key(), version, expires);
    let mut trees = (Tree::new("keys5"), Tree::new("keys4"));
    let mut world = World::new(settings(32, 20));
    world.days.retain(|of, _| *of == date(0));
    let mut older = world.clone();
    world.keys = keys(5);
    trees.0.publish(&mut world);
    older.keys = keys(4);
    trees.1.publish(&mut older);
    trees.1.publish(&mut older);
    for tree in [&mut trees.0, &mut trees.1] {
        tree.files.retain(|path, _| !path.starts_with("/v1/checks/"));
    }
    trees
}

/// The ticks of the far tree at which clients are.
pub(super) const FAR: [u32; 6] = [96, 97, 100, 150, 190, 192];

fn far() -> Tree {
    let mut world = World::new(settings(20, 400));
    world.tick = 95;
    (0..300).for_each(|number| world.add(0, 50_000 + number));
    let mut tree = Tree::new("far");
    tree.publish(&mut world);
    for number in 0..96 {
        world.add(number % 3, 10_000 + number);
        tree.publish(&mut world);
    }
    tree.keep_ticks(&FAR);
    tree
}

/// The element that is withdrawn in tick 5 of the tree of questions.
pub(super) const WITHDRAWN: u64 = 77;

fn asked() -> Tree {
    let mut world = World::empty(settings(8, 2500));
    (0..2500).for_each(|number| world.add(0, number));
    (0..20).for_each(|number| world.add(1, 1_000_000 + number));
    let mut tree = Tree::new("asked");
    tree.publish(&mut world);
    // Tick 2: 30 elements on the small date.
    (20..50).for_each(|number| world.add(1, 1_000_000 + number));
    tree.publish(&mut world);
    // Tick 3: 5 on the large one; tick 4, a day later: 5 more.
    (0..5).for_each(|number| world.add(0, 3_000 + number));
    tree.publish(&mut world);
    world.now += DAY_SECONDS;
    (5..10).for_each(|number| world.add(0, 3_000 + number));
    tree.publish(&mut world);
    assert_eq!(tree.row("1-1", 0).records(), 2);
    // Tick 5: an element of the large date is withdrawn; tick 6: the date is dropped.
    world.days.entry(date(0)).or_default().remove(&element(WITHDRAWN));
    tree.publish(&mut world);
    world.days.remove(&date(0));
    tree.publish(&mut world);
    tree
}

/// Trees by what a bundle of span 96 from tick 96 to 192 weighs, and each of the four of span 24.
pub(super) const PLANS: [(&str, u64, u64); 3] =
    [("plan-long", 4_000, 900), ("plan-short", 4_200, 650), ("plan-whole", 9_000, 9_000)];

/// Two ticks of one date, and an index of the second that lists bundles of any length.
fn plan(name: &'static str, long: u64, short: u64) -> Tree {
    let mut world = World::empty(settings(20, 2_500));
    (0..2_000).for_each(|number| world.add(0, number));
    world.tick = 95;
    let mut tree = Tree::new(name);
    tree.publish(&mut world);
    world.tick = 191;
    world.publisher = Publisher::new(settings(20, 2_500), 1);
    world.add(0, 5_000);
    let next = world.publish();
    for file in &next.files {
        tree.files.insert(file.path.to_string(), file.bytes.clone());
    }
    tree.files.retain(|path, _| path != "/v1/manifest" && !path.starts_with("/v1/checks/"));

    let entry = |span, to, bytes| BundleEntry { span, to, bytes, sha256: Digest::of(b"nothing") };
    let mut bundles: Vec<BundleEntry> = [120, 144, 168, 192].map(|to| entry(24, to, short)).into();
    bundles.push(entry(96, 192, long));
    let table = world.table().clone();
    let index = PublicationIndex { series: 1, tick: 192, table: table.clone(), bundles }.to_bytes();
    let mut manifest = next.manifest;
    (manifest.index, manifest.bundle) = (FileHash::of(&index), None);
    tree.files.insert(Path::Index(manifest.index.sha256).to_string(), index);
    tree.sign(&manifest, &world);
    tree.published.insert("1-192".into(), (manifest, table));
    tree
}

/// Trees in which tick 2 of the main one is signed, but names another file: an index that says it is
/// of tick 3, one with the table of tick 1, and a bundle that says it leads to tick 3, which the index lists too.
fn forged(main: &Tree) -> Vec<Tree> {
    let index_of = |of: &str| PublicationIndex::parse(&main.files[&main.index(of)]).unwrap();
    let mixed = PublicationIndex { table: index_of("1-1").table, ..index_of("1-2") }.to_bytes();
    let old = PublicationIndex { tick: 3, ..index_of("1-2") }.to_bytes();
    // All is right but the tick that it says it leads to.
    let mut later = main.files["/v1/bundles/1/1-2"].clone();
    later[12] = 3;
    let FileHash { bytes, sha256 } = FileHash::of(&later);
    let bundles = vec![BundleEntry { span: 1, to: 2, bytes, sha256 }];
    let listed = PublicationIndex { bundles, ..index_of("1-2") }.to_bytes();
    let forge = |name, index: Option<Vec<u8>>, bundle: Option<Vec<u8>>| {
        let mut tree = Tree { name, files: main.files.clone(), published: main.published.clone() };
        tree.keep_ticks(&[1, 2]);
        let mut manifest = main.manifest("1-2").clone();
        if let Some(bytes) = index {
            manifest.index = FileHash::of(&bytes);
            tree.files.insert(Path::Index(manifest.index.sha256).to_string(), bytes);
        }
        manifest.bundle = bundle.as_deref().map(FileHash::of);
        if let Some(bytes) = bundle {
            tree.files.insert("/v1/bundles/1/1-2".into(), bytes);
        }
        tree.sign(&manifest, &World::empty(settings(20, 30)));
        tree.published.insert("1-2".into(), (manifest, main.table("1-2").clone()));
        tree
    };
    vec![
        forge("index-of-another-tick", Some(old), None),
        forge("index-of-another-state", Some(mixed), None),
        forge("bundle-of-another-tick", Some(listed), Some(later)),
    ]
}

fn full() -> (Tree, Vec<u8>) {
    let mut world = World::empty(settings(0, 1));
    (0..4000).for_each(|number| world.add(0, number));
    let mut tree = Tree::new("full");
    let publication = tree.publish(&mut world);
    let left = publication.left_out.first().expect("more than 256 spare slots would be needed");
    let elements = world.days();
    let left_out = elements[0].elements[left.index].clone();
    assert!((0..4000).any(|number| element(number) == left_out));
    (tree, left_out)
}
