//! A write-ahead log that was damaged after a kill: nothing is lost, or what is lost is named, and what
//! was there is copied away first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::home::{Home, Running, difference};
use crate::common::process::{alone, complaint, text};
use crate::common::wal::transactions;
use crate::common::{ALL, HOUR, raw};
use gcs_server::app::{FolderError, StartError, key_file};
use gcs_server::store::{Batch, SqliteStore, Store as _};

const LOG: &str = "log.sqlite";
const WAL: &str = "log.sqlite-wal";

/// A folder as a kill leaves it, with half of its events in the write-ahead log.
struct Killed {
    home: Home,
    digest: gcs_core::Digest,
    /// Position of the last event.
    last: u64,
    /// The witness, as it was some reports before.
    older: Vec<u8>,
}

async fn killed() -> Killed {
    let home = Home::new();
    let running = home.begin().await;
    for serial in 0..20 {
        running.report(serial, &items(serial)).await.unwrap();
    }
    running.tick().await;
    running.stop().await;
    let running = home.start().await;
    home.pass(HOUR);
    running.tick().await;
    let mut older = Vec::new();
    for serial in 20..60 {
        running.report(serial, &items(serial)).await.unwrap();
        if serial == 25 {
            older = fs::read(home.path("witness")).unwrap();
        }
    }
    let killed = home.copy();
    // So that damage of any part of it is damage of something.
    let wal = fs::read(killed.path(WAL)).unwrap();
    fs::write(killed.path(WAL), transactions(&wal)).unwrap();
    let (digest, last) = (running.digest(), running.service().node.state().position);
    running.stop().await;
    Killed { home: killed, digest, last, older }
}

fn items(serial: u32) -> Vec<gcs_core::report::Item> {
    (0..12).map(|item| raw(2, u64::from(serial) * 100 + item)).collect()
}

fn batches(log: &Path) -> Vec<Batch> {
    SqliteStore::open_read_only(log).unwrap().read(1, ALL).unwrap()
}

/// The folders with copies of damaged files, by name.
fn kept(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let is_copy =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("damaged-");
    entries.filter(is_copy).collect()
}

/// The files of a log; an empty write-ahead log is as good as none.
fn files_of_log(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |name: &str| Some((name.to_owned(), fs::read(folder.join(name)).ok()?));
    [LOG, WAL].into_iter().filter_map(read).filter(|(_, bytes)| !bytes.is_empty()).collect()
}

/// Damages of all kinds, all over a write-ahead log, by name.
fn damages(wal: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut damages = Vec::new();
    let mut add = |name: String, damage: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = wal.to_vec();
        damage(&mut bytes);
        damages.push((name, bytes));
    };
    for part in 0..18 {
        let at = wal.len() * (2 * part + 1) / 36;
        add(format!("flip at {at}"), &|bytes| bytes[at] ^= 1);
        add(format!("zeros at {at}"), &|bytes| {
            let end = bytes.len().min(at + 4096);
            bytes[at..end].fill(0);
        });
        add(format!("cut at {at}"), &|bytes| bytes.truncate(at));
        add(format!("zeros from {at} to the end"), &|bytes| bytes[at..].fill(0));
    }
    for at in [1, 10, 17, 30] {
        add(format!("flip at {at} of the header"), &|bytes| bytes[at] ^= 1);
    }
    add("no header".into(), &|bytes| bytes[..32].fill(0));
    add("no header and no first frame".into(), &|bytes| bytes[..32 + 4120].fill(0));
    add("flip in the last frame".into(), &|bytes| {
        let last = bytes.len() - 100;
        bytes[last] ^= 1;
    });
    add("a sector of zeros every 40 KB".into(), &|bytes| {
        for at in (0..bytes.len() - 512).step_by(40_000) {
            bytes[at..at + 512].fill(0);
        }
    });
    add("emptied".into(), &Vec::clear);
    damages
}

