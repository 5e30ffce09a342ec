//! What every store owes, tried on all of them; then what only a database can suffer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use crate::common::postgres::{postgres, url};
use crate::common::small_disk::SmallDisk;
use gcs_server::store::{
    AppendError, Batch, Failure, MAX_HEADER, MemoryStore, PostgresStore, SqliteStore, Store,
    StoreError, StoredBody, StoredEvent,
};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

/// Everything, in one read.
const ALL: usize = usize::MAX;

/// A log of one kind, and how to get another handle of it.
struct Log {
    kind: &'static str,
    handle: Box<dyn Fn() -> Box<dyn Store>>,
}

/// An empty log of every kind. The folder goes with the value.
fn logs() -> (TempDir, Vec<Log>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let memory = MemoryStore::new();
    let mut logs = vec![
        Log { kind: "memory", handle: Box::new(move || Box::new(memory.clone())) },
        Log {
            kind: "sqlite",
            handle: Box::new(move || Box::new(SqliteStore::open(&path).unwrap())),
        },
    ];
    if let Some(server) = postgres() {
        let url = url(&server.database());
        let handle = move || Box::new(PostgresStore::create(url.clone()).unwrap()) as _;
        logs.push(Log { kind: "postgres", handle: Box::new(handle) });
    }
    (folder, logs)
}

/// A new database with events at 1, 2–4 and 5, and its path.
fn database() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut store = SqliteStore::open(&path).unwrap();
    for batch in [batch(1, 1), batch(2, 3), batch(5, 1)] {
        store.append(&batch).unwrap();
    }
    (folder, path)
}

/// An event whose bytes occur nowhere else.
fn event(position: u64) -> StoredEvent {
    let mark = |name: &str| format!("<{name} {position:08}>").into_bytes();
    let mut salt = [b'.'; 32];
    salt[..15].copy_from_slice(&mark("salt"));
    let bytes = mark("body").repeat(1 + position as usize * 7 % 40);
    StoredEvent { header: mark("header"), body: Some(StoredBody { salt, bytes }) }
}

fn batch(first: u64, count: u64) -> Batch {
    Batch { first, id: new_id(), events: (first..first + count).map(event).collect() }
}

/// An id that no other batch has.
fn new_id() -> [u8; 16] {
    static IDS: AtomicU64 = AtomicU64::new(1);
    u128::from(IDS.fetch_add(1, Ordering::Relaxed)).to_le_bytes()
}

fn last(batch: &Batch) -> u64 {
    batch.first + batch.events.len() as u64 - 1
}

fn size(batch: &Batch) -> usize {
    let body = |body: &StoredBody| 32 + body.bytes.len();
    batch.events.iter().map(|event| event.header.len() + event.body.as_ref().map_or(0, body)).sum()
}

/// What `read` should return, most obviously.
fn page(model: &[Batch], from: u64, max_bytes: usize) -> Vec<Batch> {
    let mut page: Vec<Batch> = Vec::new();
    for batch in model.iter().filter(|batch| last(batch) >= from) {
        let total: usize = page.iter().chain([batch]).map(size).sum();
        if !page.is_empty() && total > max_bytes {
            break;
        }
        page.push(batch.clone());
    }
    page
}

fn erase_in(model: &mut [Batch], events: &[u64]) {
    for batch in model {
        for (position, event) in (batch.first..).zip(&mut batch.events) {
            if events.contains(&position) {
                event.body = None;
            }
        }
    }
}

/// Bytes of every file of a database: itself, the write-ahead log and its index.
fn files(folder: &TempDir) -> Vec<u8> {
    let files = fs::read_dir(folder.path()).unwrap();
    files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn contains(bytes: &[u8], part: &str) -> bool {
    memchr::memmem::find(bytes, part.as_bytes()).is_some()
}

fn any_event() -> impl Strategy<Value = StoredEvent> {
    let header = prop::collection::vec(any::<u8>(), 1..=MAX_HEADER);
    let bytes = prop_oneof![0..20usize, 0..9000usize];
    let bytes = bytes.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length));
    let body = (any::<[u8; 32]>(), bytes).prop_map(|(salt, bytes)| StoredBody { salt, bytes });
    (header, prop::option::weighted(0.9, body))
        .prop_map(|(header, body)| StoredEvent { header, body })
}

