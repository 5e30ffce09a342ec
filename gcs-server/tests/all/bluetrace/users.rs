//! Registration and withdrawal.

use serde_json::json;

use super::{Authority, until};

const NUMBER: &str = "+6591234567";

/// Research check 4.
#[test]
fn a_number_registers_with_the_password_that_was_sent_to_it() {
    let authority = Authority::new();
    let sent = authority.challenge(NUMBER).ok();
    assert_eq!((&sent["valid_seconds"], &sent["resend_seconds"]), (&json!(600), &json!(60)));
    let challenge = sent["challenge"].as_str().unwrap();
    let password = authority.password(NUMBER);
    let wrong = if password == "000000" { "111111" } else { "000000" };
    let refused = (403, "password_invalid".to_owned());
    assert_eq!(authority.confirm(NUMBER, challenge, wrong).refused(), refused);
    let made = authority.confirm(NUMBER, challenge, &password);
    assert_eq!((made.status, made.header("cache-control").as_str()), (201, "no-store"));
    // A password registers once.
    assert_eq!(authority.confirm(NUMBER, challenge, &password).refused(), refused);
    let made = made.ok();
    let id = made["user_id"].as_str().unwrap();
    assert_eq!(id.len(), 28);
    assert!(made["token"].as_str().unwrap().starts_with("gcs_user_"));
    // Another number is another user; the same number is the same user, with another token.
    let other = authority.register("+6591234568");
    assert_ne!(other.id, id);
    authority.pass(60);
    let again = authority.register(NUMBER);
    assert_eq!(again.id, id);
    assert_ne!(again.token, made["token"]);
    let first = super::Phone { token: made["token"].as_str().unwrap().into(), ..again.clone() };
    let pin = |phone| authority.of(phone, "GET", "/bluetrace/v1/pin", "").status;
    assert_eq!((pin(&first), pin(&again), pin(&other)), (401, 200, 200));
}

/// Research check 4, and what a challenge is not good for.
#[test]
fn a_password_is_tried_five_times_and_whatever_is_wrong_has_one_answer() {
    let authority = Authority::new();
    let challenge =
        |number: &str| authority.challenge(number).ok()["challenge"].as_str().unwrap().to_owned();
    let refused = (403, "password_invalid".to_owned());
    let first = challenge(NUMBER);
    let right = authority.password(NUMBER);
    let wrong = if right == "000000" { "111111" } else { "000000" };
    let text = authority.confirm(NUMBER, &first, wrong);
    for _ in 0..4 {
        let again = authority.confirm(NUMBER, &first, wrong);
        assert_eq!((again.refused(), &again.body), (refused.clone(), &text.body));
    }
    // The sixth try, although it is right.
    let sixth = authority.confirm(NUMBER, &first, &right);
    assert_eq!((sixth.refused(), &sixth.body), (refused.clone(), &text.body));
    // Another number's, too old, and made up.
    let other = challenge("+6591234568");
    let others = authority.password("+6591234568");
    assert_eq!(authority.confirm(NUMBER, &other, &others).body, text.body);
    authority.pass(600);
    assert_eq!(authority.confirm("+6591234568", &other, &others).body, text.body);
    assert_eq!(authority.confirm(NUMBER, "made-up", &right).body, text.body);
    // The next one is as good as new.
    authority.pass(60);
    authority.register(NUMBER);
}

#[test]
fn passwords_are_sent_once_a_minute_and_five_times_an_hour() {
    let authority = Authority::new();
    authority.challenge(NUMBER).ok();
    authority.pass(59);
    let early = authority.challenge(NUMBER);
    assert_eq!(early.refused(), (429, "limit_reached".into()));
    assert_eq!(early.header("retry-after"), "1");
    authority.challenge("+6591234568").ok();
    for _ in 0..4 {
        authority.pass(60);
        authority.challenge(NUMBER).ok();
    }
    authority.pass(60);
    let sixth = authority.challenge(NUMBER);
    assert_eq!(sixth.refused(), (429, "limit_reached".into()));
    authority.pass(sixth.header("retry-after").parse().unwrap());
    authority.challenge(NUMBER).ok();
}

