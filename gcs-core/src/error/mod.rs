//! Every error of the library: one type per operation, each saying what was expected
//! and what came.

mod ends;
mod format;
mod manifest;
mod set;

pub use ends::{ExactError, PublishError, SyncError};
pub use format::{DateError, DigestError, ParamsError, ParseError, PathError};
pub use manifest::ManifestError;
pub use set::{BuildError, BundleError, DeltaError};
