//! Servers, failures and clients at random, beside a list of everything that was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use gcs_server::domain::events::TrackingId;
use gcs_server::store::Failure;
use proptest::prelude::*;

use super::rig::{Answer, Machine, Rig, Server};
use crate::common::raw;

const SERVERS: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    /// A client sends one of a few reports.
    Report { server: usize, serial: u32, element: u64 },
    /// A server loses its log, or finds it again.
    Away { server: usize, is_away: bool },
    /// The next append to the log fails.
    Fail(Failure),
    /// A server is killed, or loses its power, and starts again.
    Restart { server: usize, is_cut: bool },
    /// Disk and log of a server stop after some steps.
    Stop { server: usize, steps: i64, has_effect: bool },
    /// A server's disk is full, or has room again.
    Fill { server: usize, is_full: bool },
    /// A server tries to bring what it holds to the log.
    Drain { server: usize },
}

fn any_act() -> impl Strategy<Value = Act> {
    let server = 0..SERVERS;
    let failure = prop_oneof![Just(Failure::BeforeStoring), Just(Failure::AfterStoring)];
    prop_oneof![
        12 => (server.clone(), 0..3u32, 0..5u64)
            .prop_map(|(server, serial, element)| Act::Report { server, serial, element }),
        5 => (server.clone(), prop::bool::weighted(0.7))
            .prop_map(|(server, is_away)| Act::Away { server, is_away }),
        1 => failure.prop_map(Act::Fail),
        2 => (server.clone(), any::<bool>())
            .prop_map(|(server, is_cut)| Act::Restart { server, is_cut }),
        2 => (server.clone(), 1..9i64, any::<bool>())
            .prop_map(|(server, steps, has_effect)| Act::Stop { server, steps, has_effect }),
        1 => (server.clone(), any::<bool>()).prop_map(|(server, is_full)| Act::Fill { server, is_full }),
        4 => server.prop_map(|server| Act::Drain { server }),
    ]
}

/// Everything that clients were told.
#[derive(Default)]
struct Books {
    /// Elements and tracking ids of reports that were answered with 201, by code.
    accepted: BTreeMap<u32, BTreeSet<(u64, String)>>,
    /// Those that were answered with 202.
    held: BTreeMap<u32, BTreeSet<(u64, TrackingId)>>,
    /// Codes that were said to be used.
    used: BTreeSet<u32>,
}

struct World {
    rig: Rig,
    machines: Vec<Machine>,
    servers: Vec<Option<Server>>,
    books: Books,
}

impl World {
    fn new() -> World {
        let rig = Rig::new();
        let machines: Vec<Machine> = (0..SERVERS).map(|_| Machine::default()).collect();
        let servers = machines.iter().map(|machine| Some(rig.start(machine))).collect();
        World { rig, machines, servers, books: Books::default() }
    }

    fn server(&self, at: usize) -> &Server {
        self.servers[at].as_ref().unwrap()
    }

    fn restart(&mut self, at: usize, is_cut: bool) {
        self.servers[at] = None;
        self.machines[at].steps().stop_at(i64::MAX, false);
        if is_cut {
            self.machines[at].disk.cut();
        }
        let server = self.rig.start(&self.machines[at]);
        let status = server.spool().status();
        assert_eq!((status.damaged, status.foreign), (0, 0));
        self.servers[at] = Some(server);
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Report { server, serial, element } => {
                let answer = self.server(server).report(serial, element).await;
                self.note(serial, element, answer);
            }
            Act::Away { server, is_away } => self.machines[server].away(is_away),
            Act::Fail(failure) => self.rig.log.fail_next(Some(failure)),
            Act::Restart { server, is_cut } => self.restart(server, is_cut),
            Act::Stop { server, steps, has_effect } => {
                self.machines[server].steps().stop_at(steps, has_effect);
            }
            Act::Fill { server, is_full } => self.machines[server].disk.fill(is_full),
            Act::Drain { server } => {
                let _left_for_later = self.server(server).round().await;
            }
        }
    }

    fn note(&mut self, serial: u32, element: u64, answer: Answer) {
        let books = &mut self.books;
        match answer {
            Answer::Accepted(tracking) => {
                books.accepted.entry(serial).or_default().insert((element, tracking));
            }
            Answer::Held(tracking) => {
                books.held.entry(serial).or_default().insert((element, tracking));
            }
            Answer::Refused("code_used") => {
                books.used.insert(serial);
            }
            Answer::Refused(code) => assert_eq!(code, "storage_unavailable"),
        }
    }

    /// Everything works again: what was acknowledged must be there, once.
    async fn settle(&mut self) {
        self.rig.log.fail_next(None);
        for at in 0..SERVERS {
            self.machines[at].away(false);
            self.machines[at].disk.fill(false);
            self.restart(at, false);
        }
        for at in 0..SERVERS {
            self.server(at).drained().await;
            assert!(self.machines[at].disk.list().is_empty());
        }
        self.check();
        let position = self.rig.folded().position;
        for at in 0..SERVERS {
            self.restart(at, true);
            self.server(at).drained().await;
        }
        assert_eq!(self.rig.folded().position, position);
        self.check();
    }

    fn check(&self) {
        let state = self.rig.folded();
        // One that has read the whole log.
        let reader = self.rig.start(&Machine::default());
        let stands: BTreeMap<u32, [u8; 32]> =
            state.reports.iter().map(|(_, report)| (report.code.serial, report.payload)).collect();
        assert_eq!(stands.len(), state.reports.len());
        let payload = |serial, element| {
            crate::common::submission(self.rig.code(serial), &[raw(2, element)]).payload
        };
        for (serial, accepted) in &self.books.accepted {
            for (element, tracking) in accepted {
                assert_eq!(stands[serial], payload(*serial, *element));
                let tracking: TrackingId = data_encoding::HEXLOWER
                    .decode(tracking.as_bytes())
                    .unwrap()
                    .try_into()
                    .unwrap();
                assert_eq!(reader.verdict(&tracking), "held");
            }
            assert_eq!(accepted.len(), 1, "{accepted:?}");
        }
        assert!(self.books.used.iter().all(|serial| stands.contains_key(serial)));
        for (serial, held) in &self.books.held {
            for (element, tracking) in held {
                let is_first = stands[serial] == payload(*serial, *element);
                let expected = if is_first { "held" } else { "refused code_used" };
                assert_eq!(reader.verdict(tracking), expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_there_once_whatever_fails(
        acts in prop::collection::vec(any_act(), 1..50),
    ) {
        actix_web::rt::System::new().block_on(async move {
            let mut world = World::new();
            for act in acts {
                world.act(act).await;
            }
            world.settle().await;
        });
    }
}
