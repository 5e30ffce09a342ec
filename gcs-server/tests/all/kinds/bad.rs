//! Items that are refused, each by name, over HTTP.

use gcs_core::report::{GaenKey, Item};
use serde_json::{Value, json};

use super::{day_key, gaen, hybrid, interval, tcn};
use crate::common::server::{Server, ago, noon, today};

fn value(item: &Item) -> Value {
    serde_json::to_value(item).unwrap()
}

fn changed(item: &Item, member: &str, new: Value) -> Value {
    let mut changed = value(item);
    changed[member] = new;
    changed
}

/// A server that takes these kinds, and a code for it.
fn server(kinds: Value) -> (Server, String) {
    let server = Server::new();
    server.set("kinds", kinds);
    let (_, token) = server.provider("City");
    let code = server.codes(&token, 1).remove(0);
    (server, code)
}

#[track_caller]
fn are_named(kinds: Value, items: Vec<(Value, Option<&str>)>) {
    let (server, code) = server(kinds);
    let expected: Vec<Value> = (0..)
        .zip(&items)
        .filter_map(|(index, (_, code))| code.map(|code| json!({ "index": index, "code": code })))
        .collect();
    let accepted = items.len() - expected.len();
    let report = server.report(&code, items.into_iter().map(|item| item.0).collect()).ok();
    assert_eq!(report["problems"], json!(expected));
    assert_eq!(report["accepted"], accepted);
}

#[test]
fn kinds_that_the_authority_does_not_take() {
    let time = ago(1).start();
    let items = [
        Item::Dp3tUnlinkable { epoch: (time / 900) as u32, seed: [1; 32] },
        Item::Raw { date: ago(1), element: [1; 16].into() },
        day_key(ago(1), 1).1,
        hybrid(time, 1).1,
        tcn(ago(1), 1, [1, 2]).1,
        Item::Gaen(gaen(interval(ago(1), 0), 144, 1)),
    ];
    for (at, item) in items.iter().enumerate() {
        let named = |(other, item)| (value(item), (other != at).then_some("kind_not_allowed"));
        are_named(json!([item.kind().name()]), items.iter().enumerate().map(named).collect());
    }
    let (server, _) = server(json!(["tcn"]));
    let mut policy = server.operate("GET", "/v1/admin/policy", Value::Null).ok();
    for (kinds, problem) in [
        (json!([]), (422, "policy_invalid")),
        (json!(["blue"]), (400, "json_shape")),
        (json!("tcn"), (400, "json_shape")),
    ] {
        policy["kinds"] = kinds;
        let refused = server.operate("PUT", "/v1/admin/policy", policy.clone()).refused();
        assert_eq!((refused.0, refused.1.as_str()), problem);
    }
}

#[test]
fn items_of_the_dp3t_designs() {
    let key = day_key(ago(2), 1).1;
    let seed = hybrid(noon() - 14_400, 1).1;
    let window = |days: i64| (noon() as i64 / 14_400 + days * 6) as u64;
    are_named(
        json!(["dp3t-low-cost", "dp3t-hybrid"]),
        vec![
            (value(&key), None),
            (changed(&key, "key", json!("AAAA")), Some("key_length")),
            (changed(&key, "key", json!("?")), Some("key_invalid")),
            (changed(&key, "date", json!("2026-02-30")), Some("date_invalid")),
            (changed(&key, "days", json!(3)), Some("shape")),
            (value(&day_key(ago(15), 1).1), Some("date_too_old")),
            (value(&day_key(today().next().unwrap(), 1).1), Some("date_in_future")),
            (value(&day_key(ago(2), 2).1), None),
            (value(&day_key(ago(9), 3).1), None),
            // The fourth key that would have been broadcast on these dates.
            (value(&day_key(ago(2), 4).1), Some("too_many_keys")),
            (value(&day_key(ago(10), 4).1), Some("too_many_keys")),
            (value(&seed), None),
            (changed(&seed, "hours", json!(2)), Some("hours_not_allowed")),
            (changed(&seed, "hours", json!(3)), Some("hours_invalid")),
            (changed(&seed, "window", json!(window(0))), Some("window_open")),
            (changed(&seed, "window", json!(window(1))), Some("date_in_future")),
            (changed(&seed, "window", json!(window(-20))), Some("date_too_old")),
            (changed(&seed, "seed", json!("AAAA")), Some("seed_length")),
        ],
    );
}

#[test]
fn items_of_tcn_and_exposure_notification() {
    let report = tcn(ago(1), 1, [1, 72]).1;
    let signed = value(&report)["report"].as_str().unwrap().to_owned();
    let forged = signed.replacen(&signed[..4], "AAAA", 1);
    let key =
        Item::Gaen(GaenKey { days_since_onset: Some(0), ..gaen(interval(ago(1), 0), 144, 1) });
    let start = |start: u32| changed(&key, "rolling_start", json!(start));
    are_named(
        json!(["tcn", "gaen"]),
        vec![
            (value(&report), None),
            (changed(&report, "report", json!(forged)), Some("signature_wrong")),
            (changed(&report, "report", json!("AAAA")), Some("report_invalid")),
            (changed(&report, "date", json!(ago(15))), Some("date_too_old")),
            (value(&tcn(ago(1), 1, [1, 73]).1), Some("span_too_long")),
            (value(&key), None),
            (start(interval(ago(15), 0)), Some("date_too_old")),
            (start(interval(today(), 15)), Some("date_in_future")),
            // It is still in use.
            (start(interval(today(), 1)), None),
            (start(u32::MAX), Some("rolling_start_invalid")),
            (changed(&key, "rolling_period", json!(0)), Some("rolling_period_invalid")),
            (changed(&key, "rolling_period", json!(145)), Some("rolling_period_invalid")),
            (changed(&key, "transmission_risk", json!(9)), Some("transmission_risk_invalid")),
            (changed(&key, "diagnosis", json!("negative")), Some("diagnosis_invalid")),
            (changed(&key, "days_since_onset", json!(15)), Some("days_since_onset_invalid")),
            (changed(&key, "key", json!("AAAA")), Some("key_length")),
        ],
    );
}

/// What would be expanded is counted first.
#[test]
fn more_elements_than_a_report_may_bring() {
    let (server, code) = server(json!(["gaen", "dp3t-low-cost"]));
    server.set("max_elements_per_date", json!(300));
    let key = |hours, byte| value(&Item::Gaen(gaen(interval(ago(1), hours), 144, byte)));
    let items = vec![key(0, 1), value(&day_key(ago(1), 1).1), key(12, 2), key(13, 3), key(1, 4)];
    let report = server.report(&code, items).ok();
    let too_many = |index| json!({ "index": index, "code": "too_many_for_date" });
    // 144 and 96, then 60 that do not fit but 72 would have to.
    assert_eq!(report["problems"], json!([too_many(2), too_many(3), too_many(4)]));
    server.tick();
    assert_eq!(server.elements(ago(1)), 240);
}
