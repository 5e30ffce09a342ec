//! The rules of the server, without I/O: what can happen, what it adds up to, and what is
//! accepted.
//!
//! It knows nobody but [`gcs_core`]. Time and randomness are handed in.

pub mod chain;
pub mod events;
pub mod judge;
pub mod keys;
pub mod policy;
pub mod problem;
pub mod report_status;
pub mod state;
pub mod token;
