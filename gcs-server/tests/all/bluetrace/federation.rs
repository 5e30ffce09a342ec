//! Several health authorities, whose users meet each other. Research check 11.

use std::sync::Arc;

use gcs_core::identifiers::bluetrace::{
    BatchAnswer, Contact, FollowUp, ForeignRecord, Hai, KeyRing, Message, MessageHead, MessageId,
    PseudoId, PseudoIdKey, RecordBatch, RecordVerdict, SignedMessage, Withdrawal,
};
use gcs_core::{PublicKey, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Authority, Phone, Stopped, until};
use crate::common::api::Answer;
use crate::common::foreign;
use crate::common::server::{ask, today};
use crate::common::wait::PATIENCE;

const AUTHORITIES: &str = "/bluetrace/v1/admin/authorities";
const BATCHES: &str = "/bluetrace/v1/federation/batches";
const WITHDRAWALS: &str = "/bluetrace/v1/federation/withdrawals";
const FOLLOW_UPS: &str = "/bluetrace/v1/federation/follow-ups";

/// Kinds of events.
const CASE_SEEN: u16 = 36;
const BATCH_ANSWERED: u16 = 43;
const BATCH_JUDGED: u16 = 46;
const MESSAGE_WITHDRAWN: u16 = 47;
const FOLLOW_UP_MADE: u16 = 48;
const FOLLOW_UP_RECEIVED: u16 = 50;

fn list(authority: &Authority) -> Value {
    authority.operate("GET", AUTHORITIES, Value::Null).ok()
}

fn key(authority: &Authority) -> String {
    list(authority)["key"].as_str().unwrap().to_owned()
}

fn enter(at: &Authority, hai: &str, url: &str, key: &str) -> Answer {
    let path = format!("{AUTHORITIES}/{hai}");
    at.operate("PUT", &path, json!({ "url": url, "key": key }))
}

/// Each knows the other.
fn introduce(one: &Authority, other: &Authority) {
    for (at, known) in [(one, other), (other, one)] {
        let hai = list(known)["hai"].as_str().unwrap().to_owned();
        let url = format!("http://{}", known.public);
        assert_eq!(enter(at, &hai, &url, &key(known)).status, 204);
    }
}

/// An upload of what a phone of another authority sent.
fn upload(at: &Authority, code: &str, patient: &Phone, records: &Value) -> Value {
    let token = at.upload_token(patient, code).ok();
    at.upload(patient, token["token"].as_str().unwrap(), records).ok()
}

fn heard(time: u64, msg: &str, org: &str) -> Value {
    json!({ "timestamp": time, "msg": msg, "org": org, "rssi": -60 })
}

