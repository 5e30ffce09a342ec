//! Upload codes, tokens and uploads.

use serde_json::{Value, json};

use super::{Authority, Phone};

const REFUSED: (u16, &str) = (403, "upload_code_invalid");

fn token(authority: &Authority, phone: &Phone, code: &str) -> String {
    let made = authority.upload_token(phone, code).ok();
    made["token"].as_str().unwrap().to_owned()
}

/// Research check 7.
#[test]
fn whatever_is_wrong_with_an_upload_code_has_one_answer() {
    let authority = Authority::new();
    let [phone, other, third, fourth] = authority.phones();
    let (_, codes) = authority.upload_codes(5);
    token(&authority, &other, &codes[0]);
    let revoke =
        |code: &str| authority.operate("POST", "/v1/admin/codes/revoke", json!({ "code": code }));
    assert!(revoke(&codes[1]).status < 300);
    let report = authority
        .report(&codes[2], vec![crate::common::api::seed(crate::common::server::ago(1), 7)]);
    report.ok();
    let unknown = "0000-0000-0000-0000";
    let mut texts = Vec::new();
    // Another user's, revoked, used for a report, unknown, and no code.
    for code in [&codes[0], &codes[1], &codes[2], unknown, "nonsense"] {
        let answer = authority.upload_token(&phone, code);
        let (status, name) = answer.refused();
        assert_eq!((status, name.as_str()), REFUSED, "{code}");
        texts.push(answer.body);
    }
    assert!(texts.iter().all(|text| *text == texts[0]));
    // After five wrong ones even the right one waits for an hour.
    let limited = authority.upload_token(&phone, &codes[3]);
    assert_eq!(limited.refused(), (429, "limit_reached".into()));
    let called = authority.call(&phone, "getUploadToken", json!(codes[3]));
    assert_eq!(called.json()["error"]["status"], "RESOURCE_EXHAUSTED");
    token(&authority, &third, &codes[4]);
    authority.pass(3600);
    token(&authority, &phone, &codes[3]);
    // Right ones do not count, and give a token as often as that is asked for.
    for _ in 0..7 {
        token(&authority, &phone, &codes[3]);
    }
    let called = authority.call(&third, "getUploadToken", json!(codes[4])).ok();
    assert_eq!(called["result"]["status"], "SUCCESS");
    let wrong = authority.call(&third, "getUploadToken", json!(codes[3]));
    assert_eq!(
        (wrong.status, &wrong.json()["error"]["status"]),
        (403, &json!("PERMISSION_DENIED"))
    );
    // What brought an upload code cannot bring a report.
    let seed = crate::common::api::seed(crate::common::server::ago(1), 9);
    assert_eq!(authority.report(&codes[3], vec![seed]).refused().1, "code_used");
    // A code of a provider who is suspended, and of a range that is over.
    let (number, provider) = authority.provider("another clinic");
    let late = authority.codes(&provider, 2);
    let suspend = format!("/v1/admin/providers/{number}/suspend");
    assert!(authority.operate("POST", &suspend, Value::Null).status < 300);
    let suspended = authority.upload_token(&fourth, &late[0]);
    let resume = suspend.replace("suspend", "resume");
    assert!(authority.operate("POST", &resume, Value::Null).status < 300);
    authority.tick();
    authority.days(21);
    let expired = authority.upload_token(&fourth, &late[1]);
    assert_eq!((&suspended.body, &expired.body), (&texts[0], &texts[0]));
}

