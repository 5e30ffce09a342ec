//! What is lost of a damaged log.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Events that were acknowledged and are not in the log any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What is wrong.
    pub(super) what: String,
    /// The last event before the first that is lost.
    pub(super) kept: u64,
    /// The last event that is known to have been acknowledged.
    pub(super) last: u64,
    /// Those of the events behind `kept` that can still be read.
    pub(super) readable: Vec<RangeInclusive<u64>>,
    /// Whether more events than those up to `last` may be lost.
    pub(super) may_be_more: bool,
    /// Where the damaged files have been copied to.
    pub(super) copy: Option<PathBuf>,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss { what, kept, last, readable, may_be_more, copy } = self;
        writeln!(f, "{what}")?;
        if last > kept {
            writeln!(f, "Lost: {}.", events(&(kept + 1..=*last)))?;
        }
        if !readable.is_empty() {
            let readable: Vec<String> = readable.iter().map(events).collect();
            let readable = readable.join(", ");
            writeln!(f, "Of these, {readable} can be read, but not used without those before.")?;
        }
        if *may_be_more {
            writeln!(f, "Whether events after event {} are lost cannot be known.", last.max(kept))?;
        }
        if *kept > 0 {
            writeln!(f, "Whole: {}.", events(&(1..=*kept)))?;
        }
        match copy {
            Some(copy) => {
                writeln!(f, "A copy of the damaged files is in {}: keep it.", copy.display())
            }
            None => Ok(()),
        }
    }
}

/// "event 3" or "events 3 to 5".
fn events(range: &RangeInclusive<u64>) -> String {
    let (first, last) = (range.start(), range.end());
    if first == last { format!("event {first}") } else { format!("events {first} to {last}") }
}