#[derive(Clone, Debug)]
enum Step {
    Append([u8; 16], Vec<StoredEvent>),
    Read(u64, usize),
    Erase(Vec<u64>),
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let events = prop::collection::vec(any_event(), 1..6);
    let limit = prop_oneof![Just(0), 0..20_000usize, Just(ALL)];
    prop_oneof![
        4 => (any::<[u8; 16]>(), events).prop_map(|(id, events)| Step::Append(id, events)),
        4 => (0..50u64, limit).prop_map(|(from, limit)| Step::Read(from, limit)),
        2 => prop::collection::vec(0..30u64, 0..6).prop_map(Step::Erase),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any use of a store is what it would be of a vector of batches.
    #[test]
    fn a_store_is_a_vector_of_batches(steps in prop::collection::vec(any_step(), 1..25)) {
        let (_folder, logs) = logs();
        for log in logs {
            let mut store = (log.handle)();
            let mut model: Vec<Batch> = Vec::new();
            for step in &steps {
                let end = model.last().map_or(0, last);
                match step {
                    Step::Append(id, events) => {
                        let batch = Batch { first: end + 1, id: *id, events: events.clone() };
                        store.append(&batch).unwrap();
                        model.push(batch);
                    }
                    Step::Read(from, limit) => {
                        let (read, mut most) =
                            (store.read(*from, *limit).unwrap(), page(&model, *from, *limit));
                        // The limit is of bytes as they are stored, erased ones and lengths among them.
                        if log.kind == "postgres" && !read.is_empty() {
                            most.truncate(read.len());
                        }
                        prop_assert_eq!(read, most, "{}", log.kind);
                    }
                    Step::Erase(events) => match store.erase(events) {
                        Ok(()) => erase_in(&mut model, events),
                        Err(StoreError::Missing { position }) => {
                            prop_assert!(events.contains(&position));
                            prop_assert!(position == 0 || position > end);
                        }
                        Err(error) => panic!("{}: {error}", log.kind),
                    },
                    Step::Reopen => store = (log.handle)(),
                }
                prop_assert_eq!(store.last().unwrap(), model.last().map_or(0, last));
            }
            let events = model.iter().flat_map(|batch| &batch.events);
            let headers: Vec<&[u8]> = events.map(|event| &event.header[..]).collect();
            for from in 0..=headers.len() as u64 + 2 {
                let (mut next, mut read) = (from, Vec::new());
                loop {
                    let page = store.headers(next).unwrap();
                    if page.is_empty() {
                        break;
                    }
                    next = next.max(1) + page.len() as u64;
                    read.extend(page);
                }
                let behind = (from.max(1) as usize - 1).min(headers.len());
                prop_assert_eq!(&read, &headers[behind..], "{}", log.kind);
            }
            prop_assert_eq!(store.read(0, ALL).unwrap(), model);
        }
    }
}

#[test]
fn a_wrong_position_is_a_conflict_and_changes_nothing() {
    let (_folder, logs) = logs();
    for log in logs {
        let mut store = (log.handle)();
        for first in [0, 2, u64::MAX] {
            let events = vec![event(7)];
            let error = store.append(&Batch { first, id: new_id(), events }).unwrap_err();
            assert!(matches!(error, AppendError::Conflict), "{}, {first}: {error}", log.kind);
        }
        let (one, two) = (batch(1, 3), batch(4, 2));
        store.append(&one).unwrap();
        store.append(&two).unwrap();
        for first in [0, 1, 2, 3, 4, 5, 7, 100, i64::MAX as u64, u64::MAX] {
            let events = vec![event(7)];
            let error = store.append(&Batch { first, id: new_id(), events }).unwrap_err();
            assert!(matches!(error, AppendError::Conflict), "{}, {first}: {error}", log.kind);
        }
        // The very batch that is there is one too: its writer compares the ids.
        assert!(matches!(store.append(&two), Err(AppendError::Conflict)));
        assert_eq!(store.last().unwrap(), 5);
        assert_eq!(store.read(1, ALL).unwrap(), [one, two]);
    }
}

#[test]
fn what_is_no_batch_is_refused() {
    let (_folder, logs) = logs();
    for log in logs {
        let mut store = (log.handle)();
        let header = |length| vec![StoredEvent { header: vec![0; length], body: None }];
        for events in [vec![], header(0), header(MAX_HEADER + 1)] {
            let error = store.append(&Batch { first: 1, id: new_id(), events }).unwrap_err();
            assert!(matches!(error, AppendError::Failed(StoreError::Invalid(_))), "{error}");
        }
        assert_eq!(store.last().unwrap(), 0);
        assert_eq!(store.read(1, ALL).unwrap(), []);
        assert_eq!(store.read(u64::MAX, 0).unwrap(), []);
    }
}

#[test]
fn of_two_handles_one_wins_each_position() {
    let (_folder, logs) = logs();
    for log in logs {
        let barrier = Arc::new(Barrier::new(2));
        let racers = [(log.handle)(), (log.handle)()].map(|mut store| {
            let barrier = Arc::clone(&barrier);
            let round = move |round: u64| {
                barrier.wait();
                let batch = batch(store.last().unwrap() + 1, 1 + round % 3);
                barrier.wait();
                loop {
                    match store.append(&batch) {
                        Ok(()) => return Ok(batch),
                        Err(AppendError::Failed(StoreError::Busy)) => {}
                        Err(error) => return Err(error),
                    }
                }
            };
            thread::spawn(move || (0..60).map(round).collect::<Vec<_>>())
        });
        let [one, two] = racers.map(|racer| racer.join().unwrap());
        let won: Vec<Batch> = one
            .into_iter()
            .zip(two)
            .map(|pair| match pair {
                (Ok(batch), Err(AppendError::Conflict))
                | (Err(AppendError::Conflict), Ok(batch)) => batch,
                pair => panic!("{}: {pair:?}", log.kind),
            })
            .collect();
        assert!(won.windows(2).all(|pair| last(&pair[0]) + 1 == pair[1].first));
        assert_eq!((log.handle)().read(1, ALL).unwrap(), won, "{}", log.kind);
    }
}

#[test]
fn erasing_is_idempotent_and_lasting_and_what_is_missing_stops_it() {
    let (_folder, logs) = logs();
    for log in logs {
        let mut store = (log.handle)();
        let mut model = vec![batch(1, 1), batch(2, 3), batch(5, 2)];
        for batch in &model {
            store.append(batch).unwrap();
        }
        for events in [&[1, 7][..], &[7, 1], &[0], &[3, 0], &[u64::MAX], &[2, i64::MAX as u64]] {
            let error = store.erase(events).unwrap_err();
            assert!(matches!(error, StoreError::Missing { .. }), "{}: {error}", log.kind);
            assert_eq!(store.read(1, ALL).unwrap(), model, "{}", log.kind);
        }
        for events in [&[][..], &[3], &[3], &[6, 3, 2, 3], &[1, 6]] {
            store.erase(events).unwrap();
            erase_in(&mut model, events);
            assert_eq!(store.read(1, ALL).unwrap(), model, "{}", log.kind);
        }
        assert_eq!(model[1].events[2], event(4));
        drop(store);
        let mut store = (log.handle)();
        assert_eq!(store.read(1, ALL).unwrap(), model, "{}", log.kind);
        // The log goes on behind what is erased.
        model.push(batch(7, 2));
        store.append(&model[3]).unwrap();
        assert_eq!(store.read(1, ALL).unwrap(), model, "{}", log.kind);
    }
}

#[test]
fn a_failure_tells_whether_the_batch_is_stored() {
    let store = MemoryStore::new();
    let mut handle = store.clone();
    handle.append(&batch(1, 2)).unwrap();

    store.fail_next(Some(Failure::BeforeStoring));
    assert!(matches!(handle.append(&batch(1, 1)), Err(AppendError::Conflict)));
    let next = batch(3, 2);
    assert!(matches!(handle.append(&next), Err(AppendError::Failed(_))));
    assert_eq!(handle.last().unwrap(), 2);

    store.fail_next(Some(Failure::AfterStoring));
    let error = handle.append(&next).unwrap_err();
    assert!(matches!(error, AppendError::Unknown(_)));
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "this append was told to fail");
    // The writer reads back: the id is its own, so the batch is stored.
    assert_eq!(handle.read(3, 0).unwrap()[0].id, next.id);