#[test]
fn a_short_code_stands_for_a_code_of_one_user() {
    let authority = Authority::new();
    let [phone, other] = authority.phones();
    let (provider, codes) = authority.upload_codes(6);
    let (_, stranger) = authority.provider("another clinic");
    let path = "/bluetrace/v1/provider/short-codes";
    let make = |token: &str, number: &str, code: &str| {
        authority.provide(token, "POST", path, json!({ "number": number, "code": code }))
    };
    let number = "+6591230000";
    let made = make(&provider, number, &codes[0]).ok();
    let short = made["short_code"].as_str().unwrap();
    assert_eq!((short.len(), &made["expires"]), (6, &json!(authority.home.now() + 86_400)));
    assert_eq!(make(&provider, number, &codes[0]).ok(), made);
    assert_eq!(make(&stranger, number, &codes[1]).refused(), (403, "code_invalid".into()));
    assert_eq!(make(&provider, "+6500000000", &codes[1]).refused(), (404, "user_unknown".into()));
    assert_eq!(make(&provider, "6591230000", &codes[1]).refused(), (422, "number_invalid".into()));
    // Nobody else's, and as it is typed.
    let refused = authority.upload_token(&other, short).refused();
    assert_eq!((refused.0, refused.1.as_str()), REFUSED);
    let typed = format!("{} {}", short[..3].to_lowercase(), &short[3..]);
    let upload = token(&authority, &phone, &typed);
    authority.upload(&phone, &upload, &json!([])).ok();
    let refused = authority.upload_token(&phone, short).refused();
    assert_eq!((refused.0, refused.1.as_str()), REFUSED);
    // Three at once, for a day.
    for code in &codes[1..4] {
        make(&provider, number, code).ok();
    }
    assert_eq!(make(&provider, number, &codes[4]).refused(), (409, "too_many_short_codes".into()));
    let late = make(&provider, number, &codes[3]).ok();
    authority.tick();
    authority.pass(86_400);
    let refused = authority.upload_token(&phone, late["short_code"].as_str().unwrap()).refused();
    assert_eq!((refused.0, refused.1.as_str()), REFUSED);
    token(&authority, &phone, &codes[3]);
    make(&provider, number, &codes[4]).ok();
}

/// Research check 8. The milliseconds are in gcs-core's tests of upload tokens: the clock of a test
/// tells seconds.
#[test]
fn an_upload_token_is_good_for_two_hours_one_user_and_one_upload() {
    let authority = Authority::new();
    let [phone, other] = authority.phones();
    let (_, codes) = authority.upload_codes(3);
    let refused = (403, "upload_token_invalid".to_owned());
    let records = json!([{ "timestamp": authority.home.now(), "msg": authority.heard(&other) }]);
    // Whoever sends it has a code of their own: what is refused is the token.
    let (_, codes_of_other) = authority.upload_codes(1);
    token(&authority, &other, &codes_of_other[0]);
    let upload =
        |phone: &Phone, token: &str, records: &Value| authority.upload(phone, token, records);
    let first = token(&authority, &phone, &codes[0]);
    let before = authority.events().len();
    let others = upload(&other, &first, &records);
    let made_up = upload(&phone, "made-up", &records);
    assert_eq!((others.refused(), made_up.refused()), (refused.clone(), refused.clone()));
    assert_eq!((&others.body, authority.events().len()), (&made_up.body, before));
    authority.pass(7200);
    let done = upload(&phone, &first, &records);
    assert_eq!(done.status, 201);
    // The same again, in another order and with duplicates, is the same upload; another is not.
    let twice = json!([records[0], records[0]]);
    assert_eq!(upload(&phone, &first, &twice).body, done.body);
    let another = json!([records[0], { "timestamp": 1, "msg": null }]);
    assert_eq!(upload(&phone, &first, &another).refused(), refused);
    assert_eq!(upload(&phone, &first, &json!([])).refused(), refused);
    let second = token(&authority, &phone, &codes[1]);
    authority.pass(7201);
    let expired = upload(&phone, &second, &records);
    assert_eq!((expired.refused(), &expired.body), (refused, &made_up.body));
    // The code gives another one.
    let third = token(&authority, &phone, &codes[1]);
    upload(&phone, &third, &records).ok();
    let refused = authority.upload_token(&phone, &codes[1]).refused();
    assert_eq!((refused.0, refused.1.as_str()), REFUSED);
}

