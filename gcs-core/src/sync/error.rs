//! The errors of bringing a client up to date.

use alloc::string::String;

use thiserror::Error;

use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{BundleError, ManifestError};
use crate::version::Version;

/// Why a client could not be brought up to date. It keeps what it had before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The driver could not fetch a file.
    #[error("{path}: {message}")]
    Network {
        /// Its path.
        path: String,
        /// What the driver says.
        message: String,
    },
    /// The driver could not read, write or delete a file of the client's folder.
    #[error("own file {name}: {message}")]
    Storage {
        /// Its name.
        name: String,
        /// What the driver says.
        message: String,
    },
    /// A file that a manifest names is not there.
    #[error("{path}: no such file")]
    Missing {
        /// Its path.
        path: String,
    },
    /// A file is not what it should be.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// A bundle cannot be applied.
    #[error("{path}: {error}")]
    Bundle {
        /// Its path.
        path: String,
        /// What is wrong with it.
        error: BundleError,
    },
    /// The manifest cannot be trusted.
    #[error("manifest: {0}")]
    Manifest(ManifestError),
    /// The manifest is older than one seen before.
    #[error("manifest {got} is older than {seen}, which was seen before")]
    RolledBack {
        /// Newest version seen.
        seen: Version,
        /// Version of this manifest.
        got: Version,
    },
    /// Two manifests of one version differ: the publisher says different things to
    /// different clients.
    #[error("manifest {version} has state {got}, but was seen with state {seen}")]
    Equivocation {
        /// The version of both.
        version: Version,
        /// State seen before.
        seen: Digest,
        /// State of this manifest.
        got: Digest,
    },
}

impl From<ManifestError> for SyncError {
    fn from(error: ManifestError) -> SyncError {
        SyncError::Manifest(error)
    }
}
