//! A peer that was measured apart, since its licence keeps it out of this workspace.

use std::error::Error;

use super::{Scope, Section};

/// What was measured, once, and where.
const CLUBCARD: &str = include_str!("clubcard.md");

/// Mozilla's clubcard, a filter of 256-bit ribbon rows.
pub(super) fn clubcard(_: &Scope) -> Result<Section, Box<dyn Error>> {
    Ok(Section::new("Measured apart: clubcard", CLUBCARD.into()))
}
