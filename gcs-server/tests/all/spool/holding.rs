//! What is held, what is refused at once, and what becomes of what was held.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use gcs_core::report::{Code, Item, ItemProblem};
use gcs_core::{DAY_SECONDS, Element};
use gcs_server::domain::events::{Act, ClockResumed, Event, ProviderStatus};
use gcs_server::domain::judge;
use gcs_server::domain::problem::Problem;
use gcs_server::service::Reception;
use gcs_server::spool::{Drained, Limits};
use gcs_server::store::Store as _;

use super::rig::{Answer, Machine, NOW, Rig, Server};
use crate::common::{HOUR, date, make_newer, policy, raw, seal, submission};

/// A server whose log is away.
pub async fn cut_off() -> (Rig, Machine, Server) {
    let (rig, machine) = (Rig::new(), Machine::default());
    let server = rig.start(&machine);
    server.lose(&machine).await;
    (rig, machine, server)
}

impl Server {
    /// Loses the log, and notices it.
    async fn lose(&self, machine: &Machine) {
        machine.away(true);
        let node = &self.service.node;
        let lost = node.act(|_, context| judge::replace_backend_token(context)).await;
        assert!(matches!(lost, Err(Problem::StorageUnavailable)));
    }

    /// Reads what other servers appended, as a server does that can reach the log.
    pub async fn catch_up(&self) {
        let node = &self.service.node;
        node.act(|_, context| judge::replace_backend_token(context)).await.unwrap();
    }
}

impl Rig {
    /// Ticks of another server, until so many days have passed.
    pub fn live(&self, days: u64) {
        for _ in 0..2 * days {
            self.pass(12 * HOUR);
            self.act(|state, context| judge::tick(state, &self.keys, context).unwrap().events);
        }
    }

    fn set_status(&self, status: ProviderStatus) {
        self.act(|state, _| judge::set_status(state, 1, status).unwrap().events);
    }
}

#[actix_web::test]
async fn a_report_is_held_while_the_log_is_away_and_accepted_under_its_tracking_id() {
    let (rig, machine, server) = cut_off().await;
    let other = rig.start(&Machine::default());
    let tracking = server.held(1, 10).await;
    assert_eq!(server.held(1, 10).await, tracking);
    // Here, elsewhere, and after a restart.
    assert_eq!(server.verdict(&tracking), "received");
    assert_eq!(other.verdict(&tracking), "received");
    assert_eq!(other.verdict(&[7; 16]), "report_unknown");
    drop(server);
    let server = rig.start(&machine);
    assert_eq!(server.verdict(&tracking), "received");
    assert_eq!(server.held(1, 10).await, tracking);
    let (drained, problem) = server.round().await;
    assert_eq!(drained, Drained::default());
    assert!(matches!(problem, Some(Problem::StorageUnavailable)));

    machine.away(false);
    assert_eq!(server.held(1, 10).await, tracking);
    assert_eq!(server.drained().await, Drained { accepted: 1, ..Drained::default() });
    let again = Answer::Accepted(data_encoding::HEXLOWER.encode(&tracking));
    for server in [&server, &other] {
        assert_eq!(server.report(1, 10).await, again);
        assert_eq!(server.report(1, 11).await, Answer::Refused("code_used"));
    }
    other.catch_up().await;
    assert_eq!([server.verdict(&tracking), other.verdict(&tracking)], ["held", "held"]);
    assert!(machine.disk.list().is_empty());
}

