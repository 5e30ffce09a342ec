//! Power cuts: the file system is shut down under the server, with whatever is not on the disk
//! lost.

use crate::books::Findings;
use crate::disk::{Disk, EXT4, Kind, XFS};
use crate::rig::{Beside, Rig};
use crate::server::Server;
use crate::shim::{Order, Shim};
use crate::watch::Watch;
use crate::{Dice, LEAST_LOAD, is_long, rounds};

/// Rounds on one disk.
const LIFE: usize = 10;

#[test]
fn nothing_is_lost_invented_or_doubled_by_power_cuts() {
    cut(EXT4, rounds(5));
}

#[test]
fn nothing_is_lost_invented_or_doubled_by_power_cuts_on_xfs() {
    cut(XFS, rounds(3));
}

fn cut(kind: Kind, wanted: usize) {
    let dice = Dice::new(&format!("cuts on {}", kind.name));
    let (mut done, mut void, mut before) = (0, 0, 0);
    let mut all = Findings::default();
    while done < wanted {
        let Some(disk) = Disk::mount(kind) else { return };
        let (mut rig, mut server) = Rig::begin(&disk.path().join("data"), &[]).unwrap();
        for _ in 0..LIFE.min(wanted - done) {
            let target = LEAST_LOAD + dice.below(100) as usize;
            let until = |watch: &Watch| {
                watch.until(target);
            };
            let acknowledged = cut_under_load(&mut rig, &mut server, &disk, &dice, until);
            before += acknowledged;
            let is_void = acknowledged < LEAST_LOAD;
            void += usize::from(is_void);
            done += usize::from(!is_void);
            server = rig.start(&[]).unwrap_or_else(|error| panic!("after a cut: {error}"));
            let findings = rig.check(&server, &dice);
            assert!(findings.is_well(), "{findings}\n{}", server.logged());
            all.add(&findings);
            if is_long() {
                println!(
                    "cuts on {}: {done} rounds, {before} reports acknowledged before them; {all}",
                    kind.name
                );
            }
        }
        let findings = rig.finish(server, &dice);
        assert!(findings.is_well(), "{findings}");
        all.add(&findings);
        println!(
            "cuts on {}: {done} rounds ({void} void), {before} reports acknowledged before them; \
             comparisons: {all}",
            kind.name
        );
        assert!(void <= done, "too many rounds were void");
    }
}

/// Without durability, reports are lost that were acknowledged: the harness sees that.
#[test]
fn a_server_whose_syncs_do_nothing_loses_reports_by_a_power_cut() {
    let order = Order::all("fsync", None, "/data/");
    cut_with_a_fault("cuts, control", |shim, watch| {
        shim.order(order);
        watch.until(LEAST_LOAD);
    });
}

/// The disk begins to fail under load, and the error of the sync is taken for success: the harness sees that
/// too.
#[test]
fn a_sync_error_that_is_swallowed_loses_reports_by_a_power_cut() {
    let order = Order::all("fsync", None, "log.sqlite");
    cut_with_a_fault("cuts, swallowed error", |shim, watch| {
        watch.until(LEAST_LOAD / 2);
        shim.order(order);
        watch.until_more(LEAST_LOAD);
    });
}

/// Cuts the power after a fault that must be found.
fn cut_with_a_fault(name: &str, fault: impl FnOnce(&Shim, &Watch) + Send) {
    let Some(disk) = Disk::mount(EXT4) else { return };
    let (dice, shim) = (Dice::new(name), Shim::new());
    let (mut rig, server) = Rig::begin(&disk.path().join("data"), &[]).unwrap();
    server.stop().unwrap();
    let mut server = rig.start(&shim.settings()).unwrap();
    let until = |watch: &Watch| fault(&shim, watch);
    let acknowledged = cut_under_load(&mut rig, &mut server, &disk, &dice, until);
    assert!(acknowledged >= LEAST_LOAD && shim.clear() > 0, "{acknowledged}");
    match rig.start(&[]) {
        Ok(server) => {
            let findings = rig.check(&server, &dice);
            println!("{name}: {findings}");
            assert!(findings.lost >= LEAST_LOAD / 2, "{findings}");
        }
        // What was published got to the disk, and the log did not.
        Err(said) => {
            println!("{name}: {said}");
            assert!(said.contains("Lost: event") || said.contains("the log does not have it"));
        }
    }
}

/// Cuts the power under load, at a point that `until` waits for, and gives it back. Returns how many reports
/// were acknowledged before.
fn cut_under_load(
    rig: &mut Rig,
    server: &mut Server,
    disk: &Disk,
    dice: &Dice,
    until: impl FnOnce(&Watch) + Send,
) -> usize {
    let beside = Beside { ticks: dice.below(2) == 0, retractions: dice.below(4) };
    let cut = |watch: &Watch| {
        until(watch);
        watch.cut();
        disk.cut();
    };
    let acknowledged = rig.load(server, dice, beside, cut);
    server.kill();
    disk.mount_again();
    acknowledged
}
