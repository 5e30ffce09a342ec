//! Lists of seeds on the real server, read as a phone that expands seeds itself reads them.

use std::collections::BTreeSet;

use gcs_core::files::{Manifest, Path, PublicationIndex, SeedIndex};
use gcs_core::identifiers::dp3t::{DayKeys, WindowSeed};
use gcs_core::identifiers::gaen::ExportKey;
use gcs_core::report::{Item, Kind, Kinds};
use gcs_core::seeds::SeedList;
use gcs_core::{Date, Element, PublicKey};
use gcs_server::app::key_file;
use gcs_server::domain::policy::Policy;
use gcs_server::domain::state::State;

use super::{day_key, gaen, hybrid, interval};
use crate::common::home::{Home, Running, difference};
use crate::common::world::Files;
use crate::common::{HOUR, date, policy};

/// The kinds that have lists.
pub fn listed() -> Kinds {
    Kinds::of(&[Kind::Dp3tLowCost, Kind::Dp3tHybrid, Kind::Gaen])
}

/// The index of lists that is published, and its lists.
pub fn lists(files: &Files, root: &PublicKey) -> Option<(SeedIndex, Vec<Vec<u8>>)> {
    let (manifest, _) = Manifest::verify(&files["/v1/manifest"], root, 0, 0).unwrap();
    let named = manifest.seeds?;
    let file = |digest| files[&Path::Seeds(digest).to_string()].clone();
    let index = SeedIndex::parse(&file(named.index.sha256)).unwrap();
    assert_eq!((index.series, index.tick), (manifest.series, manifest.tick));
    assert_eq!(index.table.state(), named.state);
    let lists = index.table.rows().iter().map(|row| file(row.sha256)).collect();
    Some((index, lists))
}

/// What the published seeds expand to on the dates that have sets.
pub fn expanded(files: &Files, root: &PublicKey) -> BTreeSet<(Date, Element)> {
    let mut found = BTreeSet::new();
    let Some((index, lists)) = lists(files, root) else { return found };
    for (row, list) in index.table.rows().iter().zip(&lists) {
        match row.kind {
            1 => SeedList::<DayKeys, _>::parse(list).unwrap().iter().for_each(|keys| {
                for key in keys.keys() {
                    let elements = key.elements().map(|element| Element::from(&element[..]));
                    found.extend(elements.map(|element| (key.date(), element)));
                }
            }),
            2 => SeedList::<WindowSeed, _>::parse(list).unwrap().iter().for_each(|seed| {
                let date = Date::of_time(u64::from(seed.window) * seed.windows.seconds());
                found.extend(seed.elements().map(|element| (date, Element::from(&element[..]))));
            }),
            3 => SeedList::<ExportKey, _>::parse(list).unwrap().iter().for_each(|export| {
                let dates = export.key.intervals().map(|at| Date::of_time(u64::from(at) * 600));
                found.extend(dates.zip(export.key.identifiers().map(Element::from)));
            }),
            kind => panic!("a list of kind {kind}"),
        }
    }
    let (manifest, _) = Manifest::verify(&files["/v1/manifest"], root, 0, 0).unwrap();
    let index = &files[&Path::Index(manifest.index.sha256).to_string()];
    let table = PublicationIndex::parse(index).unwrap().table;
    found.retain(|(date, _)| table.row(*date).is_some());
    found
}

/// What somebody has to report of a date, of each kind that has lists.
pub fn items(number: u64, byte: u8) -> [Item; 3] {
    let day = date(number);
    [
        day_key(day, byte).1,
        hybrid(day.start() + HOUR, byte).1,
        Item::Gaen(gaen(interval(day, 12), 144, byte)),
    ]
}

pub fn seeds_policy() -> Policy {
    Policy { seeds: listed(), ..policy() }
}

