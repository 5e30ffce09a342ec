//! Load on several nodes: reports of which some are sent to two nodes, ticks, corrections, and readers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::Dice;
use crate::books::{Fate, Report};
use crate::cluster::Cluster;
use crate::common::api::{Api, bearer, try_ask};
use crate::node::{Node, Seat, lock};
use crate::phone::{Phone, WENT_BACK};
use crate::rig::{Rig, retract, send};
use crate::server::agent_for;
use crate::watch::Watch;
use crate::witness::{Witness, read_all};

/// Clients of each node that report at the same time.
const CLIENTS: usize = 2;

/// Reports that are ready for one round.
const READY: usize = 3000;

/// Longest pause of a client between two reports, in milliseconds.
const PAUSE: u64 = 60;

/// Most syncs of the phone in a round: for each, a quarter of an hour passes for the phone, and after a day
/// what is published has expired.
const SYNCS: usize = 12;

/// How long a client waits for an answer, and how long if it asks another node.
const PATIENCE: Duration = Duration::from_secs(20);
const BRIEFLY: Duration = Duration::from_secs(2);

/// How long a node may take to accept reports again after a fault.
const BACK: Duration = Duration::from_secs(90);

/// What goes on in a round beside the reports, and what came of it.
pub struct Traffic<'a> {
    cluster: &'a Cluster,
    witness: &'a Witness,
    pub watch: Watch,
    queue: Mutex<Vec<Report>>,
    told: Mutex<Vec<(Report, Fate)>>,
    /// When reports were acknowledged.
    times: Mutex<Vec<Instant>>,
    wrong: Mutex<Vec<String>>,
    backs: Mutex<Vec<Duration>>,
}

/// What came of a round.
pub struct Passed {
    pub acknowledged: usize,
    /// Answers that a clock was in doubt.
    pub postponed: usize,
    /// Longest time in which no node acknowledged a report.
    pub longest_gap: Duration,
    /// How long nodes took, once their fault was over, until they acknowledged a report.
    pub backs: Vec<Duration>,
    pub wrong: Vec<String>,
}

