//! Which publications have to be computed, when all of them would be computed anew from the log.

use gcs_core::DAY_SECONDS;
use gcs_core::files::KEPT_TICKS;

use crate::domain::chain::EventHeader;
use crate::domain::events::{BodiesLost, LogRecovered, Purge, TickMade};
use crate::store::{Store, StoreError};

/// Ticks after which nothing tells that earlier ones were left out: those for which bundles are kept,
/// the 96 of the longest bundle, and some more.
const TICKS: usize = KEPT_TICKS as usize + 96 + 12;

/// Seconds after which no file stays that only earlier manifests name.
const SECONDS: u64 = 2 * DAY_SECONDS;

/// The ticks whose publications count, by their positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needed {
    /// Those before it have no publication: bodies were lost, so that none of them can be computed any more.
    pub(super) begin: u64,
    /// The first one that has to be computed, so that all published files are as if all of them had been.
    pub(super) first: u64,
}

/// Which ticks of a log are needed.
///
/// The first one is, unless reports were purged or the end of the log was lost. Then manifests of
/// before cannot all be computed any more, so that only the last of them is, and this one and those
/// after it depend on a few days alone.
///
/// # Errors
/// When the log cannot be read. What is wrong with its events is found when they are verified.
pub(super) fn needed(store: &mut dyn Store) -> Result<Needed, StoreError> {
    let (mut ticks, mut past, mut begin) = (Vec::new(), 0, 0);
    let mut next = 1;
    loop {
        let headers = store.headers(next)?;
        if headers.is_empty() {
            break;
        }
        next += headers.len() as u64;
        for header in headers.iter().filter_map(|header| EventHeader::from_bytes(header)) {
            match header.kind {
                TickMade::KIND => ticks.push((header.position, header.time)),
                Purge::KIND | LogRecovered::KIND => past = ticks.len(),
                BodiesLost::KIND => {
                    ticks.clear();
                    (begin, past) = (header.position, 0);
                }
                _ => {}
            }
        }
    }
    Ok(Needed { begin, first: first_of(&ticks[..past]) })
}

/// The first tick that is needed for the last one of these to be as if all had been computed: by
/// positions and times.
fn first_of(ticks: &[(u64, u64)]) -> u64 {
    let Some((_, last)) = ticks.last() else { return 0 };
    // A file stays for a day after the last manifest that names it; and however wrong the clock was
    // then, for a day after any later tick.
    let mut earliest_later = u64::MAX;
    let right = ticks.iter().rposition(|(_, time)| {
        let is_gone = earliest_later.saturating_add(SECONDS) <= *last;
        earliest_later = earliest_later.min(*time);
        is_gone
    });
    // From that one on the files are right, and those that were wrong before are deleted again.
    right.and_then(|right| ticks.get(right.checked_sub(TICKS)?)).map_or(0, |tick| tick.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_ticks_are_needed_as_files_can_tell_of() {
        let tick = |number: u64| (number * 3, number * 900);
        let ticks: Vec<(u64, u64)> = (1..=2000).map(tick).collect();
        let first = 2000 - 193 - TICKS as u64;
        assert_eq!(first_of(&ticks), first * 3);
        assert_eq!(first_of(&ticks[..193 + TICKS]), 0);
        assert_eq!(first_of(&[]), 0);
        // A clock that went back three days in between: it may have kept files for longer.
        let back = |number: u64| {
            let seconds = if number < 1900 { 0 } else { 3 * DAY_SECONDS };
            (number * 3, number * 900 - seconds)
        };
        let ticks: Vec<(u64, u64)> = (1..=2000).map(back).collect();
        let first = 2000 - 193 - 288 - TICKS as u64;
        assert_eq!(first_of(&ticks), first * 3);
    }
}
