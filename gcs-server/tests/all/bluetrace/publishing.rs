//! Published mode: the authority derives what a patient's phone broadcast, and phones match.

use data_encoding::BASE64;
use gcs_core::Date;
use gcs_core::identifiers::bluetrace::{TempId, sighting_elements};
use serde_json::{Value, json};

use super::{Authority, Phone};
use crate::common::home::Home;
use crate::common::server::{ago, today};

/// Whether what was heard at a time is published, as a phone tests it.
fn is_published(authority: &Authority, msg: &str, time: u64) -> bool {
    let heard: TempId = msg.parse().unwrap();
    let hai = "SG_OTC".parse().unwrap();
    let query = |element: [u8; 32]| json!({ "date": Date::of_time(time), "element": BASE64.encode(&element) });
    let queries: Vec<Value> = sighting_elements(&hai, &heard, time).map(query).collect();
    let answer = authority.exact(&json!({ "queries": queries })).ok();
    answer["present"].as_array().unwrap().iter().any(|present| present == true)
}

fn publish(
    authority: &Authority,
    phone: &Phone,
    code: &str,
    dates: &[Date],
) -> crate::common::api::Answer {
    let body = json!({ "code": code, "dates": dates }).to_string();
    authority.of(phone, "POST", "/bluetrace/v1/publications", &body)
}

/// Research checks 13 and 16, as far as one server shows them.
#[test]
fn phones_that_heard_a_patient_find_that_out_until_the_patient_withdraws() {
    let authority = Authority::new();
    authority.set("min_reports", json!(1));
    let [patient, other] = authority.phones();
    let (_, codes) = authority.upload_codes(3);
    let began = authority.home.now();
    let [of_patient, of_other] = [&patient, &other].map(|phone| authority.heard(phone));
    authority.tick();
    authority.days(2);
    let heard = || {
        [
            is_published(&authority, &of_patient, began),
            // Somebody sent it again half an hour later, or it is another's.
            is_published(&authority, &of_patient, began + 1800),
            is_published(&authority, &of_other, began),
        ]
    };
    assert_eq!(heard(), [false; 3]);
    let now = Date::of_time(authority.home.now());
    let dates = [today(), now];
    let answer = publish(&authority, &patient, &codes[0], &dates).ok();
    // All 96 of the first date, and those until noon, with the one that is current.
    assert_eq!(answer["accepted"], 96 + 49);
    assert_eq!(publish(&authority, &patient, &codes[0], &dates).ok(), answer);
    let refused = publish(&authority, &patient, &codes[0], &dates[..1]).refused();
    assert_eq!(refused, (403, "upload_code_invalid".into()));
    let refused = publish(&authority, &other, &codes[0], &dates).refused();
    assert_eq!(refused, (403, "upload_code_invalid".into()));
    authority.tick();
    assert_eq!(heard(), [true, false, false]);
    assert_eq!(authority.elements(today()), 96);
    let status = || {
        let path = format!("/v1/reports/{}", answer["tracking_id"].as_str().unwrap());
        authority.get(&path).ok()["status"].clone()
    };
    // Its date ends tonight.
    assert_eq!(status(), "held");
    // The log has the elements: no day key is needed to rebuild.
    let copy = authority.home.copy();
    std::fs::remove_file(copy.path("bluetrace.key")).unwrap();
    std::fs::remove_dir_all(copy.path("private")).unwrap();
    std::fs::remove_dir_all(copy.path("public")).unwrap();
    copy.rebuild();
    let sets = |home: &Home| {
        let files = home.public().into_iter();
        files.filter(|(name, _)| name.contains("/sets/")).collect::<Vec<_>>()
    };
    let made = sets(&copy);
    assert!(!made.is_empty() && made.iter().all(|set| sets(&authority.home).contains(set)));

    // The same code brings an upload too.
    let token = authority.upload_token(&patient, &codes[0]).ok();
    authority.upload(&patient, token["token"].as_str().unwrap(), &json!([])).ok();

    assert_eq!(authority.of(&patient, "POST", "/bluetrace/v1/withdrawal", "").status, 204);
    assert_eq!(status(), "retracted");
    authority.tick();
    assert_eq!(heard(), [false; 3]);
    assert_eq!(authority.elements(today()), 0);
}

#[test]
fn a_revoked_code_retracts_what_it_has_published() {
    let authority = Authority::new();
    authority.set("min_reports", json!(1));
    let [patient] = authority.phones();
    let (_, codes) = authority.upload_codes(1);
    authority.tick();
    authority.days(1);
    publish(&authority, &patient, &codes[0], &[today()]).ok();
    authority.tick();
    assert_eq!(authority.elements(today()), 96);
    let body = json!({ "code": codes[0] });
    assert!(authority.operate("POST", "/v1/admin/codes/revoke", body).status < 300);
    authority.tick();
    assert_eq!(authority.elements(today()), 0);
    let refused = publish(&authority, &patient, &codes[0], &[today()]).refused();
    assert_eq!(refused, (403, "upload_code_invalid".into()));
}

#[test]
fn dates_that_cannot_be_published_are_named() {
    let authority = Authority::new();
    let [patient] = authority.phones();
    let (_, codes) = authority.upload_codes(1);
    let tomorrow = Date::from_days(today().days() + 1).unwrap();
    let refused = publish(&authority, &patient, &codes[0], &[ago(1), tomorrow]);
    assert_eq!(refused.refused(), (422, "no_items".into()));
    // There is no key of before the beginning, and nothing was broadcast tomorrow.
    let problems = &refused.json()["problems"];
    assert_eq!(problems[0], json!({ "index": 0, "code": "date_too_old" }));
    assert_eq!(problems[1]["index"], 1);
    for dates in [vec![], vec![today(), today()], (0..22).map(ago).collect()] {
        let refused = publish(&authority, &patient, &codes[0], &dates).refused();
        assert_eq!(refused, (400, "parameter_invalid".into()));
    }
    // The code is not used up.
    let answer = publish(&authority, &patient, &codes[0], &[ago(1), today()]).ok();
    assert_eq!((&answer["accepted"], &answer["problems"][0]["index"]), (&json!(49), &json!(0)));
}
