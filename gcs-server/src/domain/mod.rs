//! What can happen, what it adds up to, and what is accepted: no I/O, no HTTP.

pub mod code;
pub mod item;
pub mod judge;
pub mod keys;
pub mod log;
pub mod policy;
pub mod problem;
pub mod report_status;
pub mod state;
pub mod token;