/// What a server says at once when it cannot reach its log must not become wrong.
#[actix_web::test]
async fn only_what_lasts_is_said_without_the_log() {
    let (rig, machine) = (Rig::new(), Machine::default());
    rig.act(|state, context| judge::open_range(state, context, 1, 10, 1).unwrap().events);
    let code = rig.code(5);
    rig.act(|state, now| judge::revoke_code(state, &rig.keys, now, &code).unwrap().events);
    rig.report_elsewhere(6, &[raw(2, 60)]);
    let server = rig.start(&machine);
    server.lose(&machine).await;
    let code = |provider, generation, serial| {
        Code::issue(&rig.keys.provider(provider, generation), provider, serial).unwrap()
    };
    let send = |code| server.send(code, &[]);
    for forged in [code(1, 10, 0), code(2, 9, 0), code(3, 50, 0)] {
        assert_eq!(send(forged).await, Answer::Refused("code_invalid"), "{forged:?}");
    }
    assert_eq!(server.report(5, 1).await, Answer::Refused("code_revoked"));
    assert_eq!(server.report(6, 61).await, Answer::Refused("code_used"));
    assert!(matches!(server.report(6, 60).await, Answer::Accepted(_)));
    assert_eq!(send(code(1, 1, 0)).await, Answer::Refused("no_items"));
    // Another server may have opened the range, given the provider a new key, or added it.
    let items = [raw(2, 1)];
    for unknown in [code(1, 1, 110), code(1, 2, 0), code(1, 9, 0), code(2, 1, 0), code(30, 8, 0)] {
        let answer = server.send(unknown, &items).await;
        assert!(matches!(answer, Answer::Held(_)), "{unknown:?}: {answer:?}");
    }
    rig.pass(DAY_SECONDS);
    assert_eq!(server.report(101, 1).await, Answer::Refused("code_expired"));
    // A clock that is in doubt says nothing of the expiry.
    rig.pass(1);
    assert!(matches!(server.report(102, 1).await, Answer::Held(_)));
    rig.time.store(NOW - HOUR, Ordering::SeqCst);
    assert!(matches!(server.report(7, 1).await, Answer::Held(_)));
    assert!(matches!(server.send(code(1, 10, 0), &items).await, Answer::Refused("code_invalid")));
}

#[actix_web::test]
async fn what_happened_meanwhile_counts() {
    let (rig, machine, server) = cut_off().await;
    let code =
        |generation, serial| Code::issue(&rig.keys.provider(1, generation), 1, serial).unwrap();
    let mut held = Vec::new();
    for code in [code(1, 0), code(1, 1), code(1, 2), code(1, 100), code(1, 900), code(2, 0)] {
        match server.send(code, &[raw(2, code.serial().into())]).await {
            Answer::Held(tracking) => held.push(tracking),
            other => panic!("{code:?}: {other:?}"),
        }
    }
    // A code used elsewhere, one revoked, a range opened; the sixth code's key was never given.
    rig.report_elsewhere(0, &[raw(2, 77)]);
    rig.act(|state, now| judge::revoke_code(state, &rig.keys, now, &code(1, 1)).unwrap().events);
    rig.act(|state, context| judge::open_range(state, context, 1, 10, 1).unwrap().events);
    machine.away(false);
    let drained = server.drained().await;
    assert_eq!(drained, Drained { accepted: 2, refused: 4, ..Drained::default() });
    let verdicts: Vec<String> = held.iter().map(|tracking| server.verdict(tracking)).collect();
    let expected = [
        "refused code_used",
        "refused code_revoked",
        "held",
        "held",
        "refused code_not_open",
        "refused code_invalid",
    ];
    assert_eq!(verdicts, expected);
    // The same after a restart, and for whoever reads the log only later.
    assert_eq!(rig.folded().digest(), server.service.node.state().digest());
    let other = rig.start(&Machine::default());
    assert_eq!(other.verdict(&held[0]), "refused code_used");
    // A verdict is remembered for 30 days.
    rig.live(30);
    other.catch_up().await;
    assert_eq!(other.verdict(&held[0]), "report_unknown");
    assert!(rig.folded().verdicts.is_empty());
}

#[actix_web::test]
async fn a_suspended_provider_has_its_reports_refused_and_they_may_come_again() {
    let (rig, machine, server) = cut_off().await;
    let tracking = server.held(1, 10).await;
    rig.set_status(ProviderStatus::Suspended);
    machine.away(false);
    server.drained().await;
    assert_eq!(server.verdict(&tracking), "refused code_suspended");
    assert_eq!(server.report(1, 10).await, Answer::Refused("code_suspended"));
    rig.set_status(ProviderStatus::Active);
    server.catch_up().await;
    assert!(matches!(server.report(1, 10).await, Answer::Accepted(_)));
}

/// The log's clock and the time of arrival decide whether a code had expired.
#[actix_web::test]
async fn a_code_that_expired_while_its_report_waited_counts_for_two_weeks() {
    for (days, expected) in [(3, "held"), (13, "held"), (15, "refused code_expired")] {
        let rig = Rig::new();
        rig.act(|state, context| judge::open_range(state, context, 1, 10, 1).unwrap().events);
        let machine = Machine::default();
        let server = rig.start(&machine);
        machine.away(true);
        // An item of a date that is still published then.
        let item = Item::Raw { date: date(3), element: Element::from_slice(&[9; 16]) };
        let Answer::Held(tracking) = server.send(rig.code(100), &[item]).await else { panic!() };
        rig.live(days);
        machine.away(false);
        server.catch_up().await;
        server.drained().await;
        assert_eq!(server.verdict(&tracking), expected, "{days}");
    }
}