fn waiting(at: &Authority) -> u64 {
    list(at)["authorities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["waiting"].as_u64().unwrap())
        .sum()
}

fn count(at: &Authority, kind: u16) -> usize {
    at.events().into_iter().filter(|(of, body)| *of == kind && body.is_some()).count()
}

fn encounters(at: &Authority, tracer: &str, case: usize) -> Value {
    let cases = at.provide(tracer, "GET", "/bluetrace/v1/tracer/cases", Value::Null).ok();
    let path = format!("/bluetrace/v1/tracer/cases/{}/encounters", cases["cases"][case]["case"]);
    at.provide(tracer, "POST", &path, Value::Null).ok()
}

fn digest(authority: &Authority) -> Value {
    authority.operate("GET", "/v1/admin/digest", Value::Null).ok()
}

/// Singapore, whose patient met a user of New Zealand.
struct Pair {
    sg: Authority,
    nz: Authority,
    patient: Phone,
    met: Phone,
    codes: Vec<String>,
    msg: String,
}

fn pair() -> Pair {
    let (sg, nz) = (Authority::named("SG_OTC", 1), Authority::named("NZ_MOH", 2));
    introduce(&sg, &nz);
    let ([patient], [met]) = (sg.phones(), nz.phones());
    let (_, codes) = sg.upload_codes(3);
    let msg = nz.heard(&met);
    Pair { sg, nz, patient, met, codes, msg }
}

impl Pair {
    fn upload(&self, code: usize) {
        let now = self.sg.home.now();
        let records =
            json!([heard(now, &self.msg, "NZ_MOH"), heard(now + 60, &self.msg, "NZ_MOH")]);
        let answer = upload(&self.sg, &self.codes[code], &self.patient, &records);
        assert_eq!(answer["other_authority"], 2);
    }
}

/// Rebuilds the state of an authority from its log alone.
fn rebuilt(Stopped { home, operator, config }: Stopped) -> Authority {
    std::fs::remove_dir_all(home.path("private")).unwrap();
    home.rebuild();
    Stopped { home, operator, config }.start()
}

#[test]
fn a_foreign_record_is_judged_by_its_authority_and_comes_back_with_a_pseudo_id() {
    let Pair { sg, nz, patient, met, codes, msg } = pair();
    let au = Authority::named("AU_DTA", 3);
    introduce(&au, &nz);
    let now = sg.home.now();
    let broken = format!("{}{}", if msg.starts_with('A') { 'B' } else { 'A' }, &msg[1..]);
    let records = json!([
        heard(now, &msg, "NZ_MOH"),
        heard(now + 200, &msg, "NZ_MOH"),
        heard(now + 901, &msg, "NZ_MOH"),
        heard(now, &broken, "NZ_MOH"),
        heard(now, &msg, "XX_NOBODY"),
    ]);
    upload(&sg, &codes[0], &patient, &records);
    let tracer = sg.tracer();
    until(|| encounters(&sg, &tracer, 0)["waiting"] == 0);
    let seen = encounters(&sg, &tracer, 0);
    let [one] = &seen["encounters"].as_array().unwrap()[..] else { panic!("{seen}") };
    assert_eq!((&seen["unknown_authority"], &one["number"]), (&json!(1), &Value::Null));
    assert_eq!(
        (&one["authority"], &one["seconds"], &one["sightings"], &one["mean_rssi"]),
        (&json!("NZ_MOH"), &json!(200), &json!(2), &json!(-60))
    );
    let first = one["pseudo_id"].as_str().unwrap().to_owned();
    assert!(!met.id.contains(&first) && first.len() == 22);
    // The same for another upload; and another one for whoever else asks.
    upload(&sg, &codes[1], &patient, &json!([heard(now, &msg, "NZ_MOH")]));
    until(|| encounters(&sg, &tracer, 1)["waiting"] == 0);
    assert_eq!(encounters(&sg, &tracer, 1)["encounters"][0]["pseudo_id"], json!(first));
    let [other] = au.phones();
    let (_, others) = au.upload_codes(1);
    upload(&au, &others[0], &other, &json!([heard(now, &msg, "NZ_MOH")]));
    let other_tracer = au.tracer();
    until(|| encounters(&au, &other_tracer, 0)["waiting"] == 0);
    let again = &encounters(&au, &other_tracer, 0)["encounters"][0]["pseudo_id"];
    assert!(again.as_str().unwrap().len() == 22 && *again != json!(first));
    // Each was sent once.
    assert_eq!((count(&nz, BATCH_JUDGED), count(&sg, BATCH_ANSWERED)), (3, 2));
    assert_eq!((waiting(&sg), list(&sg)["unknown"][0]["hai"].clone()), (0, json!("XX_NOBODY")));
    let csv = "/bluetrace/v1/tracer/cases/";
    let cases = sg.provide(&tracer, "GET", "/bluetrace/v1/tracer/cases", Value::Null).ok();
    let path = format!("{csv}{}/encounters?format=csv", cases["cases"][1]["case"]);
    let csv = String::from_utf8(sg.provide(&tracer, "POST", &path, Value::Null).body).unwrap();
    assert!(csv.lines().nth(1).unwrap().starts_with(&format!(",NZ_MOH,{first},")), "{csv}");
}

/// A message has nothing of who uploaded; and what comes back is looked at.
#[test]
fn a_message_names_nobody_and_a_wrong_answer_changes_nothing() {
    let sg = Authority::named("SG_OTC", 1);
    let [patient] = sg.phones();
    let (_, codes) = sg.upload_codes(1);
    let answer = foreign::json(200, r#"{"version":1}"#);
    let (port, requests) = foreign::server_of(answer);
    let url = format!("http://127.0.0.1:{port}");
    let own = key(&sg);
    assert_eq!(enter(&sg, "NZ_MOH", &url, &"07".repeat(32)).status, 204);
    // The case begins at noon, and something is uploaded on the next date.
    sg.upload_token(&patient, &codes[0]).ok();
    let since = sg.home.now();
    sg.pass(50_000);
    let now = sg.home.now();
    upload(&sg, &codes[0], &patient, &json!([heard(now, "a foreign TempID", "NZ_MOH")]));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("POST {BATCHES} HTTP/1.1")), "{head}");
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(header("bluetrace-authority"), "SG_OTC");
    let signature = header("bluetrace-signature");
    let key: PublicKey = own.parse().unwrap();
    let batch = RecordBatch::verify(body.as_bytes(), &signature, &key).unwrap();
    // It tells the date of the case, and is over when that is.
    let (expires, id) = ((since / 86_400 + 21) * 86_400, batch.id);
    assert_eq!(
        body,
        format!(
            "{{\"version\":1,\"id\":\"{id}\",\"sender\":\"SG_OTC\",\"recipient\":\"NZ_MOH\",\
             \"expires\":{expires},\"records\":[{{\"timestamp\":{now},\"msg\":\"a foreign TempID\"}}]}}"
        )
    );
    for secret in [&patient.id, &patient.token, "+659123", "659123", &codes[0], "rssi"] {
        assert!(!request.contains(secret), "{secret}");
    }
    // The answer has no signature: nothing is recorded, and it is tried again after a pause.
    until(|| list(&sg)["authorities"][0]["failures"] == 1);
    let entry = list(&sg)["authorities"][0].clone();
    assert!(entry["error"].as_str().unwrap().contains("signature"), "{entry}");
    assert_eq!((&entry["waiting"], &entry["waiting_since"]), (&json!(1), &json!(now)));
    assert!(entry["next_attempt"].as_u64().unwrap() > now);
    assert_eq!(count(&sg, BATCH_ANSWERED), 0);
    sg.pass(60);
    let second = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(second.split_once("\r\n\r\n").unwrap().1, body);
    assert!(second.contains(&signature));
}

