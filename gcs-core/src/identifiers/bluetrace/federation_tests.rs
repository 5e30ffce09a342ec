use super::*;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;

const NOW: u64 = 1_770_206_400;

fn head() -> MessageHead {
    let [sender, recipient] = ["SG_OTC", "NZ_MOH"].map(|hai| hai.parse().unwrap());
    MessageHead { id: MessageId([7; 16]), sender, recipient }
}

fn key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn batch(records: Vec<ForeignRecord>) -> RecordBatch {
    RecordBatch::new(head(), NOW + 1, records)
}

fn record(timestamp: u64, msg: &str) -> ForeignRecord {
    ForeignRecord { timestamp, msg: msg.to_string() }
}

fn verify<M: Message>(signed: &SignedMessage) -> Result<M, FederationError> {
    M::verify(signed.body.as_bytes(), &signed.signature, &key().public())
}

fn of_bytes(body: &str, purpose: &str) -> SignedMessage {
    let signature = BASE64.encode(&key().sign(&signed_bytes(purpose, body.as_bytes())));
    SignedMessage { body: body.to_string(), signature }
}

#[test]
fn a_message_is_the_golden_one() {
    let signed = batch(vec![record(NOW, "abc\"")]).sign(&key());
    assert_eq!(
        signed.body,
        "{\"version\":1,\"id\":\"07070707070707070707070707070707\",\"sender\":\"SG_OTC\",\
         \"recipient\":\"NZ_MOH\",\"expires\":1770206401,\
         \"records\":[{\"timestamp\":1770206400,\"msg\":\"abc\\\"\"}]}"
    );
    let message = ["bluetrace batch v1\n", &signed.body].concat();
    assert_eq!(signed.signature, BASE64.encode(&key().sign(message.as_bytes())));
    let pseudo_id = PseudoId([2; 16]);
    let verdicts = vec![
        RecordVerdict::Valid { pseudo_id },
        RecordVerdict::ExpiredId,
        RecordVerdict::FailedDecryption,
    ];
    let request = Digest([3; 32]);
    let answer = BatchAnswer::new(head(), request, verdicts).sign(&key());
    assert!(answer.body.ends_with(
        "\"request\":\"0303030303030303030303030303030303030303030303030303030303030303\",\
         \"verdicts\":[{\"verdict\":\"valid\",\"pseudo_id\":\"AgICAgICAgICAgICAgICAg\"},\
         {\"verdict\":\"expired_id\"},{\"verdict\":\"failed_decryption\"}]}"
    ));
    let contacts = vec![Contact { pseudo_id, date: "2026-02-03".parse().unwrap() }];
    let follow_up = FollowUp::new(head(), NOW, contacts).sign(&key());
    assert!(follow_up.body.ends_with(
        "\"contacts\":[{\"pseudo_id\":\"AgICAgICAgICAgICAgICAg\",\"date\":\"2026-02-03\"}]}"
    ));
}

/// Nothing but the sender's own bytes for this very purpose is read.
#[test]
fn what_is_not_signed_for_its_purpose_is_refused() {
    let signed = batch(vec![record(NOW, "x")]).sign(&key());
    let refused = FederationError::Signature { purpose: "bluetrace batch v1" };
    verify::<RecordBatch>(&signed).unwrap();
    for at in 0..signed.body.len() {
        let mut body = signed.body.clone().into_bytes();
        body[at] ^= 1;
        let read = RecordBatch::verify(&body, &signed.signature, &key().public());
        assert_eq!(read, Err(refused.clone()), "{at}");
    }
    let other = SigningKey::from_seed([2; 32]).public();
    let body = signed.body.as_bytes();
    assert_eq!(RecordBatch::verify(body, &signed.signature, &other), Err(refused.clone()));
    for wrong in ["", "x", &signed.signature[..87], &"A".repeat(88), &"é".repeat(44)] {
        let read = RecordBatch::verify(body, wrong, &key().public());
        assert_eq!(read, Err(refused.clone()), "{wrong}");
    }
    let withdrawal = Withdrawal::new(head(), NOW).sign(&key());
    assert!(matches!(verify::<FollowUp>(&withdrawal), Err(FederationError::Signature { .. })));
    // Bytes that are none of JSON are not even looked at.
    assert_eq!(RecordBatch::verify(b"{", "", &key().public()), Err(refused));
}

