//! The judge decides whether a request is accepted, and which events are recorded for it.
//!
//! Its functions read an up-to-date state and change nothing: the caller appends the events to
//! the log and applies them to the state.

mod bluetrace;
mod corrections;
mod exposures;
mod providers;
mod publication;
mod reports;
mod salvage;
mod spooled;
mod tokens;

pub use bluetrace::{
    AuthorityIdentity, CodeKeys, DerivedDate, Earlier, KEPT_DAYS, LEAST_LIFETIME, MOST_AUTHORITIES,
    ReceivedMessage, ReceivedUpload, Registered, TypedCode, batch_answered, bind, expect_authority,
    expect_upload, follow_up_delivered, judge_batch, look_at_batch, make_follow_up,
    make_short_code, publish_ids, purge_bluetrace, receive_follow_up, register, remove_authority,
    replace_tracer_token, see_case, see_follow_up, set_authority, upload, user, withdraw,
    withdraw_message, withdrawal_delivered,
};
pub(crate) use corrections::parse_tracking;
pub use corrections::{CorrectionAnswer, DateChange, Selection, correct, preview};
pub use exposures::{PublishAnswer, publish_keys};
pub use providers::{
    MAX_RANGE, UnspentCodes, active, add_provider, close_range, open_range, provider, raise_key,
    revoke_code, set_provider_token, set_status, unspent_codes,
};
pub(crate) use publication::SMALL_STEP;
pub use publication::{
    Recovery, agrees_with_log, expect_right_clock, purge, recover, resume_clock, set_key_list,
    set_policy, start_series, tick,
};
pub use reports::report;
pub use salvage::{LostBody, Unsalvageable, go_on_without};
pub use spooled::{Arrival, Judged, Known, arrival, spooled_report};
pub use tokens::{replace_backend_token, replace_operator_token};

use crate::domain::events::Event;
use crate::domain::problem::Problem;

/// What a decision depends on besides the state and the request.
#[derive(Clone, Copy)]
pub struct RequestContext {
    /// The present Unix time in seconds.
    pub now: u64,
    /// Seconds by which the clock leapt while the machine ran, if it did; negative if it went back.
    pub leap: Option<i64>,
    /// Random bytes for this decision alone.
    pub random: [u8; 32],
}

impl std::fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestContext")
            .field("now", &self.now)
            .field("leap", &self.leap)
            .finish_non_exhaustive()
    }
}

/// A request that is accepted: the events to append, and the answer to give once they are on disk.
#[derive(Debug)]
pub struct Decision<T> {
    /// The events to append, in order; none if nothing has to change.
    pub events: Vec<Event>,
    /// The answer to the request.
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

/// A decision if the request is accepted, else a problem.
pub type Judgement<T> = Result<Decision<T>, Problem>;
