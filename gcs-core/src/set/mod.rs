//! Golomb-coded sets: build, parse, enumerate, match, and what changed between two of them.
//!
//! This module needs nothing of this crate but bytes and digests. A program that wants only
//! sets builds without signatures and JSON when it sets `default-features = false`.

pub mod algebra;
mod ascending;
mod buckets;
mod builder;
mod changes;
mod delta;
#[cfg(feature = "std")]
mod delta_streams;
mod error;
#[cfg(feature = "std")]
mod external;
mod hash;
mod hash_range;
#[cfg(feature = "std")]
mod index_file;
mod indexed;
#[cfg(feature = "std")]
mod indexed_file;
mod info;
mod matches;
mod merge;
#[cfg(feature = "parallel")]
mod parallel;
#[cfg(all(test, feature = "std"))]
mod pieces;
#[cfg(feature = "std")]
mod read_at;
#[cfg(feature = "std")]
mod reader;
mod rice;
#[expect(clippy::module_inception, reason = "the set itself, among its parts")]
mod set;
#[cfg(feature = "std")]
mod sink;
mod sip;
mod sort;
#[cfg(feature = "std")]
mod streams;

pub use self::builder::SetBuilder;
pub use self::delta::Delta;
#[cfg(feature = "random")]
pub use self::error::RandomError;
pub use self::error::{BuildError, DeltaError, ParamsError, SaltError};
#[cfg(feature = "std")]
pub use self::external::{ExternalBuilder, ExternalError};
pub use self::hash::{ELEMENT_LEN, ElementHasher, Fingerprints, Salt};
pub use self::hash_range::HashRange;
#[cfg(feature = "std")]
pub use self::index_file::{IndexError, write_index};
pub use self::indexed::IndexedSet;
#[cfg(feature = "std")]
pub use self::indexed_file::IndexedFile;
pub use self::info::SetInfo;
pub use self::matches::{Match, Matches, Method};
#[cfg(feature = "std")]
pub use self::read_at::{Mapped, ReadAt};
#[cfg(feature = "std")]
pub use self::reader::{ReadError, SetReader};
pub use self::set::{Iter, Set};
#[cfg(feature = "std")]
pub use self::sink::{SetSink, SinkError};
#[cfg(feature = "std")]
pub use self::streams::{CombinedReader, StreamError};

#[cfg(feature = "protocol")]
pub(crate) use self::delta::{Body as DeltaBody, append_body as append_delta_body};
#[cfg(feature = "protocol")]
pub(crate) use self::set::file_lengths;
#[cfg(feature = "protocol")]
pub(crate) use self::sort::sort_by;
