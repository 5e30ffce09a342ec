//! Building with runs on a disk that becomes full in the middle of a run.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod small_disk;

use std::fs::{self, File};
use std::io::{self, Cursor, Write as _};

use gcs_core::set::{ExternalBuilder, ExternalError, SinkError};
use gcs_core::{HashRange, Salt, Set};
use small_disk::SmallDisk;

const SALT: Salt = Salt([3; 16]);
const LIMIT: usize = 4 << 20;
const ELEMENTS: u32 = 1_000_000;

/// Names of the files on a disk.
fn names(disk: &SmallDisk) -> Vec<String> {
    let names = fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

fn elements() -> impl Iterator<Item = [u8; 4]> {
    (0..ELEMENTS).map(u32::to_le_bytes)
}

fn hash_range() -> HashRange {
    HashRange::for_expected(ELEMENTS, 20).unwrap()
}

/// The disk is full of something else: the spill fails, nothing is lost, and the builder goes
/// on once there is room.
#[test]
fn a_full_disk_in_the_middle_of_a_spill() {
    let Some(disk) = SmallDisk::mount(8 << 10) else { return };
    let filler = disk.path().join("filler");
    // There is room for the first runs, and for a part of the next.
    File::create(&filler).unwrap().write_all(&vec![7; 7 << 20]).unwrap();
    let mut builder = ExternalBuilder::new(SALT, hash_range(), LIMIT, disk.path()).unwrap();
    let mut failed = 0;
    for element in elements() {
        while let Err(error) = builder.push(element) {
            let ExternalError::Spill { folder, error } = error else { panic!("{error}") };
            assert_eq!((folder.as_path(), error.kind()), (disk.path(), io::ErrorKind::StorageFull));
            assert_eq!(names(&disk), ["filler"], "nothing half written is left");
            failed += 1;
            if failed == 3 {
                fs::remove_file(&filler).unwrap();
            }
        }
    }
    assert_eq!(failed, 3);
    let (file, info) = builder.finish_to(Cursor::new(Vec::new())).unwrap();
    let set = Set::build(SALT, hash_range(), elements()).unwrap();
    assert!(file.into_inner() == set.as_bytes() && info == set.info());
    assert!(names(&disk).is_empty());
}

/// The disk is full when the result is written to it.
#[test]
fn a_full_disk_at_the_end() {
    let (Some(runs), Some(out)) = (SmallDisk::mount(8 << 10), SmallDisk::mount(1 << 10)) else {
        return;
    };
    let mut builder = ExternalBuilder::new(SALT, hash_range(), LIMIT, runs.path()).unwrap();
    builder.extend(elements()).unwrap();
    let path = out.path().join("set");
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let error = builder.finish_to(file).map(drop).unwrap_err();
    let ExternalError::Sink(SinkError::Io(error)) = error else { panic!("{error}") };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(Set::parse(fs::read(path).unwrap()).is_err());
    assert!(names(&runs).is_empty());
    // Only the output is lost: another one gets the set.
    let (file, info) = builder.finish_to(Cursor::new(Vec::new())).unwrap();
    let set = Set::build(SALT, hash_range(), elements()).unwrap();
    assert!(file.into_inner() == set.as_bytes() && info == set.info());
}
