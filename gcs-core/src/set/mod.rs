//! Golomb-coded sets: build, parse, list, match, combine, and what changed between two of them.
//!
//! This module needs nothing of this crate but bytes and digests. A program that wants only
//! sets builds without signatures and JSON when it sets `default-features = false`.
//!
//! # The idea
//!
//! Every element is hashed to a number below F, its *fingerprint*. N such numbers, sorted, have
//! gaps of F/N on average, and gaps of random numbers have a distribution for which Golomb and
//! Rice found the best code: a quotient in unary and P bits of remainder. So a set takes about
//! log2(F/N) + 1.47 bits an element, whatever the elements are. An element that was never added has
//! the fingerprint of one that was with a chance of N/F: that is the false-positive rate. An
//! element that was added is always found.
//!
//! F stays the same for the life of a set. So fingerprints stay too, and two versions of a set
//! differ only where their elements do: a [`Delta`] costs what changed. Salt, F and elements
//! determine every byte of the file, so equal sets are equal files, whoever made them.
//!
//! # How to choose F
//!
//! [`HashRange::for_expected`] takes the number of elements that you expect and the rate, and
//! gives F = 1.497 · N · 2^r. Then P = r, the size is within 0.03 bit of the least possible for
//! sets that can be listed, and the rate stays below 2^-r until there are 1.497 times as many
//! elements. At other sizes the file is still right, and at most 0.14 bit larger.
//!
//! | `rate_bits` | false positives | bits an element | a million elements | false positives in 10,000 queries |
//! |---|---|---|---|---|
//! | 8 | 1 in 383 | 10.1 | 1.3 MB | 26 |
//! | 12 | 1 in 6,132 | 14.1 | 1.8 MB | 1.6 |
//! | 16 | 1 in 98,116 | 18.1 | 2.3 MB | 0.1 |
//! | 20 | 1 in 1.6 million | 22.1 | 2.8 MB | 0.006 |
//! | 24 | 1 in 25 million | 26.1 | 3.3 MB | 0.0004 |
//! | 32 | 1 in 6.4 billion | 34.1 | 4.3 MB | 0.000002 |
//!
//! Each bit more halves the rate and costs one bit an element. What a false positive costs is
//! yours to say: a second look at a database, or a false alarm for a person. Where it must not
//! happen, take the rate so low that it does not, or look up what the set says *possible* to.
//! The rate is that of the set's size now: plan for the size that it will have.
//!
//! # What calls cost
//!
//! | call | time | memory besides the result |
//! |---|---|---|
//! | [`Set::build`], [`SetBuilder`] | O(n) | 16 bytes an element |
//! | [`Set::from_ascending`] | O(n) | none |
//! | [`Set::parse`] | O(bytes) | none |
//! | [`IndexedSet::parse`], [`Set::index`] | O(n) | the index, in memory: 11 bits an element |
//! | [`Set::iter`], a union or difference of k sets | O(n log k) | 6 KiB a set |
//! | [`Set::contains`], [`Set::rank_of`] | O(n) | none |
//! | [`IndexedSet::contains`], [`IndexedSet::rank_of`] | O(1) | none |
//! | [`Set::matches`] of q queries | O(n + q log q) | 16 bytes a query |
//! | [`IndexedSet::matches`] of q queries | O(q), or O(n + q log q) | none, or 16 bytes a query |
//! | [`Delta::between`], [`Delta::apply`] | O(n) | 8 bytes a change |
//!
//! With the feature `std`, `ExternalBuilder`, `SetReader`, `SetSink` and `IndexedFile` do the same
//! with files in a memory that does not depend on n. The index file of an `IndexedFile` takes 1 bit an element
//! on disk; a query reads some 700 bytes.
//!
//! # Limits and quirks
//!
//! - Elements are byte strings of any length. (What the rest of this crate publishes has 16 to 64 bytes.)
//! - At most 2^32 - 1 fingerprints, F below 2^57. A billion elements at one in a hundred million fit.
//! - Elements whose fingerprints collide are one fingerprint: [`Set::len`] counts these. So after a difference an
//!   element of the first set is missing if another's fingerprint in the others is its own: one in F/N.
//! - Nothing can be added to a set: it is bytes. Build the new one, and send a delta.
//! - The salt is public, and SipHash under a known key is no cryptographic hash: whoever can list
//!   all possible elements can test them all, and whoever knows the salt before the set is built can
//!   make elements that collide. Choose it at random, when the elements are known.
//! - A set alone is slow for single queries: it is decoded from its start. Index it.
//! - Fingerprints that are not evenly spread (given, not hashed) are stored, but larger and slower.
//!
//! # When to take something else
//!
//! - **Smaller**: a 256-bit ribbon filter takes 5 % less. It cannot be listed, combined or updated.
//! - **Faster single queries**: a binary fuse filter needs half of the time, and has rates of 2^-8, 2^-16
//!   and 2^-32 only.
//! - **Elements come one by one** (a stream): a Bloom filter takes them, at a quarter to a third more; too many
//!   raise its rate.
//! - **Exact**: a sorted list, or a hash set. Below some 100,000 elements these cost little and are never wrong.
//!
//! `benches/report/REPORT.md` in the repository has them all measured beside this one.
//!
//! # Where it comes from
//!
//! S. W. Golomb, "Run-length encodings", IEEE Trans. Inf. Theory 12(3), 1966; R. F. Rice, "Some
//! practical universal noiseless coding techniques", JPL 79-22, 1979; F. Putze, P. Sanders, J.
//! Singler, "Cache-, hash- and space-efficient Bloom filters", WEA 2007 (Golomb-coded sets); BIP 158,
//! 2017 (the constant 1.497137); J.-P. Aumasson, D. J. Bernstein, "SipHash", 2012.

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
#[cfg(feature = "std")]
mod output;
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
mod spans;
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
pub use self::output::SetOutput;
#[cfg(feature = "std")]
pub use self::read_at::{Mapped, ReadAt};
#[cfg(feature = "std")]
pub use self::reader::{ReadError, SetReader};
pub use self::set::{Iter, Set};
#[cfg(feature = "std")]
pub use self::sink::{SetSink, SinkError};
#[cfg(feature = "std")]
pub use self::streams::{CombinedReader, StreamError};

pub(crate) use self::rice::{CHUNK, Overrun, RiceReader, RiceWriter, Shape, Values};
pub(crate) use self::rice::{append as append_code, expect_padding, validate as validate_code};

#[cfg(feature = "protocol")]
pub(crate) use self::delta::{Body as DeltaBody, append_body as append_delta_body};
#[cfg(feature = "protocol")]
pub(crate) use self::set::file_lengths;
#[cfg(feature = "protocol")]
pub(crate) use self::sort::sort_by;
