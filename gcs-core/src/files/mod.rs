//! The files of a publication, as they are served.
//!
//! All but the manifest and the files of exports is little-endian binary: a magic of six bytes, a version, then
//! fixed fields. FORMAT.md is normative. Sets and deltas are files too, which can be used
//! alone: [`Set`](crate::Set), [`Delta`](crate::Delta).
//!
//! | type | served at |
//! |---|---|
//! | [`Manifest`], with a [`SignedKeyList`] in it | `/v1/manifest`, `/v1/manifests/{series}-{tick}` |
//! | [`PublicationIndex`], with a [`Table`] in it | `/v1/index/{sha256}` |
//! | [`Bundle`] | `/v1/bundles/{span}/{series}-{to}` |
//! | [`CheckRecord`] | a part of `/v1/checks/{date}/{root}` |
//! | [`ExportList`] | `/v1/exports/{sha256}`, `/v1/exports/index.txt` |
//! | [`SeedIndex`], with a [`SeedTable`] in it; [`SeedBundle`]; [`SeedList`](crate::seeds::SeedList) | `/v1/seeds/{sha256}` |

mod bundle;
mod cache;
mod checks;
mod dsse;
mod error;
mod export_list;
mod index;
mod json;
mod key_list;
mod manifest;
mod path;
mod seed_bundle;
mod seed_table;
mod table;

pub use self::bundle::Bundle;
pub use self::cache::Cache;
pub use self::checks::{CheckRecord, Verdict};
pub use self::error::{BundleError, ExportListError, ManifestError, PathError};
pub use self::export_list::{ExportList, MAX_EXPORTS};
pub use self::index::{BundleEntry, KEPT_TICKS, PublicationIndex, SPANS};
pub use self::key_list::{KeyList, MAX_KEYS, SignedKeyList};
pub use self::manifest::{FORMAT, FileHash, MAX_MANIFEST_BYTES, Manifest, SeedFiles};
pub use self::path::Path;
pub use self::seed_bundle::{SeedBundle, SeedFile};
pub use self::seed_table::{MAX_SEED_LISTS, SeedIndex, SeedRow, SeedTable};
pub use self::table::{MAX_DATES, RecordShape, Row, Table};

pub(crate) use self::bundle::{BundleSide, write as write_bundle};
pub(crate) use self::checks::{CheckFile, HashedElement, most_extras};
pub(crate) use self::seed_bundle::{SeedSide, write as write_seed_bundle};
