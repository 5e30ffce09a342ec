//! GCS.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod date;
mod delta;
mod digest;
mod error;
pub mod exact;
mod hash;
mod index;
mod keys;
mod matches;
mod params;
pub mod publish;
mod rice;
mod set;
pub mod sync;
mod wire;

pub use date::{DAY_SECONDS, Date};
pub use delta::Delta;
pub use digest::Digest;
pub use error::*;
pub use hash::{ElementHasher, Salt};
pub use index::Index;
pub use keys::{DerivationKey, PublicKey, SigningKey};
pub use matches::{Match, Queries};
pub use params::HashRange;
pub use set::{Iter, Set};
pub use wire::checks::{Record, Verdict};
pub use wire::keys::{KeyList, SignedKeyList};
