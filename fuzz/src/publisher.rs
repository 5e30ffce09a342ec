//! The saved state of a publisher.

use std::collections::BTreeMap;

use gcs_core::Digest;
use gcs_core::files::{Bundle, ExportList, Manifest, Path, PublicationIndex};
use gcs_core::publish::{Day, Publisher};

use crate::export_lists::{expect_export, exporting};
use crate::history::{keys, root};
use crate::naive::sealed;
use crate::world::{date, element};

/// The input is a saved publisher without its trailer, which is appended. A publisher that can be
/// read is the same after it is written and read again. It makes a publication that clients can
/// read, or gives an error.
pub fn publisher(data: &[u8]) {
    let Ok(publisher) = Publisher::from_bytes(&sealed(data)) else { return };
    let bytes = publisher.to_bytes();
    let again = Publisher::from_bytes(&bytes).expect("what a publisher wrote");
    assert_eq!(again.to_bytes(), bytes);
    let knows = |publisher: &Publisher| (publisher.series(), publisher.last_tick());
    assert_eq!(knows(&again), knows(&publisher));
    assert_eq!(again.table(), publisher.table());

    let number = publisher.last_tick().map_or(24, |last| last.saturating_add(1));
    let days = [1, 0].map(|at| Day { date: date(at), elements: (at..5).map(element).collect() });
    let exporting = exporting(&publisher, 0..3);
    for (publisher, now) in [
        (&publisher, date(10).start()),
        (&publisher, u64::MAX),
        (&exporting, date(10).start()),
        (&exporting, u64::MAX),
    ] {
        let Ok(publication) = publisher.publish(number, now, &days, &keys()) else {
            continue;
        };
        let mut files: BTreeMap<Path, Vec<u8>> = BTreeMap::new();
        files.extend(publication.files.into_iter().map(|file| (file.path, file.bytes)));
        let verified = Manifest::verify(&files[&Path::Manifest], &root(), now, 0);
        assert_eq!(verified.map(|(manifest, _)| manifest), Ok(publication.manifest.clone()));
        // Files that were made before this publication may have been saved with it, whatever they are.
        let saved = publisher.exports().unwrap_or_default();
        let is_made = |of: &Digest| !saved.files.iter().any(|(_, sha256)| sha256 == of);
        assert!(publication.delete.iter().all(|path| !files.contains_key(path)));
        for (path, bytes) in &files {
            match path {
                Path::Index(_) => {
                    let index = PublicationIndex::parse(bytes).expect("an index");
                    assert_eq!(index.table.state(), publication.manifest.state);
                }
                Path::Bundle { span, series, to } => {
                    let bundle = Bundle::parse(bytes).expect("a bundle");
                    let place = (bundle.span(), bundle.series(), bundle.to());
                    assert_eq!(place, (*span, *series, *to));
                    assert_eq!(bundle.after(), publication.manifest.state);
                }
                Path::Export { date, sha256 } if is_made(sha256) => expect_export(bytes, *date),
                Path::ExportList(_) | Path::ExportIndex => {
                    let list = ExportList::parse(bytes).expect("a list of exports");
                    assert_eq!(publication.publisher.exports().unwrap_or_default(), list);
                }
                _ => {}
            }
        }
    }
}
