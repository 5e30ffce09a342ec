//! Full disks, on the file systems that differ in how they are full.

use serde_json::Value;

use crate::books::Fate;
use crate::disk::{BTRFS, Disk, EXT4, EXT4_SMALL_BLOCKS, Kind};
use crate::rig::{Rig, send};
use crate::server::{Server, agent};
use crate::{Dice, common::api::Answer};

#[test]
fn on_a_full_ext4_reads_go_on_and_nothing_is_lost() {
    on_a_full_disk(EXT4);
}

/// There a process that maps a file dies when it touches a page that has no room.
#[test]
fn on_a_full_ext4_with_small_blocks_reads_go_on_and_nothing_is_lost() {
    on_a_full_disk(EXT4_SMALL_BLOCKS);
}

/// There too.
#[test]
fn on_a_full_btrfs_reads_go_on_and_nothing_is_lost() {
    on_a_full_disk(BTRFS);
}

fn on_a_full_disk(kind: Kind) {
    let Some(disk) = Disk::mount(kind) else { return };
    let dice = Dice::new(kind.name);
    let (mut rig, mut server) = Rig::begin(&disk.path().join("data"), &[]).unwrap();
    rig.open(&server, 2000);
    for round in 0..3 {
        disk.fill();
        let accepted = until_refused(&mut rig, &server, &dice);
        println!("{}: {accepted} reports accepted on a full disk", disk.name());
        reads_go_on(&server);
        // The server also starts there.
        if round > 0 {
            server.kill();
            server = rig.start(&[]).unwrap_or_else(|error| panic!("on a full disk: {error}"));
            reads_go_on(&server);
        }
        disk.clear();
        // The very first one.
        let (answer, fate) = report(&mut rig, &server, &dice);
        assert!(matches!(fate, Fate::Acknowledged(_)), "{answer:?}\n{}", server.logged());
        server.kill();
        server = rig.start(&[]).unwrap();
        let findings = rig.check(&server, &dice);
        assert!(findings.is_well(), "{findings}\n{}", server.logged());
    }
    let findings = rig.finish(server, &dice);
    assert!(findings.is_well(), "{findings}");
}

fn report(rig: &mut Rig, server: &Server, dice: &Dice) -> (Option<Answer>, Fate) {
    let report = rig.draw(dice);
    let answer = send(&agent(), server, &report);
    let fate = Fate::of(answer.as_ref());
    rig.note(report, fate.clone());
    (answer, fate)
}

/// Reports until the space is used up that the log had already. Returns how many were accepted.
fn until_refused(rig: &mut Rig, server: &Server, dice: &Dice) -> usize {
    for accepted in 0.. {
        let (answer, fate) = report(rig, server, dice);
        if let Fate::Acknowledged(_) = fate {
            continue;
        }
        let answer = answer.unwrap_or_else(|| panic!("no answer: {}", server.logged()));
        assert_eq!(answer.refused(), (503, "storage_unavailable".to_owned()));
        return accepted;
    }
    unreachable!()
}

fn reads_go_on(server: &Server) {
    let manifest = server.get("/v1/manifest");
    assert_eq!(manifest.status, 200, "{}", server.logged());
    assert!(server.try_operate("GET", "/v1/admin/status", &Value::Null).is_some());
}
