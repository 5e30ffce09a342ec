//! A client, and what is published for it, in folders on disk.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::ops::Range;

use gcs_core::publish::{Day, FolderPlace, Keys, Publisher, PublisherSettings};
use gcs_core::sync::{ClientSettings, Driver, FolderDriver, Outcome, Session, SyncError, Wake};
use gcs_core::{Date, Folder, SigningKey};

fn wake(driver: &mut impl Driver, settings: &ClientSettings, now: u64) -> Outcome {
    let wake = Wake { now, entropy: [7; 32], heard: Vec::new() };
    Session::new(settings, wake).run(driver)
}

#[test]
fn a_client_goes_on_from_its_folder() {
    let home = tempfile::tempdir().unwrap();
    let open = |name: &str| Folder::open(home.path().join(name)).unwrap();
    let date = Date::from_days(20_000).unwrap();
    let keys = Keys::from_secret([1; 32], date.end() + 9_000_000);
    let days = [Day { date, elements: Vec::from([[1; 16]]) }];
    let publisher = Publisher::new(PublisherSettings::default(), 1);
    let publication = publisher.publish_next(date.entry(), &days, &keys).unwrap();
    publication.write(&mut FolderPlace::new(open("public"), open("private"))).unwrap();

    let settings = ClientSettings::new(keys.root);
    let driver = || FolderDriver::new(open("phone"), open("public"));
    let first = wake(&mut driver(), &settings, date.entry());
    assert!(first.error.is_none() && first.up_to_date, "{first:?}");
    // It was told to come back later, and asks nobody until then.
    let offline =
        |path: &str, _: Option<Range<u64>>, _: u64| Err::<Option<Vec<u8>>, _>(path.to_string());
    let mut offline = FolderDriver::new(open("phone"), offline);
    let second = wake(&mut offline, &settings, date.entry() + 1);
    assert_eq!((second.error, second.held), (None, first.held));
    let third = wake(&mut offline, &settings, first.next_wake);
    let path = "/v1/manifest".to_string();
    let error = SyncError::Network { path: path.clone(), message: path };
    assert_eq!((third.error, third.held), (Some(error), first.held));
}

#[test]
fn a_folder_keeps_files_until_they_are_deleted() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::open(home.path().join("phone")).unwrap();
    let mut driver = FolderDriver::new(folder.clone(), folder);
    driver.put("set-1", b"one").unwrap();
    driver.put("set-1", b"two").unwrap();
    assert_eq!(driver.get("set-1").unwrap(), Some(b"two".to_vec()));
    for _ in 0..2 {
        driver.delete("set-1").unwrap();
        assert_eq!(driver.get("set-1").unwrap(), None);
    }
}

#[test]
fn a_folder_that_fails_is_named() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::open(home.path().join("phone")).unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    let mut driver = FolderDriver::new(folder.clone(), folder);
    let settings = ClientSettings::new(SigningKey::from_seed([1; 32]).public());
    let outcome = wake(&mut driver, &settings, 1_767_225_600);
    let error = outcome.error.unwrap();
    assert!(matches!(&error, SyncError::Storage { name, .. } if name == "state"), "{error}");
    assert_eq!(outcome.contacts, None);
}