#[test]
fn what_waits_for_an_authority_that_is_down_is_delivered_once_when_it_is_back() {
    let Pair { sg, nz, patient, met, codes, msg } = pair();
    let nz = nz.stop();
    upload(&sg, &codes[0], &patient, &json!([heard(sg.home.now(), &msg, "NZ_MOH")]));
    until(|| list(&sg)["authorities"][0]["failures"] == 1);
    let entry = list(&sg)["authorities"][0].clone();
    assert!(entry["error"].as_str().unwrap().contains("cannot be reached"), "{entry}");
    let metrics = ask(sg.private, "GET", "/metrics", &[], "");
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("gcs_bluetrace_messages_waiting 1\n"), "{metrics}");
    // Users notice nothing of it, and a restart forgets nothing.
    sg.register("+6591239999");
    let sg = sg.restart();
    assert_eq!(waiting(&sg), 1);
    // As a crash leaves it, before there is an answer.
    let crashed = sg.home.copy();
    let nz = nz.start();
    sg.pass(7200);
    until(|| waiting(&sg) == 0);
    assert_eq!((count(&nz, BATCH_JUDGED), count(&sg, BATCH_ANSWERED)), (1, 1));
    let answered = |at: &Authority| {
        at.events().into_iter().find_map(|(kind, body)| body.filter(|_| kind == BATCH_ANSWERED))
    };
    let first = answered(&sg).unwrap();
    // What was sent without an answer in the log is sent again, and answered as it was; though the user has gone.
    let Stopped { operator, .. } = sg.stop();
    assert_eq!(nz.of(&met, "POST", "/bluetrace/v1/withdrawal", "").status, 204);
    let config = super::settings(&crashed);
    let again = Stopped { home: Arc::new(crashed), operator, config }.start();
    again.pass(7200);
    until(|| waiting(&again) == 0);
    assert_eq!((count(&nz, BATCH_JUDGED), answered(&again).unwrap()), (1, first));
}