#[actix_web::test]
async fn a_time_of_arrival_that_was_in_doubt_does_not_count() {
    let rig = Rig::new();
    rig.act(|state, context| judge::open_range(state, context, 1, 10, 1).unwrap().events);
    let machine = Machine::default();
    let server = rig.start(&machine);
    server.lose(&machine).await;
    // A clock that is behind would make a code that expired count.
    rig.time.store(NOW - HOUR, Ordering::SeqCst);
    let Answer::Held(tracking) = server.report(100, 1).await else { panic!() };
    rig.time.store(NOW, Ordering::SeqCst);
    rig.live(2);
    machine.away(false);
    server.catch_up().await;
    server.drained().await;
    assert_eq!(server.verdict(&tracking), "refused code_expired");
}

#[actix_web::test]
async fn items_must_have_been_past_when_they_came_and_must_still_be_published() {
    let (rig, machine, server) = cut_off().await;
    let retention = u64::from(policy().retention_days);
    // The fourth date is today.
    let [tomorrow, old, late] = [raw(4, 1), raw(0, 2), raw(5, 3)];
    let sent = async |serial, items: &[Item]| server.send(rig.code(serial), items).await;
    let Answer::Held(early) = sent(0, std::slice::from_ref(&tomorrow)).await else { panic!() };
    let Answer::Held(mixed) = sent(1, &[old.clone(), tomorrow, raw(3, 5)]).await else { panic!() };
    let Answer::Held(gone) = sent(2, &[old, late]).await else { panic!() };
    rig.live(retention - 1);
    machine.away(false);
    server.catch_up().await;
    server.drained().await;
    let verdicts = [early, mixed, gone].map(|tracking| server.verdict(&tracking));
    assert_eq!(verdicts, ["refused no_items", "held", "refused no_items"]);
    let state = server.service.node.state();
    let (_, report) = state.reports.by_tracking(&mixed).unwrap();
    let problems = [(0, ItemProblem::DateTooOld), (1, ItemProblem::DateInFuture)];
    assert_eq!((report.accepted, report.problems.as_slice()), (1, problems.as_slice()));
}

/// A code stays used for as long as a report may wait that came before the code expired.
#[actix_web::test]
async fn a_purge_does_not_make_room_for_a_second_report() {
    let (rig, machine) = (Rig::new(), Machine::default());
    rig.live(7);
    rig.act(|state, context| judge::open_range(state, context, 1, 10, 1).unwrap().events);
    let server = rig.start(&machine);
    machine.away(true);
    rig.report_elsewhere(100, &[raw(0, 1)]);
    let Answer::Held(tracking) = server.send(rig.code(100), &[raw(10, 2)]).await else { panic!() };
    // The date of the first report expires, and then no manifest needs it any more.
    rig.live(5);
    for _ in 0..300 {
        rig.pass(900);
        rig.act(|state, now| judge::tick(state, &rig.keys, now).unwrap().events);
    }
    rig.live(1);
    let purge = judge::purge(&rig.folded()).unwrap();
    assert_eq!(purge.answer.len(), 1);
    rig.act(|_, _| purge.events);
    rig.log.clone().erase(&purge.answer).unwrap();
    assert!(rig.folded().reports.is_empty());
    machine.away(false);
    server.catch_up().await;
    server.drained().await;
    assert_eq!(server.verdict(&tracking), "refused code_used");
}

#[actix_web::test]
async fn three_reports_of_a_code_are_held_and_the_first_stands() {
    let (_rig, machine, server) = cut_off().await;
    let mut held = Vec::new();
    for element in 0..3 {
        held.push(server.held(1, element).await);
    }
    assert_eq!(server.report(1, 3).await, Answer::Refused("storage_unavailable"));
    assert_eq!(server.held(1, 1).await, held[1]);
    machine.away(false);
    let drained = server.drained().await;
    assert_eq!(drained, Drained { accepted: 1, refused: 2, ..Drained::default() });
    let verdicts: Vec<String> = held.iter().map(|tracking| server.verdict(tracking)).collect();
    assert_eq!(verdicts, ["held", "refused code_used", "refused code_used"]);
}

