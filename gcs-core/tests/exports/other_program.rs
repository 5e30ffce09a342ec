//! Our export files read by other programs: Python's zipfile, Google's protobuf and OpenSSL.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use gcs_core::identifiers::gaen::ExposureKey;
use gcs_core::identifiers::gaen::export::{Export, ExportKey, ExportSigningKey, ReportType};
use serde_json::{Value, json};

/// A Python that has protobuf, as `.ci/python` installs it, or that of the path; `None`, said
/// aloud, where there is none.
pub(crate) fn python() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/protobuf/bin/python");
    let has_protobuf = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", "import google.protobuf"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let python = [ours, PathBuf::from("python3")].into_iter().find(has_protobuf);
    if python.is_none() {
        let must = std::env::var_os("TEST_PROTOBUF").is_some();
        assert!(!must, "TEST_PROTOBUF is set, and there is no Python with protobuf");
        // Not captured, as what the macros print of a test that passes.
        let _heard = writeln!(
            std::io::stderr(),
            "NOT TESTED: export files by another program. To test it: .ci/python protobuf==7.36.2"
        );
    }
    python
}

/// What the other program says of an export.
pub(crate) fn read(python: &Path, zip: &[u8], public: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (zip_file, key_file) = (folder.path().join("export.zip"), folder.path().join("public.pem"));
    fs::write(&zip_file, zip).unwrap();
    fs::write(&key_file, public).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exports/read.py");
    let said = Command::new(python).arg(script).args([&zip_file, &key_file]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}

fn key(data: u8, start: u32, period: u32) -> ExportKey {
    ExportKey::from(ExposureKey::new([data; 16], start, period).unwrap())
}

#[test]
fn another_program_accepts_our_export_file() {
    let Some(python) = python() else { return };
    let signing_keys = [[9; 32], [7; 32]]
        .map(|secret| ExportSigningKey::from_bytes(&secret, "310", "v1").unwrap());
    let revoked = ExportKey { report_type: Some(ReportType::Revoked), ..key(3, 2_649_600, 7) };
    let export = Export {
        start: 1_590_159_600,
        end: 1_590_246_000,
        region: "US".to_string(),
        batch: 1,
        batches: 2,
        keys: vec![
            ExportKey {
                transmission_risk: Some(8),
                report_type: Some(ReportType::ConfirmedTest),
                days_since_onset: Some(-2),
                variant: Some(4),
                ..key(2, 2_649_888, 144)
            },
            key(1, 2_649_980, 1),
        ],
        revised_keys: vec![revoked],
    };
    let zip = export.to_zip(&signing_keys).unwrap();

    let info = json!({
        "verification_key_version": "v1",
        "verification_key_id": "310",
        "signature_algorithm": "1.2.840.10045.4.3.2",
    });
    let signature = json!({"signature_info": info, "batch_num": 1, "batch_size": 2});
    let (one, two, three) =
        ("AQEBAQEBAQEBAQEBAQEBAQ==", "AgICAgICAgICAgICAgICAg==", "AwMDAwMDAwMDAwMDAwMDAw==");
    let expected = |signed: [bool; 2]| {
        json!({
            "files": ["export.bin", "export.sig"],
            "export": {
                "start_timestamp": "1590159600",
                "end_timestamp": "1590246000",
                "region": "US",
                "batch_num": 1,
                "batch_size": 2,
                "signature_infos": [info, info],
                "keys": [
                    {"key_data": one, "rolling_start_interval_number": 2_649_980, "rolling_period": 1},
                    {
                        "key_data": two,
                        "transmission_risk_level": 8,
                        "rolling_start_interval_number": 2_649_888,
                        "rolling_period": 144,
                        "report_type": 1,
                        "days_since_onset_of_symptoms": -2,
                        "variant_of_concern": 4,
                    },
                ],
                "revised_keys": [{
                    "key_data": three,
                    "rolling_start_interval_number": 2_649_600,
                    "rolling_period": 7,
                    "report_type": 5,
                }],
            },
            "signatures": [signature, signature],
            "signed": signed,
        })
    };
    let of = |key: &ExportSigningKey| read(&python, &zip, &key.public().to_pem());
    assert_eq!(of(&signing_keys[0]), expected([true, false]));
    assert_eq!(of(&signing_keys[1]), expected([false, true]));
}
