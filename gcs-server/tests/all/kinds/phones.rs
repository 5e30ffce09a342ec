//! Each kind on the real server: it is reported, published and matched, taken back, and gone.

use gcs_core::identifiers::dp3t::{self, HybridWindow};
use gcs_core::report::{GaenKey, Item};
use gcs_core::sync::{ClientSettings, Heard};
use gcs_core::{Date, Element};
use gcs_server::app::key_file;
use serde_json::{Value, json};

use super::seeds::{expanded, listed};
use super::{day_key, gaen, hybrid, interval, tcn};
use crate::common::server::{Server, ago, today};
use crate::common::world::{Client, serve};

/// A report, and what phones nearby kept of what they heard.
struct Encounter {
    item: Item,
    /// Of the patient.
    heard: Vec<Heard>,
    /// Of others, or what somebody else broadcast again at another time.
    others: Vec<Heard>,
    /// How many elements each date has, the latest first.
    elements: Vec<(u32, u64)>,
}

fn heard<E: AsRef<[u8]>>(time: u64, elements: impl IntoIterator<Item = E>) -> Vec<Heard> {
    let heard = |element: E| Heard { time, element: element.as_ref().to_vec() };
    elements.into_iter().map(heard).collect()
}

fn hours(days: u32, hours: u64) -> u64 {
    ago(days).start() + hours * 3600
}

fn low_cost() -> Encounter {
    let (key, item) = day_key(ago(3), 1);
    let of_first = key.ephemeral_ids().nth(40).unwrap();
    let of_third = key.next().unwrap().next().unwrap().ephemeral_ids().nth(7).unwrap();
    let sighting = |id, time| heard(time, dp3t::low_cost_sighting_elements(&id, time));
    Encounter {
        item,
        heard: [sighting(of_first, hours(3, 10)), sighting(of_third, hours(1, 20))].concat(),
        others: [sighting(of_first, hours(2, 10)), sighting([9; 16], hours(3, 10))].concat(),
        elements: vec![(1, 96), (2, 96), (3, 96)],
    }
}

fn low_cost_element(days: u32) -> Vec<u8> {
    let (key, _) = day_key(ago(days), 9);
    key.elements().next().unwrap().to_vec()
}

fn in_windows() -> Encounter {
    let windows = HybridWindow::FourHours;
    let (seed, item) = hybrid(hours(1, 10), 2);
    let id = seed.ephemeral_ids(windows).nth(5).unwrap();
    let sighting = |id, time| heard(time, windows.sighting_elements(&id, time));
    Encounter {
        item,
        heard: sighting(id, hours(1, 9)),
        others: [sighting(id, hours(1, 14)), sighting([9; 16], hours(1, 9))].concat(),
        elements: vec![(1, 16)],
    }
}

fn numbers() -> Encounter {
    let (key, item) = tcn(ago(2), 3, [4, 20]);
    let number = |at| key.number(at).unwrap();
    Encounter {
        item,
        heard: heard(hours(2, 9), [number(4), number(20)]),
        others: [
            // A report shows these to whoever has it, but they are not what it reports.
            heard(hours(2, 9), [number(3), number(21)]),
            heard(hours(1, 9), [number(5)]),
        ]
        .concat(),
        elements: vec![(2, 17)],
    }
}

/// A key that was used from noon to noon.
fn exposures() -> Encounter {
    let key = gaen(interval(ago(2), 12), 144, 4);
    let rolling = key.exposure_key().unwrap().rolling_keys();
    let at = |days, hour: u32| rolling.identifier(interval(ago(days), hour));
    Encounter {
        item: Item::Gaen(GaenKey { transmission_risk: 3, ..key }),
        heard: [heard(hours(2, 15), [at(2, 15)]), heard(hours(1, 9), [at(1, 9)])].concat(),
        others: [
            heard(hours(2, 11), [at(2, 11)]),
            heard(hours(1, 13), [at(1, 13)]),
            heard(hours(1, 9), [at(2, 15)]),
        ]
        .concat(),
        elements: vec![(1, 72), (2, 72)],
    }
}

