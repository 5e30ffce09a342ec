//! Makes the golden vectors in `tests/vectors/`, and asserts that those committed are
//! the ones that are made. With `GCS_WRITE_VECTORS=1` it writes them instead.
//!
//! Valid files come from the library's public API, most from a small publisher; invalid
//! ones are made from them by byte surgery, and sealed again with a right trailer where
//! the case is about something else. What a valid file must decode to is taken from what
//! went in, wherever that is known, not from decoding it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod bundles;
mod deltas;
mod indexes;
mod manifests;
mod out;
mod raw;
mod records;
mod sets;
mod small;
mod tables;
mod world;

use std::collections::BTreeSet;
use std::fs;

use crate::out::Vectors;
use crate::world::World;

/// Files of the folder that are not made here.
const BY_HAND: [&str; 3] = [".gitattributes", "README.md", "foreign"];

#[test]
fn committed_vectors_are_the_ones_that_are_made() {
    let vectors = make();
    if std::env::var_os("GCS_WRITE_VECTORS").is_some_and(|value| value == "1") {
        write(&vectors);
    }
    for (name, bytes) in &vectors.files {
        assert!(common::file(name) == *bytes, "{name} differs from what is made");
    }
    // Compared as values: the order of members within one is the JSON library's affair.
    let committed: serde_json::Value =
        serde_json::from_slice(&common::file("vectors.json")).unwrap();
    let made: serde_json::Value = serde_json::from_str(&vectors.list()).unwrap();
    assert!(committed == made, "vectors.json differs from what is made");
    assert_eq!(names_in_folder(), expected_names(&vectors), "files of the folder");
}

fn make() -> Vectors {
    let world = World::run();
    let mut vectors = Vectors::default();
    small::add(&mut vectors);
    sets::add(&mut vectors);
    deltas::add(&mut vectors);
    tables::add(&mut vectors, &world);
    indexes::add(&mut vectors, &world);
    bundles::add(&mut vectors, &world);
    records::add(&mut vectors, &world);
    manifests::add(&mut vectors, &world);
    vectors
}

fn write(vectors: &Vectors) {
    let folder = common::folder();
    for name in names_in_folder().difference(&expected_names(vectors)) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, bytes) in &vectors.files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(folder.join("vectors.json"), vectors.list()).unwrap();
}

/// Paths of all files in the folder and the folders in it.
fn names_in_folder() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for name in names_in("") {
        if BY_HAND.contains(&name.as_str()) {
            continue;
        }
        if common::folder().join(&name).is_dir() {
            names.extend(names_in(&name).iter().map(|file| format!("{name}/{file}")));
        } else {
            names.insert(name);
        }
    }
    names
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(common::folder().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn expected_names(vectors: &Vectors) -> BTreeSet<String> {
    vectors.files.keys().cloned().chain(["vectors.json".to_string()]).collect()
}
