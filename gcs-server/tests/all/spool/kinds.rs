//! Every kind of report through an outage of the log.

use std::collections::BTreeMap;

use gcs_core::identifiers::dp3t::HybridWindow;
use gcs_core::report::{GaenKey, Item, PublishRequest, ReportType};
use gcs_core::{DAY_SECONDS, Date};
use gcs_server::domain::problem::Problem;
use gcs_server::spool::Drained;

use super::holding::cut_off;
use super::rig::{Answer, NOW, Rig};
use crate::common::{date, raw, submission};
use crate::kinds::{gaen, hybrid, interval, tcn};

/// The dates for which a report of each kind has elements, and the report.
fn reports() -> Vec<(Vec<Date>, Item)> {
    let yesterday = NOW - DAY_SECONDS;
    let epoch = u32::try_from(yesterday / 900).unwrap();
    let window = HybridWindow::FourHours.of_time(yesterday).unwrap();
    let (_, in_window) = hybrid(yesterday, 2);
    assert!(matches!(in_window, Item::Dp3tHybrid { window: of, .. } if of == window));
    vec![
        (vec![date(2)], raw(2, 1)),
        (vec![date(2)], Item::Dp3tUnlinkable { epoch, seed: [1; 32] }),
        (vec![date(2), date(3)], Item::Dp3tLowCost { date: date(2), key: [2; 32] }),
        (vec![date(2)], in_window),
        (vec![date(2)], tcn(date(2), 3, [4, 20]).1),
        (vec![date(1), date(2)], Item::Gaen(noon_to_noon())),
    ]
}

fn noon_to_noon() -> GaenKey {
    GaenKey { transmission_risk: 3, ..gaen(interval(date(1), 12), 144, 4) }
}

/// Number of elements that phones can find, by date.
fn published(rig: &Rig) -> BTreeMap<Date, u64> {
    let state = rig.folded();
    let counts = state.live.dates().map(|(date, live)| (date, live.published_len()));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// What waited for two days is published as what came at once.
#[actix_web::test]
async fn a_report_of_each_kind_survives_an_outage() {
    for (serial, (dates, item)) in (0..).zip(reports()) {
        let kind = item.kind().name();
        let items = [item];
        let (rig, machine, server) = cut_off().await;
        let Answer::Held(tracking) = server.send(rig.code(serial), &items).await else {
            panic!("{kind}")
        };
        assert_eq!(server.verdict(&tracking), "received", "{kind}");
        // What is held outlives the server.
        drop(server);
        rig.live(2);
        assert!(published(&rig).is_empty(), "{kind}");
        let server = rig.start(&machine);
        machine.away(false);
        assert_eq!(server.drained().await, Drained { accepted: 1, ..Drained::default() }, "{kind}");
        assert_eq!(server.verdict(&tracking), "held", "{kind}");
        rig.live(1);

        let direct = Rig::new();
        direct.report_elsewhere(serial, &items);
        direct.live(3);
        let (mut held, direct) = (published(&rig), published(&direct));
        assert_eq!(direct.keys().copied().collect::<Vec<_>>(), dates, "{kind}");
        let later = held.split_off(&date(4));
        assert_eq!(held, direct, "{kind}");
        // A key of the low-cost design has no end: it stands for the days of waiting too, on which its phone
        // has broadcast nothing of it.
        let days = if kind == "dp3t-low-cost" { vec![date(4), date(5)] } else { vec![] };
        assert_eq!(later.into_keys().collect::<Vec<_>>(), days, "{kind}");
    }
}

/// An app that publishes keys as Apple and Google have it learns that it has to come again.
#[actix_web::test]
async fn keys_of_exposure_notification_are_not_held_where_no_202_is_known() {
    let (rig, machine, server) = cut_off().await;
    let request = || PublishRequest {
        report: submission(rig.code(1), &[Item::Gaen(noon_to_noon())]),
        authority: String::new(),
        report_type: ReportType::Confirmed,
        warnings: Vec::new(),
        revision_token: String::new(),
    };
    let refused = server.service.publish_keys(request()).await;
    assert!(matches!(refused, Err(Problem::StorageUnavailable)), "{refused:?}");
    assert!(machine.disk.list().is_empty());
    machine.away(false);
    let accepted = server.service.publish_keys(request()).await.unwrap().unwrap();
    assert_eq!((accepted.accepted, accepted.problems.len()), (1, 0));
}
