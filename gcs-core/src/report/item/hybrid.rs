//! `dp3t-hybrid`: a seed of a window of 2 or 4 hours, for 8 or 16 elements of its date.

use super::{Item, ItemProblem, ItemRules, Members, Spread};
use crate::date::Date;
use crate::element::Element;
use crate::identifiers::dp3t::{CLOCK_TOLERANCE, HybridSeed, HybridWindow};

pub(super) const MEMBERS: &[&str] = &["hours", "window", "seed"];

pub(super) fn read(members: &mut Members) -> Result<Item, ItemProblem> {
    let windows = members.number("hours").and_then(of_hours).ok_or(ItemProblem::HoursInvalid)?;
    let window = members.number("window").ok_or(ItemProblem::WindowInvalid)?;
    let seed = members.bytes("seed").ok_or(ItemProblem::SeedInvalid)?;
    let seed = seed.try_into().map_err(|_| ItemProblem::SeedLength)?;
    Ok(Item::Dp3tHybrid { windows, window, seed })
}

pub(super) fn of_hours(hours: u32) -> Option<HybridWindow> {
    let windows = [HybridWindow::TwoHours, HybridWindow::FourHours];
    windows.into_iter().find(|windows| windows.hours() == hours)
}

pub(super) fn start(windows: HybridWindow, window: u32) -> u64 {
    u64::from(window) * windows.seconds()
}

pub(super) fn validate(windows: HybridWindow, rules: &ItemRules) -> Result<(), ItemProblem> {
    if windows == rules.hybrid { Ok(()) } else { Err(ItemProblem::HoursNotAllowed) }
}

/// Makes sure that the phone broadcasts nothing more from the seed at a Unix time.
pub(super) fn expect_ended(
    windows: HybridWindow,
    window: u32,
    now: u64,
) -> Result<(), ItemProblem> {
    let end = start(windows, window) + windows.seconds();
    if end > now.saturating_add(CLOCK_TOLERANCE) { Err(ItemProblem::WindowOpen) } else { Ok(()) }
}

/// A window never has two dates: both lengths divide a day.
pub(super) fn spread(windows: HybridWindow, window: u32) -> Spread {
    Spread::of_one(Date::of_time(start(windows, window)), windows.epochs())
}

pub(super) fn elements(
    windows: HybridWindow,
    window: u32,
    seed: [u8; 16],
) -> impl Iterator<Item = (Date, Element)> + use<> {
    let date = Date::of_time(start(windows, window));
    let elements = HybridSeed::new(seed).elements(windows, window);
    elements.map(move |element| (date, Element::from_slice(&element)))
}
