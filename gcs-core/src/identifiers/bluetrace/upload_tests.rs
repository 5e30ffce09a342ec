use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Reads a file in chunks of this length.
fn read(file: &[u8], chunk: usize) -> (Vec<UploadPart>, Result<(), UploadError>) {
    let (mut reader, mut parts) = (UploadReader::new(), Vec::new());
    for chunk in file.chunks(chunk) {
        let read: Result<Vec<_>, _> =
            reader.read(chunk).map(|part| part.map(|part| parts.push(part))).collect();
        if let Err(error) = read {
            assert_eq!(reader.read(b"x").collect::<Vec<_>>(), [Err(error.clone())]);
            assert_eq!(reader.finish(), Err(error.clone()));
            return (parts, Err(error));
        }
    }
    (parts, reader.finish())
}

fn record(time_ms: u64, msg: &str) -> UploadRecord {
    UploadRecord {
        time_ms,
        msg: Some(msg.to_string()),
        org: Some("SG_OTC".to_string()),
        model_p: Some("Phone P".to_string()),
        model_c: Some("Phone C".to_string()),
        rssi: Some(-60),
        tx_power: None,
    }
}

/// The files that both apps write about the same meetings: members in another order, the row's
/// number, fractions, null.
const ANDROID: &str = r#"{"token":"t","records":[
    {"id":1,"timestamp":1586000000,"v":2,"msg":"a","org":"SG_OTC","modelP":"Phone P","modelC":"Phone C","rssi":-60},
    {"id":2,"timestamp":1586000001500,"v":2,"msg":"b","org":"SG_OTC","modelP":"Phone P","modelC":"Phone C","rssi":-60}
],"events":[{"msg":"Scanning Started","id":1,"timestamp":1586000000}]}"#;
const IOS: &str = r#"{"events":[{"timestamp":1586000000,"msg":"Scanning Started"}],"records":[
    {"timestamp":1586000000,"msg":"a","modelC":"Phone C","modelP":"Phone P","org":"SG_OTC","rssi":-60.25,"txPower":null,"v":2},
    {"timestamp":1586000001500,"msg":"b","modelC":"Phone C","modelP":"Phone P","org":"SG_OTC","rssi":-59.5,"v":2}
],"token":"t"}"#;

#[test]
fn files_of_android_and_ios_are_read_to_the_same() {
    let token = UploadPart::Token("t".to_string());
    let event =
        UploadEvent { time_ms: 1_586_000_000_000, msg: Some("Scanning Started".to_string()) };
    let event = UploadPart::Event(Ok(event));
    let records = [record(1_586_000_000_000, "a"), record(1_586_000_001_500, "b")]
        .map(|record| UploadPart::Record(Ok(record)));
    let [first, second] = records;
    for chunk in [1, 7, 1000] {
        let parts = vec![token.clone(), first.clone(), second.clone(), event.clone()];
        assert_eq!(read(ANDROID.as_bytes(), chunk), (parts, Ok(())));
        let parts = vec![event.clone(), first.clone(), second.clone(), token.clone()];
        assert_eq!(read(IOS.as_bytes(), chunk), (parts, Ok(())));
    }
}

#[test]
fn a_bad_record_leaves_the_others() {
    let file = |record: &str| format!(r#"{{"token":"","records":[{record},{{"timestamp":9}}]}}"#);
    for bad in [
        "7",
        "null",
        "[1,2]",
        "\"text\"",
        "{}",
        r#"{"timestamp":-1}"#,
        r#"{"timestamp":1.5}"#,
        r#"{"timestamp":"1"}"#,
        r#"{"timestamp":1e400}"#,
        r#"{"timestamp":1,"msg":7}"#,
        r#"{"timestamp":1,"rssi":"x"}"#,
        r#"{"timestamp":1,"rssi":128}"#,
        r#"{"timestamp":1,"rssi":-129}"#,
        r#"{"timestamp":1,"txPower":1e300}"#,
        r#"{"timestamp":1,"timestamp":1}"#,
        r#"{"timestamp":1,"msg":"\ud800"}"#,
        r#"{"timestamp":1]"#,
        "nil",
        &format!(r#"{{"timestamp":1,"more":"{}"}}"#, "x".repeat(5000)),
        &format!("{}{}", "[".repeat(2000), "]".repeat(2000)),
    ] {
        let (parts, end) = read(file(bad).as_bytes(), 64);
        assert_eq!(end, Ok(()), "{bad}");
        assert!(matches!(parts[1], UploadPart::Record(Err(_))), "{bad}");
        assert!(matches!(&parts[2], UploadPart::Record(Ok(record)) if record.time_ms == 9000));
    }
    let not_utf8 = b"{\"token\":\"\",\"records\":[{\"timestamp\":1,\"more\":\"\xff\"}]}";
    assert!(matches!(read(not_utf8, 9).0[1], UploadPart::Record(Err(RecordError::Json(_)))));
    let long = format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES - 1));
    let error = RecordError::TooLong { max: 4096, got: 4097 };
    assert_eq!(read(file(&long).as_bytes(), 9).0[1], UploadPart::Record(Err(error)));
}

