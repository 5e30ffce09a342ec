//! Lists of exports, and publishers that export.

use gcs_core::Date;
use gcs_core::files::{ExportList, MAX_EXPORTS, Path};
use gcs_core::identifiers::gaen::export::{Export, ExportSigningKey};
use gcs_core::identifiers::gaen::{ExportKey, ExposureKey};
use gcs_core::publish::{Day, ExportSettings, Publication, Publisher, PublisherSettings};
use gcs_core::seeds::{SeedDay, SeedList};

use crate::history::keys;
use crate::naive::{class, exports};
use crate::world::date;

/// The input is a list of exports: it is read if and only if the naive reader reads it, to the same
/// files, and written as the same bytes.
pub fn export_list(data: &[u8]) {
    let (parsed, naive) = (ExportList::parse(data), exports::list(data));
    assert_eq!(class(&parsed), naive.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(list), Ok(naive)) = (parsed, naive) else { return };
    assert_eq!(list.to_bytes(), data);
    assert!(list.files.len() <= MAX_EXPORTS);
    let files = list.files.iter().map(|(date, sha256)| (date.days(), sha256.0));
    assert_eq!(files.collect::<Vec<_>>(), naive);
    assert!(list.paths().all(|path| matches!(path, Path::Export { .. })));
}

fn signing_key() -> ExportSigningKey {
    ExportSigningKey::from_bytes(&[9; 32], "310", "v1").expect("a key")
}

/// A publisher that exports keys of two dates at its next publication.
pub(crate) fn exporting(publisher: &Publisher, secrets: std::ops::Range<u8>) -> Publisher {
    let list = |at: u64| {
        let start = (date(at).start() / 600) as u32;
        let key = |byte| ExportKey::from(ExposureKey::new([byte; 16], start, 144).expect("a key"));
        SeedDay::new(date(at), SeedList::build(secrets.clone().map(key)).expect("a list"))
    };
    let settings =
        ExportSettings { region: "US".to_string(), interval: 900, keys: vec![signing_key()] };
    publisher.with_exports(settings, vec![list(0), list(1)])
}

/// An export file that was just published has new keys of its date alone. What it revokes was saved.
pub(crate) fn expect_export(zip: &[u8], of: Date) {
    let export = Export::from_zip(zip, &signing_key().public()).expect("an export file");
    assert!(export.keys.len() + export.revised_keys.len() > 0);
    for key in &export.keys {
        assert_eq!(Date::of_time(u64::from(key.key.rolling_start()) * 600), of);
    }
}

/// Two publications with exports.
fn publications() -> [Publication; 2] {
    let days = [0, 1].map(|at| Day { date: date(at), elements: vec![[at as u8; 16]] });
    let publish = |publisher: &Publisher, secrets, now| {
        let ready = exporting(publisher, secrets);
        ready.publish_next(now, &days, &keys()).expect("a publication")
    };
    let now = date(1).entry();
    let first = publish(&Publisher::new(PublisherSettings::default(), 1), 1..3, now);
    let second = publish(&first.publisher, 2..4, now + 900);
    [first, second]
}

/// Seeds of the targets.
pub(crate) mod seeds {
    use super::{Publication, Publisher, publications};

    pub(crate) fn lists() -> Vec<Vec<u8>> {
        let list = |publication: Publication| publication.publisher.exports().expect("exports");
        let lists = publications().map(|publication| list(publication).to_bytes());
        lists.into_iter().chain([Vec::new()]).collect()
    }

    pub(crate) fn paths() -> Vec<Vec<u8>> {
        let [first, _] = publications();
        let paths = first.publisher.live_files().map(|path| path.to_string().into_bytes());
        paths.filter(|path| path.starts_with(b"/v1/exports/")).collect()
    }

    /// One that has published, and one whose publications were left out.
    pub(crate) fn publishers() -> [Publisher; 2] {
        let [first, second] = publications();
        let days = [super::Day { date: super::date(0), elements: vec![[1; 16]] }];
        let ready = super::exporting(&first.publisher, 5..6);
        let now = first.manifest.issued + 900;
        let skipped = ready.skip(2, now, &days, &super::keys().derivation).expect("a publisher");
        [second.publisher, skipped]
    }
}
