//! `tcn`: a signed report and the date on which its numbers were broadcast, which are its elements.
//!
//! A TCN report says nothing of time, so that the item does. All of its numbers are elements of that one
//! date: a phone whose key was in use at midnight makes a report for each of the two dates, which it
//! can for any part of a chain. A report also shows the numbers after its last one to whoever has it;
//! they are no elements.

use super::{Item, ItemProblem, MAX_TCN_NUMBERS, Members, Spread};
use crate::date::Date;
use crate::element::Element;
use crate::identifiers::tcn::{MAX_REPORT_BYTES, Report};

pub(super) const MEMBERS: &[&str] = &["date", "report"];

pub(super) fn read(members: &mut Members) -> Result<Item, ItemProblem> {
    let date = members.date().ok_or(ItemProblem::DateInvalid)?;
    let report = members.bytes("report").filter(|report| report.len() <= MAX_REPORT_BYTES);
    let report = report.ok_or(ItemProblem::ReportInvalid)?;
    Ok(Item::Tcn { date, report })
}

/// Everything but the signature.
pub(super) fn validate(report: &[u8]) -> Result<(), ItemProblem> {
    match Report::parse_unverified(report) {
        Err(_) => Err(ItemProblem::ReportInvalid),
        Ok(report) if report.len() > MAX_TCN_NUMBERS => Err(ItemProblem::SpanTooLong),
        Ok(_) => Ok(()),
    }
}

pub(super) fn verify(report: &[u8]) -> Result<(), ItemProblem> {
    Report::parse(report).map(|_| ()).map_err(|_| ItemProblem::SignatureWrong)
}

pub(super) fn spread(date: Date, report: &[u8]) -> Spread {
    let count = Report::parse_unverified(report).map_or(0, |report| report.len() as u32);
    Spread::of_one(date, count)
}

/// The signature was verified when the report was accepted.
pub(super) fn elements(date: Date, report: &[u8]) -> impl Iterator<Item = (Date, Element)> + use<> {
    let numbers = Report::parse_unverified(report).ok().map(|report| report.numbers());
    numbers.into_iter().flatten().map(move |number| (date, Element::from(number)))
}
