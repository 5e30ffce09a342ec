//! GCS.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod date;
mod delta;
mod digest;
mod error;
mod hash;
mod index;
mod matches;
mod params;
mod rice;
mod set;
mod wire;

pub use date::*;
pub use delta::*;
pub use digest::*;
pub use error::*;
pub use hash::*;
pub use index::*;
pub use matches::*;
pub use params::*;
pub use set::*;