#[actix_web::test]
async fn a_full_spool_and_a_full_disk_refuse_and_hold_again_later() {
    let (mut rig, machine) = (Rig::new(), Machine::default());
    rig.limits = Limits { reports: 2, ..Limits::default() };
    let server = rig.start(&machine);
    machine.away(true);
    machine.disk.fill(true);
    assert_eq!(server.report(1, 1).await, Answer::Refused("storage_unavailable"));
    machine.disk.fill(false);
    let first = server.held(1, 1).await;
    server.held(2, 1).await;
    assert_eq!(server.report(3, 1).await, Answer::Refused("storage_unavailable"));
    assert_eq!(server.held(1, 1).await, first);
    let status = server.spool().status();
    assert_eq!((status.reports, status.since), (2, Some(NOW)));
    machine.away(false);
    server.drained().await;
    machine.away(true);
    server.held(3, 1).await;
    let status = server.spool().status();
    assert!(status.reports == 1 && status.bytes > 0);
}

#[actix_web::test]
async fn many_at_once_share_few_files() {
    let (_rig, machine, server) = cut_off().await;
    let answers = join_all((0..100).map(|serial| server.report(serial, serial.into()))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Held(_))));
    let files = machine.disk.list().len();
    assert!(files <= 50, "{files}");
    machine.away(false);
    assert_eq!(server.drained().await.accepted, 100);
}

#[actix_web::test]
async fn the_same_report_from_two_servers_counts_once_and_both_tracking_ids_tell() {
    let (rig, here) = (Rig::new(), Machine::default());
    let there = Machine::default();
    let servers = [rig.start(&here), rig.start(&there)];
    here.away(true);
    there.away(true);
    let mut tracking = Vec::new();
    for server in &servers {
        tracking.push([server.held(1, 10).await, server.held(2, 20).await]);
    }
    let others = [servers[0].held(3, 30).await, servers[1].held(3, 31).await];
    here.away(false);
    there.away(false);
    assert_eq!(servers[1].drained().await.accepted, 3);
    let drained = servers[0].drained().await;
    assert_eq!(drained, Drained { known: 2, refused: 1, ..Drained::default() });
    assert_eq!(rig.folded().reports.len(), 3);
    for tracking in tracking.concat() {
        assert_eq!(servers[0].verdict(&tracking), "held");
    }
    assert_eq!(servers[0].verdict(&others[0]), "refused code_used");
    assert_eq!(servers[0].verdict(&others[1]), "held");
    // A report is taken back by either of its tracking ids.
    let known = data_encoding::HEXLOWER.encode(&tracking[0][0]);
    let selection = judge::Selection { report: Some(known), ..judge::Selection::default() };
    rig.act(|state, _| {
        let position = state.position;
        judge::correct(state, &rig.keys, Act::Retract, &selection, position).unwrap().events
    });
    servers[1].catch_up().await;
    let verdicts = [tracking[0][0], tracking[1][0], tracking[0][1]];
    let verdicts = verdicts.map(|tracking| servers[1].verdict(&tracking));
    assert_eq!(verdicts, ["retracted", "retracted", "held"]);
}

#[actix_web::test]
async fn reports_wait_while_the_clock_is_in_doubt_or_the_log_is_a_newer_releases() {
    let (rig, machine, server) = cut_off().await;
    let tracking = server.held(1, 10).await;
    machine.away(false);
    rig.pass(2 * DAY_SECONDS);
    assert!(matches!(server.round().await.1, Some(Problem::ClockDoubt)));
    assert_eq!(server.verdict(&tracking), "received");
    // Where the log can be reached, a doubtful clock refuses as ever.
    let other = rig.start(&Machine::default());
    assert_eq!(other.report(2, 1).await, Answer::Refused("clock_doubt"));
    rig.time.store(NOW, Ordering::SeqCst);
    let state = rig.folded();
    let mut batch = seal(state.position, state.head, &[Event::from(ClockResumed {})], NOW);
    make_newer(&mut batch, 900, 1);
    rig.log.clone().append(&batch).unwrap();
    assert!(matches!(server.round().await.1, Some(Problem::ReadOnly)));
    assert_eq!(server.report(2, 1).await, Answer::Refused("read_only"));
    // The newer release will find it.
    assert_eq!(server.verdict(&tracking), "received");
    assert_eq!(server.spool().status().reports, 1);
}