/// Research check 7: a code that is revoked afterwards.
#[test]
fn a_revoked_code_undoes_an_upload() {
    let authority = Authority::new();
    let [phone, met] = authority.phones();
    let (_, codes) = authority.upload_codes(3);
    let tracer = authority.tracer();
    let upload = token(&authority, &phone, &codes[0]);
    let records = json!([{ "timestamp": authority.home.now(), "msg": authority.heard(&met) }]);
    authority.upload(&phone, &upload, &records).ok();
    let cases =
        || authority.provide(&tracer, "GET", "/bluetrace/v1/tracer/cases", Value::Null).ok();
    let case = cases()["cases"][0]["case"].as_u64().unwrap();
    let path = format!("/bluetrace/v1/tracer/cases/{case}/encounters");
    let encounters = || authority.provide(&tracer, "POST", &path, Value::Null);
    assert_eq!(encounters().ok()["encounters"].as_array().unwrap().len(), 1);
    let revoke =
        |code: &str| authority.operate("POST", "/v1/admin/codes/revoke", json!({ "code": code }));
    assert!(revoke(&codes[0]).status < 300 && revoke(&codes[0]).status < 300);
    assert_eq!(encounters().refused(), (404, "case_unknown".into()));
    assert_eq!(cases()["cases"][0]["undone"], true);
    assert_eq!(authority.upload(&phone, &upload, &records).refused().1, "upload_token_invalid");
    let uploads = || authority.events().into_iter().filter(|(kind, _)| *kind == 33);
    authority.tick();
    super::until(|| uploads().all(|(_, body)| body.is_none()));
    // Before an upload comes.
    let early = token(&authority, &phone, &codes[1]);
    // The user has another code, so it is the token that is refused.
    token(&authority, &phone, &codes[2]);
    assert!(revoke(&codes[1]).status < 300);
    let revoked = authority.upload(&phone, &early, &records);
    assert_eq!(revoked.refused(), (403, "upload_token_invalid".to_owned()));
    assert_eq!(revoked.body, authority.upload(&phone, "made-up", &records).body);
    let refused = authority.upload_token(&phone, &codes[1]).refused();
    assert_eq!((refused.0, refused.1.as_str()), REFUSED);
}

fn verdicts(answer: &Value) -> [u64; 6] {
    let names =
        ["valid", "no_msg", "expired_id", "failed_decryption", "other_authority", "unreadable"];
    names.map(|name| answer[name].as_u64().unwrap())
}

/// Research check 9.
#[test]
fn files_of_android_and_ios_get_the_same_verdicts() {
    let authority = Authority::new();
    let [phone, met] = authority.phones();
    let (_, codes) = authority.upload_codes(2);
    let entry = &authority.of(&met, "GET", "/bluetrace/v1/temp-ids", "").ok()["tempIDs"][0];
    let (msg, start) = (entry["tempID"].clone(), entry["startTime"].as_u64().unwrap());
    let end = start + 900;
    let failed = format!("A{}", &msg.as_str().unwrap()[1..]);
    let failed = if failed == msg { failed.replacen('A', "B", 1) } else { failed };
    let android = |timestamp: u64, msg: &Value, org: &str| {
        json!({ "timestamp": timestamp, "msg": msg, "org": org, "modelP": "Pixel 3", "modelC": "SM-G970F",
            "rssi": -70, "v": 2, "id": 7 })
    };
    let ios = |timestamp: u64, msg: &Value, org: &str| {
        json!({ "timestamp": timestamp, "msg": msg, "org": org, "modelP": "iPhone 11", "modelC": "iPhone X",
            "rssi": -70.4, "txPower": null, "v": 2 })
    };
    let meetings: [(u64, Value, &str); 8] = [
        (start, msg.clone(), "SG_OTC"),
        (end, msg.clone(), "SG_OTC"),
        (start * 1000 + 500, msg.clone(), "SG_OTC"),
        (end + 1, msg.clone(), "SG_OTC"),
        (start - 1, msg.clone(), "SG_OTC"),
        (start, Value::Null, "SG_OTC"),
        (start, json!(failed), "SG_OTC"),
        (start, msg.clone(), "NZ_MOH"),
    ];
    let records = |shape: &dyn Fn(u64, &Value, &str) -> Value| -> Value {
        meetings.iter().map(|(time, msg, org)| shape(*time, msg, org)).chain([json!(7)]).collect()
    };
    let answers = [records(&android), records(&ios)].map(|records| {
        let code = if records[0]["id"].is_null() { &codes[0] } else { &codes[1] };
        let upload = token(&authority, &phone, code);
        verdicts(&authority.upload(&phone, &upload, &records).ok())
    });
    assert_eq!(answers, [[3, 1, 2, 1, 1, 1]; 2]);
}

