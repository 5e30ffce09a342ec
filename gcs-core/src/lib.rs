#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! | type | what it is |
//! |---|---|
//! | [`Set`] | a compressed set: build, parse, list, match; its bytes are canonical |
//! | [`HashRange`] | the hash range of a set, which determines its size and its false-positive rate |
//! | [`Salt`] | what keys the hashes of a set |
//! | [`ElementHasher`] | computes fingerprints and checks of elements |
//! | [`SetBuilder`] | builds many sets with one allocation of memory |
//! | [`IndexedSet`] | a set with an index in memory, for many batches of queries |
//! | [`Delta`] | the exact difference of two sets |
//! | [`set::algebra`] | union, intersection, difference and symmetric difference of sets |
//! | [`SetInfo`] | statistics of a set |
//!
//! For sets that do not fit into memory, with the feature `std`:
//!
//! | type | what it is |
//! |---|---|
//! | [`set::ExternalBuilder`] | builds a set within a limit of memory, from any number of elements |
//! | [`set::SetReader`], [`set::SetSink`] | read and write a set's file piece by piece |
//! | [`set::CombinedReader`] | set algebra from files to a file |
//! | [`set::IndexedFile`] | asks a set in a file without reading it, by an index file beside it |
//!
//! | module | what it does |
//! |---|---|
//! | [`sync`] | a client: turns published files into confirmed contacts ([`Session`](sync::Session), [`Driver`](sync::Driver)) |
//! | [`publish`] | a publisher: turns live elements into files ([`Publisher`](publish::Publisher), [`Place`](publish::Place)) |
//! | [`live`] | keeps the elements that are published and the reports that support them ([`Live`](live::Live)) |
//! | [`report`] | reads and writes reports: one-time codes, items, the JSON body |
//! | [`files`] | reads the published files, for other clients and tools |
//! | [`identifiers`] | turns the identifiers of protocols into elements |
//! | [`exact`] | answers exact-match queries, for back offices |
//! | [`seeds`] | keeps what phones expand themselves, exactly: lists of seeds, and deltas between them |
//! | [`set`] | holds the types of the first table; needs nothing else of this crate |

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

// Small things that everything may use.
#[cfg(any(feature = "protocol", feature = "bluetrace"))]
mod base64;
mod bytes;
mod date;
mod digest;
#[cfg(feature = "protocol")]
mod element;
mod error;
#[cfg(feature = "std")]
mod folder;
#[cfg(any(feature = "protocol", feature = "bluetrace"))]
pub mod json;
#[cfg(feature = "protocol")]
mod keys;
mod version;

// Each of these knows only those above it.
pub mod set;

pub mod seeds;

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
pub use self::element::{Day, DayElements, Element};
pub use self::error::{DateError, DigestError, ParseError};
#[cfg(feature = "std")]
pub use self::folder::Folder;
#[cfg(feature = "protocol")]
pub use self::keys::{DerivationKey, PublicKey, SigningKey};
pub use self::set::{
    BuildError, Delta, DeltaError, ELEMENT_LEN, ElementHasher, HashRange, IndexedSet, Iter, Match,
    Matches, Method, ParamsError, Salt, Set, SetBuilder, SetInfo,
};
#[cfg(feature = "std")]
pub use self::set::{IndexError, IndexedFile, ReadAt};
pub use self::version::Version;
