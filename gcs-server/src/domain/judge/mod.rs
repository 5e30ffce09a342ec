//! The judge: whether an act is accepted, and as which events.
//!
//! Every function looks at a state that is up to date and changes nothing: [`crate::node`]
//! appends the events and applies them.

mod corrections;
mod providers;
mod publication;
mod reports;
mod tokens;

pub(crate) use corrections::parse_tracking;
pub use corrections::{CorrectionAnswer, DateChange, Selection, correct, preview};
pub use providers::{
    MAX_RANGE, NewProvider, OpenedRange, UnspentCodes, add_provider, close_range, open_range,
    provider, raise_key, revoke_code, set_provider_token, set_status, unspent_codes,
};
pub use publication::{purge, resume_clock, set_key_list, set_policy, start_series, tick};
pub use reports::{MAX_ITEMS, ProblemItem, ReportAnswer, Submission, report};
pub use tokens::{replace_backend_token, replace_operator_token};

use crate::domain::log::Event;
use crate::domain::problem::Problem;

/// What was decided: events to append, and the answer once they are durable.
#[derive(Debug)]
pub struct Decision<T> {
    /// Events, in order; none if there is nothing to do.
    pub events: Vec<Event>,
    /// The answer.
    pub answer: T,
}

impl<T> Decision<T> {
    pub(crate) fn one(event: impl Into<Event>, answer: T) -> Decision<T> {
        Decision { events: vec![event.into()], answer }
    }

    pub(crate) fn nothing(answer: T) -> Decision<T> {
        Decision { events: Vec::new(), answer }
    }
}

/// A decision or a refusal.
pub type Judgement<T> = Result<Decision<T>, Problem>;
