//! Lists of seeds: exact, compressed, with deltas.

mod body;
mod delta;
mod error;
mod groups;
mod list;
mod seed;

pub use self::delta::SeedDelta;
pub use self::error::{SeedBuildError, SeedDeltaError};
pub use self::list::{SeedList, Seeds};
pub use self::seed::{ByteArray, FIRST_PRIVATE_KIND, NoteError, Seed};

#[cfg(test)]
mod tests;
