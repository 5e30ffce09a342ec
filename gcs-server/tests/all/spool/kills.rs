//! A server is stopped between any two steps, on its disk and on the log.

use futures_util::join;
use gcs_server::domain::events::TrackingId;

use super::rig::{Answer, Machine, Rig, Server};
use crate::common::raw;

/// What is left on the disk when a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The process was killed: all that it did is there.
    Killed,
    /// The power went: names that were not synced are as they were before.
    Cut,
}

/// Reports that were answered with 202: code, element, tracking id.
type Acknowledged = Vec<(u32, u64, TrackingId)>;

/// Reports by codes 1 to 4 while the log is away, two of which come by other servers too; then the log is
/// back, and all of them are judged.
async fn live(rig: &Rig, machine: &Machine, server: &Server) -> Acknowledged {
    machine.away(true);
    let mut answers = vec![(1, 10, server.report(1, 10).await)];
    let (two, three, again) =
        join!(server.report(2, 20), server.report(3, 30), server.report(1, 10));
    answers.extend([(2, 20, two), (3, 30, three), (1, 10, again)]);
    answers.push((1, 11, server.report(1, 11).await));
    rig.report_elsewhere(2, &[raw(2, 20)]);
    rig.report_elsewhere(3, &[raw(2, 31)]);
    answers.push((4, 40, server.report(4, 40).await));
    machine.away(false);
    let _stopped_in_between = server.round().await;
    let held = answers.into_iter().filter_map(|(serial, element, answer)| match answer {
        Answer::Held(tracking) => Some((serial, element, tracking)),
        _ => None,
    });
    held.collect()
}

#[actix_web::test]
async fn nothing_acknowledged_is_lost_or_counted_twice_whatever_step_is_the_last() {
    for (stop, has_effect) in
        [(Stop::Killed, false), (Stop::Killed, true), (Stop::Cut, false), (Stop::Cut, true)]
    {
        let mut step = 1;
        loop {
            let what = format!("{stop:?} at step {step}, with effect: {has_effect}");
            let (rig, machine) = (Rig::new(), Machine::default());
            let server = rig.start(&machine);
            machine.steps().stop_at(step, has_effect);
            let acknowledged = live(&rig, &machine, &server).await;
            let is_over = !machine.steps().has_stopped();
            drop(server);
            machine.steps().stop_at(i64::MAX, false);
            if stop == Stop::Cut {
                machine.disk.cut();
            }
            check(&rig, &machine, acknowledged, &what).await;
            if is_over {
                break;
            }
            step += 1;
        }
        assert!(step > 25, "{step}");
    }
}

/// The control: a disk that does not keep its word is found out, and so would be a spool that does not wait
/// for its disk, or answers before.
#[actix_web::test]
async fn a_disk_that_lies_is_found_out() {
    let (rig, machine) = (Rig::new(), Machine::default());
    machine.disk.lie();
    let server = rig.start(&machine);
    machine.away(true);
    let tracking = server.held(1, 10).await;
    drop(server);
    machine.disk.cut();
    machine.away(false);
    let server = rig.start(&machine);
    server.drained().await;
    assert!(!server.spool().holds(&tracking) && rig.folded().reports.is_empty());
    assert_eq!(server.verdict(&tracking), "received");
}

/// Starts a server once more, sends again what was not acknowledged, and looks at every report.
async fn check(rig: &Rig, machine: &Machine, mut acknowledged: Acknowledged, what: &str) {
    let server = rig.start(machine);
    let before = server.spool().status();
    assert_eq!((before.damaged, before.foreign), (0, 0), "{what}");
    for (serial, element, tracking) in &acknowledged {
        let answer = server.report(*serial, *element).await;
        let is_same = match &answer {
            Answer::Held(again) => again == tracking,
            // It is judged already, perhaps as the report of another server.
            Answer::Accepted(_) => server.verdict(tracking) == "held",
            Answer::Refused(code) => *code == "code_used",
        };
        assert!(is_same, "{what}: {serial}, {element}: {answer:?}");
    }
    server.drained().await;
    for (serial, element) in [(1, 10), (1, 11), (2, 20), (3, 30), (4, 40)] {
        if !acknowledged.iter().any(|known| (known.0, known.1) == (serial, element)) {
            server.report(serial, element).await;
        }
    }
    let state = rig.folded();
    assert_eq!(state.reports.len(), 4, "{what}");
    assert_eq!(state.digest(), server.service.node.state().digest(), "{what}");
    acknowledged.sort_unstable();
    acknowledged.dedup();
    let mut verdicts: Vec<String> = Vec::new();
    for (serial, element, tracking) in &acknowledged {
        let verdict = server.verdict(tracking);
        match (serial, element) {
            (1, _) => verdicts.push(verdict),
            (2 | 4, _) => assert_eq!(verdict, "held", "{what}: {serial}"),
            _ => assert_eq!(verdict, "refused code_used", "{what}: {serial}"),
        }
    }
    // The first of two reports by one code stands.
    let of_code = ["held", "refused code_used"];
    let stands = verdicts.first().is_none_or(|first| of_code.contains(&first.as_str()));
    assert!(stands, "{what}: {verdicts:?}");
    if let [first, second] = &verdicts[..] {
        assert_ne!(first, second, "{what}");
    }
    assert!(machine.disk.list().is_empty(), "{what}: {:?}", machine.disk.list());
    // Nothing is judged twice.
    let position = state.position;
    drop(server);
    let server = rig.start(machine);
    assert_eq!(server.drained().await, gcs_server::spool::Drained::default(), "{what}");
    assert_eq!(rig.folded().position, position, "{what}");
}