    store.fail_next(Some(Failure::BeforeStoring));
    store.fail_next(None);
    handle.append(&batch(5, 1)).unwrap();
    assert_eq!(store.clone().last().unwrap(), 5);
}

#[test]
fn of_many_that_open_a_new_log_one_creates_it() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(SqliteStore::open(&path).unwrap().last().unwrap(), 0));
            }
        });
    }
}

#[test]
fn a_copy_taken_after_an_append_has_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut model = Vec::new();
    for round in 0..20 {
        let batch = batch(store.last().unwrap() + 1, 1 + round % 3);
        store.append(&batch).unwrap();
        model.push(batch);
        // What a process finds that starts after this one was killed.
        let killed = folder.path().join(format!("killed {round}"));
        for suffix in ["", "-wal"] {
            let part = |path: &Path| format!("{}{suffix}", path.display());
            fs::copy(part(&path), part(&killed)).unwrap();
        }
        assert_eq!(SqliteStore::open(&killed).unwrap().read(1, ALL).unwrap(), model);
    }
}

#[test]
fn erased_bytes_are_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&folder.path().join("log")).unwrap();
    let mut kept: Vec<u64> = Vec::new();
    let mut erased: Vec<u64> = Vec::new();
    // Rows of all sizes, appended and erased by turns, so that pages are full and split.
    for round in 0..120 {
        let batch = batch(store.last().unwrap() + 1, 1 + round * 5 % 9);
        store.append(&batch).unwrap();
        kept.extend(batch.first..=last(&batch));
        if round % 3 == 2 {
            let count = kept.len() / 8;
            let chosen = (0..count).map(|at| kept.remove((at * 31 + round as usize) % kept.len()));
            let chosen: Vec<u64> = chosen.collect();
            store.erase(&chosen).unwrap();
            erased.extend(chosen);
        }
    }
    let check = |bytes: &[u8]| {
        for (events, there) in [(&erased, false), (&kept, true)] {
            for event in events {
                assert!(contains(bytes, &format!("<header {event:08}>")));
                assert_eq!(contains(bytes, &format!("<body {event:08}>")), there);
                assert_eq!(contains(bytes, &format!("<salt {event:08}>")), there);
            }
        }
    };
    assert!(erased.len() > 100 && kept.len() > 100);
    check(&files(&folder));
    drop(store);
    check(&files(&folder));
}

