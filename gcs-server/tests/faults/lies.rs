//! Faults that are planted, each of which the harnesses must find.

use crate::Dice;
use crate::books::{Fate, Findings};
use crate::rig::{Rig, send, tick_briefly};
use crate::server::agent;
use crate::shim::{Order, Shim};

/// The harness finds a server that acknowledges what it could not write.
#[test]
fn a_full_disk_that_is_taken_for_success_loses_reports() {
    let findings = with_a_lie(Order::all("write", None, "log.sqlite-wal$"));
    assert!(findings.is_err_and(|said| said.contains("Lost: event")));
}

/// The same without the witness.
#[test]
fn a_full_disk_that_is_taken_for_success_loses_reports_without_a_word_where_the_witness_is_gone() {
    let findings = with_a_lie_then(Order::all("write", None, "log.sqlite-wal$"), |rig| {
        std::fs::remove_file(rig.folder.join("witness")).unwrap();
    });
    let findings = findings.unwrap();
    assert!(findings.lost >= 20, "{findings}");
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
    assert!(shim.clear() > 0);
    // The server knows.
    assert!(server.logged().contains("not published; trying again"), "{}", server.logged());
    rig.phone.sync(server.public).unwrap();
    let differences = rig.phone.differences(&rig.books.model());
    assert!(!differences.is_empty(), "the harness did not see that nothing was published");
}

fn with_a_lie(order: Order) -> Result<Findings, String> {
    with_a_lie_then(order, |_| {})
}

/// A server that is told that calls succeeded which were not made, and then killed: what the books find.
fn with_a_lie_then(order: Order, then: impl FnOnce(&Rig)) -> Result<Findings, String> {
    let (dice, shim) = (Dice::new("lies"), Shim::new());
    let home = tempfile::tempdir().unwrap();
    let (mut rig, server) = Rig::begin(home.path(), &[]).unwrap();
    server.stop().unwrap();
    let mut server = rig.start(&shim.settings()).unwrap();
    rig.open(&server, 100);
    shim.order(order);
    let agent = agent();
    for _ in 0..20 {
        let report = rig.draw(&dice);
        let fate = Fate::of(send(&agent, &server, &report).as_ref());
        assert!(matches!(fate, Fate::Acknowledged(_)), "{fate:?}");
        rig.note(report, fate);
    }
    server.kill();
    assert!(shim.clear() > 0);
    then(&rig);
    let server = rig.start(&[])?;
    Ok(rig.check(&server, &dice))
}
