//! Reports that come while the log cannot be reached.

mod holding;
mod kills;
mod kinds;
mod model;
mod process;
mod rig;