#[test]
fn what_is_no_upload_file_is_refused() {
    let syntax = |position| UploadError::Syntax { position };
    let member = |member, expected| UploadError::Member { member, expected };
    let cut = |position| UploadError::Cut { position };
    for (file, error) in [
        ("", cut(0)),
        ("[]", syntax(0)),
        ("{", cut(1)),
        ("{}", UploadError::Missing { member: "token" }),
        ("{,}", syntax(1)),
        (r#"{"token":"t"}"#, UploadError::Missing { member: "records" }),
        (r#"{"records":[]}"#, UploadError::Missing { member: "token" }),
        (r#"{"records":[]}}"#, syntax(14)),
        (r#"{"records":[],}"#, syntax(14)),
        (r#"{"records":[1,]}"#, syntax(14)),
        (r#"{"records":[,]}"#, syntax(12)),
        (r#"{"records":[1 2]}"#, syntax(14)),
        (r#"{"records":[1}"#, syntax(13)),
        (r#"{"records":[1"#, cut(13)),
        (r#"{"records":{}}"#, member("records", "a list")),
        (r#"{"events":null}"#, member("events", "a list")),
        (r#"{"records":[],"records":[]}"#, member("records", "a list")),
        (r#"{"token":7}"#, member("token", "a text")),
        (r#"{"token":"\x"}"#, syntax(12)),
        (r#"{"token" "t"}"#, syntax(9)),
        (r#"{"tok"en":"t"}"#, syntax(6)),
        (r#"{"other":nope}"#, syntax(13)),
        (r#"{"other":[}]}"#, syntax(10)),
        (r#"{7:8}"#, syntax(1)),
    ] {
        for chunk in [1, 1000] {
            assert_eq!(read(file.as_bytes(), chunk).1.as_ref(), Err(&error), "{file}");
        }
    }
    assert_eq!(read(b"{\"other\":\"\xff\"}", 9).1, Err(syntax(11)));
    let long = format!(r#"{{"other":"{}"}}"#, "x".repeat(MAX_VALUE_BYTES));
    let error = Err(UploadError::TooLong { max: 4096, position: 9 + 4096 });
    assert_eq!(read(long.as_bytes(), 100).1, error);
    let longest = format!(r#"{{"other":"{}"}}"#, "x".repeat(MAX_VALUE_BYTES - 2));
    let missing = Err(UploadError::Missing { member: "token" });
    assert_eq!(read(longest.as_bytes(), 100).1, missing);
    // Names and values that do not end are refused as soon as they are too long.
    for begin in [r#"{"token":""#, r#"{"other":["#, r#"{"other":1"#, r#"{""#] {
        let value_at = begin.rfind(['"', '[', '1']).unwrap();
        let endless = [begin, &"1".repeat(MAX_VALUE_BYTES)].concat();
        let mut reader = UploadReader::new();
        let read: Vec<_> = reader.read(endless.as_bytes()).collect();
        let position = (value_at + MAX_VALUE_BYTES) as u64;
        assert_eq!(read, [Err(UploadError::TooLong { max: 4096, position })], "{begin}");
    }
}

#[test]
fn debug_of_a_record_shows_nothing_that_was_heard() {
    let record = record(5000, "secret");
    let text = r#"UploadRecord(5000 ms, ["msg", "org", "model_p", "model_c", "rssi"])"#;
    assert_eq!(format!("{record:?}"), text);
    let record = UploadRecord { msg: None, tx_power: Some(1), rssi: None, ..record };
    let text = r#"UploadRecord(5000 ms, ["org", "model_p", "model_c", "tx_power"])"#;
    assert_eq!(format!("{record:?}"), text);
}

/// 100 people every quarter of an hour for three weeks.
#[test]
fn a_file_of_45_mb_takes_the_memory_of_one_record() {
    let record = br#"{"id":1,"modelC":"Phone of some model","modelP":"Phone of another","msg":"+TSeXRWD9t5A6QtkT9bHOa8XXHh4zk5PpsW59aY3Es0zji5DGcW6JA6QZ+xQNNND48qVehi/zX4JYnRTQQ==","org":"SG_OTC","rssi":-60,"timestamp":1586000000,"v":2},"#;
    let (mut reader, mut bytes, mut records) = (UploadReader::new(), 0, 0);
    assert_eq!(reader.read(br#"{"token":"SECRET"#).count(), 0);
    assert!(!format!("{reader:?}").contains("83, 69, 67")); // S, E, C
    assert_eq!(reader.read(br#"","records":["#).count(), 1);
    while bytes < 45_000_000 {
        for part in reader.read(record) {
            assert!(matches!(part, Ok(UploadPart::Record(Ok(_)))));
            records += 1;
        }
        bytes += record.len();
    }
    assert_eq!(reader.read(b"{}]}").count(), 1);
    assert!(records > 190_000 && reader.value.capacity() <= 2 * MAX_VALUE_BYTES);
    assert!(size_of::<UploadReader>() < 300);
    assert_eq!(reader.finish(), Ok(()));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        "[\"\\\\{}\\[\\],:]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z\"\\\\]{0,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_record() -> impl Strategy<Value = Value> {
    let good = (0u64..1 << 40, proptest::option::of("\\PC{0,9}"), -100i32..50).prop_map(
        |(timestamp, msg, rssi)| json!({"timestamp": timestamp, "msg": msg, "rssi": rssi, "id": 1}),
    );
    prop_oneof![good, any_json()]
}

proptest! {
    /// The model is a reader that has the whole file in memory.
    #[test]
    fn any_file_in_any_pieces_is_read_as_if_it_were_whole(
        records in proptest::collection::vec(any_record(), 0..6),
        events in proptest::option::of(proptest::collection::vec(any_record(), 0..3)),
        more in any_json(),
        pretty: bool,
        chunk in 1usize..40,
    ) {
        let mut file = json!({"token": "t", "records": records, "more": more});
        if let Some(events) = &events {
            file["events"] = json!(events);
        }
        let json = if pretty { serde_json::to_string_pretty(&file) } else { serde_json::to_string(&file) };
        let (parts, end) = read(json.unwrap().as_bytes(), chunk);
        prop_assert_eq!(end, Ok(()));
        let time = |value: &Value| {
            let object = value.as_object().filter(|object| {
                let text = |name| object.get(name).is_none_or(|v: &Value| v.is_null() || v.is_string());
                let number = |name| object.get(name).is_none_or(|v: &Value| v.is_null() || v.is_number());
                text("msg") && text("org") && number("rssi")
            })?;
            object.get("timestamp")?.as_u64().map(|t| if t > 10_000_000_000 { t } else { t * 1000 })
        };
        let of_records: Vec<_> = parts.iter().filter_map(|part| match part {
            UploadPart::Record(record) => Some(record.as_ref().ok().map(|record| record.time_ms)),
            _ => None,
        }).collect();
        prop_assert_eq!(of_records, records.iter().map(time).collect::<Vec<_>>());
        let of_events = parts.iter().filter(|part| matches!(part, UploadPart::Event(_))).count();
        prop_assert_eq!(of_events, events.map_or(0, |events| events.len()));
        prop_assert!(parts.contains(&UploadPart::Token(String::from("t"))));
    }

    #[test]
    fn any_bytes_are_read_the_same_in_any_pieces(
        file in "[\\[\\]{}\",:\\\\ a1\n]{0,40}",
        chunk in 1usize..9,
    ) {
        let file = file.replace('a', "\"records\":");
        let (parts, end) = read(file.as_bytes(), chunk);
        prop_assert_eq!(&read(file.as_bytes(), usize::MAX), &(parts, end.clone()));
        if end.is_ok() {
            prop_assert!(serde_json::from_str::<Value>(&file).is_ok());
        }
    }
}
