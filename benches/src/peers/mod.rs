//! The peers, an adapter each. All hash the same elements with SipHash-2-4 under the same key.

pub mod bip158;
mod bloom;
mod elias_fano;
mod fuse;
mod ribbon;
mod sorted;
mod treemap;

pub use self::bloom::BLOOM;
pub use self::elias_fano::ELIAS_FANO;
pub use self::fuse::{FUSE8, FUSE16, FUSE32};
pub use self::ribbon::{RIBBON64, RIBBON128};
pub use self::sorted::SORTED;
pub use self::treemap::TREEMAP;

use crate::structure::Structure;

/// All peers of the groups.
pub const PEERS: [Structure; 8] =
    [bip158::BIP158, FUSE16, ELIAS_FANO, RIBBON64, RIBBON128, BLOOM, SORTED, TREEMAP];

/// Bytes of a slice's content.
fn bytes_of<T>(slice: &[T]) -> usize {
    size_of_val(slice)
}
