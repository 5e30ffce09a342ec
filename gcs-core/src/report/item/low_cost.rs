//! `dp3t-low-cost`: the key of a day, for 96 elements of that date and of each one after it, up to
//! that of the report.
//!
//! The phone draws a fresh key when it reports. Nobody but the backend knows the reported one until the
//! dates are over, so that elements which it did not broadcast any more match nothing.

use core::iter;

use super::{CLOCK_SKEW, Item, ItemProblem, Members, Spread};
use crate::date::Date;
use crate::element::Element;
use crate::identifiers::dp3t::{DayKey, EPOCHS_A_DAY};

pub(super) const MEMBERS: &[&str] = &["date", "key"];

pub(super) fn read(members: &mut Members) -> Result<Item, ItemProblem> {
    let date = members.date().ok_or(ItemProblem::DateInvalid)?;
    let key = members.bytes("key").ok_or(ItemProblem::KeyInvalid)?;
    let key = key.try_into().map_err(|_| ItemProblem::KeyLength)?;
    Ok(Item::Dp3tLowCost { date, key })
}

/// The last date on which the phone may have used the key, if the report is accepted at a Unix
/// time: its clock may be ahead.
fn last(date: Date, accepted: u64) -> Date {
    Date::of_time(accepted.saturating_add(CLOCK_SKEW)).max(date)
}

pub(super) fn spread(date: Date, accepted: u64) -> Spread {
    Spread { first: date, last: last(date, accepted), counts: [EPOCHS_A_DAY; 2] }
}

pub(super) fn elements(
    date: Date,
    key: [u8; 32],
    accepted: u64,
) -> impl Iterator<Item = (Date, Element)> + use<> {
    let last = last(date, accepted);
    let next = move |key: &DayKey| key.next().filter(|next| next.date() <= last);
    let keys = iter::successors(Some(DayKey::new(date, key)), next);
    keys.flat_map(|key| {
        let date = key.date();
        key.elements().map(move |element| (date, Element::from_slice(&element)))
    })
}
