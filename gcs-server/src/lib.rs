//! A log, a judge and a clock around [`gcs_core`]: the server of a health authority.
//!
//! ```text
//! http ──▶ judge ──▶ log (store) ──▶ state ──▶ publishing ──▶ files
//! ```
//!
//! - [`log`]: numbered events in a chain of hashes, kept by a [`store`]. The truth.
//! - [`state`]: what the events add up to.
//! - [`judge`]: whether an act is accepted, and as which events.
//! - [`node`]: the one thread that judges, appends and applies.
//! - [`publishing`]: from a tick to files that phones fetch.
//! - [`http`]: the public and the private listener.
//! - [`code`], [`item`]: one-time codes, and what is reported with them.

pub mod app;
pub mod cli;
pub mod clock;
pub mod code_sheet;
pub mod domain;
pub mod http;
pub mod node;
pub mod publishing;
pub mod random;
pub mod service;
pub mod store;
pub mod time;
