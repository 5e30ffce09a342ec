//! Reports.

use serde_json::json;

use crate::common::server::{Server, ago, ask, noon, raw, seed, today};

fn one_code(server: &Server) -> String {
    let (_, token) = server.provider("City");
    server.codes(&token, 1).remove(0)
}

#[test]
fn a_report_is_published_at_the_next_tick() {
    let server = Server::new();
    let code = one_code(&server);
    let items = vec![seed(ago(1), 1), seed(ago(2), 2)];
    let answer = server.report(&code, items);
    assert_eq!(answer.status, 201);
    let report = answer.json();
    assert_eq!((&report["accepted"], &report["problems"]), (&json!(2), &json!([])));
    let path = format!("/v1/reports/{}", report["tracking_id"].as_str().unwrap());
    assert_eq!(answer.header("location"), path);

    let status = server.get(&path).ok();
    assert_eq!(status["status"], "held");
    assert_eq!(server.present(&[(ago(1), 1)]), [false]);
    let tick = server.tick();
    let status = server.get(&path).ok();
    assert_eq!(status["status"], "published");
    let since = |date| json!({ "date": date, "status": "published", "since": tick });
    assert_eq!(status["dates"], json!([since(ago(2)), since(ago(1))]));
    assert_eq!(server.present(&[(ago(1), 1), (ago(2), 2), (ago(2), 1)]), [true, true, false]);
}

#[test]
fn todays_items_wait_until_two_hours_after_midnight() {
    let server = Server::new();
    let code = one_code(&server);
    let report = server.report(&code, vec![seed(today(), 1), seed(ago(1), 1)]).ok();
    let path = format!("/v1/reports/{}", report["tracking_id"].as_str().unwrap());
    server.tick();
    let status = server.get(&path).ok();
    assert_eq!(
        (&status["status"], &status["dates"][0]["status"]),
        (&json!("held"), &json!("published"))
    );
    server.pass(43_200 + 7200 - 1);
    server.tick();
    assert_eq!(server.get(&path).ok()["status"], "held");
    server.pass(1);
    server.tick();
    assert_eq!(server.get(&path).ok()["status"], "published");
}

#[test]
fn a_retry_gets_the_first_answer_whatever_happened_since() {
    let mut server = Server::new();
    let (provider, token) = server.provider("City");
    let codes = server.codes(&token, 2);
    let items = || vec![seed(ago(1), 1), seed(ago(30), 2), json!({ "kind": "x" })];
    let first = server.report(&codes[0], items()).ok();
    assert_eq!(first["accepted"], 1);
    let problems = json!([
        { "index": 1, "code": "date_too_old" }, { "index": 2, "code": "kind_unknown" },
    ]);
    assert_eq!(first["problems"], problems);
    let retry = |server: &Server| assert_eq!(server.report(&codes[0], items()).ok(), first);
    retry(&server);
    // However the JSON is written.
    let spaced = format!(
        "{{ \"items\": {} , \"code\" : {:?} }}",
        json!([seed(ago(1), 1), seed(ago(30), 2)])
            .to_string()
            .replace(',', " , ")
            .replace(']', ",{\"kind\":\"x\"}]"),
        codes[0].to_lowercase().replace('-', " "),
    );
    assert_eq!(ask(server.public, "POST", "/v1/reports", &[], &spaced).ok(), first);
    server = server.restart();
    retry(&server);
    server.tick();
    retry(&server);
    server.pass(86_400);
    server.tick();
    server.operate("POST", &format!("/v1/admin/providers/{provider}/rotate"), json!(null)).ok();
    retry(&server);
    server.operate("POST", &format!("/v1/admin/providers/{provider}/revoke"), json!(null)).ok();
    retry(&server);
    for _ in 0..25 {
        server.pass(86_400);
        server.tick();
    }
    retry(&server);
    // The other code has expired with its key.
    let other = server.report(&codes[1], items()).refused();
    assert_eq!(other, (410, "code_revoked".to_owned()));
}

#[test]
fn a_code_is_for_one_report() {
    let server = Server::new();
    let code = one_code(&server);
    server.report(&code, vec![seed(ago(1), 1)]).ok();
    let other = server.report(&code, vec![seed(ago(1), 2)]).refused();
    assert_eq!(other, (409, "code_used".to_owned()));
    let more = server.report(&code, vec![seed(ago(1), 1), seed(ago(1), 2)]).refused();
    assert_eq!(more, (409, "code_used".to_owned()));
}

