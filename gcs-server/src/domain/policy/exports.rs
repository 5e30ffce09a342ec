//! The settings of export files.

use gcs_core::publish::ExportSettings;
use serde::{Deserialize, Serialize};

use super::PolicyError;

/// How export files are published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportPolicy {
    /// Where the keys come from, as agreed with Apple and Google: 1 to 32 letters, digits, `-` or `_`.
    pub region: String,
    /// Seconds from one time of export files to the next; 3600 to 86400. Of a day of keys there is at most one
    /// file for each time.
    pub interval: u64,
    /// The id under which Apple and Google know the key that signs the files, mostly the country's number for
    /// telephones (MCC): 1 to 64 letters, digits or `_`.
    pub key_id: String,
    /// The version of that key: 1 to 64 letters, digits or `_`. Another version is another key.
    pub key_version: String,
}

impl Default for ExportPolicy {
    /// Every four hours, with the first key. `region` and `key_id` have no default.
    fn default() -> ExportPolicy {
        let (region, key_id) = (String::new(), String::new());
        ExportPolicy {
            region,
            interval: ExportSettings::DEFAULT_INTERVAL,
            key_id,
            key_version: "v1".to_owned(),
        }
    }
}

impl ExportPolicy {
    /// Whether every setting is within its bounds.
    pub(super) fn validate(&self) -> Result<(), PolicyError> {
        let length = |text: &str| text.len() as u64;
        let wrong = |text: &str, others: &[u8]| {
            let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || others.contains(byte);
            text.bytes().filter(|byte| !is_legal(byte)).count() as u64
        };
        let ExportPolicy { region, interval, key_id, key_version } = self;
        let bounds: [(&'static str, u64, u64, u64); 7] = [
            ("exports.region (its length)", length(region), 1, 32),
            (
                "exports.region (characters but letters, digits, - and _)",
                wrong(region, b"-_"),
                0,
                0,
            ),
            ("exports.interval", *interval, 3600, 86_400),
            ("exports.key_id (its length)", length(key_id), 1, 64),
            ("exports.key_id (characters but letters, digits and _)", wrong(key_id, b"_"), 0, 0),
            ("exports.key_version (its length)", length(key_version), 1, 64),
            (
                "exports.key_version (characters but letters, digits and _)",
                wrong(key_version, b"_"),
                0,
                0,
            ),
        ];
        let found = bounds.into_iter().find(|(_, got, least, most)| !(least..=most).contains(&got));
        found.map_or(Ok(()), |(setting, got, least, most)| {
            Err(PolicyError { setting, least, most, got })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;

    #[test]
    fn bounds_are_named() {
        let default = ExportPolicy::default();
        let fine = ExportPolicy { region: "US-CA".into(), key_id: "310".into(), ..default };
        let said = |exports: ExportPolicy| {
            let policy = Policy { exports: Some(exports), ..Policy::default() };
            policy.validate().map_err(|error| error.to_string())
        };
        assert_eq!(said(fine.clone()), Ok(()));
        let wrong = |change: fn(&mut ExportPolicy)| {
            let mut exports = fine.clone();
            change(&mut exports);
            said(exports).unwrap_err()
        };
        assert_eq!(
            wrong(|exports| exports.interval = 3599),
            "exports.interval is 3599; it must be 3600 to 86400"
        );
        assert!(wrong(|exports| exports.interval = 86_401).starts_with("exports.interval is"));
        assert_eq!(
            wrong(|exports| exports.region = String::new()),
            "exports.region (its length) is 0; it must be 1 to 32"
        );
        let region = wrong(|exports| exports.region = "a/ b".into());
        assert!(region.ends_with("is 2; it must be 0 to 0"), "{region}");
        for text in ["", "v-1", "\u{e9}"] {
            let mut exports = fine.clone();
            exports.key_id = text.into();
            assert!(said(exports).unwrap_err().starts_with("exports.key_id"), "{text}");
            let mut exports = fine.clone();
            exports.key_version = text.into();
            assert!(said(exports).unwrap_err().starts_with("exports.key_version"), "{text}");
        }
        assert!(wrong(|exports| exports.key_version = "v".repeat(65)).contains("is 65"));
    }

    /// Names that the settings allow are names that a key may have.
    #[test]
    fn names_are_those_that_keys_have() {
        use gcs_core::identifiers::gaen::export::ExportSigningKey;

        let names = ["", "v1", "310", "a_b", "v-1", "v.1", " ", "\u{e9}"].map(str::to_owned);
        for name in names.into_iter().chain([64, 65].map(|length| "x".repeat(length))) {
            let exports = ExportPolicy {
                region: "US".into(),
                key_id: name.clone(),
                key_version: name.clone(),
                ..ExportPolicy::default()
            };
            let key = ExportSigningKey::from_bytes(&[1; 32], &name, &name);
            assert_eq!(exports.validate().is_ok(), key.is_ok(), "{name}");
        }
    }
}
