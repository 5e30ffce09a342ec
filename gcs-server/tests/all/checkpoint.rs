//! The checkpoint: a short cut that never leads elsewhere.

use std::fs;
use std::sync::Arc;

use crate::common::home::{Home, Running, difference};
use crate::common::process::{alone, text};
use crate::common::shelf::Shelf;
use crate::common::{HOUR, Ledger, policy, raw};
use crate::publications::{Step, Town, any_step};
use futures_util::future::join_all;
use gcs_server::app::{Checkpoints, Unusable, catch_up, key_file};
use gcs_server::domain::chain::LoggedEvent;
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::domain::policy::Policy;
use gcs_server::domain::state::{LAYOUT, State};
use gcs_server::node::{replay, replay_from};
use gcs_server::publishing::Outbox;
use gcs_server::store::{MemoryStore, SqliteStore, Store, StoreError};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

fn written(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = state.write(|block| {
        bytes.extend_from_slice(block);
        Ok::<(), ()>(())
    });
    written.unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Wherever a state is written and read again, it goes on as if nothing had happened: state,
    /// decisions and published files.
    #[test]
    fn a_state_that_was_read_goes_on_like_a_replay(
        steps in prop::collection::vec(any_step(), 1..40),
        stops in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut town = Town::new();
        for (step, stops) in steps.iter().zip(stops).chain([(&Step::Tick(1), true)]) {
            town.step(step);
            if stops {
                let bytes = written(&town.ledger.state);
                let read = State::read(&bytes, town.ledger.keys.filler()).unwrap();
                prop_assert_eq!(read.digest(), town.ledger.state.digest());
                town.ledger.state = read;
            }
        }
        prop_assert_eq!(town.ledger.folded().digest(), town.ledger.state.digest());
        let (log, keys) = (&mut town.ledger.store.clone(), &town.ledger.keys);
        let mut rebuilt = Shelf::new(keys);
        rebuilt.put(&catch_up(log, keys, Outbox::default()).unwrap().outbox);
        prop_assert_eq!(difference(&town.shelf.files, &rebuilt.files), Vec::<String>::new());
    }
}

fn keys(home: &Home) -> Arc<DeploymentKeys> {
    Arc::new(key_file::read(&home.path("keys.json")).unwrap())
}

fn checkpoints(home: &Home) -> Checkpoints {
    Checkpoints::new(&home.path("private"), keys(home))
}

fn open(home: &Home) -> SqliteStore {
    SqliteStore::open(&home.path("log.sqlite")).unwrap()
}

fn state(home: &Home) -> State {
    replay(&mut open(home), Some(&keys(home)), |_, _| Ok(())).unwrap().whole().unwrap()
}

async fn live(home: &Home, running: &Running, number: u32) {
    let element = u64::from(number);
    running.report(number, &[raw(2, element), raw(1, element + 1)]).await.unwrap();
    home.pass(HOUR);
    running.tick().await;
}

/// A folder whose server has published twice, with a checkpoint of its state.
async fn lived(seed: u64) -> Home {
    let home = Home::seeded(seed, Home::new().now());
    let running = home.begin().await;
    live(&home, &running, 0).await;
    live(&home, &running, 10).await;
    running.stop().await;
    let state = state(&home);
    assert!(checkpoints(&home).write(|| Some(state.image())).unwrap());
    home
}

/// A start comes to the state of a replay, and serves what was served.
async fn assert_starts(
    home: &Home,
    state: &State,
    published: &std::collections::BTreeMap<String, Vec<u8>>,
) {
    let running = home.start().await;
    running.settle().await;
    assert_eq!(running.digest(), state.digest());
    running.stop().await;
    assert_eq!(difference(&home.public(), published), Vec::<String>::new());
}

fn read(home: &Home) -> Result<State, Unusable> {
    checkpoints(home).read(&mut open(home))
}

