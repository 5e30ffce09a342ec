//! Faults that are planted, each of which the harnesses must find.

use std::fs::File;

use crate::Dice;
use crate::books::{Fate, Findings};
use crate::common::wait::until;
use crate::common::wal::transactions;
use crate::rig::{Rig, send, tick_briefly};
use crate::server::agent;
use crate::shim::{Order, Shim};

/// What is written to the write-ahead log is dropped, as by a full disk that is taken for success.
const DROPPED: Order =
    Order { call: "write", error: None, from: 1, count: u32::MAX, path: "log.sqlite-wal$" };

/// The harness finds a server that acknowledges what it could not write.
#[test]
fn a_full_disk_that_is_taken_for_success_loses_reports() {
    let findings = with_a_fault(Some(DROPPED), |_| {});
    assert!(findings.is_err_and(|said| said.contains("Lost: event")));
}

/// The same without the witness.
#[test]
fn a_full_disk_that_is_taken_for_success_loses_reports_without_a_word_where_the_witness_is_gone() {
    let findings = with_a_fault(Some(DROPPED), |rig| {
        std::fs::remove_file(rig.folder.join("witness")).unwrap();
    });
    let findings = findings.unwrap();
    assert!(findings.lost >= 20, "{findings}");
}

/// The harness finds that the end of the log is gone, where nothing else tells.
#[test]
fn a_write_ahead_log_that_is_cut_without_its_witness_loses_reports() {
    let findings = with_a_fault(None, |rig| {
        std::fs::remove_file(rig.folder.join("witness")).unwrap();
        cut_events(rig);
    });
    let findings = findings.unwrap();
    assert!(findings.lost >= 5, "{findings}");
}

/// Cuts the write-ahead log in the middle of its events.
fn cut_events(rig: &Rig) {
    let path = rig.folder.join("log.sqlite-wal");
    let wal = std::fs::read(&path).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(transactions(&wal).len() as u64 / 2).unwrap();
}

/// With the witness the server itself finds it.
#[test]
fn a_write_ahead_log_that_is_cut_is_refused() {
    let findings = with_a_fault(None, |rig| {
        cut_events(rig);
    });
    assert!(findings.is_err_and(|said| said.contains("Lost: event")));
}

/// The harness finds a store that forgets a batch it has taken.
#[test]
fn a_batch_that_the_store_forgets_is_missed() {
    let findings = with_a_fault(None, |rig| {
        std::fs::remove_file(rig.folder.join("witness")).unwrap();
        forget(rig, 0);
    });
    let findings = findings.unwrap();
    assert!(findings.lost >= 1, "{findings}");
}

/// With the witness the server itself finds it, and the chain of hashes tells of an earlier batch.
#[test]
fn a_batch_that_the_store_forgets_is_named() {
    let last = with_a_fault(None, |rig| forget(rig, 0)).unwrap_err();
    assert!(last.contains("Lost: event"), "{last}");
    let earlier = with_a_fault(None, |rig| forget(rig, 5)).unwrap_err();
    assert!(earlier.contains("event"), "{earlier}");
}

/// Takes a batch with a report out of a log: the last one, or one so many before it.
fn forget(rig: &Rig, before: u32) {
    let log = rusqlite::Connection::open(rig.folder.join("log.sqlite")).unwrap();
    // A tick has a short body.
    let of_reports =
        "SELECT first FROM batch WHERE length(bodies) > 80 ORDER BY first DESC LIMIT 1 OFFSET ?1";
    let first: i64 = log.query_row(of_reports, [before], |row| row.get(0)).unwrap();
    assert_eq!(log.execute("DELETE FROM batch WHERE first = ?1", [first]).unwrap(), 1);
}

/// The harness finds a server that says it postponed a report, and keeps it and uses up its code.
#[test]
fn a_postponed_report_that_is_there_is_found() {
    let dice = Dice::new("postponed");
    let home = tempfile::tempdir().unwrap();
    let (mut rig, server) = Rig::begin(home.path(), &[]).unwrap();
    rig.open(&server, 100);
    for _ in 0..40 {
        let report = rig.draw(&dice);
        assert!(matches!(
            Fate::of(send(&agent(), &server, &report).as_ref()),
            Fate::Acknowledged(_)
        ));
        rig.note(report, Fate::Postponed);
    }
    let findings = rig.check(&server, &dice);
    assert!(findings.invented >= 40, "{findings}");
    assert!(findings.wrong.iter().any(|wrong| wrong.contains("was used up")), "{findings}");
}

/// Where there is no fault, the harness finds none.
#[test]
fn a_kill_alone_loses_nothing() {
    let findings = with_a_fault(None, |_| {}).unwrap();
    assert!(findings.is_well() && findings.acknowledged >= 20, "{findings}");
}

/// The harness finds a publication that is not there.
#[test]
fn a_rename_that_is_not_done_leaves_phones_without_a_publication() {
    let (dice, shim) = (Dice::new("rename"), Shim::new());
    let home = tempfile::tempdir().unwrap();
    let (mut rig, server) = Rig::begin(home.path(), &[]).unwrap();
    server.stop().unwrap();
    let server = rig.start(&shim.settings()).unwrap();
    rig.open(&server, 100);
    shim.order(Order::all("rename", None, "/public"));
    for _ in 0..5 {
        let report = rig.draw(&dice);
        let fate = Fate::of(send(&agent(), &server, &report).as_ref());
        rig.books.note(report, fate);
    }
    let _never_published = tick_briefly(&server);
    // The server knows.
    until("not published", || server.logged().contains("not published; trying again"));
    rig.phone.sync(server.public).unwrap();
    let differences = rig.phone.differences(&rig.books.model());
    assert!(!differences.is_empty(), "the harness did not see that nothing was published");
    assert!(shim.clear() > 0);
}

/// A server that is told that calls succeeded which were not made, and then killed: what the books
/// find.
fn with_a_fault(order: Option<Order>, then: impl FnOnce(&Rig)) -> Result<Findings, String> {
    let (dice, shim) = (Dice::new("lies"), Shim::new());
    let home = tempfile::tempdir().unwrap();
    let (mut rig, server) = Rig::begin(home.path(), &[]).unwrap();
    server.stop().unwrap();
    let mut server = rig.start(&shim.settings()).unwrap();
    rig.open(&server, 100);
    if let Some(order) = order {
        shim.order(order);
    }
    let agent = agent();
    for _ in 0..20 {
        let report = rig.draw(&dice);
        let fate = Fate::of(send(&agent, &server, &report).as_ref());
        assert!(matches!(fate, Fate::Acknowledged(_)), "{fate:?}");
        rig.note(report, fate);
    }
    server.kill();
    assert_eq!(shim.clear() > 0, order.is_some());
    then(&rig);
    let server = rig.start(&[])?;
    Ok(rig.check(&server, &dice))
}
