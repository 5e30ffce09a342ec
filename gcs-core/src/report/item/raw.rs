//! `raw`: an element as it was broadcast.

use super::{Item, ItemProblem, Members};
use crate::element::Element;
use crate::set::ELEMENT_LEN;

pub(super) const MEMBERS: &[&str] = &["date", "element"];

pub(super) fn read(members: &mut Members) -> Result<Item, ItemProblem> {
    let date = members.date().ok_or(ItemProblem::DateInvalid)?;
    let element = members.bytes("element").ok_or(ItemProblem::ElementInvalid)?;
    Ok(Item::Raw { date, element: Element::from(element) })
}

pub(super) fn validate(element: &Element) -> Result<(), ItemProblem> {
    if ELEMENT_LEN.contains(&element.len()) { Ok(()) } else { Err(ItemProblem::ElementLength) }
}