/// The last event before the first that is lost, and the last that is lost, as the text has them.
fn named(refusal: &str) -> (u64, u64) {
    let lost = refusal.split("Lost: event").nth(1).unwrap_or_else(|| panic!("{refusal}"));
    let lost = lost.split('.').next().unwrap().trim_start_matches('s').trim();
    let mut numbers = lost.split(" to ").map(|number| number.parse::<u64>().unwrap());
    let first = numbers.next().unwrap();
    (first - 1, numbers.next().unwrap_or(first))
}

/// A start. The processes that other tests begin have this folder's lock too, for a moment.
async fn try_start(home: &Home) -> Result<Running, StartError> {
    loop {
        match home.try_start().await {
            Err(StartError::DataFolder(FolderError::InUse { .. })) => {}
            started => return started,
        }
    }
}

#[actix_web::test]
async fn of_a_damaged_write_ahead_log_nothing_is_lost_or_the_loss_is_named() {
    let Killed { home: killed, digest, last, .. } = killed().await;
    let wal = fs::read(killed.path(WAL)).unwrap();
    let whole = batches(&killed.copy().path(LOG));
    let damages = damages(&wal);
    assert!(damages.len() >= 54, "{}", damages.len());
    let (mut mended, mut refused) = (0, 0);
    for (name, bytes) in &damages {
        let home = killed.copy();
        fs::write(home.path(WAL), bytes).unwrap();
        let before = files_of_log(home.folder.path());
        // What SQLite alone would keep.
        let alone = home.copy();
        let prefix = SqliteStore::open(&alone.path(LOG)).unwrap().last().unwrap();
        match try_start(&home).await {
            Ok(running) => {
                assert_eq!(running.digest(), digest, "{name}");
                running.stop().await;
                mended += 1;
                assert_eq!(kept(&home).len(), 1, "{name}: what was repaired was damaged");
            }
            Err(error) => {
                let refusal = error.to_string();
                let (kept, end) = named(&refusal);
                assert_eq!(end, last, "{name}: {refusal}");
                assert!(kept < last && kept >= prefix, "{name}: {prefix}, {refusal}");
                assert!(refusal.contains("recover --yes"), "{refusal}");
                assert!(!refusal.to_lowercase().contains("delete"), "{refusal}");
                let after = files_of_log(home.folder.path());
                assert_eq!(difference(&before, &after), Vec::<String>::new(), "{name}");
                // Once more: the copy that is there is enough.
                assert_eq!(try_start(&home).await.err().unwrap().to_string(), refusal);
                refused += 1;
                if refused % 6 == 1 {
                    recovered(&home, &whole, kept, name);
                }
            }
        }
        let copies = kept(&home);
        assert!(copies.len() == usize::from(!bytes.is_empty()), "{name}: {copies:?}");
        for copy in copies {
            let changed = difference(&before, &files_of_log(&copy));
            assert_eq!(changed, Vec::<String>::new(), "{name}: the copy is what was there");
        }
    }
    println!("{mended} mended, {refused} refused and named");
    assert!(mended >= 15 && refused >= 15, "{mended} mended, {refused} refused");
}

/// A checkpoint copies events into the database and leaves the write-ahead log as it is. Whatever happens to that
/// one then, they are all there, and no start may write old pages over them.
#[actix_web::test]
async fn what_is_in_the_database_is_not_lost_with_its_write_ahead_log() {
    let Killed { home: killed, digest, .. } = killed().await;
    let connection = rusqlite::Connection::open(killed.path(LOG)).unwrap();
    let passive = "PRAGMA wal_checkpoint(PASSIVE)";
    let (all, done): (i64, i64) =
        connection.query_row(passive, [], |row| Ok((row.get(1)?, row.get(2)?))).unwrap();
    assert!(all == done && all > 25, "{all} {done}");
    let home = killed.copy();
    drop(connection);
    let (wal, killed) = (fs::read(home.path(WAL)).unwrap(), home);
    let cuts = (1..all as usize).step_by(7).map(|frames| 32 + frames * (4096 + 24));
    let cuts = cuts.map(|at| (format!("cut at {at}"), wal[..at].to_vec()));
    for (name, bytes) in damages(&wal).into_iter().step_by(5).chain(cuts) {
        for has_witness in [true, false] {
            let home = killed.copy();
            fs::write(home.path(WAL), &bytes).unwrap();
            if !has_witness {
                fs::remove_file(home.path("witness")).unwrap();
            }
            let before = files_of_log(home.folder.path());
            match try_start(&home).await {
                Ok(running) => {
                    assert_eq!(running.digest(), digest, "{name}, {has_witness}");
                    running.stop().await;
                }
                Err(error) => {
                    assert!(!has_witness, "{name}: {error}");
                    let after = files_of_log(home.folder.path());
                    assert_eq!(
                        difference(&before, &after),
                        Vec::<String>::new(),
                        "{name}: {error}"
                    );
                }
            }
        }
    }
}

