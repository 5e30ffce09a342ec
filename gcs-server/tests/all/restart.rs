//! Starting: on what was left, on what was damaged, and not at all.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::api::{Api, ask};
use crate::common::home::{Home, Running, difference, files};
use crate::common::process::{alone, complaint, program, text};
use crate::common::shelf::named;
use crate::common::{ALL, HOUR, Ledger, make_newer, policy, raw, submission};
use gcs_core::Version;
use gcs_server::app::StartError;
use gcs_server::app::key_file;
use gcs_server::domain::chain::HEADER_LEN;
use gcs_server::domain::events::TickMade;
use gcs_server::domain::policy::Policy;
use gcs_server::store::{SqliteStore, Store as _};
use serde_json::{Value, json};

/// A folder whose server has published twice and stopped.
async fn lived() -> Home {
    lived_in(Home::new()).await
}

async fn lived_in(home: Home) -> Home {
    let running = home.begin().await;
    live(&home, &running, 0).await;
    live(&home, &running, 10).await;
    running.stop().await;
    home
}

/// Two reports and a tick.
async fn live(home: &Home, running: &Running, number: u32) {
    let element = u64::from(number);
    running.report(number, &[raw(2, element), raw(1, element + 1)]).await.unwrap();
    running.report(number + 1, &[raw(2, element), raw(3, element + 2)]).await.unwrap();
    home.pass(HOUR);
    running.tick().await;
}

#[actix_web::test]
async fn a_restart_keeps_everything() {
    let home = Home::new();
    let first = home.begin().await;
    live(&home, &first, 0).await;
    let answer = first.report(5, &[raw(2, 9)]).await.unwrap();
    let (digest, public) = (first.digest(), home.public());
    first.stop().await;
    assert!(!home.path("log.sqlite-wal").exists(), "a stop leaves one file of the log");
    for _ in 0..2 {
        let again = home.start().await;
        again.settle().await;
        assert_eq!(again.digest(), digest);
        assert_eq!(difference(&home.public(), &public), Vec::<String>::new());
        assert_eq!(again.report(5, &[raw(2, 9)]).await.unwrap(), answer);
        let used = again.report(5, &[raw(2, 8)]).await.unwrap_err();
        assert_eq!(used.code(), "code_used");
        again.stop().await;
    }
    let last = home.start().await;
    live(&home, &last, 20).await;
    assert_eq!(last.service().version(), Some(Version { series: 1, tick: 2 }));
    last.stop().await;
}

/// What may have changed in the part of the log that cannot be read is not told; what is published is.
fn expect_read_only(api: &Api) {
    let read_only = || (503, "read_only".to_owned());
    for path in ["/v1/admin/status", "/v1/admin/digest", "/v1/admin/policy", "/v1/admin/providers"]
    {
        let answer = api.operate("GET", path, Value::Null);
        assert_eq!(answer.header("retry-after"), "10");
        assert_eq!(answer.refused(), read_only(), "{path}");
    }
    assert_eq!(api.operate("POST", "/v1/admin/tick", Value::Null).refused(), read_only());
    let key = api.operate("POST", "/v1/admin/providers/1/key", Value::Null);
    assert_eq!(key.refused(), read_only());
    assert_eq!(api.provide("x", "GET", "/v1/provider/ranges", Value::Null).refused(), read_only());
    assert_eq!(api.exact(&json!({ "queries": [] })).refused(), read_only());
    assert_eq!(api.get(&format!("/v1/reports/{}", "0".repeat(32))).refused(), read_only());
    assert_eq!(api.get("/v1/manifest").status, 200);
    for (path, status) in [("/healthz", 200), ("/metrics", 200), ("/readyz", 503)] {
        let answer = ask(api.private, "GET", path, &[], "");
        assert_eq!(answer.status, status, "{path}");
    }
}

