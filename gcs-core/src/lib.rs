//! Golomb-coded sets of truncated hashes, and both ends of a protocol that publishes them.
//!
//! A service that must tell millions of clients "is this identifier in the set?", without
//! learning who asks, publishes the set itself: small, checkable, quickly updated and
//! correctable. This crate is all of that but the I/O.
//!
//! # Sets
//!
//! An **element** is hashed under the set's public **salt** to a **fingerprint** in the
//! **hash range** `[0, F)`; the sorted fingerprints are stored as Rice-coded gaps, within
//! 0.03 bit of the bound for stored sets at the planned size. A date planned for a rate
//! below 2^-20 takes 22.1 bits an element; a million take 2.8 MB.
//!
//! ```
//! use gcs_core::{Delta, HashRange, Salt, Set};
//!
//! let salt = Salt(*b"16 public bytes.");
//! let hash_range = HashRange::for_expected(1_000, 20)?; // A rate below 2^-20.
//! let monday = Set::build(salt, hash_range, (0..1_000u128).map(u128::to_le_bytes))?;
//! let tuesday = Set::build(salt, hash_range, (100..1_100u128).map(u128::to_le_bytes))?;
//!
//! // Which of these are in it? Positions of the hits, in one pass.
//! let heard = [5u128, 5_000, 999].map(u128::to_le_bytes);
//! let hits: Vec<usize> = monday.matches(&heard).iter().map(|hit| hit.query).collect();
//! assert_eq!(hits, [0, 2]);
//!
//! // A delta carries additions and removals, and gives the target byte for byte.
//! let delta = Delta::between(&monday, &tuesday)?;
//! assert!(delta.as_bytes().len() < tuesday.as_bytes().len() / 3);
//! let received = Delta::parse(delta.as_bytes())?;
//! assert_eq!(received.apply(&monday)?, tuesday);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | type | is |
//! |---|---|
//! | [`HashRange`] | the plan: F, and the Rice parameter that follows from it |
//! | [`ElementHasher`] | fingerprints and checks of elements |
//! | [`Set`] | the set: build, parse, enumerate, match; bytes are canonical |
//! | [`Index`] | for many batches of queries against one set |
//! | [`Delta`] | what changed between two sets, exactly |
//!
//! # The protocol
//!
//! | module | is |
//! |---|---|
//! | [`report`] | what an app sends: one-time codes, items, the body of a report |
//! | [`live`] | what a backend keeps: elements, and the reports that support them |
//! | [`publish`] | from day sets to signed files: [`Publisher`](publish::Publisher) |
//! | [`sync`] | from files to contacts: [`Session`](sync::Session) |
//! | [`exact`] | exact match, for backends |
//!
//! A filter says *possible*; a 64-bit **check** decides. A client fetches one
//! authenticated [`CheckRecord`](files::CheckRecord) of checks, on a schedule that does not depend on what it
//! heard, and reads its [`Verdict`](files::Verdict) there.
//!
//! # What to expect
//!
//! - **Checked once, then infallible.** Parsing validates every byte, in one pass and
//!   without trusting any declared length; a value that exists is sound. Corrupt bytes
//!   are an error, never "not in the set".
//! - **No panic** on any input, no unsafe code, `no_std` with `alloc`.
//! - **Elements must be of high entropy**, 16 bytes or more: the salt is public, so whoever
//!   can enumerate the possible elements can enumerate the set's. Telephone numbers are
//!   not elements.
//! - A seed from which identifiers are expanded (a Temporary Exposure Key, SK_t) is not an
//!   element: a phone hears identifiers.
//! - **Not the smallest filter** (a 256-bit ribbon takes 5 % less) **nor the fastest
//!   point lookup** (a binary fuse filter's is). What neither can do: be listed, be
//!   updated by exact deltas, be checked byte for byte.
//!
//! The bytes are specified in FORMAT.md beside this crate's manifest, with golden files in
//! `tests/vectors/`.
//!
//! # Features
//!
//! | feature | default | does |
//! |---|---|---|
//! | `std` | yes | turns on `std` in the dependencies; the crate itself needs only `alloc` |

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

// Small things that everything may use.
mod bytes;
mod date;
mod digest;
#[cfg(feature = "protocol")]
mod element;
mod error;
#[cfg(feature = "std")]
mod folder;
#[cfg(feature = "protocol")]
mod keys;
mod version;

// Each of these knows only those above it.
pub mod set;

#[cfg(feature = "protocol")]
pub mod files;

pub mod identifiers;

#[cfg(feature = "protocol")]
pub mod live;
#[cfg(feature = "protocol")]
pub mod report;

#[cfg(feature = "protocol")]
pub mod exact;
#[cfg(feature = "protocol")]
pub mod publish;
#[cfg(feature = "protocol")]
pub mod sync;

pub use self::date::{DAY_SECONDS, Date, ENTRY_DELAY};
pub use self::digest::Digest;
#[cfg(feature = "protocol")]
pub use self::element::{Day, Element};
pub use self::error::{DateError, DigestError, ParseError};
#[cfg(feature = "std")]
pub use self::folder::Folder;
#[cfg(feature = "protocol")]
pub use self::keys::{DerivationKey, PublicKey, SigningKey};
pub use self::set::{
    BuildError, Delta, DeltaError, ELEMENT_LEN, ElementHasher, HashRange, Index, Iter, Match,
    ParamsError, Salt, Set,
};
pub use self::version::Version;
