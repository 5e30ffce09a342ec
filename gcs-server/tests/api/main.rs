//! The server over HTTP: the real one, on ports of its own, with time injected.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod corrections;
mod documents;
mod files;
mod providers;
mod reports;
mod roles;

use common::server;