impl<'a> Traffic<'a> {
    /// Puts load on all nodes, and does something to them meanwhile. What clients were told is in
    /// the books afterwards.
    pub fn run(
        rig: &mut Rig,
        cluster: &'a Cluster,
        witness: &'a Witness,
        dice: &Dice,
        faults: impl FnOnce(&Traffic<'a>) + Send,
    ) -> Passed {
        cluster.nodes[0].with(|server| rig.open(server, READY));
        let retractions = rig.choose(dice, 4);
        let traffic = Traffic {
            cluster,
            witness,
            watch: Watch::default(),
            queue: Mutex::new(rig.ready(dice, READY)),
            told: Mutex::default(),
            times: Mutex::default(),
            wrong: Mutex::default(),
            backs: Mutex::default(),
        };
        let retracted = traffic.run_all(rig, dice, retractions, faults);
        let Traffic { watch, queue, told, times, wrong, backs, .. } = traffic;
        let inner = "no thread panicked";
        rig.note_all(told.into_inner().expect(inner), retracted, queue.into_inner().expect(inner));
        let mut times = times.into_inner().expect(inner);
        times.sort_unstable();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        Passed {
            acknowledged: watch.acknowledged(),
            postponed: watch.postponed(),
            longest_gap: gaps.max().unwrap_or_default(),
            backs: backs.into_inner().expect(inner),
            wrong: wrong.into_inner().expect(inner),
        }
    }

    fn run_all(
        &self,
        rig: &mut Rig,
        dice: &Dice,
        retractions: Vec<String>,
        faults: impl FnOnce(&Traffic<'a>) + Send,
    ) -> BTreeMap<String, Option<bool>> {
        let is_over = || self.watch.is_over();
        std::thread::scope(|scope| {
            for node in self.cluster.nodes.iter().flat_map(|node| [node; CLIENTS]) {
                let dice = dice.child();
                scope.spawn(move || self.report_all(node, &dice));
            }
            let (of_ticks, of_corrections, of_phone) = (dice.child(), dice.child(), dice.child());
            scope.spawn(move || self.tick_all(&of_ticks));
            scope.spawn(move || read_all(self.witness, self.cluster, is_over));
            let phone = &mut rig.phone;
            scope.spawn(move || self.sync_all(phone, &of_phone));
            let retracting = scope.spawn(move || self.retract_all(&of_corrections, retractions));
            scope.spawn(move || {
                let _ended = End(&self.watch);
                faults(self);
            });
            retracting.join().expect("the corrections do not panic")
        })
    }

    /// Waits until a node acknowledges a report, and notes how long that took.
    pub fn until_back(&self, node: &Node) {
        let began = Instant::now();
        let agent = agent_for(PATIENCE);
        while began.elapsed() < BACK {
            let Some(report) = lock(&self.queue).pop() else { return };
            let fate = self.send(&agent, node, &report);
            let is_back = matches!(fate, Fate::Acknowledged(_));
            // A report of which another one used up the code says so as well.
            let is_used = matches!(fate, Fate::Refused(_));
            self.tell(report, fate);
            if is_back || is_used {
                lock(&self.backs).push(began.elapsed());
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.wrong(format!("node {} accepts nothing {BACK:?} after its fault", node.name));
    }

    pub fn wrong(&self, what: String) {
        lock(&self.wrong).push(what);
    }

    fn send(&self, agent: &ureq::Agent, node: &Node, report: &Report) -> Fate {
        let Some(api) = node.seat().api else { return Fate::Unknown };
        let fate = Fate::of(send(agent, &api, report).as_ref());
        if fate == Fate::Postponed {
            self.watch.count_postponed();
        }
        fate
    }

    fn tell(&self, report: Report, fate: Fate) {
        if let Fate::Acknowledged(_) = &fate {
            lock(&self.times).push(Instant::now());
            self.watch.count_acknowledged();
        }
        lock(&self.told).push((report, fate));
    }

    /// A client that asks one node first, so that one that does not answer does not keep everybody.
    fn report_all(&self, node: &Node, dice: &Dice) {
        let (agent, elsewhere) = (agent_for(PATIENCE), agent_for(BRIEFLY));
        while !self.watch.is_over() {
            std::thread::sleep(Duration::from_millis(dice.below(PAUSE)));
            let Some(report) = lock(&self.queue).pop() else { return };
            let mut fate = self.send(&agent, node, &report);
            // Whoever was told nothing certain asks again, mostly somewhere else.
            while matches!(fate, Fate::Unknown | Fate::Postponed) && dice.below(3) > 0 {
                let again = self.send(&elsewhere, self.cluster.any(dice), &report);
                fate = if again == Fate::Postponed { fate } else { again };
            }
            if matches!(fate, Fate::Acknowledged(_)) && dice.below(8) == 0 {
                let again = self.send(&elsewhere, self.cluster.any(dice), &report);
                if again != fate && !matches!(again, Fate::Unknown | Fate::Postponed) {
                    self.wrong(format!("{fate:?} at one node, {again:?} at another"));
                }
            }
            self.tell(report, fate);
        }
    }

    fn tick_all(&self, dice: &Dice) {
        let agent = agent_for(PATIENCE);
        while !self.watch.is_over() {
            if let Some(api) = self.cluster.any(dice).seat().api {
                let _answer_or_none = tick(&agent, &api);
            }
            std::thread::sleep(Duration::from_millis(100 + dice.below(400)));
        }
    }

    /// A phone that asks any node: it may be told of an older publication, and never takes it.
    fn sync_all(&self, phone: &mut Phone, dice: &Dice) {
        for _ in 0..SYNCS {
            std::thread::sleep(Duration::from_millis(200 + dice.below(1000)));
            if self.watch.is_over() {
                return;
            }
            let node = self.cluster.any(dice);
            let Seat { api, turn, serves } = node.seat();
            if let Some(api) = api.filter(|_| serves)
                && let Err(said) = phone.sync(api.public)
            {
                let ran = node.seat().turn == turn && !said.contains("RolledBack");
                if ran || said.contains(WENT_BACK) {
                    self.wrong(format!("a phone that asked node {}: {said}", node.name));
                }
            }
        }
    }

    /// Takes reports back. Returns what is known of each: `None` if nothing is.
    fn retract_all(&self, dice: &Dice, codes: Vec<String>) -> BTreeMap<String, Option<bool>> {
        let mut retracted = BTreeMap::new();
        for code in codes {
            std::thread::sleep(Duration::from_millis(dice.below(1000)));
            if self.watch.is_over() {
                break;
            }
            let Some(api) = self.cluster.any(dice).seat().api else { continue };
            retracted.insert(code.clone(), retract(&api, &code).then_some(true));
        }
        retracted
    }
}

/// Ends the load, however the faults end.
struct End<'a>(&'a Watch);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Asks a node for a tick; its status.
pub fn tick(agent: &ureq::Agent, api: &Api) -> Option<u16> {
    let headers = [bearer(&api.operator)];
    let ticked = try_ask(agent, api.private, "POST", "/v1/admin/tick", &headers, "");
    ticked.ok().map(|ticked| ticked.status)
}
