//! The commands, a file each.

pub(crate) mod apply;
pub(crate) mod combine;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod encode;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod query;
pub(crate) mod verify;