/// A file of which every record is a duplicate, in pieces, with the token behind them.
#[test]
fn times_of_every_kind_and_files_that_are_wrong() {
    let authority = Authority::new();
    let [phone, met] = authority.phones();
    let (_, codes) = authority.upload_codes(1);
    let upload = token(&authority, &phone, &codes[0]);
    let msg = authority.heard(&met);
    let path = "/bluetrace/v1/uploads";
    let wrong = |body: &str| authority.of(&phone, "POST", path, body).refused();
    for body in [
        "",
        "{",
        "[]",
        r#"{"records":7,"token":"t"}"#,
        r#"{"token":"t"}"#,
        r#"{"token":"t","records":[}"#,
    ] {
        assert_eq!(wrong(body), (422, "upload_invalid".into()), "{body}");
    }
    assert_eq!(wrong(r#"{"records":[]}"#), (422, "upload_invalid".into()));
    let cut = format!(r#"{{"token":"{upload}","records":[{{"timestamp":1"#);
    assert_eq!(wrong(&cut), (422, "upload_invalid".into()));
    let record =
        |time: u64| format!(r#"{{"timestamp":{time},"msg":"{msg}","org":"SG_OTC","rssi":-60}}"#);
    let now = authority.home.now();
    let times = [now, now, now, 0, 2_177_452_800, u64::MAX, 99_999_999_999_999];
    let list: Vec<String> = times.into_iter().map(record).collect();
    let body = format!(r#"{{"events":[],"records":[{}],"token":"{upload}"}}"#, list.join(","));
    let answer = authority.of(&phone, "POST", path, &body).ok();
    assert_eq!(verdicts(&answer), [1, 0, 4, 0, 0, 0]);
    // Only the meeting of these days is kept, once.
    let tracer = authority.tracer();
    let cases = authority.provide(&tracer, "GET", "/bluetrace/v1/tracer/cases", Value::Null).ok();
    let path = format!("/bluetrace/v1/tracer/cases/{}/encounters", cases["cases"][0]["case"]);
    let seen = authority.provide(&tracer, "POST", &path, Value::Null).ok();
    assert_eq!(seen["encounters"].as_array().unwrap().len(), 1);
    assert_eq!(seen["encounters"][0]["sightings"], 1);
}

#[test]
fn a_callable_takes_an_upload_in_its_envelope() {
    let authority = Authority::new();
    let [phone, met] = authority.phones();
    let (_, codes) = authority.upload_codes(2);
    let records = json!([{ "timestamp": authority.home.now(), "msg": authority.heard(&met) }]);
    for (name, code) in [("processUploadedData", &codes[0]), ("p/r/processUploadedData", &codes[1])]
    {
        let token = authority.call(&phone, "getUploadToken", json!(code)).ok();
        let data = json!({ "token": token["result"]["token"], "records": records, "events": [] });
        let answer = authority.call(&phone, name, data.clone()).ok();
        assert_eq!(answer["result"]["status"], "SUCCESS");
        assert_eq!(verdicts(&answer["result"]["verdicts"]), [1, 0, 0, 0, 0, 0]);
        assert_eq!(authority.call(&phone, name, data).ok(), answer);
        let bare = authority.of(&phone, "POST", &format!("/bluetrace/callable/{name}"), "{}");
        assert_eq!(
            (bare.status, &bare.json()["error"]["status"]),
            (400, &json!("INVALID_ARGUMENT"))
        );
        let wrong = authority.call(&phone, name, json!({ "token": "t", "records": [] }));
        assert_eq!(
            (wrong.status, &wrong.json()["error"]["status"]),
            (403, &json!("PERMISSION_DENIED"))
        );
    }
}

/// Nothing is stored by halves: what is too large, or is cut short on its way, has changed nothing.
#[test]
fn an_upload_that_is_too_large_or_cut_short_changes_nothing() {
    use std::io::{Read as _, Write as _};
    let authority = Authority::new();
    let [phone] = authority.phones();
    let (_, codes) = authority.upload_codes(1);
    let upload = token(&authority, &phone, &codes[0]);
    let before = authority.events().len();
    let send = |length: usize, body: &str| {
        let mut stream = std::net::TcpStream::connect(authority.public).unwrap();
        let head = format!(
            "POST /bluetrace/v1/uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {length}\r\n\r\n{body}",
            phone.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _cut = stream.read_to_string(&mut answer);
        answer
    };
    let answer = send(65 << 20, "");
    assert!(answer.contains("413") && answer.contains("too_large"), "{answer}");
    let body = format!(r#"{{"token":"{upload}","records":[]}}"#);
    let answer = send(body.len() + 10, &body);
    assert!(!answer.contains(" 201 "), "{answer}");
    let many: Vec<String> = (0..300_001).map(|time| format!(r#"{{"timestamp":{time}}}"#)).collect();
    let body = format!(r#"{{"token":"{upload}","records":[{}]}}"#, many.join(","));
    let refused = authority.of(&phone, "POST", "/bluetrace/v1/uploads", &body).refused();
    assert_eq!(refused, (422, "upload_invalid".into()));
    assert_eq!(authority.events().len(), before);
    authority.upload(&phone, &upload, &json!([])).ok();
}

/// The log says only after the ticks of a day that a date has come; phones do not wait for that.
#[test]
fn what_phones_have_is_opened_after_an_outage_of_days() {
    let authority = Authority::new();
    authority.set("min_reports", json!(1));
    let [phone, met] = authority.phones();
    let (_, codes) = authority.upload_codes(2);
    authority.tick();
    authority.pass(5 * 86_400);
    let authority = authority.restart();
    let resumed = authority.operate("POST", "/v1/admin/clock/resume?drop_dates=true", Value::Null);
    assert!(resumed.status < 300, "{resumed:?}");
    let upload = token(&authority, &phone, &codes[0]);
    // The end of the batch too.
    let ids = authority.of(&met, "GET", "/bluetrace/v1/temp-ids", "").ok();
    let record = |at: usize| {
        let id = &ids["tempIDs"][at];
        json!({ "timestamp": id["startTime"], "msg": id["tempID"], "org": "SG_OTC" })
    };
    let answer = authority.upload(&phone, &upload, &json!([record(0), record(99)])).ok();
    assert_eq!(verdicts(&answer), [2, 0, 0, 0, 0, 0]);
    let body =
        json!({ "code": codes[1], "dates": [gcs_core::Date::of_time(authority.home.now())] });
    let published = authority.of(&met, "POST", "/bluetrace/v1/publications", &body.to_string());
    assert_eq!(published.ok()["accepted"], 49);
}

/// After a wrong number, the right one gets a short code for the same code, and the wrong one's is void.
#[test]
fn the_last_short_code_of_a_code_is_the_one() {
    let authority = Authority::new();
    let [wrong, right] = authority.phones();
    let (provider, codes) = authority.upload_codes(1);
    let make = |number: &str| {
        let body = json!({ "number": number, "code": codes[0] });
        let path = "/bluetrace/v1/provider/short-codes";
        authority.provide(&provider, "POST", path, body).ok()["short_code"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let [first, last] = ["+6591230000", "+6591230001"].map(make);
    let refused = authority.upload_token(&wrong, &first).refused();
    assert_eq!((refused.0, refused.1.as_str()), REFUSED);
    token(&authority, &right, &last);
}

/// The answer to the first use is lost, or the upload after it: then the same six characters are typed again.
#[test]
fn a_short_code_can_be_used_until_something_is_uploaded() {
    let authority = Authority::new();
    let [phone, other] = authority.phones();
    let (provider, codes) = authority.upload_codes(1);
    let body = json!({ "number": "+6591230000", "code": codes[0] });
    let made = authority.provide(&provider, "POST", "/bluetrace/v1/provider/short-codes", body);
    let short = made.ok()["short_code"].as_str().unwrap().to_owned();
    // More often than wrong codes may be tried.
    for _ in 0..7 {
        token(&authority, &phone, &short);
    }
    let refused = authority.upload_token(&other, &short).refused();
    assert_eq!((refused.0, refused.1.as_str()), REFUSED);
    // The same code brings a publication and an upload, whatever comes first, and the same again.
    let upload = token(&authority, &phone, &short);
    authority.upload(&phone, &upload, &json!([])).ok();
    let body = json!({ "code": short, "dates": [crate::common::server::today()] }).to_string();
    let publish = || authority.of(&phone, "POST", "/bluetrace/v1/publications", &body).ok();
    assert_eq!(publish(), publish());
    let refused = authority.upload_token(&phone, &short).refused();
    assert_eq!((refused.0, refused.1.as_str()), REFUSED);
}

/// Whoever has no code is refused before the file is read, which never ends here. From whoever has one it is waited for.
#[test]
fn an_upload_needs_a_code_before_its_file() {
    use std::io::{Read as _, Write as _};
    let authority = Authority::new();
    let [phone, stranger] = authority.phones();
    let (_, codes) = authority.upload_codes(1);
    let start = |phone: &Phone, path: &str| {
        let mut stream = std::net::TcpStream::connect(authority.public).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000000\r\n\r\n{{",
            phone.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).ok().map(|()| String::from_utf8_lossy(&answer).into_owned())
    };
    let refused = Some("HTTP/1.1 403".to_owned());
    let paths = ["/bluetrace/v1/uploads", "/bluetrace/callable/processUploadedData"];
    for path in paths {
        assert_eq!(start(&stranger, path), refused, "{path}");
    }
    let upload = token(&authority, &phone, &codes[0]);
    assert_eq!(start(&phone, paths[0]), Some("HTTP/1.1 408".to_owned()));
    let done = authority.upload(&phone, &upload, &json!([]));
    assert_eq!(done.status, 201);
    // A retry gets its answer for as long as its token is good.
    authority.pass(7200);
    assert_eq!(authority.upload(&phone, &upload, &json!([])).body, done.body);
    authority.pass(1);
    assert_eq!(start(&phone, paths[0]), refused);
}

/// Records are judged by the time, so a clock in doubt accepts none.
#[test]
fn no_upload_is_accepted_while_the_clock_is_in_doubt() {
    let authority = Authority::new();
    let [phone] = authority.phones();
    let (_, codes) = authority.upload_codes(1);
    let upload = token(&authority, &phone, &codes[0]);
    authority.home.set(authority.home.now() - 3600);
    let refused = authority.upload(&phone, &upload, &json!([])).refused();
    assert_eq!(refused, (503, "clock_doubt".into()));
}