/// Some publications with seeds, of which one is taken back.
async fn lived(home: &Home, running: &Running) {
    running.set_policy(seeds_policy()).await;
    for number in 0..4u8 {
        running.report(u32::from(number), &items(u64::from(number) % 3, number)).await.unwrap();
        home.pass(HOUR);
        running.tick().await;
    }
    let service = running.service();
    let select = gcs_server::domain::judge::Selection {
        code: Some(running.code(1).to_string()),
        ..Default::default()
    };
    let keys = std::sync::Arc::clone(&service.keys);
    let position = service.node.state().position;
    let act = gcs_core::live::Act::Retract;
    let retract = move |state: &State, _| {
        gcs_server::domain::judge::correct(state, &keys, act, &select, position)
    };
    service.node.act(retract).await.unwrap();
    home.pass(HOUR);
    running.tick().await;
    running.settle().await;
}

fn root(home: &Home) -> PublicKey {
    key_file::read(&home.path("keys.json")).unwrap().root()
}

#[actix_web::test]
async fn a_rebuild_and_a_restart_give_the_same_lists() {
    let home = Home::new();
    let running = home.begin().await;
    lived(&home, &running).await;
    running.stop().await;
    let right = home.public();
    let (index, _) = lists(&home.served(), &root(&home)).unwrap();
    assert!(index.table.rows().len() >= 3 && index.bundles.len() >= 4);
    let seeds = right.keys().filter(|name| name.starts_with("v1/seeds/"));
    assert!(seeds.count() > 10);
    home.rebuild();
    assert_eq!(difference(&home.public(), &right), Vec::<String>::new());
    // A restart goes on from what was saved, and a copy without it from the log.
    let other = home.copy();
    std::fs::remove_file(other.path("private/publisher")).unwrap();
    std::fs::remove_dir_all(other.path("public")).unwrap();
    other.rebuild();
    assert_eq!(lists(&other.served(), &root(&other)), lists(&home.served(), &root(&home)));
    for home in [&home, &other] {
        let running = home.start().await;
        running.report(7, &items(1, 70)).await.unwrap();
        home.pass(HOUR);
        running.tick().await;
        running.settle().await;
        running.stop().await;
    }
    let left = difference(&home.public(), &other.public());
    assert!(left.iter().all(|name| !right[name].is_empty()), "{left:?}");
    let (one, two) = (home.served(), other.served());
    assert_eq!(one["/v1/manifest"], two["/v1/manifest"]);
    assert_eq!(lists(&one, &root(&home)), lists(&two, &root(&home)));
}

#[actix_web::test]
async fn lists_come_and_go_with_the_policy() {
    let home = Home::new();
    let running = home.begin().await;
    let none = Policy { seeds: Kinds::default(), ..policy() };
    running.set_policy(none.clone()).await;
    running.report(0, &items(1, 1)).await.unwrap();
    home.pass(HOUR);
    running.tick().await;
    running.settle().await;
    assert!(lists(&home.served(), &root(&home)).is_none());
    assert!(!home.public().keys().any(|name| name.starts_with("v1/seeds/")));
    // From now on; not of the report before.
    running.set_policy(Policy { seeds: Kinds::of(&[Kind::Gaen]), ..policy() }).await;
    running.report(1, &items(1, 2)).await.unwrap();
    home.pass(HOUR);
    running.tick().await;
    running.settle().await;
    let (index, published) = lists(&home.served(), &root(&home)).unwrap();
    let kinds: Vec<u16> = index.table.rows().iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [3]);
    assert_eq!(SeedList::<ExportKey, _>::parse(&published[0]).unwrap().len(), 1);
    running.set_policy(none).await;
    home.pass(HOUR);
    running.tick().await;
    running.settle().await;
    assert!(lists(&home.served(), &root(&home)).is_none());
    // A day later the files go as well.
    for _ in 0..3 {
        home.pass(20 * HOUR);
        running.tick().await;
    }
    running.settle().await;
    assert!(!home.public().keys().any(|name| name.starts_with("v1/seeds/")));
    running.stop().await;
}