/// A report is the set of its items.
#[test]
fn a_retry_in_another_order_or_spelling_gets_the_first_answer() {
    let server = Server::new();
    let code = one_code(&server);
    let (one, two, old) = (seed(ago(1), 1), seed(ago(2), 2), seed(ago(30), 3));
    let bad = json!({ "kind": "raw", "date": "never" });
    let first = server.report(&code, vec![one.clone(), old.clone(), bad, two.clone()]).ok();
    let problems = json!([
        { "index": 1, "code": "date_too_old" }, { "index": 2, "code": "date_invalid" },
    ]);
    assert_eq!((&first["accepted"], &first["problems"]), (&json!(2), &problems));
    for items in [
        vec![two.clone(), json!(7), old.clone(), one.clone()],
        vec![
            one.clone(),
            one.clone(),
            two.clone(),
            json!("x"),
            json!({}),
            old.clone(),
            old.clone(),
        ],
    ] {
        assert_eq!(server.report(&code, items).ok(), first);
    }
    let used = (409, "code_used".to_owned());
    for items in [vec![one.clone(), two.clone(), old.clone()], vec![one, two, json!(7)]] {
        assert_eq!(server.report(&code, items).refused(), used);
    }
}

/// What is accepted is published: not only the date must last, but until a tick that may have it.
#[test]
fn an_item_that_could_not_be_published_before_its_date_expires_is_refused() {
    let server = Server::new();
    server.set("min_reports", json!(3));
    let code = one_code(&server);
    // The date expires at the next midnight. The longest hold is 2 hours, and two ticks are up to
    // half an hour apart.
    server.pass(43_200 - 7200 - 1800);
    let answer = server.report(&code, vec![seed(ago(14), 1)]);
    assert_eq!(answer.refused(), (422, "no_items".to_owned()));
    assert_eq!(answer.json()["problems"][0]["code"], "date_too_old");
    server.home.set(server.home.now() - 1);
    let report = server.report(&code, vec![seed(ago(14), 1)]).ok();
    server.pass(7200 + 1800);
    server.tick();
    let path = format!("/v1/reports/{}", report["tracking_id"].as_str().unwrap());
    assert_eq!(server.get(&path).ok()["status"], "published");
}

/// One phone broadcasts one seed in an epoch.
#[test]
fn a_report_has_no_more_seeds_of_an_epoch_than_a_phone_broadcasts() {
    let server = Server::new();
    let code = one_code(&server);
    let seeds = (0..256).map(|byte| {
        let mut item = seed(ago(1), byte as u8);
        item["epoch"] = seed(ago(1), 0)["epoch"].clone();
        item
    });
    let report = server.report(&code, seeds.collect()).ok();
    assert_eq!(report["accepted"], 3);
    assert_eq!(report["problems"].as_array().unwrap().len(), 253);
    assert_eq!(report["problems"][0], json!({ "index": 3, "code": "too_many_for_epoch" }));
}

/// As keyboards and PDF readers write it.
#[test]
fn a_code_is_read_however_it_was_typed() {
    let server = Server::new();
    let code = one_code(&server);
    let items = || vec![seed(ago(1), 1)];
    let first = server.report(&code, items()).ok();
    for separator in ["\u{200b}", "\u{feff}", "\u{2212}", "\u{ad}", "\u{2013}\u{fe0f}", "\u{3000}"]
    {
        let typed = format!("\u{feff}{}\u{200e}", code.replace('-', separator));
        assert_eq!(server.report(&typed, items()).ok(), first, "{separator:?}");
    }
    let wide = code.chars().map(|symbol| char::from_u32(u32::from(symbol) + 0xfee0).unwrap());
    assert_eq!(server.report(&wide.collect::<String>(), items()).ok(), first);
}

#[test]
fn a_report_without_a_good_item_does_not_spend_the_code() {
    let server = Server::new();
    let code = one_code(&server);
    let bad = vec![seed(ago(40), 1), raw(ago(1), 16)];
    let answer = server.report(&code, bad);
    assert_eq!(answer.refused(), (422, "no_items".to_owned()));
    let problems = json!([
        { "index": 0, "code": "date_too_old" }, { "index": 1, "code": "kind_not_allowed" },
    ]);
    assert_eq!(answer.json()["problems"], problems);
    assert_eq!(server.report(&code, vec![]).refused(), (422, "no_items".to_owned()));
    server.report(&code, vec![seed(ago(1), 1)]).ok();
}

