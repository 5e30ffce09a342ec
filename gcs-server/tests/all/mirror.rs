//! A mirror has what phones need, and takes nothing else from whoever it fetches from.

use std::fs;

use crate::common::process::{Process, program, text, until_ticked};
use crate::common::world::{Client, Files, hasty, serve};
use crate::common::{HOUR, policy};
use crate::publications::{Step, Town};
use gcs_core::files::Path;
use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Folder};
use gcs_server::publishing::{Mirror, MirrorError, Origin};
use tempfile::TempDir;

/// A server that has these files, and counts what is fetched.
struct Server<'a> {
    files: &'a Files,
    fetched: Vec<String>,
}

impl Origin for Server<'_> {
    type Error = String;

    fn fetch(&mut self, path: &Path, most: u64) -> Result<Vec<u8>, String> {
        self.fetched.push(path.to_string());
        let file = self.files.get(&path.to_string()).ok_or("404")?;
        if file.len() as u64 <= most { Ok(file.clone()) } else { Err("too long".into()) }
    }
}

fn server(files: &Files) -> Server<'_> {
    Server { files, fetched: Vec::new() }
}

/// A town with some history, of a few ticks a day.
fn town(ticks: u64) -> Town {
    let mut town = Town::new();
    go_on(&mut town, 0, ticks);
    town
}

fn go_on(town: &mut Town, from: u64, ticks: u64) {
    for number in from..from + ticks {
        let items = (0..6).map(|at| (-1 - at % 3, number * 6 + at as u64)).collect();
        town.step(&Step::Report(items));
        town.step(&Step::Tick(HOUR));
    }
}

/// An empty mirror of a town, and its folder.
fn mirror(town: &Town) -> (TempDir, Mirror) {
    let folder = tempfile::tempdir().unwrap();
    let mirror = mirror_in(&folder, town);
    (folder, mirror)
}

fn mirror_in(folder: &TempDir, town: &Town) -> Mirror {
    Mirror::open(Folder::open(folder.path()).unwrap(), town.ledger.keys.root()).unwrap()
}

/// Every file in a folder, by its path.
fn files(folder: &TempDir) -> Files {
    fn add(folder: &std::path::Path, prefix: &str, files: &mut Files) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                add(&entry.path(), &name, files);
            } else {
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut files = Files::new();
    add(folder.path(), "", &mut files);
    assert_eq!(files.remove("/mirror.lock"), Some(Vec::new()));
    files
}

#[test]
fn phones_get_from_a_mirror_what_they_get_from_the_server() {
    let mut town = Town::new();
    let (folder, mut mirror) = mirror(&town);
    let settings = hasty(ClientSettings::new(town.ledger.keys.root()));
    let mut phone = Client { settings, ..Client::new() };
    let mut ever = Files::new();
    for round in 0..40 {
        go_on(&mut town, round, 1);
        let now = town.ledger.now;
        let mut origin = server(&town.shelf.files);
        let pulled = mirror.pull(&mut origin, now).unwrap();
        // The manifest besides.
        assert_eq!(origin.fetched.len(), pulled.fetched + 1);
        ever.extend(town.shelf.files.clone());
        let mirrored = files(&folder);
        assert!(mirrored.iter().all(|(path, bytes)| ever.get(path) == Some(bytes)));
        let outcome = phone.wake_with(now + 1200, |path, part| serve(&mirrored, path, part));
        assert!(outcome.up_to_date && outcome.error.is_none(), "{outcome:?}");
        assert!(outcome.incidents.is_empty(), "{outcome:?}");
        // Nothing is fetched twice, and what no valid manifest names is not kept.
        let mut again = server(&town.shelf.files);
        assert_eq!(mirror.pull(&mut again, now).unwrap().fetched, 0);
        assert_eq!(again.fetched, ["/v1/manifest"]);
        let manifests = mirrored.keys().filter(|path| path.starts_with("/v1/manifests/"));
        assert_eq!(manifests.count() as u64, (round + 1).min(24));
    }
}

