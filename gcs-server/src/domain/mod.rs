//! The rules of the server, without I/O: the events, the state that is computed from them, and
//! the decision what is accepted.
//!
//! This module depends on no other module of the server, only on [`gcs_core`]. Time and random
//! bytes are arguments.

pub mod chain;
pub mod events;
pub mod judge;
pub mod keys;
pub mod mend;
pub mod phone_number;
pub mod policy;
pub mod problem;
pub mod report_status;
pub mod revision;
pub mod short_code;
pub mod spooled;
pub mod state;
pub mod token;
