//! What fails in a round with several nodes, when and how long: all of it by chance that can be repeated.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::namespace::Namespace;
use crate::node::Node;
use crate::server::agent_for;
use crate::traffic::{Traffic, tick};
use crate::wire::Mode;
use crate::{Dice, is_long};

const HOUR: u64 = 3600;

/// What is done to a node.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Kill,
    KillInTick,
    /// It starts again while it cannot reach the database, and serves what it has.
    KillCutOff,
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
pub enum Late {
    Comes,
    IsGone,
}

/// A fault of one node: which, when and how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    node: usize,
    pub fault: Fault,
    after: Duration,
    lasts: Duration,
    /// For whatever else is up to chance.
    chance: u64,
}

/// A fault of the database.
#[derive(Clone, Copy, Debug)]
pub enum OfBase {
    LosesPrimary(Duration),
    StandbyStops(Duration),
}

/// What is done in one round.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub of_nodes: Vec<Plan>,
    pub of_base: Option<OfBase>,
}

impl Schedule {
    pub fn draw(dice: &Dice) -> Schedule {
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

    /// Does all of it at once, and undoes it. Returns once every node accepts reports again.
    pub fn carry_out(&self, traffic: &Traffic<'_>, cluster: &Cluster) {
        std::thread::scope(|scope| {
            for plan in &self.of_nodes {
                scope.spawn(|| plan.carry_out(traffic, &cluster.nodes[plan.node]));
            }
            match self.of_base {
                Some(OfBase::LosesPrimary(pause)) => cluster.pair().lose_primary(pause),
                Some(OfBase::StandbyStops(pause)) => cluster.pair().stop_standby(pause),
                None => {}
            }
        });
        cluster.nodes.iter().for_each(|node| traffic.until_back(node));
    }
}

impl Plan {
    fn draw(dice: &Dice, node: usize) -> Plan {
        let fault = match dice.below(12) {
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
            10 => Fault::KillCutOff,
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
            Fault::KillCutOff => {
                node.set_wires(Mode::Cut);
                kill(traffic, node, millis(dice.below(500)));
                sleep(self.lasts);
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
                // Without an anchor it is noticed within a second.
                sleep(self.lasts.max(millis(1500)));
                let brief = agent_for(Duration::from_secs(5));
                let ticked = node.seat().api.and_then(|api| tick(&brief, &api));
                if ticked == Some(200) {
                    traffic.wrong(format!("node {} made a tick by a wrong clock", node.name));
                }
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
