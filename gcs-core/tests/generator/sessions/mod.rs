//! Sessions: what a client does with trees of files, wake by wake. What must come out is taken from
//! what went into the trees, not from a client.

mod asking;
mod faults;
mod hits;
mod questions;
mod script;
mod slots;
mod syncing;
mod tree;
mod trust;
mod waiting;

use self::tree::Trees;
use super::out::Vectors;

pub(super) fn add(vectors: &mut Vectors) {
    let trees = Trees::make();
    syncing::add(vectors, &trees);
    trust::add(vectors, &trees);
    faults::add(vectors, &trees);
    waiting::add(vectors, &trees);
    hits::add(vectors, &trees);
    questions::add(vectors, &trees);
    asking::add(vectors, &trees);
    slots::add(vectors, &trees);
    trees.write(vectors);
}
