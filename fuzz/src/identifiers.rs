//! What phones and other servers send of the protocols' identifiers.

use ed25519_dalek::{Signer as _, SigningKey};
use gcs_core::identifiers::bluetrace::{
    Hai, Packet, Role, TempId, TempIdKey, TokenKey, UploadError, UploadPart, UploadReader,
    UploadToken, UserId,
};
use gcs_core::identifiers::gaen::export::{Export, ExportKey, ExportSigningKey, ReportType};
use gcs_core::identifiers::gaen::{ExposureKey, INTERVALS_A_DAY};
use gcs_core::identifiers::tcn::{Report, ReportError};
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use crate::reader::Reader;

/// The input is a text, and also the bytes of a TempID. A text that is a TempID, a UserID or an
/// HAI is shown as the same text, and a text with one character more or less is not; any bytes
/// are a TempID that is read back. A token that nobody sealed is refused.
pub fn temp_id(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        let token = UploadToken::open(&TokenKey::new([7; 32]), text, 0);
        assert!(token.is_err(), "{token:?}");
        if let Ok(temp_id) = text.parse::<TempId>() {
            assert_eq!(temp_id.to_string(), text);
            assert!(text[1..].parse::<TempId>().is_err());
            assert!(format!("{text}=").parse::<TempId>().is_err());
        }
        assert!(text.parse().map_or(true, |user: UserId| user.to_string() == text));
        assert!(text.parse().map_or(true, |hai: Hai| hai.as_str() == text));
    }
    let mut reader = Reader::new(data);
    let temp_id = TempId(std::array::from_fn(|_| reader.u8()));
    assert_eq!(temp_id.to_string().parse(), Ok(temp_id));
    assert_eq!(temp_id.decrypt(&TempIdKey::new([7; 32])), None);
}

/// The input is a packet. A packet that can be read is JSON, and is the same after it is written
/// as version 2 and read again, its transmission power apart.
pub fn packet(data: &[u8]) {
    let Ok(packet) = Packet::from_json(data) else { return };
    let text = str::from_utf8(data).expect("JSON is UTF-8");
    assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "a packet is JSON");
    // Members that are ignored may have values that this reader does not take.
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        assert!(json["v"] == 1 || json["v"] == 2);
    }
    let Ok(written) = packet.to_json() else { return };
    let role = match packet.role {
        Role::Central { rssi, .. } => Role::Central { rssi, tx_power: None },
        role => role,
    };
    assert_eq!(Packet::from_json(&written), Ok(Packet { role, ..packet }));
}

/// The input is the length of a piece, and an upload file. It is read the same in pieces and at
/// once. If every part of it is good, it is JSON, and has the records that a reader finds that has
/// it in memory.
pub fn upload(data: &[u8]) {
    let Some((&length, file)) = data.split_first() else { return };
    let (parts, end) = read_upload(file, usize::from(length).max(1));
    assert_eq!(read_upload(file, usize::MAX), (parts.clone(), end.clone()));
    let is_good =
        |part: &UploadPart| !matches!(part, UploadPart::Record(Err(_)) | UploadPart::Event(Err(_)));
    if end.is_err() || !parts.iter().all(is_good) {
        return;
    }
    let text = str::from_utf8(file).expect("JSON is UTF-8");
    assert!(serde_json::from_str::<IgnoredAny>(text).is_ok());
    // A value that is nested too deep for this reader is not tested further.
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else { return };
    let records = json["records"].as_array().expect("it has records");
    let mut read = parts.iter().filter_map(|part| match part {
        UploadPart::Record(Ok(record)) => Some(record),
        _ => None,
    });
    for record in records {
        let read = read.next().expect("no record is left out");
        assert_eq!(read.msg.as_deref(), record["msg"].as_str());
        let time = record["timestamp"].as_u64().expect("a record has a time");
        assert!(read.time_ms == time || read.time_ms == time * 1000);
    }
    assert_eq!(read.next(), None);
}

