//! What is left after three weeks, and what a rebuild makes of it.

use gcs_core::Date;
use gcs_core::identifiers::bluetrace::KeyRing;
use serde_json::{Value, json};

use super::{Authority, until};

/// The day keys on disk.
fn ring(authority: &Authority) -> KeyRing {
    let text = std::fs::read_to_string(authority.home.path("bluetrace.key")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let date: Date = file["oldest_date"].as_str().unwrap().parse().unwrap();
    let key = data_encoding::HEXLOWER.decode(file["day_key"].as_str().unwrap().as_bytes());
    KeyRing::new(date, key.unwrap().try_into().unwrap(), date)
}

fn digest(authority: &Authority) -> Value {
    authority.operate("GET", "/v1/admin/digest", Value::Null).ok()
}

/// Research checks 10, 14 and 15.
#[test]
fn after_three_weeks_no_record_no_code_and_no_old_key_is_left() {
    let authority = Authority::new();
    let [phone, met] = authority.phones();
    let (provider, codes) = authority.upload_codes(2);
    let first_msg = authority.heard(&met);
    let first_key = ring(&authority).to_secret();
    authority.tick();
    let body = json!({ "number": "+6591230000", "code": codes[1] });
    authority.provide(&provider, "POST", "/bluetrace/v1/provider/short-codes", body).ok();
    let token = authority.upload_token(&phone, &codes[0]).ok();
    let records = json!([{ "timestamp": authority.home.now(), "msg": first_msg, "org": "SG_OTC" }]);
    authority.upload(&phone, token["token"].as_str().unwrap(), &records).ok();
    let bodies = |authority: &Authority| {
        let events = authority.events().into_iter();
        events.filter(|(kind, body)| [31, 32, 33].contains(kind) && body.is_some()).count()
    };
    authority.days(20);
    assert_eq!(bodies(&authority), 3);

    // 21 days: the first day's TempIDs are still opened, and everything else of that day is erased.
    authority.days(1);
    authority.tick();
    until(|| bodies(&authority) == 0);
    let last = authority.upload_codes(1).1;
    let token = authority.upload_token(&phone, &last[0]).ok();
    let answer = authority.upload(&phone, token["token"].as_str().unwrap(), &records).ok();
    assert_eq!((&answer["valid"], &answer["failed_decryption"]), (&json!(1), &json!(0)));
    let tracer = authority.tracer();
    let cases = authority.provide(&tracer, "GET", "/bluetrace/v1/tracer/cases", Value::Null).ok();
    assert_eq!(cases["cases"].as_array().unwrap().len(), 1);

    // 23 days: their key is gone, from memory and from disk.
    authority.days(2);
    let hex = data_encoding::HEXLOWER.encode(&first_key);
    authority.tick();
    until(|| !authority.is_on_disk(hex.as_bytes()));
    assert_eq!(ring(&authority).oldest().days(), crate::common::server::today().days() + 1);
    // The memory follows the disk a moment later.
    let (_, next) = authority.upload_codes(10);
    let is_destroyed = |code: &String| {
        let token = authority.upload_token(&met, code).ok();
        let answer = authority.upload(&met, token["token"].as_str().unwrap(), &records).ok();
        (&answer["valid"], &answer["failed_decryption"]) == (&json!(0), &json!(1))
    };
    assert!(next.iter().any(is_destroyed));

    // A rebuild from the log alone leads to the same state, without the bodies.
    let before = digest(&authority);
    let home = std::sync::Arc::clone(&authority.home);
    let operator = authority.operator.clone();
    let config = super::settings(&home);
    drop(authority);
    std::fs::remove_dir_all(home.path("private")).unwrap();
    home.rebuild();
    let server = crate::common::server::Server::start_with(home, &operator, config);
    let authority = Authority(server);
    assert_eq!(digest(&authority), before);
    assert_eq!(authority.of(&phone, "GET", "/bluetrace/v1/pin", "").status, 200);
}

#[test]
fn an_old_copy_of_the_key_file_is_brought_up_to_date() {
    let authority = Authority::new();
    let [phone] = authority.phones();
    let path = authority.home.path("bluetrace.key");
    let copy = std::fs::read(&path).unwrap();
    authority.tick();
    authority.days(25);
    authority.tick();
    let oldest = crate::common::server::today().days() + 3;
    until(|| ring(&authority).oldest().days() == oldest);
    let heard = authority.heard(&phone);
    let home = std::sync::Arc::clone(&authority.home);
    let operator = authority.operator.clone();
    drop(authority);
    std::fs::write(&path, copy).unwrap();
    let config = super::settings(&home);
    let server = crate::common::server::Server::start_with(home, &operator, config);
    let authority = Authority(server);
    until(|| ring(&authority).oldest().days() == oldest);
    assert_eq!(authority.heard(&phone), heard);
}

/// A clock that leaps ahead destroys nothing: the ticks of a day come first.
#[test]
fn a_clock_that_leaps_destroys_no_key() {
    let authority = Authority::new();
    let [phone] = authority.phones();
    authority.tick();
    authority.days(1);
    authority.tick();
    let advanced = || authority.events().into_iter().filter(|(kind, _)| *kind == 37).count();
    until(|| advanced() == 1);
    let before = ring(&authority).oldest();
    authority.pass(40 * 86_400);
    let resumed = authority.operate("POST", "/v1/admin/clock/resume?drop_dates=true", Value::Null);
    assert!(resumed.status < 300, "{resumed:?}");
    authority.tick();
    // What waits for no clock is erased, and so all that is due is done.
    assert_eq!(authority.of(&phone, "POST", "/bluetrace/v1/withdrawal", "").status, 204);
    let registered = |events: Vec<(u16, Option<Vec<u8>>)>| {
        events.iter().any(|(kind, body)| *kind == 28 && body.is_some())
    };
    authority.tick();
    until(|| !registered(authority.events()));
    assert_eq!(advanced(), 1);
    assert_eq!(ring(&authority).oldest(), before);
    authority.days(1);
    authority.tick();
    until(|| ring(&authority).oldest() != before);
}