#[test]
fn what_is_signed_and_wrong_says_what_is_wrong() {
    let purpose = RecordBatch::PURPOSE;
    let good = batch(vec![record(NOW, "x")]).sign(&key()).body;
    let read = |body: &str| verify::<RecordBatch>(&of_bytes(body, purpose)).unwrap_err();
    assert_eq!(
        read(&good.replace("\"version\":1", "\"version\":2")),
        FederationError::Version { expected: 1, got: 2 }
    );
    for (what, with) in [
        ("SG_OTC", "sg"),
        ("0707", "07"),
        ("\"timestamp\":1770206400", "\"timestamp\":-1"),
        ("\"records\"", "\"record\""),
        ("{\"version\"", "[{\"version\""),
    ] {
        let error = read(&good.replace(what, with));
        assert!(matches!(error, FederationError::Json(_)), "{with}: {error}");
    }
    let count = |got| FederationError::Count { what: "records", max: MAX_BATCH_RECORDS, got };
    assert_eq!(verify::<RecordBatch>(&batch(vec![]).sign(&key())), Err(count(0)));
    let most = batch(vec![record(NOW, "x"); MAX_BATCH_RECORDS]);
    assert_eq!(verify(&most.sign(&key())), Ok(most));
    let more = batch(vec![record(NOW, "x"); MAX_BATCH_RECORDS + 1]);
    assert_eq!(verify::<RecordBatch>(&more.sign(&key())), Err(count(MAX_BATCH_RECORDS + 1)));
    let long = [&good[..], &" ".repeat(MAX_MESSAGE_BYTES)].concat();
    let got = long.len();
    assert_eq!(read(&long), FederationError::TooLong { max: MAX_MESSAGE_BYTES, got });
}

#[test]
fn a_verdict_names_a_user_of_now_and_never_who_asks() {
    let today = Date::of_time(NOW);
    let ring = KeyRing::new(today, [7; 32], today);
    let [user, gone] = [UserId([1; 21]), UserId([2; 21])];
    let id = |user| ring.batch(user, NOW).unwrap().temp_ids[0].temp_id.to_string();
    let forged = id(&user).replacen(['A', 'B', 'C', 'D'], "E", 1).replacen('a', "b", 1);
    let records = vec![
        record(NOW, &id(&user)),
        record(NOW + 901, &id(&user)),
        record(NOW, &id(&gone)),
        record(NOW + 901, &id(&gone)),
        record(NOW, &forged),
        record(NOW, ""),
        record(u64::MAX, &id(&user)),
        record(NOW, &"A".repeat(MAX_RECORD_BYTES + 1)),
    ];
    let [one, other] = [[1; 32], [2; 32]].map(PseudoIdKey::new);
    let judge = |key| batch(records.clone()).judge(&ring, key, |known| *known == user);
    use RecordVerdict::{ExpiredId, FailedDecryption as Failed, Valid};
    let pseudo_id = PseudoId::of(&one, &user);
    let of_nobody = [Failed, Failed, Failed, Failed, ExpiredId, Failed];
    assert_eq!(judge(&one), [&[Valid { pseudo_id }, ExpiredId], &of_nobody[..]].concat());
    assert_ne!(judge(&one)[0], judge(&other)[0]);
    assert_eq!(judge(&other), judge(&other));
}

proptest! {
    #[test]
    fn a_batch_round_trips(
        records in prop::collection::vec((any::<u64>(), "\\PC{0,40}|[\u{0}-\u{20}]{0,9}"), 1..30),
        id: [u8; 16],
        expires: u64,
    ) {
        let records = records.iter().map(|(time, msg)| record(*time, msg)).collect();
        let message = RecordBatch::new(MessageHead { id: MessageId(id), ..head() }, expires, records);
        let signed = message.sign(&key());
        prop_assert_eq!(signed.signature.len(), 88);
        prop_assert_eq!(&verify::<RecordBatch>(&signed), &Ok(message.clone()));
        prop_assert_eq!(message.sign(&key()), signed);
    }

    #[test]
    fn an_answer_round_trips(ids in prop::collection::vec(any::<Option<[u8; 16]>>(), 1..30)) {
        let verdict = |id: &Option<[u8; 16]>| match id {
            Some(id) => RecordVerdict::Valid { pseudo_id: PseudoId(*id) },
            None => RecordVerdict::ExpiredId,
        };
        let verdicts = ids.iter().map(verdict).collect();
        let answer = BatchAnswer::new(head(), Digest([9; 32]), verdicts);
        prop_assert_eq!(verify(&answer.sign(&key())), Ok(answer));
    }

    /// Whatever is signed is a message, or an error says why not.
    #[test]
    fn any_signed_text_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        with in "\\PC{0,6}|[\\[\\]{}\",:0-9]{1,3}",
    ) {
        let mut body = batch(vec![record(NOW, "x"), record(1, "y")]).sign(&key()).body;
        let at = at.index(body.len());
        body.replace_range(at..=at, &with);
        if let Ok(read) = verify::<RecordBatch>(&of_bytes(&body, RecordBatch::PURPOSE)) {
            prop_assert_eq!(verify(&read.sign(&key())), Ok(read));
        }
    }
}