fn read_upload(file: &[u8], length: usize) -> (Vec<UploadPart>, Result<(), UploadError>) {
    let (mut reader, mut parts) = (UploadReader::new(), Vec::new());
    for piece in file.chunks(length) {
        parts.extend(reader.read(piece).filter_map(Result::ok));
    }
    (parts, reader.finish())
}

/// The input is the content of an export file. What can be read is the same, and sorted, after it
/// is written and signed and read again.
pub fn export(data: &[u8]) {
    let Ok(mut export) = Export::from_bin(data) else { return };
    let zip = export.to_zip(&[export_key()]).expect("what was read can be written");
    let order = |key: &ExportKey| (key.key.to_bytes(), key.key.rolling_start());
    let mut read = Export::from_zip(&zip, &export_key().public()).expect("it was written so");
    // Keys that differ in nothing that sorts them may change places.
    let sorted = read.keys.is_sorted_by_key(order) && read.revised_keys.is_sorted_by_key(order);
    assert!(sorted);
    let all = |keys: &mut Vec<ExportKey>| {
        let mut shown: Vec<_> =
            keys.drain(..).map(|key| (key.key.to_bytes(), format!("{key:?}"))).collect();
        shown.sort();
        shown
    };
    assert_eq!(all(&mut read.keys), all(&mut export.keys));
    assert_eq!(all(&mut read.revised_keys), all(&mut export.revised_keys));
    assert_eq!(read, export);
}

/// The input is an export file. Nothing but what was signed is read.
pub fn export_zip(data: &[u8]) {
    if let Ok(export) = Export::from_zip(data, &export_key().public()) {
        assert!(exports().contains(&export), "{export:?}");
    }
}

/// The input is a TCN report before its signature, which is made here. It is accepted if and only
/// if its length, span and memo are legal, and stands for the numbers that the chain gives.
pub fn tcn_report(data: &[u8]) {
    let _never_a_panic = Report::parse(data);
    let key = SigningKey::from_bytes(&[7; 32]);
    let rest = &data[..data.len().min(400)];
    let mut report = [&key.verifying_key().to_bytes()[..], &[9; 32], rest].concat();
    let signature = key.sign(&report).to_bytes();
    report.extend_from_slice(&signature);
    let parsed = Report::parse(&report);
    let Some((&[a, b, c, d, memo_type, length], memo)) = rest.split_first_chunk::<6>() else {
        assert!(matches!(parsed, Err(ReportError::Length { .. })));
        return;
    };
    let (first, last) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let is_legal =
        memo.len() == usize::from(length) && (1..=last).contains(&first) && memo_type < 4;
    assert_eq!(parsed.is_ok(), is_legal, "{parsed:?}");
    let Ok(parsed) = parsed else { return };
    assert_eq!(parsed.memo(), memo);
    assert_eq!(parsed.len(), usize::from(last - first) + 1);
    let mut chain: [u8; 32] = [9; 32];
    for (number, read) in (first..=last).zip(parsed.numbers()).take(20) {
        let rvk = key.verifying_key().to_bytes();
        chain = Sha256::new()
            .chain_update(b"H_TCK")
            .chain_update(rvk)
            .chain_update(chain)
            .finalize()
            .into();
        let hasher = Sha256::new().chain_update(b"H_TCN").chain_update(number.to_le_bytes());
        assert_eq!(hasher.chain_update(chain).finalize()[..16], read);
    }
}

fn export_key() -> ExportSigningKey {
    ExportSigningKey::from_bytes(&[7; 32], "310", "v1").expect("a key")
}