/// Rows that moved could leave copies behind that no later erasure finds.
#[test]
fn erasing_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut store = SqliteStore::open(&path).unwrap();
    for first in 1..=200 {
        store.append(&batch(first, 1)).unwrap();
    }
    store.erase(&[]).unwrap();
    let before = fs::read(&path).unwrap();
    store.erase(&(1..=190).collect::<Vec<_>>()).unwrap();
    let after = fs::read(&path).unwrap();
    assert_eq!(before.len(), after.len());
    // Behind SQLite's header, which counts changes.
    let mut bytes = before.iter().zip(&after).skip(100);
    assert!(bytes.all(|(before, after)| after == before || *after == 0));
}

#[test]
fn a_reader_that_keeps_erased_bytes_is_told_of() {
    let (folder, path) = database();
    let mut store = SqliteStore::open(&path).unwrap();
    store.append(&batch(6, 1)).unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM batch").unwrap();
    let error = store.erase(&[6]).unwrap_err();
    assert!(matches!(error, StoreError::Lingering), "{error}");
    assert_eq!(store.read(6, ALL).unwrap()[0].events[0].body, None);
    assert!(contains(&files(&folder), "<salt 00000006>"));
    reader.execute_batch("COMMIT").unwrap();
    store.erase(&[6]).unwrap();
    assert!(!contains(&files(&folder), "<salt 00000006>"));
}