#[actix_web::test]
async fn a_spool_is_drained_on_another_machine_of_the_deployment_only() {
    let (rig, machine, server) = cut_off().await;
    let tracking = server.held(1, 10).await;
    drop(server);
    let moved = Machine::default();
    for (name, bytes) in machine.disk.contents() {
        moved.disk.put(&name, &bytes);
    }
    // The same number of a provider and of a code, with other keys.
    let mut foreign = Rig::new();
    foreign.keys = std::sync::Arc::new(crate::common::keys(2));
    let spool = |machine: &Machine, rig: &Rig| {
        let (disk, keys) = (Box::new(machine.disk.clone()), std::sync::Arc::clone(&rig.keys));
        let random = gcs_server::random::Random::System;
        gcs_server::spool::Spool::open(disk, keys, random, Limits::default()).unwrap()
    };
    let before = moved.disk.contents();
    let status = spool(&moved, &foreign).status();
    assert_eq!((status.reports, status.foreign, status.damaged), (0, 1, 0));
    assert_eq!(moved.disk.contents(), before);
    let server = rig.start(&moved);
    assert_eq!(server.drained().await.accepted, 1);
    assert_eq!(server.verdict(&tracking), "held");
    // What was left behind changes nothing.
    machine.away(false);
    let server = rig.start(&machine);
    assert_eq!(server.drained().await, Drained { before: 1, ..Drained::default() });
    assert_eq!(rig.folded().reports.len(), 1);
}

/// Whatever byte is damaged, the other reports of the file are judged, and the file is kept.
#[actix_web::test]
async fn a_damaged_file_is_kept_and_what_can_be_read_of_it_is_judged() {
    let (rig, machine, server) = cut_off().await;
    let held = join_all((1..4).map(|serial| server.held(serial, 1))).await;
    drop(server);
    let files = machine.disk.contents();
    let reports: Vec<(String, Vec<u8>)> = files;
    let mut told = 0;
    for (name, bytes) in &reports {
        for at in (0..bytes.len()).step_by(7) {
            let damaged = Machine::default();
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            damaged.disk.put(name, &bytes);
            let rig = Rig::new();
            let server = rig.start(&damaged);
            let is_newer = server.spool().status().foreign == 1;
            assert_eq!(server.spool().status().damaged, u64::from(!is_newer), "{name}, {at}");
            server.drained().await;
            let status = server.spool().status();
            assert_eq!(status.damaged + status.foreign, 1, "{name}, {at}");
            assert_eq!(damaged.disk.list().len(), 1);
            assert_eq!(damaged.disk.contents()[0].1, bytes, "{name}, {at}");
            told += server.service.readiness().unwrap_err().to_string().matches("damaged").count();
            // A start later tells it still, and judges nothing twice.
            let position = rig.folded().position;
            drop(server);
            let server = rig.start(&damaged);
            let status = server.spool().status();
            assert_eq!((status.reports, status.damaged + status.foreign), (0, 1));
            assert_eq!(rig.folded().position, position);
        }
    }
    assert!(told > 30, "{told}");
    machine.away(false);
    let server = rig.start(&machine);
    server.drained().await;
    assert!(held.iter().all(|tracking| server.verdict(tracking) == "held"));
}

/// A report that the log took although its answer was lost.
#[actix_web::test]
async fn a_report_that_may_be_in_the_log_is_held_and_found_there() {
    let (rig, machine) = (Rig::new(), Machine::default());
    let server = rig.start(&machine);
    // Stored, and the server cannot even look it up.
    machine.steps().stop_at(1, true);
    let sent = submission(rig.code(1), &[raw(2, 10)]);
    let refused = server.service.report(sent.clone()).await;
    assert!(matches!(refused, Err(Problem::StorageUnavailable)), "{refused:?}");
    assert_eq!(rig.folded().reports.len(), 1);
    machine.steps().stop_at(i64::MAX, false);
    machine.away(true);
    let held = server.service.report(sent).await;
    let Ok(Reception::Received(tracking)) = held else { panic!("{held:?}") };
    machine.away(false);
    assert_eq!(server.drained().await, Drained { known: 1, ..Drained::default() });
    assert_eq!((rig.folded().reports.len(), server.verdict(&tracking).as_str()), (1, "held"));
}