/// When what a phone heard follows from the seeds that the server lists.
fn of_seeds(server: &Server, heard: &[Heard]) -> Vec<u64> {
    let keys = key_file::read(&server.home.path("keys.json")).unwrap();
    let found = expanded(&server.home.served(), &keys.root());
    let is_found = |heard: &&Heard| {
        found.contains(&(Date::of_time(heard.time), Element::from(&heard.element[..])))
    };
    let mut times: Vec<u64> = heard.iter().filter(is_found).map(|heard| heard.time).collect();
    times.dedup();
    times
}

/// A phone that syncs with the server now; and when the seeds are listed.
struct Phone(Client, u64);

impl Phone {
    fn new(server: &Server, heard: Vec<Heard>, listed_from: u64) -> Phone {
        let keys = key_file::read(&server.home.path("keys.json")).unwrap();
        let settings = ClientSettings::new(keys.root());
        Phone(Client { settings, heard, ..Client::new() }, listed_from)
    }

    /// When the patients were near, by the phone's contacts.
    fn sync(&mut self, server: &Server) -> Vec<u64> {
        let contacts = self.sync_sets(server);
        // A phone that expands seeds finds the same.
        if server.policy()["seeds"] != json!([]) {
            let expected = if server.home.now() < self.1 { vec![] } else { contacts.clone() };
            assert_eq!(of_seeds(server, &self.0.heard), expected);
        }
        contacts
    }

    fn sync_sets(&mut self, server: &Server) -> Vec<u64> {
        let files = server.home.served();
        let outcome = self.0.wake_with(server.home.now(), |path, part| serve(&files, path, part));
        assert!(outcome.up_to_date && outcome.incidents.is_empty(), "{outcome:?}");
        assert_eq!((outcome.undecided, outcome.asked), (0, None));
        outcome.contacts.unwrap().iter().map(|contact| contact.first).collect()
    }
}

fn correct(server: &Server, act: &str, code: &str) -> Value {
    let mut body = json!({ "act": act, "select": { "code": code } });
    let preview = server.operate("POST", "/v1/admin/corrections/preview", body.clone()).ok();
    body["position"] = preview["position"].clone();
    server.operate("POST", "/v1/admin/corrections", body).ok()
}

#[track_caller]
fn is_found_and_taken_back(encounter: Encounter) {
    let Encounter { item, heard, others, elements } = encounter;
    let server = Server::new();
    let kind = item.kind().name();
    server.set("rate_bits", json!(32));
    server.set("kinds", json!([kind]));
    if listed().has(item.kind()) {
        server.set("seeds", json!([kind]));
    }
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 3);
    let item = serde_json::to_value(&item).unwrap();
    let report = server.report(&codes[0], vec![item.clone(), item.clone()]).ok();
    assert_eq!((&report["accepted"], &report["problems"]), (&json!(1), &json!([])));
    let mut times: Vec<u64> = heard.iter().map(|heard| heard.time).collect();
    times.dedup();
    // A seed waits until its last date is published, that of its report where one gives the next.
    let last = if kind == "dp3t-low-cost" { today() } else { ago(1) };
    let mut near = Phone::new(&server, [heard.clone(), others.clone()].concat(), last.entry());
    let mut far = Phone::new(&server, others, last.entry());
    server.tick();
    let path = format!("/v1/reports/{}", report["tracking_id"].as_str().unwrap());
    for (days, count) in &elements {
        assert_eq!(server.elements(ago(*days)), *count, "{kind}, {days} days ago");
    }
    let status = server.get(&path).ok();
    let published = status["dates"].as_array().unwrap().iter();
    let published = published.filter(|date| date["status"] == "published");
    assert_eq!(published.count(), elements.len(), "{status}");
    assert_eq!(near.sync(&server), times, "{kind}");
    assert_eq!(far.sync(&server), Vec::<u64>::new(), "{kind}");

    // The same again by another patient, of whom it is no retraction.
    server.report(&codes[1], vec![item]).ok();
    let taken = correct(&server, "retract", &codes[0]);
    assert!(taken["dates"].as_array().unwrap().iter().all(|date| date["elements_out"] == 0));
    server.pass(1500);
    server.tick();
    assert_eq!(near.sync(&server), times, "{kind}");
    let taken = correct(&server, "retract", &codes[1]);
    let dates = taken["dates"].as_array().unwrap().iter().rev();
    let out: Vec<u64> = dates.filter_map(|date| date["elements_out"].as_u64()).collect();
    let counts: Vec<u64> = elements.iter().map(|(_, count)| *count).collect();
    assert_eq!(out[out.len() - counts.len()..], counts, "{taken}");
    server.pass(1500);
    server.tick();
    assert_eq!(near.sync(&server), Vec::<u64>::new(), "{kind}");
    for (days, _) in &elements {
        assert_eq!(server.elements(ago(*days)), 0);
    }
    assert_eq!(server.get(&path).ok()["status"], "retracted");

    correct(&server, "reinstate", &codes[0]);
    let server = server.restart();
    server.pass(1500);
    server.tick();
    assert_eq!(near.sync(&server), times, "{kind}");
    server.pass(20 * 3600);
    server.tick();
    assert_eq!(near.sync(&server), times, "{kind}");
    assert_eq!(far.sync(&server), Vec::<u64>::new(), "{kind}");
    correct(&server, "retract", &codes[0]);
    server.pass(1500);
    server.tick();
    assert_eq!(near.sync(&server), Vec::<u64>::new(), "{kind}");
}