/// The same bytes with something changed, under a seal that fits.
fn sealed(home: &Home, mut bytes: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    change(&mut bytes);
    let seal = keys(home).seal(&Sha256::digest(&bytes).into());
    [bytes, seal.to_vec()].concat()
}

#[actix_web::test]
async fn a_checkpoint_with_any_damage_is_not_used() {
    let home = lived(1).await;
    let (path, public, state) = (home.path("private/checkpoint"), home.public(), state(&home));
    let bytes = fs::read(&path).unwrap();
    assert_eq!(read(&home).unwrap().digest(), state.digest());

    let ends = [0, 1, 8, 31, 32, 60, 100, 132, bytes.len() / 2, bytes.len() - 32, bytes.len() - 1];
    let cut = ends.map(|end| bytes[..end].to_vec());
    let all = (0..bytes.len()).filter(|at| *at < 200 || at % 7 == 0 || at + 40 > bytes.len());
    let flipped = all.map(|at| {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        flipped
    });
    let zeroed = [vec![0; bytes.len()], [&bytes[..], &[0]].concat(), b"a checkpoint".to_vec()];
    for damaged in cut.into_iter().chain(flipped).chain(zeroed) {
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(read(&home), Err(Unusable::Damaged)));
    }
    assert_starts(&home, &state, &public).await;

    // Sealed by somebody who has the keys, as another release of this server is.
    let layout = sealed(&home, bytes.clone(), |bytes| {
        bytes[8..12].copy_from_slice(&(LAYOUT + 1).to_le_bytes());
    });
    let older = sealed(&home, bytes.clone(), |bytes| bytes[8..12].fill(0));
    let release = sealed(&home, bytes.clone(), |bytes| bytes[12] ^= 1);
    for other in [layout, older, release] {
        fs::write(&path, &other).unwrap();
        assert!(matches!(read(&home), Err(Unusable::OtherRelease)));
    }
    assert_starts(&home, &state, &public).await;
    let elsewhere = sealed(&home, bytes.clone(), |bytes| bytes[28] ^= 1);
    let short = sealed(&home, bytes[..bytes.len() - 3].to_vec(), |_| ());
    let long = sealed(&home, [&bytes[..], &[7; 3]].concat(), |_| ());
    for other in [elsewhere, short, long] {
        fs::write(&path, &other).unwrap();
        assert!(matches!(read(&home), Err(Unusable::Damaged)));
    }
    assert_starts(&home, &state, &public).await;

    fs::remove_file(&path).unwrap();
    assert!(matches!(read(&home), Err(Unusable::Missing)));
    fs::create_dir(&path).unwrap();
    assert!(matches!(read(&home), Err(Unusable::Io(_))));
    assert_starts(&home, &state, &public).await;
}

#[actix_web::test]
async fn a_checkpoint_of_another_deployment_or_another_log_is_not_used() {
    let (home, other) = (lived(1).await, lived(2).await);
    let (public, state) = (home.public(), state(&home));
    fs::copy(other.path("private/checkpoint"), home.path("private/checkpoint")).unwrap();
    assert!(matches!(read(&home), Err(Unusable::Damaged)));
    assert_starts(&home, &state, &public).await;

    // A copy of the log from before the checkpoint, whose end is lost, or became another one.
    let home = Home::new();
    let running = home.begin().await;
    live(&home, &running, 0).await;
    running.stop().await;
    let older = home.copy();
    for ends in [0, 1, 6] {
        let ahead = older.copy();
        let running = ahead.start().await;
        for number in 20..23 {
            running.report(number, &[raw(2, 50)]).await.unwrap();
        }
        running.stop().await;
        let position = checkpoint_of(&ahead);
        let behind = older.copy();
        let running = behind.start().await;
        for number in 30..30 + ends {
            running.report(number, &[raw(2, u64::from(number))]).await.unwrap();
        }
        running.stop().await;
        let (public, state) = (behind.public(), self::state(&behind));
        fs::copy(ahead.path("private/checkpoint"), behind.path("private/checkpoint")).unwrap();
        let refused = read(&behind).unwrap_err();
        assert!(matches!(refused, Unusable::NotInLog { position: at } if at == position));
        assert_starts(&behind, &state, &public).await;
    }
}

