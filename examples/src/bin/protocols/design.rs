//! What a protocol whose phones make their own identifiers has to say for the simulation.

use gcs_core::{Date, Element};
use gcs_examples::Checked;

/// Elements and the dates on which they were broadcast.
pub(crate) type Dated = Vec<(Date, Element)>;

/// A protocol whose phones make their own identifiers, of 16 bytes each.
pub(crate) trait Design: Sync {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// What a phone broadcasts on a date of its clock, each for an equal part of the day.
    fn identifiers(&self, person: u64, date: Date) -> Vec<[u8; 16]>;

    /// What a phone keeps of an identifier that it hears when its clock shows `clock`.
    fn sighting(&self, identifier: &[u8; 16], clock: u64) -> Vec<Vec<u8>>;

    /// What a patient's phone sends when its clock shows `clock`, so that all is known that it
    /// broadcast from a date on.
    ///
    /// # Errors
    /// If it cannot be made.
    fn messages(&self, person: u64, first: Date, clock: u64) -> Checked<Vec<Vec<u8>>>;

    /// What a backend publishes for a message that it received on a date.
    ///
    /// # Errors
    /// If it cannot be read.
    fn expand(&self, message: &[u8], received: Date) -> Checked<Dated>;
}

/// The dates from the first to the last, both included.
pub(crate) fn dates(first: Date, last: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), |date| date.next()).take_while(move |date| *date <= last)
}

/// A message of a number and the bytes behind it.
pub(crate) fn numbered(number: u32, bytes: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes(), bytes].concat()
}

/// The number and the bytes of such a message.
///
/// # Errors
/// If it has no number.
pub(crate) fn number(message: &[u8]) -> Checked<(u32, &[u8])> {
    let (number, bytes) = message.split_first_chunk().ok_or("a message without its number")?;
    Ok((u32::from_be_bytes(*number), bytes))
}
