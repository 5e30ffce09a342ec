//! Faults of several nodes that are planted, each of which the harness must find.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Dice;
use crate::books::{Fate, Report};
use crate::cluster::Cluster;
use crate::common::wait::until_some;
use crate::node::Node;
use crate::rig::{Rig, send};
use crate::server::{agent, kill_process};
use crate::traffic::{Traffic, tick};
use crate::wire::Mode;
use crate::witness::Witness;

/// How long nodes may take to be level where they must not be.
const BRIEFLY: Duration = Duration::from_secs(3);

/// Nodes that are as they should be, and what watches them.
fn begin(name: &str) -> Option<(Dice, Rig, Cluster, Witness)> {
    let dice = Dice::new(name);
    let (rig, cluster) = Cluster::begin(&dice, [None, None, None])?;
    let witness = Witness::new(&cluster.root);
    cluster.nodes.iter().for_each(|node| witness.read(&agent(), node));
    assert_eq!(witness.take_wrong(), [""; 0]);
    Some((dice, rig, cluster, witness))
}

/// Sends a report that must be accepted, and notes it.
fn accepted(rig: &mut Rig, node: &Node, report: Report) {
    // Where it takes long, it is only known when it is sent again.
    let fate = until_some("a report is accepted, or refused", || {
        let fate = Fate::of(send(&agent(), &node.seat().api.unwrap(), &report).as_ref());
        (fate != Fate::Unknown).then_some(fate)
    });
    assert!(matches!(fate, Fate::Acknowledged(_)), "{fate:?}");
    rig.note(report, fate);
}

fn ticked(node: &Node) {
    // One that has come by itself may not be published yet.
    let status = until_some("no tick is pending", || {
        let status = tick(&agent(), &node.seat().api.unwrap());
        (status != Some(409)).then_some(status)
    });
    assert_eq!(status, Some(200));
}

/// The harness finds a node whose process is gone, one that serves an older publication again, and one that
/// follows another log, on which it accepts used codes and makes ticks of its own.
#[test]
fn a_node_that_does_not_follow_is_found() {
    let Some((dice, mut rig, cluster, witness)) = begin("split") else { return };
    let [first, .., node] = &cluster.nodes[..] else { panic!("three nodes") };
    let has = |wrong: &[String], what: &str| wrong.iter().any(|wrong| wrong.contains(what));

    // It is gone, and nobody was told.
    node.with(|server| kill_process(server.child.id()));
    witness.read(&agent(), node);
    let wrong = witness.take_wrong();
    assert!(has(&wrong, "serves no /v1/manifest"), "{wrong:?}");

    // It serves what it had before, and nothing newer.
    node.kill();
    let before = tempfile::tempdir().unwrap();
    copy(&node.folder, before.path());
    node.start().unwrap();
    let report = rig.draw(&dice);
    accepted(&mut rig, first, report);
    ticked(first);
    cluster.expect_level().unwrap();
    witness.read(&agent(), node);
    assert_eq!(witness.take_wrong(), [""; 0]);
    node.kill();
    fs::remove_dir_all(&node.folder).unwrap();
    copy(&before.path().join(node.name), node.folder.parent().unwrap());
    node.set_wires(Mode::Cut);
    node.start().unwrap();
    witness.read(&agent(), node);
    let wrong = witness.take_wrong();
    assert!(has(&wrong, "went back"), "{wrong:?}");
    assert!(cluster.level_within(BRIEFLY).is_err());
    node.set_wires(Mode::Whole);
    cluster.expect_level().unwrap();

    // It has a log of its own from now on: the same up to here, and as long as the other one.
    node.kill();
    let store = cluster.pair().fork();
    node.start_with(&[("GCS_SERVER_STORE", store)]).unwrap();
    cluster.expect_level().unwrap();
    let report = rig.draw(&dice);
    let other = rig.draw_with(report.code.clone(), &dice);
    accepted(&mut rig, first, report);
    accepted(&mut rig, node, other);
    for node in [first, node] {
        ticked(node);
        witness.read(&agent(), node);
    }
    let wrong = witness.take_wrong();
    assert!(has(&wrong, "two contents"), "{wrong:?}");
    let uneven = cluster.level_within(BRIEFLY).unwrap_err();
    assert!(uneven.contains("not level"), "{uneven}");
    let files = cluster.published().unwrap_err();
    assert!(files.contains("differ"), "{files}");
    let findings = first.with(|server| rig.check(server, &dice)).unwrap();
    assert!(findings.doubled + findings.lost > 1, "{findings}");
    assert!(findings.wrong.iter().any(|wrong| wrong.contains("was acknowledged")), "{findings}");
}

fn copy(from: &Path, into: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(into).status().unwrap();
    assert!(copied.success());
}

/// The harness finds nodes that append without looking whether another one has: two events at one position.
#[test]
fn a_log_that_lets_two_nodes_have_one_position_is_found() {
    let Some((dice, mut rig, cluster, witness)) = begin("no key") else { return };
    let append_blindly = |traffic: &Traffic<'_>| {
        cluster.pair().execute("ALTER TABLE gcs_batch DROP CONSTRAINT gcs_batch_pkey");
        // Until nobody accepts anything any more, or all that is ready is sent.
        while cluster.look_offline().is_ok() && traffic.watch.until_more(20) {}
    };
    Traffic::run(&mut rig, &cluster, &witness, &dice, append_blindly);
    let complaint = cluster.look_offline().unwrap_err();
    assert!(complaint.contains("verify-log"), "{complaint}");
}

/// The harness finds reports that were acknowledged by a primary alone, and are gone with it.
#[test]
fn a_standby_that_is_not_waited_for_loses_reports() {
    let Some((dice, mut rig, cluster, _)) = begin("lag") else { return };
    cluster.pair().let_standby_lag();
    for node in cluster.nodes.iter().cycle().take(30) {
        let report = rig.draw(&dice);
        accepted(&mut rig, node, report);
    }
    cluster.pair().lose_primary(Duration::ZERO);
    match cluster.expect_level() {
        Ok(()) => {
            let findings = cluster.nodes[0].with(|server| rig.check(server, &dice)).unwrap();
            assert!(findings.lost >= 30, "{findings}");
        }
        // A tick that came in between is published, and not in the log: the nodes say so, and wait.
        Err(uneven) => assert!(uneven.contains("log_unusable"), "{uneven}"),
    }
}
