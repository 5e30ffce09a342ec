//! Copies of a log in a database that were cut short.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use crate::common::api::seed;
use crate::common::authority::{Authority, day};
use crate::common::postgres::{execute, postgres, url};
use crate::common::process::{Process, alone, complaint, program, text, until_ticked};
use crate::nodes::furnish;
use gcs_server::app::{CopyError, LogCopy};
use gcs_server::store::{
    AppendError, Batch, LogPlace, LogReader, PostgresStore, Store as _, StoreError, StoredEvent,
};

/// Copies the next batch of a log into a database, and is cut short then.
fn copy_one_batch(log: &Path, place: &str) {
    let reader = LogReader::new(LogPlace::File(log.to_owned()));
    let mut copy = LogCopy::open_database(&url(place)).unwrap();
    let next = copy.position() + 1;
    let read = |from| match from {
        from if from <= next => Ok(reader.page(from, 1).unwrap()),
        position => Err(CopyError::Gap { position }),
    };
    copy.follow(read).unwrap_err();
    assert!(copy.position() >= next);
}

#[test]
fn a_copy_that_was_cut_short_is_no_log_until_it_is_finished() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let folder = authority.folder("a");
    let a = Process::start(&folder, &[]);
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    a.codes(&provider, 3);
    let operator = a.operator.clone();
    a.stop();
    let place = url(&authority.place).to_string();
    copy_one_batch(&folder.join("log.sqlite"), &authority.place);

    authority.give_keys("b");
    let is_refused = |command: &[&str]| {
        let said = complaint(&authority.alone("b", command));
        assert!(said.contains("a copy of a log that is not finished"), "{said}");
        assert!(said.contains("again") && said.contains("move-log --to"), "{said}");
    };
    [&["verify-log"][..], &["rebuild"], &["reset-token"], &["recover"], &[]]
        .into_iter()
        .for_each(is_refused);
    // Nor does anybody begin a new deployment in it.
    let said = complaint(&authority.alone("new", &[]));
    assert!(said.contains("a copy of a log that is not finished"), "{said}");
    assert!(!authority.folder("new").join("keys.json").exists());

    // The same command goes on, and ends it.
    let source = folder.to_str().unwrap();
    let copied = program().args(["backup", "--from", source, "--to", &place]).output().unwrap();
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    assert!(authority.alone("b", &["verify-log"]).status.success());
    // A copy that was whole once stays a log while it is brought up to date.
    let a = Process::start(&folder, &[]).with_tokens(&operator, "");
    a.codes(&provider, 1);
    a.codes(&provider, 1);
    a.stop();
    copy_one_batch(&folder.join("log.sqlite"), &authority.place);
    assert!(authority.alone("b", &["verify-log"]).status.success());
}

#[test]
fn a_move_that_was_cut_short_is_no_log_until_it_is_finished() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let folder = authority.folder("a");
    let a = Process::start(&folder, &[]);
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    let codes = a.codes(&provider, 2);
    a.report(&codes[0], vec![seed(day(), 1)]).ok();
    let operator = a.operator.clone();
    a.stop();
    // An empty log, which a first start elsewhere has left.
    drop(PostgresStore::create(url(&authority.place)).unwrap());
    copy_one_batch(&folder.join("log.sqlite"), &authority.place);
    let opened = PostgresStore::open(url(&authority.place));
    assert!(matches!(opened, Err(StoreError::Unfinished)));

    let move_log = ["move-log", "--to", &authority.place];
    let moved = alone(&folder, &move_log);
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    // As if it had been killed right behind the end of the old log.
    let old = fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path());
    let old = old.into_iter().find(|path| path.display().to_string().contains("/moved-")).unwrap();
    fs::copy(old.join("log.sqlite"), folder.join("log.sqlite")).unwrap();
    execute(&authority.place, "UPDATE gcs_log SET version = 0");
    let moved = alone(&folder, &move_log);
    assert!(moved.status.success(), "{}", text(&moved.stderr));

    let a = authority.start("a").with_tokens(&operator, "");
    a.report(&codes[1], vec![seed(day(), 2)]).ok();
    a.stop();
}

