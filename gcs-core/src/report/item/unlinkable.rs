//! `dp3t-unlinkable`: a seed of one epoch, for one element.

use super::{Item, ItemProblem, Members};

pub(super) const MEMBERS: &[&str] = &["epoch", "seed"];

pub(super) fn read(members: &mut Members) -> Result<Item, ItemProblem> {
    let epoch = members.number("epoch").ok_or(ItemProblem::EpochInvalid)?;
    let seed = members.bytes("seed").ok_or(ItemProblem::SeedInvalid)?;
    let seed = seed.try_into().map_err(|_| ItemProblem::SeedLength)?;
    Ok(Item::Dp3tUnlinkable { epoch, seed })
}
