//! Power cuts: the file system is shut down under the server, with whatever is not on the disk
//! lost.

use crate::books::Findings;
use crate::disk::{Disk, EXT4};
use crate::rig::{Beside, Rig, Watch};
use crate::shim::{Order, Shim};
use crate::{Dice, LEAST_LOAD, is_long, rounds};

/// Rounds on one disk.
const LIFE: usize = 10;

#[test]
fn nothing_is_lost_invented_or_doubled_by_power_cuts() {
    let dice = Dice::new("cuts");
    let wanted = rounds(5);
    let (mut done, mut void, mut before) = (0, 0, 0);
    let mut all = Findings::default();
    while done < wanted {
        let Some(disk) = Disk::mount(EXT4) else { return };
        let (mut rig, mut server) = Rig::begin(&disk.path().join("data"), &[]).unwrap();
        for _ in 0..LIFE.min(wanted - done) {
            let acknowledged = cut_under_load(&mut rig, &mut server, &disk, &dice);
            before += acknowledged;
            let is_void = acknowledged < LEAST_LOAD;
            void += usize::from(is_void);
            done += usize::from(!is_void);
            server = rig.start(&[]).unwrap_or_else(|error| panic!("after a cut: {error}"));
            let findings = rig.check(&server, &dice);
            assert!(findings.is_well(), "{findings}\n{}", server.logged());
            all.add(&findings);
            if is_long() {
                println!("cuts: {done} rounds, {before} reports acknowledged before them; {all}");
            }
        }
        let findings = rig.finish(server, &dice);
        assert!(findings.is_well(), "{findings}");
        all.add(&findings);
        println!(
            "cuts: {done} rounds ({void} void), {before} reports acknowledged before them; \
             comparisons: {all}"
        );
        assert!(void <= done, "too many rounds were void");
    }
}

/// Without durability, reports are lost that were acknowledged: the harness sees that.
#[test]
fn a_server_whose_syncs_do_nothing_loses_reports_by_a_power_cut() {
    let Some(disk) = Disk::mount(EXT4) else { return };
    let (dice, shim) = (Dice::new("cuts, control"), Shim::new());
    let (mut rig, server) = Rig::begin(&disk.path().join("data"), &[]).unwrap();
    server.stop().unwrap();
    let mut server = rig.start(&shim.settings()).unwrap();
    shim.order(Order::all("fsync", None, "/data/"));
    let acknowledged = cut_under_load(&mut rig, &mut server, &disk, &dice);
    assert!(acknowledged >= LEAST_LOAD && shim.clear() > 0, "{acknowledged}");
    match rig.start(&[]) {
        Ok(server) => {
            let findings = rig.check(&server, &dice);
            println!("cuts, control: {findings}");
            assert!(findings.lost >= LEAST_LOAD / 2, "{findings}");
        }
        // What was published got to the disk, and the log did not.
        Err(said) => {
            println!("cuts, control: {said}");
            assert!(said.contains("Lost: event") || said.contains("the log does not have it"));
        }
    }
}

/// Cuts the power under load, and gives it back. Returns how many reports were acknowledged before.
fn cut_under_load(
    rig: &mut Rig,
    server: &mut crate::server::Server,
    disk: &Disk,
    dice: &Dice,
) -> usize {
    let beside = Beside { ticks: dice.below(2) == 0, retractions: dice.below(4) };
    let target = LEAST_LOAD + dice.below(100) as usize;
    let cut = |watch: &Watch| {
        watch.until(target);
        watch.cut();
        disk.cut();
    };
    let acknowledged = rig.load(server, dice, beside, cut);
    server.kill();
    disk.mount_again();
    acknowledged
}