/// Nothing of it needs time to pass.
#[test]
fn a_message_that_is_refused_keeps_no_other_from_the_authority() {
    let sg = Authority::named("SG_OTC", 1);
    let [patient] = sg.phones();
    let (_, codes) = sg.upload_codes(3);
    let refusal = foreign::json(422, r#"{"code":"message_invalid"}"#);
    let (port, requests) = foreign::server_of(refusal);
    let set =
        |port: u16| enter(&sg, "NZ_MOH", &format!("http://127.0.0.1:{port}"), &"07".repeat(32));
    assert_eq!(set(port).status, 204);
    let next = || requests.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    let send = |code: &str| {
        upload(&sg, code, &patient, &json!([heard(sg.home.now(), "a foreign TempID", "NZ_MOH")]));
    };
    for code in &codes[..2] {
        send(code);
        assert!(next().starts_with(&format!("POST {BATCHES} ")));
    }
    assert!(sg.operate("POST", "/v1/admin/codes/revoke", json!({ "code": codes[1] })).status < 300);
    assert!(next().starts_with(&format!("POST {WITHDRAWALS} ")));
    until(|| list(&sg)["authorities"][0]["refused"] == 2);
    let entry = list(&sg)["authorities"][0].clone();
    assert_eq!((&entry["waiting"], &entry["failures"]), (&json!(2), &json!(1)), "{entry}");
    assert_eq!(entry["error"], json!("it answered 422 message_invalid"));
    // One that takes nothing now gets nothing more; at another URL nothing has failed yet. One that takes no more of
    // a kind gets what is of other kinds.
    let pause = std::time::Duration::from_secs(60);
    for (status, code, kinds) in [
        (403, "sender_unknown", &[WITHDRAWALS][..]),
        (429, "limit_reached", &[WITHDRAWALS, BATCHES]),
    ] {
        let refusal = foreign::json(status, &format!(r#"{{"code":"{code}"}}"#));
        let (port, requests) = foreign::server_of(refusal);
        assert_eq!(set(port).status, 204);
        for kind in kinds {
            let request = requests.recv_timeout(pause).unwrap();
            assert!(request.starts_with(&format!("POST {kind} ")), "{status}: {request}");
        }
        until(|| list(&sg)["authorities"][0]["failures"] == 1);
        if status == 403 {
            send(&codes[2]);
        }
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert!(requests.try_recv().is_err(), "{status}");
        assert_eq!(list(&sg)["authorities"][0]["refused"], 0);
    }
}

/// An authority that is put right needs not wait until a pause is over.
#[test]
fn another_url_is_tried_at_once() {
    let pair = pair();
    let good = format!("http://{}", pair.nz.public);
    assert_eq!(enter(&pair.sg, "NZ_MOH", "http://127.0.0.1:1", &key(&pair.nz)).status, 204);
    pair.upload(0);
    until(|| list(&pair.sg)["authorities"][0]["failures"] == 1);
    assert_eq!(enter(&pair.sg, "NZ_MOH", &good, &key(&pair.nz)).status, 204);
    until(|| waiting(&pair.sg) == 0);
    assert_eq!(list(&pair.sg)["authorities"][0]["error"], Value::Null);
}

/// A server of a stranger that New Zealand knows.
struct Stranger {
    nz: Authority,
    key: SigningKey,
}

impl Stranger {
    fn new() -> Stranger {
        let (nz, key) = (Authority::named("NZ_MOH", 2), SigningKey::from_seed([5; 32]));
        let public = key.public().to_string();
        assert_eq!(enter(&nz, "XX_TEST", "https://test.example", &public).status, 204);
        Stranger { nz, key }
    }

    fn head(&self, id: u8) -> MessageHead {
        let [sender, recipient] = ["XX_TEST", "NZ_MOH"].map(|hai| hai.parse().unwrap());
        MessageHead { id: MessageId([id; 16]), sender, recipient }
    }

    fn expires(&self) -> u64 {
        self.nz.home.now() + 86_400
    }

    fn batch(&self, id: u8, msgs: &[&str]) -> RecordBatch {
        let timestamp = self.nz.home.now();
        let record = |msg: &&str| ForeignRecord { timestamp, msg: (*msg).to_owned() };
        RecordBatch::new(self.head(id), self.expires(), msgs.iter().map(record).collect())
    }

    fn post(&self, path: &str, sender: &str, signed: &SignedMessage) -> Answer {
        let headers = [
            ("bluetrace-authority", sender.to_owned()),
            ("bluetrace-signature", signed.signature.clone()),
        ];
        ask(self.nz.public, "POST", path, &headers, &signed.body)
    }

    fn send(&self, path: &str, message: &impl Message) -> Answer {
        self.post(path, "XX_TEST", &message.sign(&self.key))
    }

    /// What New Zealand answers, which is signed.
    fn verdicts(&self, batch: &RecordBatch) -> Vec<RecordVerdict> {
        let answer = self.send(BATCHES, batch);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let public = key(&self.nz).parse().unwrap();
        let signature = answer.header("bluetrace-signature");
        let read = BatchAnswer::verify(&answer.body, &signature, &public).unwrap();
        let request = gcs_core::Digest::of(batch.sign(&self.key).body.as_bytes());
        assert_eq!((read.id, read.request), (batch.id, request));
        assert_eq!((read.sender, read.recipient), (batch.recipient, batch.sender));
        read.verdicts
    }
}

#[test]
fn a_batch_that_comes_again_is_answered_as_before_and_another_with_its_number_is_refused() {
    let test = Stranger::new();
    let [phone] = test.nz.phones();
    let batch = test.batch(1, &[&test.nz.heard(&phone)]);
    let first = test.send(BATCHES, &batch);
    let verdicts = test.verdicts(&batch);
    assert!(matches!(verdicts[..], [RecordVerdict::Valid { .. }]));
    // Also when it would be judged otherwise now, and after a restart.
    assert_eq!(test.nz.of(&phone, "POST", "/bluetrace/v1/withdrawal", "").status, 204);
    let test = Stranger { nz: test.nz.restart(), ..test };
    let again = test.send(BATCHES, &batch);
    assert_eq!((again.body, again.status), (first.body, 200));
    assert_eq!(again.headers["bluetrace-signature"], first.headers["bluetrace-signature"]);
    assert_eq!(count(&test.nz, BATCH_JUDGED), 1);
    let other = test.batch(1, &["other"]);
    assert_eq!(test.send(BATCHES, &other).refused(), (409, "message_changed".into()));
    // Whoever has withdrawn is met no more.
    let later = test.batch(2, &[&batch.records[0].msg]);
    assert_eq!(test.verdicts(&later), [RecordVerdict::FailedDecryption]);
}

#[test]
fn what_is_not_signed_or_not_for_us_is_refused_and_leaves_nothing() {
    let test = Stranger::new();
    let before = test.nz.events().len();
    let good = test.batch(1, &["x"]);
    let signed = good.sign(&test.key);
    let refused = |answer: Answer| answer.refused();
    let unsigned = SignedMessage { signature: String::new(), ..signed.clone() };
    let invalid = (403, "signature_invalid".to_owned());
    assert_eq!(refused(test.post(BATCHES, "XX_TEST", &unsigned)), invalid);
    let changed = SignedMessage { body: signed.body.replace("\"x\"", "\"y\""), ..signed.clone() };
    assert_eq!(refused(test.post(BATCHES, "XX_TEST", &changed)), invalid);
    let other = good.sign(&SigningKey::from_seed([6; 32]));
    assert_eq!(refused(test.post(BATCHES, "XX_TEST", &other)), invalid);
    // Signed for another purpose.
    assert_eq!(refused(test.post(FOLLOW_UPS, "XX_TEST", &signed)), invalid);
    let unknown = (403, "sender_unknown".to_owned());
    for sender in ["XX_OTHER", "", "NZ_MOH", "xx test"] {
        assert_eq!(refused(test.post(BATCHES, sender, &signed)), unknown, "{sender}");
    }
    // Of a sender that is known, about another.
    let head = MessageHead { sender: "SG_OTC".parse().unwrap(), ..test.head(1) };
    let of_other = RecordBatch::new(head, test.expires(), good.records.clone());
    assert_eq!(refused(test.send(BATCHES, &of_other)), (422, "message_invalid".into()));
    let head = MessageHead { recipient: "SG_OTC".parse().unwrap(), ..test.head(1) };
    let for_other = RecordBatch::new(head, test.expires(), good.records.clone());
    assert_eq!(refused(test.send(BATCHES, &for_other)), (422, "wrong_recipient".into()));
    let now = test.nz.home.now();
    let at = |expires| RecordBatch::new(test.head(1), expires, good.records.clone());
    assert_eq!(refused(test.send(BATCHES, &at(now))), (410, "message_expired".into()));
    assert_eq!(refused(test.send(BATCHES, &at(0))), (410, "message_expired".into()));
    for late in [now + 22 * 86_400 + 1, u64::MAX] {
        assert_eq!(refused(test.send(BATCHES, &at(late))), (422, "message_invalid".into()));
    }
    let empty = test.batch(1, &[]);
    assert_eq!(refused(test.send(BATCHES, &empty)), (422, "message_invalid".into()));
    let large = SignedMessage { body: " ".repeat((2 << 20) + 1), ..signed.clone() };
    assert_eq!(refused(test.post(BATCHES, "XX_TEST", &large)), (413, "too_large".into()));
    assert_eq!(test.nz.events().len(), before);
    // As large as it may be.
    let most = vec!["x"; 20_000];
    assert_eq!(test.verdicts(&test.batch(2, &most)).len(), 20_000);
    // Nobody of whom the operator has removed is known.
    assert_eq!(
        test.nz.operate("DELETE", &format!("{AUTHORITIES}/XX_TEST"), Value::Null).status,
        204
    );
    assert_eq!(refused(test.send(BATCHES, &good)), unknown);
}

/// Whoever is asked about made-up meetings with its own users tells nothing of them.
#[test]
fn a_batch_that_names_our_users_falsely_gets_no_pseudo_id() {
    let test = Stranger::new();
    let [phone] = test.nz.phones();
    let msg = test.nz.heard(&phone);
    let wrong = |at: usize| {
        let mut text = msg.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).unwrap()
    };
    let forged: Vec<String> = (0..82).map(wrong).collect();
    let mut msgs: Vec<&str> = forged.iter().map(String::as_str).collect();
    msgs.extend([phone.id.as_str(), "", "\u{0}", "AAAA"]);
    let verdicts = test.verdicts(&test.batch(1, &msgs));
    let told = verdicts.iter().any(|verdict| matches!(verdict, RecordVerdict::Valid { .. }));
    assert!(!told, "{verdicts:?}");
    // At another time.
    test.nz.pass(901);
    let late = test.verdicts(&test.batch(2, &[&msg]));
    assert_eq!(late, [RecordVerdict::ExpiredId]);
}

#[test]
fn a_revoked_code_withdraws_what_was_sent() {
    let pair = pair();
    pair.upload(0);
    until(|| count(&pair.sg, BATCH_ANSWERED) == 1);
    let Pair { sg, nz, codes, .. } = pair;
    let revoke =
        |code: &str| sg.operate("POST", "/v1/admin/codes/revoke", json!({ "code": code })).status;
    assert!(revoke(&codes[0]) < 300);
    until(|| waiting(&sg) == 0);
    nz.tick();
    sg.tick();
    until(|| count(&nz, BATCH_JUDGED) == 0);
    until(|| count(&sg, BATCH_ANSWERED) == 0);
    for authority in [sg, nz] {
        let before = digest(&authority);
        assert_eq!(digest(&rebuilt(authority.stop())), before);
    }
}

/// Nothing is sent of an upload that is undone while the other authority is down, but that it is.
#[test]
fn an_upload_that_is_undone_before_it_is_sent_is_not_sent() {
    let Pair { sg, nz, patient, codes, msg, .. } = pair();
    let nz = nz.stop();
    upload(&sg, &codes[0], &patient, &json!([heard(sg.home.now(), &msg, "NZ_MOH")]));
    // The patient withdraws, which undoes it too.
    assert_eq!(sg.of(&patient, "POST", "/bluetrace/v1/withdrawal", "").status, 204);
    assert_eq!(waiting(&sg), 1);
    let nz = nz.start();
    sg.pass(7200);
    until(|| waiting(&sg) == 0);
    let kinds: Vec<u16> = nz.events().into_iter().map(|(kind, _)| kind).collect();
    assert!(!kinds.contains(&BATCH_JUDGED) && kinds.contains(&47), "{kinds:?}");
}

/// Records of an authority that is entered later have waited for it.
#[test]
fn records_of_an_authority_that_is_entered_later_are_sent_then() {
    let (sg, nz) = (Authority::named("SG_OTC", 1), Authority::named("NZ_MOH", 2));
    let ([patient], [met]) = (sg.phones(), nz.phones());
    let (_, codes) = sg.upload_codes(1);
    let records = json!([heard(sg.home.now(), &nz.heard(&met), "NZ_MOH")]);
    upload(&sg, &codes[0], &patient, &records);
    let tracer = sg.tracer();
    let seen = encounters(&sg, &tracer, 0);
    assert_eq!((&seen["unknown_authority"], &seen["waiting"]), (&json!(1), &json!(0)));
    assert_eq!(list(&sg)["unknown"], json!([{ "hai": "NZ_MOH", "waiting": 1 }]));
    introduce(&sg, &nz);
    until(|| encounters(&sg, &tracer, 0)["encounters"][0]["authority"] == "NZ_MOH");
    assert_eq!((&list(&sg)["unknown"], count(&nz, BATCH_JUDGED)), (&json!([]), 1));
}

/// Also if the authority is not in the table at that moment.
#[test]
fn a_withdrawal_waits_for_an_authority_that_is_removed() {
    let pair = pair();
    pair.upload(0);
    until(|| count(&pair.sg, BATCH_ANSWERED) == 1);
    let Pair { sg, nz, codes, .. } = pair;
    let url = list(&sg)["authorities"][0]["url"].as_str().unwrap().to_owned();
    let remove = sg.operate("DELETE", &format!("{AUTHORITIES}/NZ_MOH"), Value::Null);
    assert_eq!(remove.status, 204);
    let revoke = sg.operate("POST", "/v1/admin/codes/revoke", json!({ "code": codes[0] }));
    assert!(revoke.status < 300);
    assert_eq!(enter(&sg, "NZ_MOH", &url, &key(&nz)).status, 204);
    until(|| count(&nz, MESSAGE_WITHDRAWN) == 1);
    until(|| waiting(&sg) == 0);
}

/// It is refused for as long as a copy of it could be accepted, whatever the withdrawal says.
#[test]
fn what_is_withdrawn_stays_withdrawn() {
    let test = Stranger::new();
    let expires = test.nz.home.now() + 10 * 86_400;
    let mut batch = test.batch(1, &["x"]);
    batch.expires = expires;
    assert_eq!(test.send(BATCHES, &batch).status, 200);
    let withdrawal = Withdrawal::new(test.head(1), test.expires());
    assert_eq!(test.send(WITHDRAWALS, &withdrawal).status, 200);
    test.nz.days(4);
    assert_eq!(test.send(BATCHES, &batch).refused(), (410, "message_withdrawn".into()));
}

/// Bytes that are a batch and a follow-up.
#[derive(Serialize, Deserialize)]
struct Both<const IS_BATCH: bool>(Value);

impl<const IS_BATCH: bool> Message for Both<IS_BATCH> {
    const PURPOSE: &'static str = if IS_BATCH { RecordBatch::PURPOSE } else { FollowUp::PURPOSE };

    fn head(&self) -> MessageHead {
        unreachable!("it is only signed")
    }

    fn bounds(&self) -> (u32, Option<(&'static str, usize, usize)>) {
        (1, None)
    }
}

#[test]
fn a_batch_is_no_follow_up_with_its_number() {
    let test = Stranger::new();
    let body = test.batch(1, &["x"]).sign(&test.key).body;
    let mut body: Value = serde_json::from_str(&body).unwrap();
    body["contacts"] =
        json!([{ "pseudo_id": PseudoId([1; 16]).to_string(), "date": today().to_string() }]);
    let (batch, follow_up) = (Both::<true>(body.clone()), Both::<false>(body));
    assert_eq!(test.send(BATCHES, &batch).status, 200);
    let refused = test.send(FOLLOW_UPS, &follow_up).refused();
    assert_eq!(refused, (409, "message_changed".into()));
    assert_eq!(test.send(BATCHES, &batch).status, 200);
}

/// TempIDs are given out ahead of their time.
#[test]
fn nobody_is_told_whom_a_temp_id_of_tomorrow_is_of() {
    let test = Stranger::new();
    let [phone] = test.nz.phones();
    let ids = test.nz.of(&phone, "GET", "/bluetrace/v1/temp-ids", "").ok();
    let record = |at: usize| ForeignRecord {
        timestamp: ids["tempIDs"][at]["startTime"].as_u64().unwrap() + 1,
        msg: ids["tempIDs"][at]["tempID"].as_str().unwrap().to_owned(),
    };
    let records = vec![record(0), record(20), record(90)];
    let verdicts = test.verdicts(&RecordBatch::new(test.head(1), test.expires(), records));
    assert!(matches!(verdicts[0], RecordVerdict::Valid { .. }), "{verdicts:?}");
    assert_eq!(verdicts[1..], [RecordVerdict::ExpiredId, RecordVerdict::ExpiredId]);
    // The operator sees how much was asked and told.
    let entry = list(&test.nz)["authorities"][0].clone();
    assert_eq!(
        (&entry["received"], &entry["records"], &entry["valid"], &entry["contacts"]),
        (&json!(1), &json!(3), &json!(1), &json!(0))
    );
}

#[test]
fn what_is_withdrawn_before_it_comes_is_refused() {
    let test = Stranger::new();
    let withdrawal = Withdrawal::new(test.head(1), test.expires());
    for _ in 0..2 {
        assert_eq!(test.send(WITHDRAWALS, &withdrawal).status, 200);
    }
    let refused = (410, "message_withdrawn".to_owned());
    assert_eq!(test.send(BATCHES, &test.batch(1, &["x"])).refused(), refused);
    let contacts = vec![Contact { pseudo_id: PseudoId([1; 16]), date: today() }];
    let follow_up = FollowUp::new(test.head(1), test.expires(), contacts);
    assert_eq!(test.send(FOLLOW_UPS, &follow_up).refused(), refused);
    assert_eq!(test.nz.events().iter().filter(|(kind, _)| *kind == 47).count(), 1);
}

#[test]
fn contacts_are_called_by_their_own_authority() {
    let pair = pair();
    pair.upload(0);
    let Pair { sg, nz, met, .. } = pair;
    let (tracer, other) = (sg.tracer(), nz.tracer());
    until(|| encounters(&sg, &tracer, 0)["waiting"] == 0);
    let pseudo_id = encounters(&sg, &tracer, 0)["encounters"][0]["pseudo_id"].clone();
    let cases = sg.provide(&tracer, "GET", "/bluetrace/v1/tracer/cases", Value::Null).ok();
    let path = format!("/bluetrace/v1/tracer/cases/{}/follow-ups", cases["cases"][0]["case"]);
    let make = |authority: &str, ids: Value| {
        let body = json!({ "authority": authority, "pseudo_ids": ids });
        sg.provide(&tracer, "POST", &path, body)
    };
    let unknown = (422, "pseudo_id_unknown".to_owned());
    let nobody = PseudoId([3; 16]).to_string();
    // Whether the case met somebody is told to nobody without a line in the log.
    let looks = count(&sg, CASE_SEEN);
    assert_eq!(make("NZ_MOH", json!([nobody])).refused(), unknown);
    assert_eq!(count(&sg, CASE_SEEN), looks + 1);
    assert_eq!(make("NZ_MOH", json!(["x"])).refused(), unknown);
    assert_eq!(make("AU_DTA", json!([pseudo_id])).refused(), unknown);
    assert_eq!(make("au", json!([pseudo_id])).refused(), (404, "authority_unknown".into()));
    assert_eq!(make("NZ_MOH", json!([])).refused(), (400, "parameter_invalid".into()));
    // Asked twice, the person is called once.
    for ids in [json!([pseudo_id]), json!([pseudo_id]), json!([pseudo_id, pseudo_id])] {
        assert_eq!(make("NZ_MOH", ids).status, 202);
    }
    assert_eq!(count(&sg, FOLLOW_UP_MADE), 1);
    until(|| count(&nz, FOLLOW_UP_RECEIVED) == 1);
    let all = || nz.provide(&other, "GET", "/bluetrace/v1/tracer/follow-ups", Value::Null).ok();
    let entry = all()["follow_ups"][0].clone();
    assert_eq!(
        (&entry["authority"], &entry["contacts"], &entry["received"]),
        (&json!("SG_OTC"), &json!(1), &json!(nz.home.now()))
    );
    let path = format!("/bluetrace/v1/tracer/follow-ups/{}/contacts", entry["follow_up"]);
    let contacts = || nz.provide(&other, "POST", &path, Value::Null).ok()["contacts"].clone();
    let date = today().to_string();
    assert_eq!(contacts(), json!([{ "number": "+6591230000", "date": date }]));
    let looks = nz.events().into_iter().filter(|(kind, _)| *kind == 51).count();
    assert_eq!(looks, 1);
    let refused = nz.operate("POST", &path, Value::Null).refused();
    assert_eq!(refused, (403, "forbidden".into()));
    // Whoever withdraws is nobody from then on.
    assert_eq!(nz.of(&met, "POST", "/bluetrace/v1/withdrawal", "").status, 204);
    assert_eq!(contacts(), json!([]));
    let missing =
        nz.provide(&other, "POST", "/bluetrace/v1/tracer/follow-ups/1/contacts", Value::Null);
    assert_eq!(missing.refused(), (404, "follow_up_unknown".into()));
    until(|| waiting(&sg) == 0);
    // After three weeks nothing of it is left on either side, and a rebuild leads to the same.
    for authority in [&sg, &nz] {
        authority.tick();
        authority.days(22);
        authority.tick();
    }
    assert_eq!(all()["follow_ups"], json!([]));
    let kinds = [BATCH_ANSWERED, BATCH_JUDGED, 48, FOLLOW_UP_RECEIVED];
    for authority in [sg, nz] {
        until(|| kinds.iter().all(|kind| count(&authority, *kind) == 0));
        let before = digest(&authority);
        let again = rebuilt(authority.stop());
        assert_eq!(digest(&again), before);
        assert_eq!(list(&again)["authorities"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn the_table_of_authorities_is_the_operators() {
    let sg = Authority::named("SG_OTC", 1);
    let good = "07".repeat(32);
    for (hai, url, key) in [
        ("SG_OTC", "https://x.example", &*good),
        ("nz", "https://x.example", &good),
        ("NZ_MOH", "http://x.example", &good),
        ("NZ_MOH", "https://x.example/", &good),
        ("NZ_MOH", "https://x.example", &good[1..]),
        ("NZ_MOH", "https://x.example", &good.to_uppercase().replace('0', "A")),
    ] {
        let refused = enter(&sg, hai, url, key).refused();
        assert_eq!(refused, (422, "authority_invalid".into()), "{hai} {url} {key}");
    }
    let remove = |hai: &str| sg.operate("DELETE", &format!("{AUTHORITIES}/{hai}"), Value::Null);
    assert_eq!(remove("NZ_MOH").refused(), (404, "authority_unknown".into()));
    let tracer = sg.tracer();
    let refused = sg.provide(&tracer, "GET", AUTHORITIES, Value::Null).refused();
    assert_eq!(refused, (403, "forbidden".into()));
    for _ in 0..2 {
        assert_eq!(enter(&sg, "NZ_MOH", "https://x.example/bt", &good).status, 204);
    }
    assert_eq!(count(&sg, 39), 1);
    let sg = sg.restart();
    let entry = list(&sg)["authorities"][0].clone();
    assert_eq!(
        (&entry["hai"], &entry["url"], &entry["key"], &entry["waiting"], &entry["error"]),
        (&json!("NZ_MOH"), &json!("https://x.example/bt"), &json!(good), &json!(0), &Value::Null)
    );
    assert_eq!(sg.operate("DELETE", &format!("{AUTHORITIES}/NZ_MOH"), Value::Null).status, 204);
    assert_eq!(list(&sg)["authorities"], json!([]));
    for number in 0..256 {
        assert_eq!(enter(&sg, &format!("A{number}"), "https://x.example", &good).status, 204);
    }
    let refused = enter(&sg, "ONE_MORE", "https://x.example", &good).refused();
    assert_eq!(refused, (409, "too_many_authorities".into()));
}

/// The example of the handbook, made anew: whoever writes the other side can compare.
#[test]
fn the_handbook_has_a_batch_and_an_answer_as_they_are() {
    let handbook = concat!(env!("CARGO_MANIFEST_DIR"), "/BLUETRACE.md");
    let handbook = std::fs::read_to_string(handbook).unwrap();
    let [asks, answers] = [[1; 32], [2; 32]].map(SigningKey::from_seed);
    let [nz, sg]: [Hai; 2] = ["NZ_MOH", "SG_OTC"].map(|hai| hai.parse().unwrap());
    let id = MessageId([0xa5; 16]);
    let head = MessageHead { id, sender: nz, recipient: sg };
    // The vector of gcs-core's TempIDs and PseudoIDs.
    let msg =
        "p0rk1VCJXVJ+Fhip2CGQ0iA4xdNVc63BhObn7rtAu4BiGwYWjiajpkA8osnRL2vtr93LykGeiidgMcbEkg==";
    let record = |timestamp, msg: &str| ForeignRecord { timestamp, msg: msg.to_owned() };
    let records = vec![
        record(1_585_958_400, msg),
        record(1_585_959_301, msg),
        record(1_585_958_460, "something else"),
    ];
    let batch = RecordBatch::new(head, 1_587_772_800, records);
    let date = gcs_core::Date::from_days(18_356).unwrap();
    let ring = KeyRing::new(date, std::array::from_fn(|at| at as u8), date);
    let pseudo_ids = PseudoIdKey::new(gcs_core::Digest::of(b"pseudo test key").0);
    let verdicts = batch.judge(&ring, &pseudo_ids, |_| true);
    let sent = batch.sign(&asks);
    let request = gcs_core::Digest::of(sent.body.as_bytes());
    let head = MessageHead { id, sender: sg, recipient: nz };
    let answer = BatchAnswer::new(head, request, verdicts).sign(&answers);
    for line in [
        &asks.public().to_string(),
        &answers.public().to_string(),
        &sent.body,
        &sent.signature,
        &answer.body,
        &answer.signature,
    ] {
        assert!(handbook.contains(line.as_str()), "BLUETRACE.md lacks {line}");
    }
    assert!(answer.body.contains("GWZ92PM27AAwFsqbJz3G2Q"), "{}", answer.body);
}