/// All is copied, into a file and its write-ahead log, and then the move was cut short.
#[test]
fn a_move_to_a_file_that_was_cut_short_loses_nothing() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    let (_, provider) = a.provider("City hospital");
    a.codes(&provider, 3);
    a.stop();
    let (folder, place) = (authority.folder("a"), LogPlace::Postgres(url(&authority.place)));
    let (stage, reader) = (folder.join("moving"), LogReader::new(place));
    let last = reader.page(1, 1).unwrap().last;
    let mut copy = LogCopy::open(&stage).unwrap();
    copy.follow(|from| Ok::<_, CopyError>(reader.page(from, 1).unwrap())).unwrap();
    assert_eq!(copy.position(), last);
    let names = ["log.sqlite", "log.sqlite-wal"];
    let cut_short = names.map(|name| fs::read(stage.join(name)).unwrap());
    assert!(!cut_short[1].is_empty());
    drop(copy);
    for (name, bytes) in names.iter().zip(cut_short) {
        fs::write(stage.join(name), bytes).unwrap();
    }

    let moved = authority.alone("a", &["move-log", "--to-file"]);
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    let reader = LogReader::new(LogPlace::File(folder.join("log.sqlite")));
    assert_eq!(reader.page(1, 1).unwrap().last, last);
    let verified = alone(&folder, &["verify-log"]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
}

#[test]
fn a_log_whose_source_is_lost_goes_on_with_what_was_copied() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let folder = authority.folder("a");
    let a = Process::start(&folder, &[]);
    until_ticked(&a);
    let operator = a.operator.clone();
    a.stop();
    let place = url(&authority.place).to_string();
    copy_one_batch(&folder.join("log.sqlite"), &authority.place);

    authority.give_keys("b");
    assert!(complaint(&authority.alone("b", &["recover"])).contains("recover --yes"));
    let recovered = authority.alone("b", &["recover", "--yes"]);
    let said = text(&recovered.stdout);
    assert!(recovered.status.success(), "{said}{}", text(&recovered.stderr));
    assert!(
        said.contains("is not finished") && said.contains("begins with the next tick"),
        "{said}"
    );
    let b = authority.start("b").with_tokens(&operator, "");
    until_ticked(&b);
    let (_, provider) = b.provider("City hospital");
    let codes = b.codes(&provider, 1);
    b.report(&codes[0], vec![seed(day(), 1)]).ok();
    b.stop();
    // It is another log now than the one that was copied.
    let source = folder.to_str().unwrap();
    let copied = program().args(["backup", "--from", source, "--to", &place]).output().unwrap();
    let said = complaint(&copied);
    assert!(said.contains("of another deployment, or the server went on"), "{said}");
}

/// A first start beside a copy that is begun in the same database.
#[test]
fn nobody_appends_to_tables_that_are_not_a_log_any_more() {
    let Some(server) = postgres() else { return };
    let place = server.database();
    let mut store = PostgresStore::create(url(&place)).unwrap();
    furnish(&mut store);
    let next = Batch { first: store.last().unwrap() + 1, id: [7; 16], events: vec![event()] };
    for (version, newer) in [(0, false), (2, true)] {
        execute(&place, &format!("UPDATE gcs_log SET version = {version}"));
        let is_refused = |error: &AppendError| match error {
            AppendError::Failed(StoreError::Unfinished) => !newer,
            AppendError::Failed(StoreError::Newer { found: 2, .. }) => newer,
            _ => false,
        };
        let mut tries = (0..4).map(|_| store.append(&next).unwrap_err());
        assert!(tries.any(|error| is_refused(&error)));
    }
    execute(&place, "UPDATE gcs_log SET version = 0");
    PostgresStore::open_copy(url(&place)).unwrap().append(&next).unwrap();
    execute(&place, "UPDATE gcs_log SET version = 1");
    let after = Batch { first: next.first + 1, id: [8; 16], ..next };
    store.append(&after).unwrap_err();
    assert_eq!(store.last().unwrap(), next.first);
    store.append(&after).unwrap();
}

fn event() -> StoredEvent {
    StoredEvent { header: vec![1; 64], body: None }
}