/// Writes a checkpoint of the whole log; its position.
fn checkpoint_of(home: &Home) -> u64 {
    let state = state(home);
    let position = state.position;
    assert!(checkpoints(home).write(|| Some(state.image())).unwrap());
    position
}

/// Then the ticks between the two would never be published.
#[actix_web::test]
async fn a_checkpoint_later_than_the_saved_publisher_is_not_used() {
    let home = Home::new();
    let running = home.begin().await;
    live(&home, &running, 0).await;
    let saved = fs::read(home.path("private/publisher")).unwrap();
    let before = home.public();
    live(&home, &running, 10).await;
    running.stop().await;
    checkpoint_of(&home);
    let (public, state) = (home.public(), state(&home));
    assert_ne!(before, public);
    for lost in [false, true] {
        fs::write(home.path("private/publisher"), &saved).unwrap();
        if lost {
            fs::remove_file(home.path("private/publisher")).unwrap();
        }
        for name in public.keys().filter(|name| !before.contains_key(*name)) {
            fs::remove_file(home.path("public").join(name)).unwrap();
        }
        fs::write(home.path("public/v1/manifest"), &before["v1/manifest"]).unwrap();
        assert_starts(&home, &state, &public).await;
    }
}

/// The state after each event.
fn states(home: &Home) -> Vec<State> {
    let mut images = Vec::new();
    let each = |state: &State, _: &LoggedEvent| {
        images.push(written(state));
        Ok(())
    };
    replay(&mut open(home), Some(&keys(home)), each).unwrap();
    images.iter().map(|image| State::read(image, keys(home).filler()).unwrap()).collect()
}

/// Also within a batch, where a server once copied its state.
#[actix_web::test]
async fn a_start_goes_on_from_a_checkpoint_of_any_event() {
    let home = Home::new();
    let running = home.begin().await;
    for first in [0, 10, 20] {
        let items: Vec<_> = (first..first + 6).map(|number| [raw(2, number)]).collect();
        let sent =
            items.iter().zip(first as u32..).map(|(items, code)| running.report(code, items));
        assert!(join_all(sent).await.iter().all(Result::is_ok));
        home.pass(HOUR);
        running.tick().await;
    }
    running.stop().await;
    let (public, state) = (home.public(), state(&home));
    let batches = open(&home).read(1, usize::MAX).unwrap();
    let states = states(&home);
    assert!(batches.iter().filter(|batch| batch.events.len() > 1).count() > 2);
    for at in &states {
        assert!(checkpoints(&home).write(|| Some(at.image())).unwrap());
        let caught_up = catch_up_from_checkpoint(&home);
        assert_eq!(caught_up.digest(), state.digest(), "from event {}", at.position);
        assert_starts(&home, &state, &public).await;
    }
    assert_eq!(states.len() as u64, state.position);
}

/// The state that follows from the checkpoint and what comes behind it alone.
fn catch_up_from_checkpoint(home: &Home) -> State {
    let (mut store, keys) = (open(home), keys(home));
    let state = checkpoints(home).read(&mut store).unwrap();
    let replayed = replay_from(state, &mut store, Some(&keys), |_, _| Ok(())).unwrap();
    replayed.whole().unwrap()
}