#[test]
fn a_key_of_the_low_cost_design() {
    is_found_and_taken_back(low_cost());
}

#[test]
fn a_seed_of_the_hybrid_design() {
    is_found_and_taken_back(in_windows());
}

#[test]
fn a_tcn_report() {
    is_found_and_taken_back(numbers());
}

#[test]
fn a_key_of_exposure_notification() {
    is_found_and_taken_back(exposures());
}

#[test]
fn a_seed_of_the_unlinkable_design_and_a_raw_element() {
    let time = hours(1, 9);
    let (epoch, seed) = (dp3t::epoch_of(time).unwrap(), [5; 32]);
    let id = dp3t::ephemeral_id(&seed);
    is_found_and_taken_back(Encounter {
        item: Item::Dp3tUnlinkable { epoch, seed },
        heard: heard(time + 300, dp3t::sighting_elements(&id, time + 300)),
        others: heard(time + 3600, dp3t::sighting_elements(&id, time + 3600)),
        elements: vec![(1, 1)],
    });
    is_found_and_taken_back(Encounter {
        item: Item::Raw { date: ago(1), element: [6; 16].into() },
        heard: heard(time, [[6; 16]]),
        others: heard(hours(2, 9), [[6; 16]]),
        elements: vec![(1, 1)],
    });
}

/// What a report has of the day on which it comes is published when that day is over, and what its key would
/// give after that is not.
#[test]
fn the_day_of_the_report_is_published_when_it_is_over() {
    let server = Server::new();
    server.set("kinds", json!(["dp3t-low-cost", "gaen"]));
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 2);
    let items = [day_key(ago(1), 9).1, Item::Gaen(gaen(interval(today(), 0), 144, 1))];
    let sent: Vec<Value> = items.iter().map(|item| serde_json::to_value(item).unwrap()).collect();
    let report = server.report(&codes[0], sent).ok();
    assert_eq!(report["accepted"], 2);
    let path = format!("/v1/reports/{}", report["tracking_id"].as_str().unwrap());
    server.tick();
    assert_eq!((server.elements(ago(1)), server.elements(today())), (96, 0));
    assert_eq!(server.get(&path).ok()["status"], "held");
    server.pass(43_200 + 7200);
    server.tick();
    assert_eq!((server.elements(ago(1)), server.elements(today())), (96, 96 + 144));
    assert_eq!(server.get(&path).ok()["status"], "published");
    for _ in 0..2 {
        server.pass(86_400);
        server.tick();
    }
    assert_eq!(server.elements(today().next().unwrap()), 0);
    let query = |date, element: &[u8]| json!({ "date": date, "element": data_encoding::BASE64.encode(element) });
    let body = json!({ "queries": [query(ago(1), &low_cost_element(1)), query(ago(1), &[7; 20])] });
    assert_eq!(server.exact(&body).ok()["present"], json!([true, false]));
}