#[test]
fn what_is_not_right_is_not_taken() {
    let town = town(5);
    let now = town.ledger.now;
    let mut all = server(&town.shelf.files);
    mirror(&town).1.pull(&mut all, now).unwrap();
    let needed = all.fetched;
    assert!(needed.len() > 8 && needed.len() < town.shelf.files.len());
    for path in town.shelf.files.keys() {
        let mut changed = town.shelf.files.clone();
        let bytes = changed.get_mut(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let mut gone = town.shelf.files.clone();
        gone.remove(path);
        let mut longer = town.shelf.files.clone();
        longer.get_mut(path).unwrap().push(0);
        for bad in [changed, gone, longer] {
            let (folder, mut mirror) = mirror(&town);
            let pulled = mirror.pull(&mut server(&bad), now);
            // A file that no manifest needs any more is not asked for.
            let is_needed = needed.contains(path);
            assert_eq!(pulled.is_err(), is_needed, "{path}: {pulled:?}");
            let mirrored = files(&folder);
            assert_eq!(mirrored.contains_key("/v1/manifest"), !is_needed, "{path}");
            assert!(mirrored.iter().all(|(path, bytes)| town.shelf.files.get(path) == Some(bytes)));
            // It goes on where it stopped.
            mirror.pull(&mut server(&town.shelf.files), now).unwrap();
        }
    }
}

#[test]
fn a_server_that_goes_back_or_says_two_things_is_refused() {
    let mut town = town(3);
    let (folder, mut mirror) = mirror(&town);
    let before = town.shelf.files.clone();
    mirror.pull(&mut server(&before), town.ledger.now).unwrap();
    go_on(&mut town, 3, 2);
    let now = town.ledger.now;
    mirror.pull(&mut server(&town.shelf.files), now).unwrap();
    let held = files(&folder);

    let back = mirror.pull(&mut server(&before), now);
    assert!(matches!(back, Err(MirrorError::RolledBack { .. })), "{back:?}");

    // Another history with the same keys.
    let mut other = self::town(3);
    go_on(&mut other, 100, 2);
    let two = mirror.pull(&mut server(&other.shelf.files), now);
    assert!(matches!(two, Err(MirrorError::Equivocation(_))), "{two:?}");

    let expired = mirror.pull(&mut server(&town.shelf.files), now + 2 * DAY_SECONDS);
    assert!(matches!(expired, Err(MirrorError::Manifest(_))), "{expired:?}");
    assert_eq!(files(&folder), held);
    // A restart changes nothing of that, nor does damage to the manifest.
    drop(mirror);
    for damage in [false, true] {
        if damage {
            fs::write(folder.path().join("v1/manifest"), "{").unwrap();
        }
        let back = mirror_in(&folder, &town).pull(&mut server(&before), now);
        assert!(matches!(back, Err(MirrorError::RolledBack { .. })), "{back:?}");
    }
}

/// As by a proxy that writes JSON in its own way.
#[test]
fn a_manifest_that_was_changed_on_the_way_is_refused_and_deletes_nothing() {
    let mut town = town(2);
    let (folder, mut mirror) = mirror(&town);
    mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
    let whole = files(&folder);
    go_on(&mut town, 2, 1);
    let mut changed = town.shelf.files.clone();
    changed.get_mut("/v1/manifest").unwrap().push(b'\n');
    let refused = mirror.pull(&mut server(&changed), town.ledger.now);
    assert!(matches!(refused, Err(MirrorError::Manifest(_))), "{refused:?}");
    assert_eq!(files(&folder), whole);
    mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
}

#[test]
fn two_mirrors_do_not_share_a_folder() {
    let town = town(1);
    let (folder, mirror) = mirror(&town);
    let open = || Mirror::open(Folder::open(folder.path()).unwrap(), town.ledger.keys.root());
    assert!(matches!(open(), Err(MirrorError::Busy)));
    drop(mirror);
    open().unwrap();
}

/// What an index of a valid publication named is not known any more when the index is damaged.
#[test]
fn files_of_a_publication_whose_index_is_damaged_stay() {
    let mut town = town(2);
    let (folder, mut mirror) = mirror(&town);
    mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
    let before = files(&folder);
    let index = before.keys().find(|path| path.starts_with("/v1/index/")).unwrap();
    fs::write(folder.path().join(&index[1..]), "damaged").unwrap();
    go_on(&mut town, 2, 1);
    let pulled = mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
    assert_eq!(pulled.deleted, 0);
    assert!(before.keys().all(|path| folder.path().join(&path[1..]).exists()));
}

/// A mirror of a release that knew nothing of seeds, or of exports, kept manifests without the lists that they name.
#[test]
fn a_publication_whose_lists_are_unknown_keeps_only_files_of_their_kind() {
    for kind in ["seeds", "exports"] {
        lists_are_unknown(kind);
    }
}

fn lists_are_unknown(kind: &str) {
    let mut town = town(3);
    let (folder, mut mirror) = mirror(&town);
    mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
    let place = |name: &str| folder.path().join("v1").join(name);
    assert!(fs::read_dir(place(kind)).unwrap().count() > 0);
    fs::remove_dir_all(place(kind)).unwrap();
    let unneeded = format!("index/{}", "0".repeat(64));
    let unknown = format!("{kind}/{}", "0".repeat(64));
    fs::create_dir(place(kind)).unwrap();
    for name in [&unneeded, &unknown] {
        fs::write(place(name), "of nothing").unwrap();
    }
    go_on(&mut town, 3, 1);
    mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
    assert!(!place(&unneeded).exists() && place(&unknown).exists());
    // They go when that publication has expired.
    for number in 4..32 {
        go_on(&mut town, number, 1);
        mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
    }
    assert!(!place(&unknown).exists());
}

/// Apps that read it see that there are none any more.
#[test]
fn a_list_of_exports_that_ended_is_empty() {
    let mut town = town(6);
    let (folder, mut mirror) = mirror(&town);
    let mut pull = |town: &Town| {
        mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
        let mut mirrored = files(&folder);
        mirrored.retain(|path, _| path.starts_with("/v1/exports/"));
        mirrored
    };
    let before = pull(&town);
    assert!(before["/v1/exports/index.txt"].len() > 91 && before.len() > 3);
    town.step(&Step::Policy(policy()));
    go_on(&mut town, 6, 1);
    let ended = pull(&town);
    assert_eq!(ended["/v1/exports/index.txt"], b"");
    assert_eq!(ended.len(), before.len());
    for number in 7..35 {
        go_on(&mut town, number, 1);
        pull(&town);
    }
    assert_eq!(pull(&town).into_keys().collect::<Vec<_>>(), ["/v1/exports/index.txt"]);
}

#[test]
fn damaged_files_are_fetched_again_and_others_left_alone() {
    let town = town(4);
    let (folder, mut mirror) = mirror(&town);
    mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
    let whole = files(&folder);
    drop(mirror);
    fs::write(folder.path().join("index.html"), "an operator's own").unwrap();
    for path in whole.keys() {
        let place = folder.path().join(path.trim_start_matches('/'));
        for damage in [Some(Vec::new()), Some(vec![0; whole[path].len()]), None] {
            match damage {
                Some(bytes) => fs::write(&place, bytes).unwrap(),
                None => fs::remove_file(&place).unwrap(),
            }
            let mut mirror = mirror_in(&folder, &town);
            mirror.pull(&mut server(&town.shelf.files), town.ledger.now).unwrap();
            let mut mended = files(&folder);
            assert_eq!(mended.remove("/index.html").unwrap(), b"an operator's own");
            assert_eq!(mended, whole, "{path}");
        }
    }
}

#[test]
fn the_command_fetches_from_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("data"), &[]);
    until_ticked(&process);
    let root = process.root.clone();
    let to = folder.path().join("mirror");
    let pull = |root: &str, url: &str| {
        let to = to.to_str().unwrap();
        let command = ["mirror", "--public-url", url, "--root-key", root, "--to", to];
        program().args(command).output().unwrap()
    };
    let first = pull(&root, &process.public_url());
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(text(&first.stdout).contains("has series 1, tick 1: "), "{}", text(&first.stdout));
    let again = pull(&root, &process.public_url());
    assert!(text(&again.stdout).contains(": 0 files fetched, 0 deleted"));
    let manifest = fs::read(to.join("v1/manifest")).unwrap();
    assert_eq!(manifest, fs::read(folder.path().join("data/public/v1/manifest")).unwrap());

    let other = pull(&"0".repeat(64), &process.public_url());
    assert!(!other.status.success());
    assert!(text(&other.stderr).contains("the manifest is refused"), "{}", text(&other.stderr));
    let wrong = pull("nonsense", &process.public_url());
    assert!(text(&wrong.stderr).contains("--root-key"), "{}", text(&wrong.stderr));
    let private = pull(&root, &process.private_url());
    assert!(text(&private.stderr).contains("/v1/manifest cannot be fetched"));
    process.stop();
    let gone = pull(&root, "http://127.0.0.1:1");
    assert!(text(&gone.stderr).contains("Is the server running?"), "{}", text(&gone.stderr));
    assert_eq!(fs::read(to.join("v1/manifest")).unwrap(), manifest);
}
