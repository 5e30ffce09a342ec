//! Makes the golden vectors in `tests/vectors/`: `cargo run -p gcs-core --example vectors` writes
//! them, and `tests/vectors.rs` asserts that those committed are the ones that are made.
//!
//! Valid files come from the library's public API, most from a small publisher; invalid
//! ones are made from them by byte surgery, and sealed again with a right trailer where
//! the case is about something else. What a valid file must decode to is taken from what
//! went in, wherever that is known, not from decoding it.

#![allow(dead_code, reason = "the example writes, the test compares")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a generator fails by panicking")]

mod base64;
mod bundles;
mod deltas;
mod exports;
mod indexes;
mod json;
mod manifests;
mod orders;
mod out;
mod raw;
mod records;
mod seed_files;
mod seeds;
mod sessions;
mod set_indexes;
mod sets;
mod signatures;
mod small;
mod tables;
mod world;

use std::collections::BTreeSet;
use std::fs;

use self::out::Vectors;
use self::world::World;
use crate::golden;

/// Files of the folder that are not made here.
const BY_HAND: [&str; 3] = [".gitattributes", "README.md", "foreign"];

/// All vectors.
pub(crate) fn make() -> Vectors {
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
    sessions::add(&mut vectors);
    set_indexes::add(&mut vectors);
    seeds::add(&mut vectors);
    seed_files::add(&mut vectors);
    exports::add(&mut vectors);
    vectors
}

/// Writes all vectors, and removes what is none.
pub(crate) fn write() {
    let (vectors, folder) = (make(), golden::folder());
    for name in names_in_folder().difference(&vectors.names()) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, bytes) in vectors.files() {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Paths of all files in the folder and the folders in it.
pub(crate) fn names_in_folder() -> BTreeSet<String> {
    let made = names_in("").into_iter().filter(|name| !BY_HAND.contains(&name.as_str()));
    made.flat_map(|name| files_at(&name)).collect()
}

/// The file of this name, or all files of the folder.
fn files_at(name: &str) -> Vec<String> {
    if !golden::folder().join(name).is_dir() {
        return vec![name.to_string()];
    }
    let entries = names_in(name).into_iter().map(|entry| format!("{name}/{entry}"));
    entries.flat_map(|entry| files_at(&entry)).collect()
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(golden::folder().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
