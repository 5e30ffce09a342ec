//! The server of a health authority: a log, a judge and a clock around [`gcs_core`].
//!
//! ```text
//! http ──▶ judge ──▶ log (store) ──▶ state ──▶ publishing ──▶ files
//! ```
//!
//! - [`domain`]: the rules, without I/O. The log is a [`chain`](domain::chain) of
//!   [`events`](domain::events); the [`state`](domain::state) is computed from the events;
//!   the [`judge`](domain::judge) decides what is accepted.
//! - [`store`]: where the log is kept. [`spool`]: where reports wait while it cannot be reached.
//! - [`node`]: the one thread that judges, appends and applies.
//! - [`bluetrace`]: the BlueTrace authority, over the same log.
//! - [`publishing`]: from a tick to files that phones fetch.
//! - [`http`]: the public and the private listener.
//! - [`app`]: starting and stopping the server, and its data folder. [`cli`]: the commands.
//! - [`new_file`]: files that are written whole or not at all. [`hashed_file`]: large ones with a hash.
//! - [`secret`]: settings and arguments that no debug line shows.
//! - [`metrics`], [`request_log`]: what is counted and which requests have a log line.
//! - [`clock`], [`random`]: where time and random numbers come from. Tests replace both.

// `println!` panics when standard output is closed or the disk is full; `cli::output` does not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod apart;
pub mod app;
pub mod bluetrace;
pub mod cli;
pub mod clock;
pub mod code_sheet;
pub mod domain;
pub mod hashed_file;
pub mod http;
pub mod metrics;
pub mod new_file;
pub mod node;
pub mod publishing;
pub mod random;
pub mod request_log;
pub mod secret;
pub mod service;
pub mod spool;
pub mod store;
pub mod time;