/// The witness tells such a bit of the last event from a newer release, and so does the commitment.
#[actix_web::test]
async fn a_flipped_bit_of_the_last_event_is_no_newer_release() {
    let home = lived().await;
    let open = || rusqlite::Connection::open(home.path("log.sqlite")).unwrap();
    let last = "SELECT first, headers FROM batch ORDER BY first DESC LIMIT 1";
    let (first, headers): (i64, Vec<u8>) =
        open().query_row(last, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for kind_or_outcome in [48, 49, 50] {
        let mut flipped = headers.clone();
        let place = headers.len() - HEADER_LEN + kind_or_outcome;
        flipped[place] ^= 0x40;
        let set = "UPDATE batch SET headers = ?1 WHERE first = ?2";
        open().execute(set, (flipped, first)).unwrap();
        let refusal = home.refusal().await;
        assert!(refusal.contains("not the one that was acknowledged"), "{refusal}");
        let witness = fs::read(home.path("witness")).unwrap();
        fs::remove_file(home.path("witness")).unwrap();
        let refusal = home.refusal().await;
        assert!(refusal.contains("or its header is not"), "{refusal}");
        fs::write(home.path("witness"), witness).unwrap();
    }
}

/// As when a newer release was tried, and went back to this one.
#[actix_web::test]
async fn a_log_of_a_newer_release_is_served_and_added_to_by_nobody() {
    let home = lived().await;
    let published = home.public();
    let mut store = SqliteStore::open(&home.path("log.sqlite")).unwrap();
    let position = store.last().unwrap();
    let before = home.start().await;
    let (head, digest) = (before.service().node.state().head, before.digest());
    before.stop().await;
    let mut batch = crate::common::seal(
        position,
        head,
        &[TickMade { series: 1, number: 3 }.into()],
        crate::common::START,
    );
    make_newer(&mut batch, 900, 1);
    store.append(&batch).unwrap();
    drop(store);

    for saved in [true, false] {
        if !saved {
            fs::remove_file(home.path("private/publisher")).unwrap();
        }
        let running = home.start().await;
        assert_eq!(running.digest(), digest);
        let refused = running.report(20, &[raw(2, 9)]).await.unwrap_err();
        assert_eq!(refused.code(), "read_only");
        let api = running.api("any");
        actix_web::web::block(move || expect_read_only(&api)).await.unwrap();
        assert!(!running.service().node.is_writable());
        if saved {
            assert_eq!(running.service().version(), Some(Version { series: 1, tick: 2 }));
        }
        running.stop().await;
        assert_eq!(difference(&home.public(), &published), Vec::<String>::new());
    }
    let (succeeded, said) = recover(&home, &["--yes"]);
    assert!(!succeeded && said.contains("newer"), "{said}");
}

#[actix_web::test]
async fn a_crash_at_any_moment_loses_nothing() {
    let home = Home::new();
    let running = home.begin().await;
    for number in 0..4 {
        running.report(number * 10, &[raw(2, number.into())]).await.unwrap();
        let copy = home.copy();
        let digest = running.digest();
        let again = copy.start().await;
        again.settle().await;
        assert_eq!(again.digest(), digest);
        assert_eq!(difference(&copy.public(), &home.public()), Vec::<String>::new());
        live(&home, &running, number * 10 + 1).await;
        copy.pass(HOUR);
        again.report(number * 10 + 1, &[raw(2, 5)]).await.unwrap();
        again.tick().await;
        again.stop().await;
    }
    running.stop().await;
}

#[actix_web::test]
async fn a_folder_in_use_is_refused() {
    let home = Home::new();
    let running = home.begin().await;
    let refusal = home.refusal().await;
    assert!(refusal.contains("in use") && refusal.contains("--data-dir"), "{refusal}");
    live(&home, &running, 0).await;
    running.stop().await;
    home.start().await.stop().await;
}

#[actix_web::test]
async fn keys_that_are_missing_or_another_deployments_are_refused() {
    let home = lived().await;
    let other = lived_in(Home::seeded(2, home.now())).await;
    let keys = fs::read(home.path("keys.json")).unwrap();
    fs::remove_file(home.path("keys.json")).unwrap();
    let refusal = home.refusal().await;
    assert!(refusal.contains("no key file") && refusal.contains("--key-file"), "{refusal}");

    fs::copy(other.path("keys.json"), home.path("keys.json")).unwrap();
    let refusal = home.refusal().await;
    assert!(refusal.contains("another deployment"), "{refusal}");

    fs::write(home.path("keys.json"), &keys[..keys.len() / 2]).unwrap();
    let refusal = home.refusal().await;
    assert!(refusal.contains("keys.json: not a key file"), "{refusal}");

    fs::write(home.path("keys.json"), keys).unwrap();
    home.start().await.stop().await;
}

#[actix_web::test]
async fn a_log_that_is_missing_empty_or_no_log_is_refused() {
    let home = lived().await;
    let log = home.path("log.sqlite");
    let bytes = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let refusal = home.refusal().await;
    assert!(refusal.contains("no log") && refusal.contains("restore COPY"), "{refusal}");

    for garbage in [vec![], b"not a database".to_vec(), vec![0x5a; 100_000], vec![0; 8192]] {
        fs::write(&log, &garbage).unwrap();
        let refusal = home.refusal().await;
        assert!(refusal.contains("log.sqlite") && refusal.contains("estore"), "{refusal}");
    }
    // Made, and cut short before its first event was written.
    fs::remove_file(&log).unwrap();
    drop(SqliteStore::open(&log).unwrap());
    let refusal = home.refusal().await;
    assert!(refusal.contains("Lost: events 1 to 13."), "{refusal}");
    fs::remove_file(home.path("witness")).unwrap();
    let refusal = home.refusal().await;
    assert!(refusal.contains("the log is empty"), "{refusal}");
    fs::remove_dir_all(home.path("public")).unwrap();
    fs::remove_dir_all(home.path("private")).unwrap();
    let refusal = home.try_start().await.err().unwrap().to_string();
    assert!(refusal.contains("the log is empty") && refusal.contains("key file"), "{refusal}");

    // Nothing that was published is left, so whether this log is the newest must be said.
    fs::write(&log, bytes).unwrap();
    assert!(matches!(home.try_start().await.err(), Some(StartError::Elsewhere { tick: 2 })));
    home.rebuild();
    home.start().await.stop().await;
}

#[actix_web::test]
async fn a_log_cut_off_in_the_middle_is_refused() {
    let home = Home::new();
    let running = home.begin().await;
    let many: Vec<_> = (0..200).map(|number| raw(2, number)).collect();
    for serial in 0..5 {
        running.report(serial, &many).await.unwrap();
    }
    running.tick().await;
    running.stop().await;
    let log = home.path("log.sqlite");
    let bytes = fs::read(&log).unwrap();
    assert!(bytes.len() >= 5 * 4096);
    for length in [bytes.len() - 1, bytes.len() - 4096, bytes.len() / 2, 4096, 100] {
        fs::write(&log, &bytes[..length]).unwrap();
        let refusal = home.refusal().await;
        assert!(refusal.contains("gcs-server restore COPY"), "{length}: {refusal}");
        assert!(refusal.contains("Nothing has been changed"), "{length}: {refusal}");
    }
    fs::write(&log, bytes).unwrap();
    home.start().await.stop().await;
}

#[actix_web::test]
async fn a_folder_that_cannot_be_made_is_refused() {
    let home = Home::new();
    fs::write(home.path("file"), "something").unwrap();
    let mut config = home.config();
    config.data_dir = home.path("file/data");
    let refusal = home.start_with(&config).await.err().unwrap().to_string();
    assert!(refusal.starts_with("data folder") && refusal.contains("file/data"), "{refusal}");

    let mut config = home.config();
    config.key_file = home.path("nowhere/keys.json");
    let refusal = home.start_with(&config).await.err().unwrap().to_string();
    assert!(refusal.starts_with("key file") && refusal.contains("nowhere"), "{refusal}");
    assert!(!home.path("log.sqlite").exists(), "no log without its keys");
    home.start().await.stop().await;
}

/// Root may write to any folder, so this is a start by another user.
#[cfg(unix)]
#[test]
fn a_folder_without_permission_to_write_is_refused() {
    use crate::unusable_log::{home, nobody, owned_by_nobody, program_for_all};
    use std::os::unix::fs::PermissionsExt as _;
    let home = home();
    let folder = home.path().join("data");
    fs::create_dir(&folder).unwrap();
    let mut start = program();
    if rustix::process::geteuid().is_root() {
        let Some([starter, arguments @ ..]) = nobody() else { return };
        owned_by_nobody(&folder);
        start = std::process::Command::new(starter);
        start.args(arguments).arg(program_for_all(home.path()));
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    start.arg("--data-dir").arg(&folder);
    start.args(["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"]);
    let refusal = complaint(&start.output().unwrap());
    assert!(refusal.contains("data folder") && refusal.contains("ermission"), "{refusal}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "a refused start changes nothing");
}

#[actix_web::test]
async fn a_file_that_phones_may_ask_for_and_is_missing_is_computed_again() {
    let home = lived().await;
    let public = home.public();
    let root = key_file::read(&home.path("keys.json")).unwrap().root();
    let (_, mut names) = named(&home.served(), &root);
    names.extend(["/v1/manifest", "/v1/manifests/1-2"].map(String::from));
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        fs::remove_file(home.path("public").join(&name[1..])).unwrap();
        let running = home.start().await;
        running.settle().await;
        running.stop().await;
        assert_eq!(difference(&home.public(), &public), Vec::<String>::new(), "{name}");
    }
    fs::remove_dir_all(home.path("public")).unwrap();
    let running = home.start().await;
    running.settle().await;
    assert_eq!(difference(&home.public(), &public), Vec::<String>::new());
    running.stop().await;
}

/// The log of a ledger, in a folder of its own.
fn settled(ledger: &Ledger) -> Home {
    let home = Home::new();
    key_file::create(&ledger.keys, &home.path("keys.json")).unwrap();
    let mut store = SqliteStore::open(&home.path("log.sqlite")).unwrap();
    ledger.batches().iter().for_each(|batch| store.append(batch).unwrap());
    home.set(ledger.now);
    drop(store);
    home.rebuild();
    home
}

/// How many bodies are gone from the log in a folder.
fn erased(home: &Home) -> usize {
    let batches = SqliteStore::open(&home.path("log.sqlite")).unwrap().read(1, ALL).unwrap();
    batches.iter().flat_map(|batch| &batch.events).filter(|event| event.body.is_none()).count()
}

#[actix_web::test]
async fn after_a_purge_everything_is_still_computed_from_the_log() {
    let short = Policy { retention_days: 1, ..policy() };
    let mut ledger = Ledger::with_codes(&short, 10);
    let first = submission(ledger.code(0), &[raw(2, 1), raw(3, 2)]);
    ledger.submit(&first).unwrap();
    ledger.live(7 * 86_400);
    ledger.report(1, &[raw(9, 3)]);
    ledger.live(86_400);
    let home = settled(&ledger);

    let running = home.start().await;
    running.settle().await;
    assert_eq!(running.service().purge().await.unwrap(), 1);
    assert_eq!(running.service().purge().await.unwrap(), 0);
    running.stop().await;
    assert_eq!(erased(&home), 1);
    let public = home.public();
    fs::remove_file(home.path("private/publisher")).unwrap();
    let running = home.start().await;
    running.settle().await;
    assert_eq!(difference(&home.public(), &public), Vec::<String>::new());
    let used = running.report(0, &[raw(2, 1), raw(3, 2)]).await.unwrap_err();
    assert_eq!(used.code(), "code_used");
    home.pass(900);
    running.tick().await;
    running.stop().await;
}

#[actix_web::test]
async fn bodies_that_a_crash_left_after_a_purge_are_erased_by_the_next_start() {
    let short = Policy { retention_days: 1, ..policy() };
    let mut ledger = Ledger::with_codes(&short, 10);
    ledger.report(0, &[raw(2, 1)]);
    ledger.live(7 * 86_400);
    assert_eq!(ledger.purge(false).len(), 1);
    let home = settled(&ledger);
    assert_eq!(erased(&home), 0);
    let running = home.start().await;
    assert_eq!(running.digest(), ledger.state.digest());
    running.stop().await;
    assert_eq!(erased(&home), 1);
}

#[actix_web::test]
async fn what_a_restart_goes_on_from_can_be_lost_or_damaged() {
    let home = lived().await;
    let (public, saved) = (home.public(), home.path("private/publisher"));
    let bytes = fs::read(&saved).unwrap();
    let mut flipped: Vec<Vec<u8>> = Vec::new();
    for at in [0, 5, 10, 17, 30, 55, 60, bytes.len() / 2, bytes.len() - 1] {
        flipped.push(bytes.clone());
        flipped.last_mut().unwrap()[at] ^= 4;
    }
    let cut = [0, 1, 55, 56, 57, bytes.len() - 1].map(|length| bytes[..length].to_vec());
    for damaged in flipped.into_iter().chain(cut).map(Some).chain([None]) {
        match &damaged {
            Some(damaged) => fs::write(&saved, damaged).unwrap(),
            None => fs::remove_file(&saved).unwrap(),
        }
        let running = home.start().await;
        running.settle().await;
        running.stop().await;
        assert_eq!(difference(&home.public(), &public), Vec::<String>::new());
        assert_eq!(fs::read(&saved).unwrap(), bytes);
    }
}

#[actix_web::test]
async fn a_manifest_older_than_the_log_is_written_again() {
    let home = lived().await;
    let manifest = home.manifest();
    fs::copy(home.path("public/v1/manifests/1-1"), home.path("public/v1/manifest")).unwrap();
    assert_ne!(home.manifest(), manifest);
    let running = home.start().await;
    assert_eq!(running.service().version(), Some(Version { series: 1, tick: 2 }));
    running.stop().await;
    assert_eq!(home.manifest(), manifest);
}

fn recover(home: &Home, options: &[&str]) -> (bool, String) {
    let output = alone(home.folder.path(), &[&["recover"], options].concat());
    (output.status.success(), text(&[output.stdout, output.stderr].concat()))
}

#[actix_web::test]
async fn a_log_that_lost_its_end_is_refused_until_it_is_recovered() {
    for (saved, witness) in [(true, true), (false, true), (true, false), (false, false)] {
        let home = Home::new();
        // The command has the system's clock.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        home.set(now - 3 * HOUR);
        let running = home.begin().await;
        let date = (now - crate::common::START) / 86_400 - 2;
        running.report(0, &[raw(date, 1)]).await.unwrap();
        running.tick().await;
        running.stop().await;
        let older = fs::read(home.path("log.sqlite")).unwrap();
        let running = home.start().await;
        running.report(1, &[raw(date, 2)]).await.unwrap();
        home.pass(HOUR);
        running.tick().await;
        running.stop().await;

        fs::write(home.path("log.sqlite"), older).unwrap();
        if !saved {
            fs::remove_file(home.path("private/publisher")).unwrap();
        }
        let refusal = home.refusal().await;
        assert!(refusal.contains("recover"), "{refusal}");
        if witness {
            assert!(refusal.contains("Lost: events 10 to 11."), "{refusal}");
        } else {
            fs::remove_file(home.path("witness")).unwrap();
            assert!(home.refusal().await.contains("tick 2"));
            assert!(matches!(home.try_start().await.err(), Some(StartError::Behind { tick: 2 })));
        }
        let before = files(&home.path("public"));
        let (succeeded, said) = recover(&home, &[]);
        assert!(!succeeded && said.contains("--yes"), "{said}");
        assert!(said.contains("--void-codes"), "{said}");
        if !witness {
            assert!(said.contains("provider 1 (a clinic): 9"), "{said}");
            let (succeeded, said) = recover(&home, &["--void-codes"]);
            assert!(
                !succeeded && said.contains("`gcs-server recover --void-codes --yes`"),
                "{said}"
            );
        }
        home.refusal().await;
        let (succeeded, said) = recover(&home, &["--yes"]);
        let series = said.split("series ").last().unwrap().split(' ').next().unwrap();
        let series: u32 = series.parse().unwrap();
        assert!(succeeded && u64::from(series) >= now, "{said}");
        assert_eq!(difference(&before, &files(&home.path("public"))), Vec::<String>::new());

        home.set(now + HOUR);
        // Until the new series begins, what phones have stays: nothing older is shown or written.
        home.start().await.stop().await;
        let running = home.start().await;
        assert_eq!(running.service().version(), None);
        // The lost report can be sent again.
        running.report(1, &[raw(date, 2)]).await.unwrap();
        assert_eq!(difference(&before, &files(&home.path("public"))), Vec::<String>::new());
        assert_eq!(running.tick().await, Version { series, tick: 2 });
        running.stop().await;
        home.start().await.stop().await;
    }
}

/// The copy knows nothing of what was published after it.
#[actix_web::test]
async fn a_copy_of_the_whole_folder_goes_on_in_a_series_of_its_own() {
    let home = lived().await;
    let copy = home.copy();
    let running = home.start().await;
    live(&home, &running, 20).await;
    running.stop().await;
    let before = copy.public();
    for options in [&[][..], &["--yes"]] {
        let (succeeded, said) = recover(&copy, options);
        assert!(succeeded && said.contains("start the server"), "{said}");
        assert!(said.contains("whole folder") && said.contains("recover --restored"), "{said}");
    }
    let (succeeded, said) = recover(&copy, &["--restored"]);
    assert!(!succeeded && said.contains("--drop-dates"), "{said}");
    let (succeeded, said) = recover(&copy, &["--restored", "--drop-dates"]);
    assert!(!succeeded && said.contains("recover --restored --drop-dates --yes"), "{said}");
    let (succeeded, said) = recover(&copy, &["--restored", "--drop-dates", "--yes"]);
    assert!(succeeded && said.contains("begins with the next tick"), "{said}");
    assert_eq!(difference(&before, &copy.public()), Vec::<String>::new());

    copy.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    let running = copy.start().await;
    let version = running.tick().await;
    assert!(version.series > 1 && version.tick == 3, "{version:?}");
    running.stop().await;
    // Neither has a manifest of the other's name with another content.
    let published = home.public();
    let is_same = |(name, bytes): (&String, &Vec<u8>)| {
        let other = published.get(name);
        !name.starts_with("v1/manifests/") || other.is_none_or(|other| other == bytes)
    };
    assert!(copy.public().iter().all(is_same));
}
