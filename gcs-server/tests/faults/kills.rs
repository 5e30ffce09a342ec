//! `kill -9` at random points under load: in appends, in ticks, and at the start that follows.

use std::time::Duration;

use crate::books::Findings;
use crate::check::{compare_offline, look_offline};
use crate::rig::{Beside, Rig};
use crate::server::{Server, kill_process};
use crate::watch::Watch;
use crate::{Dice, LEAST_LOAD, is_long, rounds};

/// Rounds on one folder, before its log is compared as a whole and a new one begins.
const LIFE: usize = 25;

#[test]
fn nothing_is_lost_invented_or_doubled_by_kills() {
    let dice = Dice::new("kills");
    let mut tally = Tally::default();
    let wanted = rounds(20);
    while tally.rounds < wanted {
        let life = LIFE.min(wanted - tally.rounds);
        live(&dice, life, &mut tally);
        println!("kills: {tally}");
    }
    assert!(tally.void <= tally.rounds, "too many rounds were void: {tally}");
}

/// What many rounds came to.
#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    void: usize,
    /// Kills, those at a start among them.
    kills: usize,
    at_start: usize,
    with_ticks: usize,
    /// Reports that were acknowledged before a kill.
    before: usize,
    /// Starts whose digest was compared with a rebuild's.
    digests: usize,
    findings: Findings,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { rounds, void, kills, at_start, with_ticks, before, digests, findings } = self;
        write!(
            f,
            "{rounds} rounds ({void} void), {kills} kills ({at_start} at a start, {with_ticks} beside \
             ticks), {before} reports acknowledged before them, {digests} digests compared; comparisons: \
             {findings}"
        )
    }
}

/// Some rounds on a new folder.
fn live(dice: &Dice, rounds: usize, tally: &mut Tally) {
    let home = tempfile::tempdir().unwrap();
    let (mut rig, mut server) = Rig::begin(home.path(), &[]).unwrap();
    let mut done = 0;
    while done < rounds {
        let beside = Beside { ticks: dice.below(2) == 0, retractions: dice.below(4) };
        let target = LEAST_LOAD + dice.below(150) as usize;
        let pause = Duration::from_micros(dice.below(3000));
        let process = server.child.id();
        let kill = |watch: &Watch| {
            watch.until(target);
            std::thread::sleep(pause);
            kill_process(process);
        };
        let before = rig.load(&server, dice, beside, kill);
        server.kill();
        tally.kills += 1;
        tally.with_ticks += usize::from(beside.ticks);
        tally.before += before;
        if before < LEAST_LOAD {
            tally.void += 1;
        } else {
            tally.rounds += 1;
            done += 1;
        }
        kill_starts(&rig, dice, tally);
        server = compare(&mut rig, dice, home.path(), tally);
        if is_long() {
            println!("kills: {tally}");
        }
    }
    let findings = rig.finish(server, dice);
    tally.findings.add(&findings);
    expect_well(&findings, home);
}

/// Starts that are killed on their way, none or some.
fn kill_starts(rig: &Rig, dice: &Dice, tally: &mut Tally) {
    for _ in 0..dice.below(3) {
        let mut child = crate::server::command(&rig.folder, &[])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(dice.below(150)));
        child.kill().unwrap();
        child.wait().unwrap();
        tally.kills += 1;
        tally.at_start += 1;
    }
}

/// Starts the server again and compares it with the books and the offline commands.
fn compare(rig: &mut Rig, dice: &Dice, folder: &std::path::Path, tally: &mut Tally) -> Server {
    let offline = look_offline(folder);
    let server = rig.start(&[]);
    let (offline, server) = match (offline, server) {
        (Ok(offline), Ok(server)) => (offline, server),
        (Err(error), _) | (_, Err(error)) => panic!("after a kill: {error}"),
    };
    let mut findings = Findings::default();
    tally.digests += usize::from(compare_offline(&server, &offline, &mut findings));
    findings.add(&rig.check(&server, dice));
    tally.findings.add(&findings);
    assert!(findings.is_well(), "{findings}\n{}", server.logged());
    server
}

/// Fails, and keeps the folder, if something was found.
fn expect_well(findings: &Findings, home: tempfile::TempDir) {
    if !findings.is_well() {
        panic!("{findings}\nthe folder: {}", home.keep().display());
    }
}