/// On a full disk a mapped file kills the process that touches it.
#[test]
fn no_file_is_mapped() {
    let (folder, path) = database();
    let mut store = SqliteStore::open(&path).unwrap();
    store.append(&batch(6, 1)).unwrap();
    let mut reader = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!(reader.last().unwrap(), 6);
    assert!(!folder.path().join("log.sqlite-shm").exists());
    if let Ok(maps) = fs::read_to_string("/proc/self/maps") {
        let folder = folder.path().to_str().unwrap();
        assert!(!maps.contains(folder), "{maps}");
    }
}

/// What a failed checkpoint leaves: a log that can be used, and a write-ahead log that is emptied later.
#[test]
fn a_log_is_opened_on_a_disk_without_room_for_a_checkpoint() {
    let (folder, path) = database();
    let mut store = SqliteStore::open(&path).unwrap();
    for first in 6..60 {
        store.append(&batch(first, 1)).unwrap();
    }
    let Some(disk) = SmallDisk::mount(8192) else { return };
    let full = disk.path().join("log.sqlite");
    for name in ["log.sqlite", "log.sqlite-wal"] {
        fs::copy(folder.path().join(name), disk.path().join(name)).unwrap();
    }
    let wal = || fs::metadata(disk.path().join("log.sqlite-wal")).unwrap().len();
    assert!(wal() > 100_000);
    disk.fill();
    let mut killed = SqliteStore::open(&full).unwrap();
    assert_eq!(killed.read(1, ALL).unwrap(), store.read(1, ALL).unwrap());
    let error = killed.erase(&[7]).unwrap_err();
    let is_told =
        |error: &StoreError| matches!(error, StoreError::Lingering | StoreError::Sqlite(_));
    assert!(is_told(&error) && wal() > 100_000, "{error}");
    disk.clear();
    killed.append(&batch(60, 1)).unwrap();
    assert_eq!(wal(), 0);
    killed.erase(&[7]).unwrap();
    assert!(!contains(&fs::read(&full).unwrap(), "<salt 00000007>"));
}

#[test]
fn an_erasure_cut_short_ends_once_the_log_has_been_read() {
    let (folder, path) = database();
    let mut store = SqliteStore::open(&path).unwrap();
    store.append(&batch(6, 1)).unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM batch").unwrap();
    store.erase(&[6]).unwrap_err();
    let killed = tempfile::tempdir().unwrap();
    for name in ["log.sqlite", "log.sqlite-wal"] {
        fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
    }
    assert!(contains(&files(&killed), "<salt 00000006>"));
    let mut store = SqliteStore::open(&killed.path().join("log.sqlite")).unwrap();
    store.read(1, ALL).unwrap();
    assert!(contains(&files(&killed), "<salt 00000006>"), "what is read is not changed");
    store.settle();
    assert!(!contains(&files(&killed), "<salt 00000006>"));
}