#[test]
fn numbers_of_every_wrong_kind_are_refused() {
    let authority = Authority::new();
    for number in
        ["", "+", "91234567", "+0123456789", "+123456", "+1234567890123456", "+65 91234567"]
    {
        let refused = authority.challenge(number).refused();
        assert_eq!(refused, (422, "number_invalid".into()), "{number:?}");
        let refused = authority.confirm(number, "c", "123456").refused();
        assert_eq!(refused, (422, "number_invalid".into()), "{number:?}");
    }
    for body in [json!({ "number": 6_591_234_567_u64 }), json!({}), json!([])] {
        let refused = authority.post("/bluetrace/v1/passwords", &body).refused();
        assert_eq!(refused, (400, "json_shape".into()));
    }
    let none = authority.events().into_iter().filter(|(kind, _)| (27..=38).contains(kind)).count();
    assert_eq!(none, 0);
}

/// Research check 13, but for what is published.
#[test]
fn whoever_withdraws_is_forgotten_and_comes_back_as_somebody_else() {
    let authority = Authority::new();
    let [phone, stays] = [NUMBER, "+6591234568"].map(|number| authority.register(number));
    let (provider, codes) = authority.upload_codes(3);
    let token = authority.upload_token(&phone, &codes[0]).ok();
    let records = json!([{ "timestamp": authority.home.now(), "msg": authority.heard(&stays) }]);
    authority.upload(&phone, token["token"].as_str().unwrap(), &records).ok();
    authority.upload_token(&phone, &codes[1]).ok();
    let body = json!({ "number": NUMBER, "code": codes[2] });
    authority.provide(&provider, "POST", "/bluetrace/v1/provider/short-codes", body).ok();
    authority.pass(60);
    let phone = authority.register(NUMBER);
    let id = data_encoding::BASE64_NOPAD.decode(phone.id.as_bytes()).unwrap();
    let stays_id = data_encoding::BASE64_NOPAD.decode(stays.id.as_bytes()).unwrap();
    assert!(authority.is_on_disk(&id));

    let withdrawn = authority.of(&phone, "POST", "/bluetrace/v1/withdrawal", "");
    assert_eq!(withdrawn.status, 204);
    for path in ["/bluetrace/v1/pin", "/bluetrace/v1/temp-ids"] {
        assert_eq!(authority.of(&phone, "GET", path, "").refused(), (401, "unauthorized".into()));
    }
    let again = authority.of(&phone, "POST", "/bluetrace/v1/withdrawal", "");
    assert_eq!(again.refused(), (401, "unauthorized".into()));
    // Registration, token, codes and upload: their bodies are erased together, with the next tick.
    let bodies = || {
        let events = authority.events().into_iter();
        let of_users = events.filter(|(kind, _)| [28, 29, 31, 32, 33].contains(kind));
        of_users.filter(|(_, body)| body.is_some()).count()
    };
    authority.tick();
    until(|| bodies() == 1);
    let purges = authority.events().into_iter().filter(|(kind, _)| *kind == 38).count();
    assert_eq!(purges, 1);
    let erased = authority.events().into_iter().filter(|(_, body)| body.is_none());
    let kinds: Vec<u16> = erased.map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [28, 32, 33, 32, 31, 29]);
    assert!(!authority.is_on_disk(&id));
    assert!(authority.is_on_disk(&stays_id));
    // The codes stay used.
    let refused = authority.upload_token(&stays, &codes[0]).refused();
    assert_eq!(refused, (403, "upload_code_invalid".into()));

    authority.pass(60);
    let returned = authority.register(NUMBER);
    assert_ne!(returned.id, phone.id);
    // All of this is what the log adds up to, with and without the bodies.
    let digest = |authority: &Authority| {
        authority.operate("GET", "/v1/admin/digest", serde_json::Value::Null).ok()["digest"].clone()
    };
    let before = digest(&authority);
    let authority = authority.restart();
    assert_eq!(digest(&authority), before);
    assert_eq!(authority.of(&returned, "GET", "/bluetrace/v1/pin", "").status, 200);
}