/// Whatever is wrong with it: it is a short cut, and nothing depends on it.
#[actix_web::test]
async fn a_checkpoint_that_does_not_lead_on_is_not_used() {
    let home = lived(1).await;
    let (public, state) = (home.public(), state(&home));
    let states = states(&home);
    let mut led_nowhere = 0;
    for (older, at) in states.iter().zip(&states[2..]) {
        // A state of long ago that says it is of now.
        let mut wrong = State::read(&written(older), keys(&home).filler()).unwrap();
        (wrong.position, wrong.head) = (at.position, at.head);
        assert!(checkpoints(&home).write(|| Some(wrong.image())).unwrap());
        let (mut store, keys) = (open(&home), keys(&home));
        let read = checkpoints(&home).read(&mut store).unwrap();
        if replay_from(read, &mut store, Some(&keys), |_, _| Ok(())).is_err() {
            assert_starts(&home, &state, &public).await;
            led_nowhere += 1;
        }
    }
    assert!(led_nowhere > 1, "{led_nowhere}");
}

#[actix_web::test]
async fn a_server_writes_checkpoints_and_starts_from_them_alone() {
    let home = Home::new();
    let path = home.path("private/checkpoint");
    let running = home.begin().await;
    live(&home, &running, 0).await;
    running.stop().await;
    assert!(!path.exists(), "a short log is replayed in a moment");
    let running = home.start().await;
    for number in 10..270 {
        running.report(number, &[raw(2, u64::from(number))]).await.unwrap();
    }
    live(&home, &running, 270).await;
    running.stop().await;
    assert!(path.exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let (state, public) = (state(&home), home.public());
    let checkpoint = read(&home).unwrap();
    assert_eq!(checkpoint.digest(), state.digest());

    // Nothing before the checkpoint is read.
    let log = rusqlite::Connection::open(home.path("log.sqlite")).unwrap();
    let spoil = "UPDATE batch SET headers = zeroblob(length(headers)) WHERE first < 20";
    assert!(log.execute(spoil, []).unwrap() > 5);
    drop(log);
    assert_starts(&home, &state, &public).await;
    // And these commands read the log alone.
    for command in [&["verify-log"][..], &["rebuild"], &["recover"]] {
        let output = alone(home.folder.path(), command);
        let said = text(&[output.stdout, output.stderr].concat());
        assert!(!output.status.success() && said.contains("event"), "{command:?}: {said}");
    }
    fs::remove_file(&path).unwrap();
    assert!(home.try_start().await.is_err());
}

/// A log whose first report can be purged, and its state before that.
fn before_a_purge() -> (Ledger, Home) {
    let short = Policy { retention_days: 1, ..policy() };
    let mut ledger = Ledger::with_codes(&short, 10);
    ledger.report(0, &[raw(2, 1), raw(3, 2)]);
    ledger.live(7 * 86_400);
    ledger.report(1, &[raw(9, 3)]);
    let home = Home::new();
    key_file::create(&ledger.keys, &home.path("keys.json")).unwrap();
    let mut store = SqliteStore::open(&home.path("log.sqlite")).unwrap();
    ledger.batches().iter().for_each(|batch| store.append(batch).unwrap());
    home.set(ledger.now);
    drop(store);
    home.rebuild();
    (ledger, home)
}

#[actix_web::test]
async fn a_purge_leaves_no_checkpoint_with_what_it_erased() {
    let (ledger, home) = before_a_purge();
    checkpoint_of(&home);
    let path = home.path("private/checkpoint");
    let purged = crate::common::element(1);
    let has = |bytes: &[u8]| bytes.windows(16).any(|part| part == &purged[..]);
    // Of a date that is gone nothing is left but the report's payload and tracking id.
    let record = ledger.state.reports.iter().next().unwrap().1.payload;
    let has_report = |bytes: &[u8]| bytes.windows(32).any(|part| part == record);
    let bytes = fs::read(&path).unwrap();
    assert!(has_report(&bytes) && !has(&bytes));
    // As if the server had been killed while it wrote another one.
    let cut = home.path("private/checkpoint.new");
    fs::write(&cut, &bytes[..bytes.len() - 9]).unwrap();
    let running = home.start().await;
    running.settle().await;
    assert_eq!(running.service().purge().await.unwrap(), 1);
    // Another one may be there at once, without what is erased.
    for path in [&path, &cut] {
        assert!(fs::read(path).is_ok_and(|bytes| !has_report(&bytes)) || !path.exists());
    }
    running.stop().await;
    for (name, bytes) in home.contents().iter().filter(|(name, _)| name.starts_with("private")) {
        assert!(!has_report(bytes) && !has(bytes), "{name}");
    }
    // One that was made before the purge leads to the same state.
    let state = state(&home);
    fs::write(&path, bytes).unwrap();
    let running = home.start().await;
    assert_eq!(running.digest(), state.digest());
    running.stop().await;
    // The start erased it again, and with it that checkpoint; the stop wrote another one.
    assert!(!has_report(&fs::read(&path).unwrap()));
}

/// A store that cannot erase.
struct Stuck(MemoryStore, bool);

impl Store for Stuck {
    fn last(&mut self) -> Result<u64, StoreError> {
        self.0.last()
    }

    fn append(
        &mut self,
        batch: &gcs_server::store::Batch,
    ) -> Result<(), gcs_server::store::AppendError> {
        self.0.append(batch)
    }

    fn read(&mut self, from: u64, max: usize) -> Result<Vec<gcs_server::store::Batch>, StoreError> {
        self.0.read(from, max)
    }

    fn erase(&mut self, events: &[u64]) -> Result<(), StoreError> {
        self.1 = !self.1;
        if self.1 { Err(StoreError::Lingering) } else { self.0.erase(events) }
    }
}

#[actix_web::test]
async fn a_checkpoint_that_was_begun_before_an_erasure_is_not_kept() {
    let (ledger, home) = before_a_purge();
    let checkpoints = checkpoints(&home);
    let path = home.path("private/checkpoint");
    let state = ledger.folded();
    let copy = || Some(state.image());
    let mut store = checkpoints.guard(Box::new(Stuck(ledger.store.clone(), false)));
    assert!(checkpoints.write(copy).unwrap() && path.exists());
    assert!(store.erase(&[5]).is_err() && !path.exists());
    assert!(!checkpoints.write(copy).unwrap() && !path.exists(), "bodies may still be there");
    store.erase(&[5]).unwrap();
    assert!(checkpoints.write(copy).unwrap() && path.exists());
    let kept = checkpoints.write(|| {
        assert!(store.erase(&[5]).is_err());
        store.erase(&[5]).unwrap();
        copy()
    });
    assert!(!kept.unwrap() && !path.exists());
    let left: Vec<_> = fs::read_dir(home.path("private")).unwrap().collect();
    assert!(
        left.iter().all(|entry| entry.as_ref().unwrap().file_name() == "publisher"),
        "{left:?}"
    );
}

/// A reader of the log, such as a backup, keeps what was erased in the write-ahead log for a while.
#[actix_web::test]
async fn an_erasure_that_failed_is_made_up_for_and_checkpoints_are_written_again() {
    let (ledger, home) = before_a_purge();
    let checkpoints = checkpoints(&home);
    let path = home.path("private/checkpoint");
    let state = ledger.folded();
    let copy = || Some(state.image());
    let mut store = checkpoints.guard(Box::new(open(&home)));
    let reader = rusqlite::Connection::open(home.path("log.sqlite")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM batch").unwrap();
    let failed = store.erase(&[5]).unwrap_err();
    assert!(matches!(failed, StoreError::Lingering), "{failed}");
    store.settle();
    assert!(!checkpoints.write(copy).unwrap() && !path.exists(), "bodies are still there");
    reader.execute_batch("COMMIT").unwrap();
    store.settle();
    assert!(checkpoints.write(copy).unwrap() && path.exists());
    // Nothing is left to do.
    store.settle();
    assert!(path.exists());

    let mut store = checkpoints.guard(Box::new(Stuck(ledger.store.clone(), false)));
    assert!(store.erase(&[5]).is_err());
    assert!(!checkpoints.write(copy).unwrap() && !path.exists());
    store.settle();
    assert!(checkpoints.write(copy).unwrap() && path.exists());
}