#[test]
fn a_writer_in_the_way_is_waited_for_and_then_told_of() {
    let (_folder, path) = database();
    let mut store = SqliteStore::open(&path).unwrap();
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.append(&batch(6, 1)).unwrap_err();
    assert!(matches!(error, AppendError::Failed(StoreError::Busy)), "{error}");
    assert!(matches!(store.erase(&[1]), Err(StoreError::Busy)));
    assert_eq!(store.last().unwrap(), 5);
    writer.execute_batch("COMMIT").unwrap();
    store.append(&batch(6, 1)).unwrap();
}

#[test]
fn a_read_only_store_sees_the_log_grow() {
    let (_folder, path) = database();
    let mut store = SqliteStore::open(&path).unwrap();
    let mut reader = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!(reader.last().unwrap(), 5);
    store.append(&batch(6, 1)).unwrap();
    store.erase(&[3]).unwrap();
    assert_eq!(reader.read(1, ALL).unwrap(), store.read(1, ALL).unwrap());
    let error = reader.append(&batch(7, 1)).unwrap_err();
    assert!(matches!(error, AppendError::Failed(StoreError::ReadOnly)), "{error}");
    assert!(matches!(reader.erase(&[3]), Err(StoreError::ReadOnly)));
    drop(store);
    assert_eq!(reader.last().unwrap(), 6);
}

#[test]
#[cfg(unix)]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, path) = database();
    let _store = SqliteStore::open(&path).unwrap();
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
    assert!(files.len() > 1);
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
    }
}

#[test]
fn paths_without_a_database_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let kind = |error: &StoreError| match error {
        StoreError::Io(error) => Some(error.kind()),
        _ => None,
    };
    let error = SqliteStore::open(folder.path()).unwrap_err();
    assert_eq!(kind(&error), Some(std::io::ErrorKind::IsADirectory), "{error}");
    let error = SqliteStore::open(&path("missing/log")).unwrap_err();
    assert_eq!(kind(&error), Some(std::io::ErrorKind::NotFound), "{error}");
    assert!(SqliteStore::open_read_only(&path("missing")).is_err());
    assert!(!path("missing").exists());

    for garbage in ["no database".into(), "garbage ".repeat(1000), "SQLite format 3\0".into()] {
        fs::write(path("garbage"), &garbage).unwrap();
        for open in [SqliteStore::open, SqliteStore::open_read_only] {
            let error = open(&path("garbage")).unwrap_err();
            assert!(matches!(error, StoreError::Damaged(_)), "{garbage:.20?}: {error}");
        }
        assert_eq!(fs::read_to_string(path("garbage")).unwrap(), garbage);
    }
}

#[test]
#[cfg(unix)]
fn a_folder_without_permission_is_refused() {
    use crate::unusable_log::{copy_for_all, home, nobody};
    use std::os::unix::fs::PermissionsExt as _;
    if rustix::process::geteuid().is_root() {
        // Root may do everything: another user runs this test.
        let Some([starter, arguments @ ..]) = nobody() else { return };
        let home = home();
        let tests = copy_for_all(&std::env::current_exe().unwrap(), home.path());
        let mut as_nobody = std::process::Command::new(starter);
        as_nobody.args(arguments).arg(tests);
        as_nobody.args(["--exact", "store::a_folder_without_permission_is_refused"]);
        let ran = as_nobody.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let (folder, path) = database();
    let new = folder.path().join("new");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let error = SqliteStore::open(&new).unwrap_err();
    let denied = std::io::ErrorKind::PermissionDenied;
    assert!(matches!(&error, StoreError::Io(io) if io.kind() == denied), "{error}");
    // The write-ahead log is beside the database, and it can be neither made nor left.
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Sqlite(_))));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::ReadOnly)));
}

