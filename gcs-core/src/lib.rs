#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! | type | is |
//! |---|---|
//! | [`Set`] | a compressed set: build, parse, list, match; its bytes are canonical |
//! | [`Index`] | for many batches of queries against one set |
//! | [`Delta`] | what changed between two sets, exactly |
//! | [`HashRange`] | the plan of a set: how large fingerprints are, and so its false-positive rate |
//! | [`ElementHasher`] | fingerprints and checks of elements |
//!
//! | module | is |
//! |---|---|
//! | [`sync`] | from files to contacts: [`Session`](sync::Session), [`Driver`](sync::Driver) |
//! | [`publish`] | from live elements to files: [`Publisher`](publish::Publisher), [`Place`](publish::Place) |
//! | [`live`] | what a backend keeps of reports: [`Live`](live::Live) |
//! | [`report`] | what an app sends: one-time codes, items, the body |
//! | [`files`] | the files themselves, for other readers and writers |
//! | [`identifiers`] | from what protocols report and broadcast to elements |
//! | [`exact`] | exact match, for back offices |
//! | [`set`] | sets again: the part that needs nothing else of this crate |

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
