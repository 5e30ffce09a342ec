//! Export files (`export.zip`): the keys that the systems of Apple and Google take.
//!
//! A file is a zip archive of `export.bin`, 16 bytes that name the format and a protobuf message
//! with the keys, and `export.sig`, ECDSA P-256 signatures of all of `export.bin`. It needs the
//! feature `gaen-export`, and `std` with it.
//!
//! ```
//! use gcs_core::identifiers::gaen::ExposureKey;
//! use gcs_core::identifiers::gaen::export::{Export, ExportKey, ExportSigningKey, ReportType};
//!
//! let signing_key = ExportSigningKey::from_bytes(&[7; 32], "310", "v1")?;
//! let export = Export {
//!     start: 1_590_159_600,
//!     end: 1_590_246_000,
//!     region: "US".to_string(),
//!     batch: 1,
//!     batches: 1,
//!     keys: vec![ExportKey {
//!         report_type: Some(ReportType::ConfirmedTest),
//!         ..ExportKey::from(ExposureKey::new([9; 16], 2_649_888, 144)?)
//!     }],
//!     revised_keys: Vec::new(),
//! };
//! let zip = export.to_zip(&[signing_key.clone()])?;
//! assert_eq!(Export::from_zip(&zip, &signing_key.public())?, export);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every byte of the archive follows from the export and the signing keys alone, whatever the release of
//! this library.
//!
//! Few keys in a file tell who sent them together: the reference server adds made-up keys up to
//! 1000. This module does not, since only the publisher can make them look like patients.
//!
//! Source: the export file format of google/exposure-notifications-server (`export.proto`).

mod archive;
mod content;
mod deflate;
mod directory;
mod error;
mod proto;
mod signing;

pub use self::content::Export;
pub use self::error::ExportError;
pub use self::signing::{ExportPublicKey, ExportSigningKey};
pub use super::{ExportKey, ReportType};

/// Most keys of a file, revised ones included.
pub const MAX_KEYS: usize = 500_000;

/// Most signatures of a file; phones do not look at more.
pub const MAX_SIGNATURES: usize = 10;

/// Most bytes of `export.bin`: enough for [`MAX_KEYS`].
pub const MAX_CONTENT_BYTES: usize = 32 << 20;

#[cfg(test)]
mod tests;
