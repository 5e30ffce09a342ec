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
use crate::cluster::{Cluster, Node};
use crate::namespace::Namespace;
use crate::rig::Rig;
use crate::server::{agent_for, now};
use crate::traffic::{Passed, Traffic, tick};
use crate::wire::Mode;
use crate::witness::Witness;
use crate::{Dice, LEAST_LOAD, is_long, rounds};

/// Rounds of one deployment.
const LIFE: usize = 5;

const HOUR: u64 = 3600;

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

/// What is done to a node.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    KillInTick,
    Pause,
    Cut,
    /// Nothing comes both ways or one way; in the end what stood still comes late, or is gone.
    Stall(Mode, Late),
    Slow,
    Reset,
    /// What is sent is lost, and nobody is told.
    Unplug,
    /// So few bits a second come from the database.
    Narrow(u64),
    Leap,
}

/// What becomes of what stood still in a link.
#[derive(Clone, Copy, Debug)]
enum Late {
    Comes,
    IsGone,
}

/// A fault of one node: which, when and how long.
#[derive(Clone, Copy, Debug)]
struct Plan {
    node: usize,
    fault: Fault,
    after: Duration,
    lasts: Duration,
    /// For whatever else is up to chance.
    chance: u64,
}

/// A fault of the database.
#[derive(Clone, Copy, Debug)]
enum OfBase {
    LosesPrimary(Duration),
    StandbyStops(Duration),
}

/// What is done in one round.
#[derive(Clone, Debug)]
struct Schedule {
    of_nodes: Vec<Plan>,
    of_base: Option<OfBase>,
}

impl Schedule {
    fn draw(dice: &Dice) -> Schedule {
        let first = dice.below(3) as usize;
        let count = 1 + dice.below(3) as usize;
        let of_nodes = (0..count).map(|at| Plan::draw(dice, (first + at) % 3)).collect();
        let of_base = match dice.below(6) {
            0 | 1 => Some(OfBase::LosesPrimary(millis(dice.below(1500)))),
            2 => Some(OfBase::StandbyStops(millis(500 + dice.below(6000)))),
            _ => None,
        };
        Schedule { of_nodes, of_base }
    }
}

impl Plan {
    fn draw(dice: &Dice, node: usize) -> Plan {
        let fault = match dice.below(11) {
            0 => Fault::Kill,
            1 => Fault::KillInTick,
            2 => Fault::Pause,
            3 => Fault::Cut,
            4 | 5 => {
                let late = if dice.below(2) == 0 { Late::Comes } else { Late::IsGone };
                let (there, back) =
                    [(true, true), (true, false), (false, true)][dice.below(3) as usize];
                Fault::Stall(Mode::Stalled { there, back }, late)
            }
            6 => Fault::Slow,
            7 => Fault::Reset,
            8 => Fault::Unplug,
            9 => Fault::Narrow(30_000 + dice.below(400_000)),
            _ => Fault::Leap,
        };
        // Mostly short, so that there are many; sometimes beyond all patience of a node.
        let longest = match dice.below(8) {
            0 if is_long() && dice.below(4) == 0 => 60_000,
            0 => 10_000,
            _ => 3000,
        };
        let lasts = millis(300 + dice.below(longest));
        Plan { node, fault, after: millis(dice.below(1500)), lasts, chance: dice.below(u64::MAX) }
    }

    /// Does it, and undoes it. Returns once the node accepts reports again.
    fn carry_out(&self, traffic: &Traffic<'_>, node: &Node) {
        std::thread::sleep(self.after);
        self.harm(traffic, node);
        traffic.until_back(node);
    }

    fn harm(&self, traffic: &Traffic<'_>, node: &Node) {
        let (sleep, dice) = (std::thread::sleep, Dice::seeded(self.chance));
        match self.fault {
            Fault::Kill => kill(traffic, node, self.lasts),
            Fault::KillInTick => {
                std::thread::scope(|scope| {
                    let api = node.seat().api;
                    scope.spawn(|| api.map(|api| tick(&agent_for(Duration::from_secs(5)), &api)));
                    sleep(Duration::from_micros(dice.below(60_000)));
                    kill(traffic, node, self.lasts);
                });
            }
            Fault::Pause => node.pause(self.lasts.max(millis(2000))),
            Fault::Cut => {
                node.set_wires(Mode::Cut);
                sleep(self.lasts);
            }
            Fault::Stall(mode, _) => {
                node.set_wires(mode);
                sleep(self.lasts);
            }
            Fault::Slow => {
                node.set_wires(Mode::Slow(millis(20 + dice.below(400))));
                sleep(self.lasts);
            }
            Fault::Unplug => in_namespace(node, |namespace| {
                namespace.plug(false);
                sleep(self.lasts);
                namespace.plug(true);
            }),
            Fault::Narrow(bits) => in_namespace(node, |namespace| {
                namespace.narrow(Some(bits));
                sleep(self.lasts);
                namespace.narrow(None);
            }),
            Fault::Reset => {
                for _ in 0..1 + dice.below(5) {
                    node.reset_wires();
                    sleep(self.lasts / 5);
                }
            }
            Fault::Leap => {
                let size = (HOUR + dice.below(48 * HOUR)) as i64;
                let leap = if dice.below(2) == 0 { size } else { -size };
                node.shim.set_clock(node.skew + leap);
                sleep(self.lasts);
                node.shim.set_clock(node.skew);
            }
        }
        if let Fault::Stall(_, Late::IsGone) = self.fault {
            node.reset_wires();
        }
        node.set_wires(Mode::Whole);
    }
}

/// Does something to the links of a node that has some of its own.
fn in_namespace(node: &Node, harm: impl FnOnce(&Namespace)) {
    if let Some(namespace) = &node.namespace {
        harm(namespace);
    }
}

fn kill(traffic: &Traffic<'_>, node: &Node, lasts: Duration) {
    node.kill();
    std::thread::sleep(lasts.min(millis(3000)));
    if let Err(error) = node.start() {
        traffic.wrong(format!("node {} does not start: {error}", node.name));
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
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
                Fault::Kill | Fault::KillInTick => self.kills += 1,
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
        if !traffic.watch.until(LEAST_LOAD) {
            return;
        }
        std::thread::scope(|scope| {
            for plan in &schedule.of_nodes {
                scope.spawn(|| plan.carry_out(traffic, &cluster.nodes[plan.node]));
            }
            match schedule.of_base {
                Some(OfBase::LosesPrimary(pause)) => cluster.lose_primary(pause),
                Some(OfBase::StandbyStops(pause)) => cluster.stop_standby(pause),
                None => {}
            }
        });
        cluster.nodes.iter().for_each(|node| traffic.until_back(node));
    };
    let passed = Traffic::run(rig, cluster, witness, dice, faults);
    cluster.add_standby();
    passed
}

/// Compares all nodes with the books and with each other, when everything is whole.
pub fn compare(rig: &mut Rig, cluster: &Cluster, witness: &Witness, dice: &Dice) -> Findings {
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