#[test]
fn databases_of_others_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other");
    let is_foreign = |error: &StoreError, expected: i32| match error {
        StoreError::Foreign { application } => *application == i64::from(expected),
        _ => false,
    };
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs(x)").unwrap();
    let before = fs::read(&path).unwrap();
    for open in [SqliteStore::open, SqliteStore::open_read_only] {
        let error = open(&path).unwrap_err();
        assert!(is_foreign(&error, 0), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    other.execute_batch("PRAGMA application_id = 77").unwrap();
    assert!(is_foreign(&SqliteStore::open(&path).unwrap_err(), 77));

    let (_folder, path) = database();
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    for open in [SqliteStore::open, SqliteStore::open_read_only] {
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 2, known: 1 }), "{error}");
    }
}

#[test]
fn a_truncated_database_is_refused() {
    let (folder, path) = database();
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut");
    // Also what is empty: a log that was emptied must not begin anew.
    for length in (0..4).chain((4..whole.len()).step_by(97)) {
        fs::write(&cut, &whole[..length]).unwrap();
        let error = SqliteStore::open(&cut).and_then(|mut store| store.read(1, ALL)).unwrap_err();
        let expected = matches!(error, StoreError::Empty if length < 2)
            || matches!(error, StoreError::Damaged(_) if length >= 2);
        assert!(expected, "{length}: {error}");
        assert_eq!(fs::read(&cut).unwrap(), whole[..length]);
    }
    fs::write(&cut, "").unwrap();
    assert!(matches!(SqliteStore::open_read_only(&cut), Err(StoreError::Empty)));
}

#[test]
fn corrupt_rows_name_their_position() {
    let cases = [
        ("UPDATE batch SET id = x'00' WHERE first = 2", 2),
        ("UPDATE batch SET last = 3 WHERE first = 2", 2),
        ("UPDATE batch SET last = -1 WHERE first = 2", 2),
        ("UPDATE batch SET last = 9223372036854775807 WHERE first = 2", 2),
        ("UPDATE batch SET last = -1 WHERE first = 5", 5),
        ("UPDATE batch SET headers = x'', bodies = x'' WHERE first = 2", 2),
        ("UPDATE batch SET headers = x'' WHERE first = 2", 2),
        ("UPDATE batch SET headers = x'ffffffff00' WHERE first = 2", 2),
        ("UPDATE batch SET headers = substr(headers, 1, 40) WHERE first = 2", 2),
        ("UPDATE batch SET headers = zeroblob(12) WHERE first = 2", 2),
        ("UPDATE batch SET bodies = CAST(bodies || x'00' AS BLOB) WHERE first = 2", 2),
        ("UPDATE batch SET bodies = x'000000000000000000000001ff' WHERE first = 2", 4),
        ("UPDATE batch SET bodies = x'000000000000000200010000000102' WHERE first = 2", 3),
        ("UPDATE batch SET first = 3 WHERE first = 2", 3),
        ("DELETE FROM batch WHERE first = 2", 2),
        ("DELETE FROM batch WHERE first = 1", 1),
        ("UPDATE batch SET first = -1 WHERE first = 1", 1),
        ("UPDATE batch SET first = 0 WHERE first = 1", 1),
    ];
    for (damage, expected) in cases {
        let (_folder, path) = database();
        Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        let mut store = SqliteStore::open(&path).unwrap();
        let error = store.read(1, ALL).unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { position, .. } if position == expected),
            "{damage}: {error}"
        );
        assert!(error.to_string().contains(&format!("position {expected}:")), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Damage anywhere in the file is an error or goes unnoticed, but never more than that.
    #[test]
    fn a_damaged_file_is_no_reason_to_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let (_folder, path) = database();
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fs::write(&path, bytes).unwrap();
        if let Ok(mut store) = SqliteStore::open(&path) {
            let _ = store.read(1, ALL);
            let _ = store.erase(&[1, 3, 5]);
            let _ = store.last().map(|last| store.append(&batch(last + 1, 1)));
        }
    }
}