#[test]
fn duplicates_count_once() {
    let server = Server::new();
    let code = one_code(&server);
    let report = server.report(&code, vec![seed(ago(1), 1); 1000]).ok();
    assert_eq!((&report["accepted"], &report["problems"]), (&json!(1), &json!([])));
    server.tick();
    assert_eq!(server.elements(ago(1)), 1);
}

#[test]
fn every_kind_of_bad_item_is_named() {
    let server = Server::new();
    let code = one_code(&server);
    server.set("kinds", json!(["dp3t-unlinkable", "raw"]));
    server.set("max_elements_per_date", json!(2));
    let seed_of =
        |text: &str| json!({ "kind": "dp3t-unlinkable", "epoch": 1_965_000, "seed": text });
    let unknown = {
        let mut item = seed(ago(1), 1);
        item["more"] = json!(1);
        item
    };
    let items = vec![
        (seed(ago(1), 1), None),
        (json!(null), Some("shape")),
        (json!([]), Some("shape")),
        (json!({ "kind": "bluetrace" }), Some("kind_unknown")),
        (json!({ "kind": "gaen" }), Some("key_invalid")),
        (unknown, Some("shape")),
        (seed_of("?"), Some("seed_invalid")),
        (seed_of("AAAA"), Some("seed_length")),
        (raw(ago(1), 15), Some("element_length")),
        (raw(ago(1), 65), Some("element_length")),
        (raw(ago(1), 64), None),
        (seed(ago(15), 1), Some("date_too_old")),
        (seed(ago(14), 1), None),
        (seed("2026-01-22".parse().unwrap(), 1), Some("date_in_future")),
        (json!({ "kind": "raw", "date": "2026-01-32", "element": "" }), Some("date_invalid")),
        (json!({ "kind": "dp3t-unlinkable", "epoch": -1, "seed": "" }), Some("epoch_invalid")),
        (json!({ "kind": "dp3t-unlinkable", "epoch": 1e300, "seed": "" }), Some("epoch_invalid")),
        (raw(ago(1), 16), Some("too_many_for_date")),
    ];
    let expected: Vec<_> = (0..)
        .zip(&items)
        .filter_map(|(index, (_, code))| code.map(|code| json!({ "index": index, "code": code })))
        .collect();
    let report = server.report(&code, items.into_iter().map(|item| item.0).collect()).ok();
    assert_eq!(report["problems"], json!(expected));
    assert_eq!(report["accepted"], 3);
}

#[test]
fn too_many_items_are_refused_whole() {
    let server = Server::new();
    let code = one_code(&server);
    let answer = server.report(&code, vec![json!(0); 4097]);
    assert_eq!(answer.refused(), (422, "too_many_items".to_owned()));
    let most: Vec<_> = (0..4096).map(|_| raw(ago(1), 64)).collect();
    // Fits into the limit of bytes; raw is not allowed here.
    assert_eq!(server.report(&code, most).refused(), (422, "no_items".to_owned()));
}

#[test]
fn every_code_that_does_not_count_says_why() {
    let server = Server::new();
    let (provider, token) = server.provider("City");
    let codes = server.codes(&token, 6);
    let report = |code: &str| server.report(code, vec![seed(ago(1), 1)]).refused();
    let invalid = (403, "code_invalid".to_owned());
    let mut mistyped = codes[0].clone();
    mistyped.replace_range(0..1, if codes[0].starts_with('0') { "1" } else { "0" });
    assert_eq!(report(&mistyped), invalid);
    assert_eq!(report(""), invalid);
    assert_eq!(report(&"0".repeat(10_000)), invalid);
    assert_eq!(report("0000-0000-0000-0000"), invalid);
    // Authentic for another deployment's master key.
    let other = gcs_core::report::ProviderKey::derive(&[1; 32], provider as u16, 1);
    let foreign = gcs_core::report::Code::issue(&other, provider as u16, 1).unwrap();
    assert_eq!(report(&foreign.to_string()), invalid);

    let act = |act: &str| {
        server.operate("POST", &format!("/v1/admin/providers/{provider}/{act}"), json!(null)).ok()
    };
    act("suspend");
    assert_eq!(report(&codes[0]), (403, "code_suspended".to_owned()));
    act("resume");
    server.operate("POST", "/v1/admin/codes/revoke", json!({ "code": codes[1] })).ok();
    assert_eq!(report(&codes[1]), (410, "code_revoked".to_owned()));
    let key = act("key");
    let key = data_encoding::HEXLOWER.decode(key["key"].as_str().unwrap().as_bytes()).unwrap();
    let key = gcs_core::report::ProviderKey::from_bytes(key.try_into().unwrap());
    let unopened = gcs_core::report::Code::issue(&key, provider as u16, 6).unwrap();
    assert_eq!(report(&unopened.to_string()), (403, "code_not_open".to_owned()));
    // Printed offline, it counts once its range is open.
    server.codes(&token, 1);
    server.report(&unopened.to_string(), vec![seed(ago(1), 1)]).ok();

    server.provide(&token, "POST", "/v1/provider/ranges/0/close", json!(null)).ok();
    assert_eq!(report(&codes[2]), (410, "code_revoked".to_owned()));
    let late = server.codes(&token, 2);
    for _ in 0..20 {
        server.pass(86_400);
        server.tick();
    }
    assert_eq!(server.home.now(), noon() + 20 * 86_400);
    assert_eq!(report(&late[0]), (410, "code_expired".to_owned()));
    act("revoke");
    assert_eq!(report(&late[1]), (410, "code_revoked".to_owned()));
}

