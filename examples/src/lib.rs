//! Parts that the demo, a simulation, an app without a screen and a backend share: people, phones, and the
//! I/O that gcs-core leaves to its users.
//!
//! | module | shows how to |
//! |---|---|
//! | [`http`] | fetch published files over HTTP |
//! | [`memory`] | keep the files of a client, or of a server, in memory |
//! | [`traffic`] | count what a client fetches |
//! | [`people`] | make identifiers as DP-3T and Exposure Notification do |
//! | [`seeds`] | find contacts in published lists of seeds |
//! | [`phone`] | wake a client, and tell whether it found the right contacts |
//!
//! The programs are in `src/bin`: the demo, protocols beside each other, an app client, an
//! embedding backend.

pub mod http;
pub mod memory;
pub mod people;
pub mod phone;
pub mod seeds;
pub mod traffic;

use std::error::Error;

/// A result whose error can be any error.
pub type Checked<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Fails with a text unless `is` holds.
///
/// # Errors
/// The text, if it does not.
pub fn ensure(is: bool, otherwise: impl FnOnce() -> String) -> Checked<()> {
    if is { Ok(()) } else { Err(otherwise().into()) }
}
