//! Three nodes on one log, under load and under faults by a schedule of chance: nodes that are killed and
//! paused, links to the database that are cut, stalled and slow, a primary that is lost, clocks that are off
//! and that leap.
//!
//! After each round everything is whole again, and then all nodes must have the same log, the same state and the
//! same published files, in which every acknowledged report is exactly once.

use std::time::Duration;

use gcs_core::Version;

use crate::books::Findings;
use crate::clocks::{expect_dated, oldest};
use crate::cluster::Cluster;
use crate::namespace::Namespace;
use crate::rig::Rig;
use crate::schedule::{Fault, OfBase, Schedule};
use crate::server::now;
use crate::traffic::{Passed, Traffic};
use crate::witness::Witness;
use crate::{Dice, LEAST_LOAD, is_long, rounds};

/// Rounds of one deployment.
const LIFE: usize = 5;

#[test]
fn nodes_lose_invent_and_double_nothing_whatever_fails() {
    let dice = Dice::new("nodes");
    let mut tally = Tally::default();
    let wanted = rounds(10);
    while tally.rounds < wanted {
        let life = LIFE.min(wanted - tally.rounds);
        if !live(&dice, life, &mut tally) {
            return;
        }
        println!("nodes: {tally}");
        assert!(tally.void <= tally.rounds.max(2), "too many rounds were void: {tally}");
    }
}

/// What many rounds came to.
#[derive(Default)]
struct Tally {
    rounds: usize,
    void: usize,
    acknowledged: usize,
    kills: usize,
    pauses: usize,
    links: usize,
    leaps: usize,
    primaries: usize,
    standbys: usize,
    publications: usize,
    reads: usize,
    postponed: usize,
    /// The longest time without writes of each round: those that lose no primary, and those that do.
    gaps: [Vec<Duration>; 2],
    backs: Vec<Duration>,
    findings: Findings,
}

impl Tally {
    fn count(&mut self, schedule: &Schedule, passed: &Passed) {
        self.acknowledged += passed.acknowledged;
        self.postponed += passed.postponed;
        for plan in &schedule.of_nodes {
            match plan.fault {
                Fault::Kill | Fault::KillInTick | Fault::KillCutOff => self.kills += 1,
                Fault::Pause => self.pauses += 1,
                Fault::Leap => self.leaps += 1,
                _ => self.links += 1,
            }
        }
        match schedule.of_base {
            Some(OfBase::LosesPrimary(_)) => self.primaries += 1,
            Some(OfBase::StandbyStops(_)) => self.standbys += 1,
            None => {}
        }
        self.gaps[usize::from(schedule.of_base.is_some())].push(passed.longest_gap);
        self.backs.extend(&passed.backs);
    }
}

/// The middle and the longest of some times.
fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    format!("{middle:.1?} (p50), {:.1?} (longest)", times.last().copied().unwrap_or_default())
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { rounds, void, acknowledged, kills, pauses, links, leaps, .. } = self;
        let Tally { primaries, standbys, publications, reads, postponed, findings, .. } = self;
        let [of_nodes, of_base] = self.gaps.each_ref().map(|gaps| spread(gaps));
        let backs = spread(&self.backs);
        write!(
            f,
            "{rounds} rounds ({void} void), {kills} kills, {pauses} pauses, {links} faults of links, {leaps} leaps \
             of clocks, {primaries} primaries lost, {standbys} standbys stopped; {acknowledged} reports \
             acknowledged under load, {postponed} postponed, {reads} reads, {publications} publications; longest \
             time without writes in a round: {of_nodes} where the database stays, {of_base} where it fails; \
             a node accepts reports after its fault within {backs}; comparisons: {findings}"
        )
    }
}

/// Some rounds on a new deployment; false where that is not possible.
fn live(dice: &Dice, rounds: usize, tally: &mut Tally) -> bool {
    let namespaces = match Namespace::new() {
        Some(first) => [Some(first), Namespace::new(), Namespace::new()],
        None => [None, None, None],
    };
    let Some((mut rig, cluster)) = Cluster::begin(dice, namespaces) else { return false };
    rig.oldest = Some(oldest());
    let witness = Witness::new(&cluster.root);
    let mut last = Version { series: 0, tick: 0 };
    let (mut done, mut reads) = (0, 0);
    while done < rounds {
        let (schedule, began) = (Schedule::draw(dice), now());
        let passed = run(&mut rig, &cluster, &witness, dice, &schedule);
        let mut findings = compare(&mut rig, &cluster, &witness, dice);
        findings.wrong.extend_from_slice(&passed.wrong);
        let (version, dated) = expect_dated(&rig, &cluster.root, began, last, &mut findings);
        last = version;
        let is_void = passed.acknowledged < LEAST_LOAD;
        tally.void += usize::from(is_void);
        tally.rounds += usize::from(!is_void);
        done += usize::from(!is_void);
        tally.publications += dated;
        tally.count(&schedule, &passed);
        tally.reads += witness.reads() - reads;
        reads = witness.reads();
        tally.findings.add(&findings);
        if is_long() {
            println!("nodes: {schedule:?}: {:.1?}; {tally}", passed.longest_gap);
        }
        assert!(findings.is_well(), "{schedule:?}: {findings}\n{}", cluster.logged());
    }
    true
}

/// One round of load and faults. Afterwards nothing is broken any more.
fn run(
    rig: &mut Rig,
    cluster: &Cluster,
    witness: &Witness,
    dice: &Dice,
    schedule: &Schedule,
) -> Passed {
    let faults = |traffic: &Traffic<'_>| {
        if traffic.watch.until(LEAST_LOAD) {
            schedule.carry_out(traffic, cluster);
        }
    };
    let passed = Traffic::run(rig, cluster, witness, dice, faults);
    cluster.add_standby();
    passed
}

/// Compares all nodes with the books and with each other, when everything is whole.
fn compare(rig: &mut Rig, cluster: &Cluster, witness: &Witness, dice: &Dice) -> Findings {
    let mut findings = Findings::default();
    findings.wrong.extend(cluster.expect_level().err());
    let checked = cluster.any(dice).with(|server| rig.check(server, dice));
    match checked {
        Some(checked) => findings.add(&checked),
        None => findings.wrong("the node does not run"),
    }
    // A tick that comes by itself is made somewhere first.
    let mut wrong = Vec::new();
    for _ in 0..3 {
        let before = cluster.position();
        wrong = differences(cluster, witness);
        if cluster.position() == before {
            break;
        }
    }
    findings.wrong.extend(wrong);
    findings.wrong.extend(witness.take_wrong());
    findings
}

/// How nodes at rest differ from each other, and from what is computed from their log.
fn differences(cluster: &Cluster, witness: &Witness) -> Vec<String> {
    let mut wrong: Vec<String> = cluster.expect_level().err().into_iter().collect();
    match cluster.published() {
        Ok(files) => witness.compare(&files),
        Err(difference) => wrong.push(difference),
    }
    match cluster.look_offline() {
        Ok(digest) => wrong.extend(cluster.expect_digest(&digest).err()),
        Err(error) => wrong.push(error),
    }
    wrong
}
