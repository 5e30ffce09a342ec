//! The server over HTTP: the real one, on ports of its own, with time injected.

mod bad_input;
mod corrections;
mod documents;
mod files;
mod providers;
mod reports;
mod roles;