#[test]
fn additions_wait_for_company_and_get_filler_when_none_comes() {
    let server = Server::new();
    server.set("min_reports", json!(3));
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 6);
    let path = |answer: &serde_json::Value| {
        format!("/v1/reports/{}", answer["tracking_id"].as_str().unwrap())
    };
    let two = |byte| vec![seed(ago(1), byte), seed(ago(2), byte)];
    let alone = path(&server.report(&codes[0], two(1)).ok());
    server.tick();
    assert_eq!(server.get(&alone).ok()["status"], "held");
    assert_eq!(server.elements(ago(1)), 0);
    for byte in [2, 3] {
        server.report(&codes[usize::from(byte)], vec![seed(ago(1), byte)]).ok();
    }
    let tick = server.tick();
    let status = server.get(&alone).ok();
    assert_eq!(status["status"], "held");
    assert_eq!(status["dates"][1]["since"], tick);
    assert_eq!((server.elements(ago(1)), server.elements(ago(2))), (3, 0));
    server.pass(7199);
    server.tick();
    assert_eq!(server.elements(ago(2)), 0);
    server.pass(1);
    server.tick();
    assert_eq!(server.get(&alone).ok()["status"], "published");
    // One element, and as many for each of the two patients that did not come.
    assert_eq!(server.elements(ago(2)), 3);
    let status = server.status();
    assert_eq!(status["dates"][0]["filler"], 2);
}

/// One patient with several codes is no company.
#[test]
fn the_same_items_again_are_no_company() {
    let server = Server::new();
    server.set("min_reports", json!(3));
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 5);
    for code in &codes[..3] {
        server.report(code, vec![seed(ago(1), 1), seed(ago(1), 2)]).ok();
    }
    server.tick();
    assert_eq!(server.elements(ago(1)), 0);
    for (code, byte) in codes[3..].iter().zip([3, 4]) {
        server.report(code, vec![seed(ago(1), byte)]).ok();
    }
    server.tick();
    assert_eq!(server.elements(ago(1)), 4);
}

#[test]
fn an_unknown_report_is_not_there() {
    let server = Server::new();
    for id in ["00000000000000000000000000000000", "x", "%00"] {
        let answer = server.get(&format!("/v1/reports/{id}"));
        assert_eq!(answer.refused(), (404, "report_unknown".to_owned()));
    }
}

#[test]
fn a_date_expires_and_its_report_with_it() {
    let server = Server::new();
    let code = one_code(&server);
    let report = server.report(&code, vec![seed(ago(13), 1)]).ok();
    let path = format!("/v1/reports/{}", report["tracking_id"].as_str().unwrap());
    server.tick();
    assert_eq!(server.get(&path).ok()["status"], "published");
    server.pass(86_400);
    server.tick();
    assert_eq!(server.elements(ago(13)), 1);
    server.pass(43_199);
    server.tick();
    assert_eq!(server.elements(ago(13)), 1);
    server.pass(1);
    server.tick();
    assert_eq!(server.elements(ago(13)), 0);
    assert_eq!(server.get(&path).ok()["status"], "expired");
}