/// Exports of the seeds.
fn exports() -> [Export; 2] {
    let key = |data: u8, start| {
        let key = ExposureKey::new([data; 16], start, INTERVALS_A_DAY).expect("a day");
        ExportKey {
            transmission_risk: Some(data),
            report_type: Some(ReportType::ConfirmedTest),
            days_since_onset: Some(-1),
            ..ExportKey::from(key)
        }
    };
    let empty = Export {
        start: 1_590_159_600,
        end: 1_590_246_000,
        region: "US".to_string(),
        batch: 1,
        batches: 1,
        keys: Vec::new(),
        revised_keys: Vec::new(),
    };
    let revoked = ExportKey { report_type: Some(ReportType::Revoked), ..key(3, 2_649_600) };
    let keys = vec![key(1, 2_649_888), key(2, 2_649_744)];
    [Export { keys, revised_keys: vec![revoked], ..empty.clone() }, empty]
}

/// Seeds of these targets.
pub(crate) mod seeds {
    use super::*;

    pub(crate) fn temp_ids() -> Vec<Vec<u8>> {
        let temp_id = TempId([7; TempId::LEN]);
        let texts = [temp_id.to_string(), UserId([5; 21]).to_string(), "SG_OTC".to_string()];
        texts.map(String::into_bytes).into_iter().chain([temp_id.0.to_vec()]).collect()
    }

    pub(crate) fn packets() -> Vec<Vec<u8>> {
        let nested = ["[".repeat(130), "]".repeat(130)].concat();
        let nested = format!(r#"{{"v":2,"id":"x","o":"A","mp":"P","z":{nested}}}"#);
        let texts = [
            r#"{"v":2,"id":"dGVtcA==","o":"SG_OTC","mp":"Phone"}"#,
            r#"{"v":2,"id":"dGVtcA==","o":"SG_OTC","mc":"Phone","rs":-60.5}"#,
            r#"{"id":"dGVtcA==","md":"Phone","rc":-60,"o":"SG_OTC","v":2}"#,
            r#"{"v":1,"msg":"dGVtcA==","org":"AU_DTA","modelP":"Phone"}"#,
            r#"{"v":1,"msg":"dGVtcA==","org":"AU_DTA","modelC":"Phone","rssi":-60,"txPower":7}"#,
            r#"{"v":2,"id":"x","o":"A","mp":"P","z":1e999}"#,
            r#"{"v":2,"id":"x","o":"A","mp":"P","z":"\ud800"}"#,
            r#"{"v":2,"id":"x","o":"A","md":"P","rs":-60}"#,
            &nested,
        ];
        texts.map(|text| text.as_bytes().to_vec()).to_vec()
    }

    pub(crate) fn uploads() -> Vec<Vec<u8>> {
        let android = r#"{"token":"t","records":[{"id":1,"timestamp":1586000000,"v":2,"msg":"a","org":"SG_OTC","modelP":"P","modelC":"C","rssi":-60},{}],"events":[{"msg":"on","timestamp":1586000000}]}"#;
        let ios = r#"{ "events" : [ ], "records" : [ {"timestamp":1586000001500,"msg":"\"b\\","rssi":-60.5,"txPower":null} , 7 ], "more": {"a":[1,"]"]}, "token":"t"}"#;
        let file = |(length, text): (u8, &str)| [&[length], text.as_bytes()].concat();
        [(1, android), (9, ios), (255, r#"{"records":[],"token":""}"#)].map(file).to_vec()
    }

    pub(crate) fn exports() -> Vec<Vec<u8>> {
        // The fields that must be there, and a key.
        let least = [&b"EK Export v1    \x09"[..], &[1; 8], b"\x11", &[2; 8], b"\x20\x01\x28\x01"];
        let key = [&b"\x3a\x14\x0a\x10"[..], &[5; 16], b"\x18\x07"].concat();
        vec![least.concat(), [least.concat(), key].concat()]
    }

    pub(crate) fn export_zips() -> Vec<Vec<u8>> {
        let zip = |export: Export| export.to_zip(&[export_key()]).expect("legal");
        super::exports().map(zip).to_vec()
    }

    pub(crate) fn tcn_reports() -> Vec<Vec<u8>> {
        vec![b"\x02\x00\x0a\x00\x00\x04memo".to_vec(), b"\x01\x00\xff\xff\x03\x00".to_vec()]
    }
}
