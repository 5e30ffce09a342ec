use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use prost::Message as _;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::archive::Files;
use super::proto::{KeyExport, Signature, SignatureList};
use super::*;
use crate::Digest;
use crate::identifiers::gaen::ExposureKey;

/// examples/export of google/exposure-notifications-server (Apache-2.0).
const SAMPLE: &[u8] =
    include_bytes!("../../../../tests/vectors/foreign/gaen-export/testExport-2-records-1-of-1.zip");
const PUBLIC: &str = include_str!("../../../../tests/vectors/foreign/gaen-export/public.pem");
const PRIVATE: &str = include_str!("../../../../tests/vectors/foreign/gaen-export/private.pem");

fn key(data: [u8; 16], start: u32, period: u32, risk: u8) -> ExportKey {
    let key = ExposureKey::new(data, start, period).unwrap();
    ExportKey { transmission_risk: Some(risk), ..ExportKey::from(key) }
}

fn base64(text: &str) -> [u8; 16] {
    data_encoding::BASE64.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

/// What the sample's keys.json says.
fn sample() -> Export {
    Export {
        start: 1_590_159_600,
        end: 1_590_246_000,
        region: "US".to_string(),
        batch: 1,
        batches: 1,
        keys: vec![
            key(base64("Fy/EgOWYSQw0F3YEM5sVQw=="), 2_649_980, 1, 8),
            key(base64("K2MFOsSDI43hdhaehh89zQ=="), 2_649_866, 114, 1),
        ],
        revised_keys: Vec::new(),
    }
}

fn signer() -> ExportSigningKey {
    ExportSigningKey::from_pem(PRIVATE, "some_id", "1").unwrap()
}

#[test]
fn the_sample_of_the_reference_is_read_and_its_signature_verified() {
    let public = ExportPublicKey::from_pem(PUBLIC).unwrap();
    assert_eq!(Export::from_zip(SAMPLE, &public), Ok(sample()));
    let other = ExportSigningKey::from_bytes(&[7; 32], "some_id", "1").unwrap().public();
    assert_eq!(Export::from_zip(SAMPLE, &other), Err(ExportError::Signature));
    assert_eq!(signer().public(), public);
    assert_eq!(public.to_pem(), PUBLIC);
}

#[test]
fn our_content_of_the_sample_is_that_of_the_reference_byte_for_byte() {
    let content = Files::unpack(SAMPLE).unwrap().content;
    assert_eq!(content.len(), 135);
    assert_eq!(
        Digest::of(&content).to_string(),
        "38edb6fc758d9ba014eb66226a9ee580201de3a985dca5467234c5f41099ad3f"
    );
    let mut shuffled = sample();
    shuffled.keys.reverse();
    assert_eq!(shuffled.to_bin(vec![signer().info()]), Ok(content.clone()));
    let ours = Files::unpack(&shuffled.to_zip(&[signer()]).unwrap()).unwrap();
    assert_eq!(ours.content, content);
}

#[test]
fn any_changed_byte_is_refused() {
    let Files { content, signatures } = Files::unpack(SAMPLE).unwrap();
    let public = signer().public();
    let of = |content: &[u8], signatures: &[u8]| {
        let files = Files { content: content.to_vec(), signatures: signatures.to_vec() };
        Export::from_zip(&files.pack(), &public)
    };
    assert!(of(&content, &signatures).is_ok());
    for at in 0..content.len() {
        let mut other = content.clone();
        other[at] ^= 1;
        assert_eq!(of(&other, &signatures), Err(ExportError::Signature), "byte {at}");
    }
    // The names in export.sig are not signed; the signature, the algorithm and the batch count.
    let list = SignatureList::decode(&*signatures).unwrap();
    let with = |change: &dyn Fn(&mut Signature)| {
        let mut list = list.clone();
        change(&mut list.signatures[0]);
        of(&content, &list.encode_to_vec())
    };
    assert!(with(&|_| {}).is_ok());
    assert_eq!(with(&|s| s.signature.as_mut().unwrap()[20] ^= 1), Err(ExportError::Signature));
    assert_eq!(with(&|s| s.signature = None), Err(ExportError::Signature));
    assert_eq!(with(&|s| s.info = None), Err(ExportError::Signature));
    let other_algorithm = |s: &mut Signature| {
        s.info.as_mut().unwrap().algorithm = Some("1.2.840.10045.4.3.4".to_string());
    };
    assert_eq!(with(&other_algorithm), Err(ExportError::Signature));
    let error = ExportError::Batch { signed: (1, 2), got: (1, 1) };
    assert_eq!(with(&|s| s.batch_size = Some(2)), Err(error));
    assert_eq!(of(&content, &[]), Err(ExportError::Signature));
    assert!(matches!(of(&content, &[7]), Err(ExportError::Protobuf { .. })));
}

/// `openssl ecparam -genkey` writes the name of the curve first.
#[test]
fn a_key_behind_the_name_of_its_curve_is_read() {
    let curve = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let sec1 = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    let sec1 = sec1.to_sec1_pem(p256::pkcs8::LineEnding::LF).unwrap();
    let public = ExportSigningKey::from_bytes(&[9; 32], "1", "1").unwrap().public();
    for pem in [sec1.to_string(), [curve, &sec1].concat()] {
        assert_eq!(ExportSigningKey::from_pem(&pem, "1", "1").unwrap().public(), public);
    }
    let error = ExportSigningKey::from_pem(curve, "1", "1").map(|_| ());
    assert_eq!(error, Err(ExportError::NotAKey));
}

#[test]
fn one_of_several_signatures_is_enough() {
    let new = ExportSigningKey::from_bytes(&[9; 32], "some_id", "2").unwrap();
    let zip = sample().to_zip(&[new.clone(), signer()]).unwrap();
    for key in [new.public(), signer().public()] {
        assert_eq!(Export::from_zip(&zip, &key), Ok(sample()));
    }
    let eleven = vec![new; 11];
    let error = ExportError::TooMany { what: "signatures", max: 10, got: 11 };
    assert_eq!(sample().to_zip(&eleven), Err(error));
    assert_eq!(sample().to_zip(&[]), Err(ExportError::NoSigningKey));
    for (id, version) in [("", "1"), ("1", ""), ("a b", "1"), ("1", "v-1"), (&*"x".repeat(65), "1")]
    {
        let key = ExportSigningKey::from_bytes(&[9; 32], id, version);
        assert_eq!(key.map(|_| ()), Err(ExportError::KeyName));
    }
    let zero = ExportSigningKey::from_bytes(&[0; 32], "1", "1");
    assert_eq!(zero.map(|_| ()), Err(ExportError::NotAKey));
    assert_eq!(format!("{:?}", signer()), "ExportSigningKey(some_id 1)");
}

fn zip(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn bombs_and_other_archives_are_refused() {
    let public = signer().public();
    let of = |zip: &[u8]| Export::from_zip(zip, &public).unwrap_err();
    let deflated = CompressionMethod::Deflated;
    // 33 MiB of zeros are 33 kB in the archive.
    let zeros = vec![0; MAX_CONTENT_BYTES + 1];
    let bomb = zip(&[("export.bin", &zeros), ("export.sig", b"")], deflated);
    assert!(bomb.len() < 50_000);
    assert_eq!(of(&bomb), ExportError::TooLong { part: "export.bin", max: MAX_CONTENT_BYTES });
    let bomb = zip(&[("export.bin", b""), ("export.sig", &zeros)], deflated);
    assert_eq!(of(&bomb), ExportError::TooLong { part: "export.sig", max: 16_384 });
    // A header that declares little does not help.
    let mut liar = zip(&[("export.bin", b""), ("export.sig", &zeros)], deflated);
    let length = (zeros.len() as u32).to_le_bytes();
    for at in 0..liar.len() - 4 {
        if liar[at..at + 4] == length {
            liar[at..at + 4].copy_from_slice(&5u32.to_le_bytes());
        }
    }
    assert!(matches!(of(&liar), ExportError::TooLong { .. } | ExportError::Archive(_)));
    assert!(matches!(of(&zeros), ExportError::Archive(_)));
    let long = vec![0; MAX_CONTENT_BYTES + MAX_CONTENT_BYTES / 256 + 1];
    assert!(matches!(of(&long), ExportError::TooLong { part: "the archive", .. }));
    let three = [("export.bin", &b""[..]), ("export.sig", b""), ("more", b"")];
    assert_eq!(of(&zip(&three, deflated)), ExportError::Files { got: 3 });
    assert_eq!(of(&zip(&three[..1], deflated)), ExportError::Files { got: 1 });
    let named = [("export.bin", &b""[..]), ("export.txt", b"")];
    assert!(matches!(of(&zip(&named, deflated)), ExportError::Archive(_)));
    assert!(matches!(of(&SAMPLE[..SAMPLE.len() - 1]), ExportError::Archive(_)));
    // What is stored as it is can be read too.
    let Files { content, signatures } = Files::unpack(SAMPLE).unwrap();
    let files = [("export.bin", content.as_slice()), ("export.sig", &signatures)];
    assert_eq!(Export::from_zip(&zip(&files, CompressionMethod::Stored), &public), Ok(sample()));
}

/// A directory of files, one header each: a name, and bytes of an extra field.
fn directory(files: &[(&str, usize)]) -> Vec<u8> {
    let header = |(name, extra): &(&str, usize)| {
        let mut header = [&b"PK\x01\x02\x14\0\x14\0"[..], &[0; 38]].concat();
        header[28] = name.len() as u8;
        header[30..32].copy_from_slice(&(*extra as u16).to_le_bytes());
        [&header, name.as_bytes(), &vec![0; *extra]].concat()
    };
    files.iter().flat_map(header).collect()
}

/// The end of an archive whose directory, which comes before, has this length and place.
fn end(files: u16, size: u32, offset: u32) -> Vec<u8> {
    let files = files.to_le_bytes();
    let (size, offset) = (size.to_le_bytes(), offset.to_le_bytes());
    [&b"PK\x05\x06\0\0\0\0"[..], &files, &files, &size, &offset, &[0, 0]].concat()
}

#[test]
fn a_large_directory_is_refused_before_it_is_read() {
    let of = |files: &[(&str, usize)]| {
        let directory = directory(files);
        let end = end(files.len() as u16, directory.len() as u32, 0);
        Files::unpack(&[directory, end].concat()).map(|_| ()).unwrap_err()
    };
    assert_eq!(of(&[("a", 65_000); 512]), ExportError::Files { got: 512 });
    let place = "its directory is too long or in the wrong place".to_string();
    let too_long = [("export.bin", 4096 - 2 * 56 + 1), ("export.sig", 0)];
    assert_eq!(of(&too_long), ExportError::Archive(place));
    let longest = [("export.bin", 4096 - 2 * 56), ("export.sig", 0)];
    assert!(matches!(of(&longest), ExportError::Archive(what) if !what.contains("directory")));
    // Zip64 counts its files elsewhere, and says so here.
    let directory = directory(&[("a", 0); 1000]);
    let (size, at) = (directory.len() as u64, [0; 8]);
    let (version, count) = ([45, 0, 45, 0], 1000u64.to_le_bytes());
    let (disks, length) = ([0; 8], 44u64.to_le_bytes());
    let record = [&b"PK\x06\x06"[..], &length, &version, &disks, &count, &count];
    let record = [&record.concat()[..], &size.to_le_bytes(), &at].concat();
    let locator = [&b"PK\x06\x07\0\0\0\0"[..], &size.to_le_bytes(), &[1, 0, 0, 0]].concat();
    let zip64 = [directory, record, locator, end(u16::MAX, u32::MAX, u32::MAX)].concat();
    let error = Files::unpack(&zip64).map(|_| ()).unwrap_err();
    assert_eq!(error, ExportError::Files { got: 65_535 });
}

#[test]
fn an_archive_is_two_files_and_nothing_else() {
    let deflated = CompressionMethod::Deflated;
    let is_refused = |zip: &[u8]| {
        matches!(Files::unpack(zip), Err(ExportError::Archive(_) | ExportError::Files { .. }))
    };
    let two = zip(&[("export.bin", b"1"), ("export.sig", b"2")], deflated);
    assert!(!is_refused(&two));
    // A library that counts names finds two.
    let mut three =
        zip(&[("export.bin", b"1"), ("export.bim", b"2"), ("export.sig", b"3")], deflated);
    while let Some(at) = three.windows(10).position(|name| name == b"export.bim") {
        three[at + 9] = b'n';
    }
    assert_eq!(Files::unpack(&three).map(|_| ()), Err(ExportError::Files { got: 3 }));
    // Nor does it help to count too few.
    let end = three.len() - 22;
    three[end + 8] = 2;
    three[end + 10] = 2;
    assert!(is_refused(&three));
    // Bytes in front, whether or not the directory counts them.
    assert!(is_refused(&[b"x", &two[..]].concat()));
    let mut counted = [b"x", &two[..]].concat();
    let end = counted.len() - 22;
    counted[end + 16] += 1;
    for at in (0..end).rev().filter(|at| two[*at..].starts_with(b"PK\x01\x02")) {
        counted[at + 1 + 42] += 1;
    }
    assert!(is_refused(&counted));
    // Bytes behind, as a comment or not.
    assert!(is_refused(&[&two[..], b"x"].concat()));
    let mut commented = [&two[..], b"x"].concat();
    commented[two.len() - 2] = 1;
    assert!(is_refused(&commented));
}

/// Content of a message that is changed before it is written.
fn content(change: impl Fn(&mut KeyExport)) -> Vec<u8> {
    let content = sample().to_bin(Vec::new()).unwrap();
    let mut message = KeyExport::decode(&content[16..]).unwrap();
    change(&mut message);
    [&content[..16], &message.encode_to_vec()].concat()
}

#[test]
fn fields_out_of_bounds_are_refused() {
    let of = |change: &dyn Fn(&mut KeyExport)| Export::from_bin(&content(change));
    let field = |field, got| Err(ExportError::Field { field, got });
    assert_eq!(of(&|_| {}), Ok(sample()));
    assert_eq!(of(&|m| m.start_timestamp = None), field("start_timestamp", None));
    assert_eq!(of(&|m| m.end_timestamp = None), field("end_timestamp", None));
    assert_eq!(of(&|m| m.batch_num = Some(2)), field("batch_num", Some(2)));
    assert_eq!(of(&|m| m.batch_num = Some(0)), field("batch_num", Some(0)));
    assert_eq!(of(&|m| m.batch_size = Some(-1)), field("batch_size", Some(-1)));
    assert_eq!(of(&|m| m.batch_size = None), field("batch_size", None));
    let start = "rolling_start_interval_number";
    assert_eq!(of(&|m| m.keys[0].rolling_start = None), field(start, None));
    assert_eq!(of(&|m| m.keys[0].rolling_start = Some(-5)), field(start, Some(-5)));
    for got in [0, 145, -1] {
        let error = field("rolling_period", Some(got));
        assert_eq!(of(&|m| m.keys[1].rolling_period = Some(got as i32)), error);
    }
    assert_eq!(of(&|m| m.keys[1].report_type = Some(6)), field("report_type", Some(6)));
    let risk = field("transmission_risk_level", Some(9));
    assert_eq!(of(&|m| m.keys[1].transmission_risk = Some(9)), risk);
    assert_eq!(of(&|m| m.keys[1].variant = Some(5)), field("variant_of_concern", Some(5)));
    for got in [0, 15, 17] {
        let error = Err(ExportError::KeyLength { got });
        assert_eq!(of(&|m| m.keys[0].data = Some(vec![1; got])), error);
    }
    assert_eq!(of(&|m| m.keys[0].data = None), Err(ExportError::KeyLength { got: 0 }));
    // A period that is not there is a day.
    let day = of(&|m| m.keys[0].rolling_period = None).unwrap();
    assert_eq!(day.keys[0].key.rolling_period(), 144);
    assert_eq!(Export::from_bin(b"EK Export v2    "), Err(ExportError::Header));
    assert_eq!(Export::from_bin(b""), Err(ExportError::Header));
}

#[test]
fn too_many_keys_are_refused_before_they_are_decoded() {
    let header = &content(|_| {})[..16];
    let of = |field: u8, count: usize| [header, &[field << 3 | 2, 0].repeat(count)].concat();
    let keys = |got| Err(ExportError::TooMany { what: "keys", max: MAX_KEYS, got });
    assert_eq!(Export::from_bin(&of(7, MAX_KEYS + 1)), keys(MAX_KEYS + 1));
    let both = [of(7, MAX_KEYS / 2), of(8, MAX_KEYS)[16..].to_vec()].concat();
    assert_eq!(Export::from_bin(&both), keys(MAX_KEYS / 2 + MAX_KEYS));
    let infos = ExportError::TooMany { what: "signatures", max: 10, got: 11 };
    assert_eq!(Export::from_bin(&of(6, 11)), Err(infos.clone()));
    // A negative number, which takes ten bytes, does not end the counting.
    let negative = [header, b"\x20", &[0xff; 9], b"\x01", &of(7, MAX_KEYS + 1)[16..]].concat();
    assert_eq!(Export::from_bin(&negative), keys(MAX_KEYS + 1));
    // Nor does a group, or anything else that cannot be skipped: it is refused.
    for unknown in [&b"\x7b\x7c"[..], b"\x7c", b"\x06", &[0xff; 11]] {
        let hidden = [header, unknown, &of(7, MAX_KEYS + 1)[16..]].concat();
        let error = Export::from_bin(&hidden).unwrap_err();
        assert!(matches!(error, ExportError::Protobuf { part: "export.bin", .. }), "{error}");
        let hidden = [unknown, &[1 << 3 | 2, 0].repeat(11)].concat();
        let error = SignatureList::read(&hidden).unwrap_err();
        assert!(matches!(error, ExportError::Protobuf { part: "export.sig", .. }), "{error}");
    }
    let signatures =
        |count| Files { content: content(|_| {}), signatures: [1 << 3 | 2, 0].repeat(count) };
    let of = |count| Export::from_zip(&signatures(count).pack(), &signer().public());
    assert_eq!((of(10), of(11)), (Err(ExportError::Signature), Err(infos)));
    let key = key([1; 16], 5, 144, 1);
    let export = Export { keys: vec![key; MAX_KEYS + 1], ..sample() };
    assert_eq!(
        export.to_zip(&[signer()]),
        Err(ExportError::TooMany { what: "keys", max: MAX_KEYS, got: MAX_KEYS + 1 })
    );
}

fn any_key() -> impl Strategy<Value = ExportKey> {
    let types = [None, Some(ReportType::ConfirmedTest), Some(ReportType::Revoked)];
    let rest = (proptest::option::of(0u8..=8), 0..types.len(), any::<Option<i32>>());
    (any::<[u8; 16]>(), 0..1u32 << 31, 1u32..=144, rest, proptest::option::of(0u8..=4)).prop_map(
        move |(data, start, period, (risk, report_type, days_since_onset), variant)| ExportKey {
            key: ExposureKey::new(data, start, period).unwrap(),
            transmission_risk: risk,
            report_type: types[report_type],
            days_since_onset,
            variant,
        },
    )
}

proptest! {
    #[test]
    fn exports_round_trip(
        (start, end) in any::<(u64, u64)>(),
        region in "\\PC{0,8}",
        batch in 1u32..9,
        more in 0u32..9,
        mut keys in proptest::collection::vec(any_key(), 0..20),
        mut revised_keys in proptest::collection::vec(any_key(), 0..5),
    ) {
        let order = |key: &ExportKey| (key.key.to_bytes(), key.key.rolling_start());
        let export = Export { start, end, region, batch, batches: batch + more, keys: keys.clone(), revised_keys: revised_keys.clone() };
        let zip = export.to_zip(&[signer()]).unwrap();
        keys.sort_by_key(order);
        revised_keys.sort_by_key(order);
        prop_assert_eq!(Export::from_zip(&zip, &signer().public()), Ok(Export { keys, revised_keys, ..export.clone() }));
        prop_assert_eq!(export.to_zip(&[signer()]), Ok(zip));
    }

    #[test]
    fn any_bytes_behind_the_header_are_no_panic(bytes: Vec<u8>) {
        let _ = Export::from_bin(&[b"EK Export v1    ", bytes.as_slice()].concat());
        let _ = Export::from_zip(&bytes, &signer().public());
    }
}

#[test]
fn a_key_takes_19_bytes() {
    let bytes = |at: u32| Digest::of(&at.to_le_bytes()).0[..16].try_into().unwrap();
    let keys: Vec<ExportKey> = (0..2000).map(|at| key(bytes(at), 2_649_888, 144, 3)).collect();
    let export = Export { keys, ..sample() };
    let zip = export.to_zip(&[signer()]).unwrap();
    assert!(zip.len() < 2000 * 20, "{}", zip.len());
}

/// A published file is named by its SHA-256, and computed again from the log by later releases.
#[test]
fn the_bytes_of_an_archive_never_change() {
    let keys = (0..100).map(|byte| ExposureKey::new([byte; 16], 2_649_888, 144).unwrap().into());
    let export = Export { keys: keys.collect(), ..sample() };
    let zip = export.to_zip(&[signer()]).unwrap();
    let sha256 = Digest::of(&zip).to_string();
    assert_eq!(sha256, "6b7100738c17c3ca5cebd48730e478bc2cd62dc9a7b3b8f41b827d46bf9a764d");
}