/// Accepts the loss: what is kept is what was there, and the log goes on.
fn recovered(home: &Home, whole: &[Batch], kept: u64, name: &str) {
    let output = alone(home.folder.path(), &["recover", "--yes", "--drop-dates"]);
    let said = text(&[output.stdout, output.stderr].concat());
    assert!(output.status.success() && said.contains("Lost: event"), "{name}: {said}");
    let now = batches(&home.path(LOG));
    let events = |batches: &[Batch]| -> Vec<_> {
        batches.iter().flat_map(|batch| batch.events.clone()).collect()
    };
    let (now, whole) = (events(&now), events(whole));
    let kept = kept as usize;
    assert_eq!(now.len(), kept + 1, "{name}");
    assert_eq!(now[..kept], whole[..kept], "{name}");
    let verified = alone(home.folder.path(), &["verify-log"]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
}

#[actix_web::test]
async fn an_undamaged_write_ahead_log_is_not_copied() {
    let Killed { home: killed, digest, .. } = killed().await;
    let running = killed.start().await;
    assert_eq!(running.digest(), digest);
    running.stop().await;
    assert!(kept(&killed).is_empty());
    // What was being written when the process ended was not acknowledged.
    let torn = self::killed().await.home;
    let mut wal = fs::read(torn.path(WAL)).unwrap();
    wal.extend_from_slice(&wal.clone()[32..3000]);
    fs::write(torn.path(WAL), wal).unwrap();
    torn.start().await.stop().await;
    assert!(kept(&torn).is_empty());
}

/// SQLite has the write-ahead log beside the file that a link leads to.
#[cfg(unix)]
#[actix_web::test]
async fn a_log_that_a_link_leads_to_is_repaired_where_it_is() {
    let Killed { home, digest, .. } = killed().await;
    let disk = Home::new();
    let mut wal = fs::read(home.path(WAL)).unwrap();
    // The checksum of the second frame, without which its page can be told to be right.
    wal[32 + (24 + 4096) + 16] ^= 1;
    fs::write(disk.path(WAL), &wal).unwrap();
    fs::copy(home.path(LOG), disk.path(LOG)).unwrap();
    [LOG, WAL].iter().for_each(|name| fs::remove_file(home.path(name)).unwrap());
    std::os::unix::fs::symlink(disk.path(LOG), home.path(LOG)).unwrap();
    let running = try_start(&home).await.unwrap();
    assert_eq!(running.digest(), digest);
    running.stop().await;
    assert!(fs::symlink_metadata(home.path(LOG)).unwrap().is_symlink());
    assert!(kept(&home).is_empty());
    assert_eq!(fs::read(kept(&disk)[0].join(WAL)).unwrap(), wal);
    home.start().await.stop().await;
}

/// After a power cut the witness can be older than the log; or it is lost too.
#[actix_web::test]
async fn damage_is_seen_where_the_witness_is_old_or_lost() {
    let Killed { home: killed, digest, last, older } = killed().await;
    let wal = fs::read(killed.path(WAL)).unwrap();
    let (mut mended, mut refused) = (0, 0);
    for part in 1..10 {
        let mut bytes = wal.clone();
        bytes[wal.len() * part / 12] ^= 1;
        let home = killed.copy();
        fs::write(home.path(WAL), &bytes).unwrap();
        fs::write(home.path("witness"), &older).unwrap();
        match try_start(&home).await {
            Ok(running) => {
                assert_eq!(running.digest(), digest, "{part}");
                running.stop().await;
                mended += 1;
            }
            Err(error) => {
                assert_eq!(named(&error.to_string()).1, last, "{part}: {error}");
                refused += 1;
            }
        }
        assert_eq!(kept(&home).len(), 1, "{part}");

        let home = killed.copy();
        fs::write(home.path(WAL), &bytes).unwrap();
        fs::remove_file(home.path("witness")).unwrap();
        let refusal = try_start(&home).await.err().unwrap().to_string();
        assert!(refusal.contains("cannot be known"), "{part}: {refusal}");
        assert_eq!(fs::read(home.path(WAL)).unwrap(), bytes, "{part}");
        assert_eq!(kept(&home).len(), 1, "{part}");
    }
    assert!(mended > 0 && refused > 0, "{mended} mended, {refused} refused");
}

#[actix_web::test]
async fn commands_name_damage_and_leave_it() {
    let Killed { home: killed, last, .. } = killed().await;
    let mut wal = fs::read(killed.path(WAL)).unwrap();
    wal[5000] ^= 1;
    fs::write(killed.path(WAL), &wal).unwrap();
    let before = killed.contents();
    let said = complaint(&alone(killed.folder.path(), &["verify-log"]));
    assert!(said.contains("Frame 2 of") && said.contains("Nothing has been changed"), "{said}");
    assert_eq!(difference(&before, &killed.contents()), Vec::<String>::new());

    fs::write(killed.path(WAL), &wal[..50_000]).unwrap();
    for command in [&["recover"][..], &["rebuild"], &["reset-token"]] {
        let said = complaint(&alone(killed.folder.path(), command));
        assert_eq!(named(&said).1, last, "{said}");
        assert_eq!(fs::read(killed.path(WAL)).unwrap(), wal[..50_000]);
    }
    assert_eq!(kept(&killed).len(), 1);
}

/// A disk without room for the copies.
#[actix_web::test]
async fn what_cannot_be_copied_away_stays_as_it_is() {
    let killed = killed().await.home;
    let wal = fs::read(killed.path(WAL)).unwrap();
    fs::write(killed.path(WAL), &wal[..50_000]).unwrap();
    let Some(disk) = crate::common::small_disk::SmallDisk::mount(2048) else { return };
    for (name, bytes) in killed.contents() {
        let place = disk.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
    disk.fill();
    let said = complaint(&alone(disk.path(), &["recover", "--yes"]));
    assert!(said.contains("Make room") && said.contains("Nothing has been changed"), "{said}");
    assert_eq!(fs::read(disk.path().join(WAL)).unwrap(), wal[..50_000]);
    let folders = fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!folders.into_iter().any(|name| name.to_string_lossy().starts_with("damaged-")));
}

/// Whoever reads a log and cannot use it must find it again as it was.
#[actix_web::test]
async fn a_log_that_is_refused_keeps_its_write_ahead_log() {
    let Killed { home: killed, digest, .. } = killed().await;
    let home = killed.copy();
    assert!(fs::metadata(home.path(WAL)).unwrap().len() > 0);
    let (before, keys) =
        (files_of_log(home.folder.path()), fs::read(home.path("keys.json")).unwrap());
    fs::remove_file(home.path("keys.json")).unwrap();
    key_file::create(&crate::common::keys(77), &home.path("keys.json")).unwrap();
    let refusal = try_start(&home).await.err().unwrap().to_string();
    assert!(refusal.contains("another deployment"), "{refusal}");
    let after = files_of_log(home.folder.path());
    assert_eq!(difference(&before, &after), Vec::<String>::new());
    fs::write(home.path("keys.json"), keys).unwrap();
    let running = try_start(&home).await.unwrap();
    assert_eq!(running.digest(), digest);
    running.stop().await;
}
