//! A log, a judge and a clock around [`gcs_core`]: the server of a health authority.
//!
//! ```text
//! http ──▶ judge ──▶ log (store) ──▶ state ──▶ publishing ──▶ files
//! ```
//!
//! - [`domain`]: what can happen, what it adds up to, and what is accepted; without I/O.
//! - [`store`]: keeps the log of numbered events, which everything else follows from.
//! - [`node`]: the one thread that judges, appends and applies.
//! - [`publishing`]: from a tick to files that phones fetch.
//! - [`http`]: the public and the private listener.
//! - [`app`]: start, data folder and ticks; [`cli`]: the commands.

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
