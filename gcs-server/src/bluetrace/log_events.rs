//! Bodies that are in the log alone: read when they are needed.

use crate::domain::chain::EventHeader;
use crate::domain::events::{Event, UploadAccepted};
use crate::domain::problem::Problem;
use crate::domain::state::bluetrace::Upload;
use crate::store::LogReader;

/// Reads the events at positions, which ascend. One that is erased meanwhile is left out.
///
/// # Errors
/// [`Problem::StorageUnavailable`]; [`Problem::Internal`] if the log has something else there.
pub fn read_events(
    log: &LogReader,
    positions: impl Iterator<Item = u64>,
) -> Result<Vec<(u64, Event)>, Problem> {
    let mut events = Vec::new();
    let mut wanted = positions.peekable();
    while let Some(from) = wanted.peek().copied() {
        let page = log.page(from, 1).map_err(|error| {
            tracing::error!(%error, "the log cannot be read");
            Problem::StorageUnavailable
        })?;
        let batch = page.batches.first().ok_or(Problem::StorageUnavailable)?;
        for (position, stored) in (batch.first..).zip(&batch.events) {
            if wanted.next_if_eq(&position).is_none() {
                continue;
            }
            let Some(body) = &stored.body else { continue };
            let header = EventHeader::from_bytes(&stored.header).ok_or(Problem::Internal)?;
            let event = Event::decode(header.kind, &body.bytes).map_err(|_| Problem::Internal)?;
            events.push((position, event));
        }
        // A batch that ends before the position would be read for ever.
        wanted.next_if_eq(&from);
    }
    Ok(events)
}

/// Reads the pieces of an upload.
///
/// # Errors
/// As [`read_events`].
pub(super) fn read_pieces(
    log: &LogReader,
    upload: &Upload,
) -> Result<Vec<(u64, UploadAccepted)>, Problem> {
    let pieces = read_events(log, upload.positions())?.into_iter();
    let piece = |(position, event)| match event {
        Event::UploadAccepted(piece) => Ok((position, piece)),
        _ => Err(Problem::Internal),
    };
    pieces.map(piece).collect()
}
