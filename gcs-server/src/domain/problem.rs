//! All problems in one table: name, HTTP status, and whether to try again.

use gcs_core::exact::ExactError;
use gcs_core::json::JsonError;
use gcs_core::report::{ItemProblem, ReportError};
use thiserror::Error;

use crate::domain::policy::PolicyError;

/// The answer to a request that did not succeed. The request has changed nothing, unless the text
/// of the problem says otherwise.
#[derive(Debug, Error)]
pub enum Problem {
    /// The body is not JSON, or JSON of another shape. The text names the member that is wrong and
    /// its place, and no value, since values may be secrets.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A parameter of the path or the query that cannot be read.
    #[error("{what}")]
    ParameterInvalid {
        /// Which parameter, and what is wrong with it.
        what: &'static str,
    },
    /// The request has no token.
    #[error("a token is needed: send `Authorization: Bearer TOKEN`")]
    TokenMissing,
    /// The request's token is not known to the server.
    #[error("the token is unknown; it may have been replaced")]
    TokenUnknown,
    /// The token is of another role.
    #[error("{role} token is needed; the token that was sent is of another role")]
    Forbidden {
        /// The role whose token is needed, in the possessive: `the operator's`, `a provider's` or
        /// `the backends'`.
        role: &'static str,
    },
    /// There is no path or file of this name.
    #[error("there is no such path or file on this listener")]
    NotFound,
    /// The path does not take this method.
    #[error("this path takes only {allow}")]
    MethodNotAllowed {
        /// The methods that the path takes, separated by commas.
        allow: String,
    },
    /// The body arrived too slowly.
    #[error(
        "the body arrived too slowly: it may pause for {seconds} seconds at most, and after as \
         many must have brought {rate} bytes a second on average"
    )]
    Timeout {
        /// Longest pause in seconds, and the grace before the rate counts.
        seconds: u64,
        /// Bytes a second.
        rate: u32,
    },
    /// The body is too large.
    #[error("the body is larger than {max} bytes")]
    TooLarge {
        /// The largest size of the body, in bytes.
        max: usize,
    },
    /// The connection broke while the body was sent.
    #[error("the connection broke before the whole body arrived")]
    BodyIncomplete,
    /// The requested range of bytes lies outside the file.
    #[error("the range lies outside the {length} bytes of the file")]
    RangeNotSatisfiable {
        /// The file's length in bytes.
        length: u64,
    },
    /// The text is not a code, or the code was not made with a key of this deployment.
    #[error("this is not a code of this service; look for typing mistakes")]
    CodeInvalid,
    /// The code was used for another report.
    #[error("this code has been used for another report")]
    CodeUsed,
    /// The code was used, so it cannot be revoked.
    #[error(
        "this code has been used for a report; `gcs-server retract --code` takes the report back"
    )]
    CodeSpent,
    /// The code has expired.
    #[error("this code has expired")]
    CodeExpired,
    /// The code was revoked.
    #[error("this code has been revoked")]
    CodeRevoked,
    /// The code's provider is suspended.
    #[error("the provider of this code is suspended; the code may be accepted later")]
    CodeSuspended,
    /// The code is in no range that was opened.
    #[error("this code is not valid yet: its provider must open its range first")]
    CodeNotOpen,
    /// The report has more items than a report may have.
    #[error("a report has at most {max} items, got {got}")]
    TooManyItems {
        /// The largest number of items.
        max: usize,
        /// The number of items that were sent.
        got: usize,
    },
    /// None of the items can be accepted; the code is not used up.
    #[error("none of the items can be accepted, and the code is not used up")]
    NoItems {
        /// What is wrong with each item, by the item's index.
        problems: Vec<(u32, ItemProblem)>,
    },
    /// No report has this tracking id.
    #[error(
        "there is no report with this tracking id; reports are erased some days after their dates expired"
    )]
    ReportUnknown,
    /// No provider has this number.
    #[error("there is no provider with the number {provider}")]
    ProviderUnknown {
        /// The number.
        provider: u16,
    },
    /// The provider is not active.
    #[error("the provider is {status}")]
    ProviderInactive {
        /// The provider's status: `suspended` or `revoked`.
        status: &'static str,
    },
    /// The provider's name is empty, too long or not printable.
    #[error("a provider's name has 1 to 200 printable characters")]
    ProviderName,
    /// All provider numbers are taken.
    #[error("all {max} provider numbers are taken")]
    ProvidersExhausted {
        /// How many provider numbers there are.
        max: u16,
    },
    /// The provider has no such range.
    #[error("the provider's present key has no range that begins with serial number {first}")]
    RangeUnknown {
        /// The serial number.
        first: u32,
    },
    /// A range would have too many codes, or none.
    #[error("a range has 1 to {max} codes, got {got}")]
    RangeCount {
        /// The largest number of codes in a range.
        max: u32,
        /// The number of codes that were asked for.
        got: u32,
    },
    /// Codes would be valid for too many days, or none.
    #[error("codes are valid for 1 to {max} days, got {got}")]
    RangeDays {
        /// The largest number of days.
        max: u32,
        /// The number of days that were asked for.
        got: u32,
    },
    /// The provider would have too many unused codes.
    #[error("the provider may have {max} unused codes at once, and has {open}")]
    QuotaExceeded {
        /// The largest number of unused codes.
        max: u64,
        /// The number of unused codes that the provider has.
        open: u64,
    },
    /// The serial numbers of the present key are used up.
    #[error(
        "all serial numbers of the provider's key are used up; the operator must rotate the key"
    )]
    SerialsExhausted,
    /// A setting is out of its bounds.
    #[error(transparent)]
    PolicyInvalid(#[from] PolicyError),
    /// The correction does not say which reports it is for.
    #[error("say which reports: by report, code, provider, range or time")]
    SelectionEmpty,
    /// The correction names a range or generation without its provider.
    #[error("a range or generation needs its provider; name the provider too")]
    SelectionRange,
    /// The correction selects no report.
    #[error("no report is selected, up to position {position} of the log")]
    SelectionNone {
        /// The position in the log up to which reports were looked at.
        position: u64,
    },
    /// The correction names a position that the log has not reached.
    #[error("the log has no position {got} yet, its last is {last}; preview again")]
    PositionAhead {
        /// Position of the last event of the log.
        last: u64,
        /// The position that was given.
        got: u64,
    },
    /// The tick before has not been published yet.
    #[error("tick {tick} has not been published yet; it is being retried")]
    TickPending {
        /// The number of that tick.
        tick: u32,
    },
    /// The clock is more than a day after the last tick.
    #[error(
        "the clock is {seconds} seconds after the last tick, so publishing waits; \
         if the clock is right, run `gcs-server clock resume`"
    )]
    ClockLeap {
        /// Seconds from the last tick to the clock's time.
        seconds: u64,
    },
    /// The clock is before the last tick.
    #[error(
        "the clock is {seconds} seconds before the last tick, so publishing waits for that time; \
         if that is too long because the clock was wrong before, begin a new series with \
         `gcs-server start-series --yes`"
    )]
    ClockBehind {
        /// Seconds from the clock's time to the last tick.
        seconds: u64,
    },
    /// The next tick would drop dates, for good.
    #[error(
        "the next tick would drop {dates} dates with all their reports, for good; \
         if that is meant, add --drop-dates (or ?drop_dates=true)"
    )]
    DatesDropped {
        /// Number of dates that would be dropped.
        dates: usize,
    },
    /// The exact-match request cannot be answered.
    #[error("{message}")]
    ExactInvalid {
        /// What is wrong with the request.
        message: String,
    },
    /// The log cannot be written at the moment.
    #[error(
        "the log cannot be written at the moment; try again: nothing is certain to be stored \
         before an answer of success"
    )]
    StorageUnavailable,
    /// A newer release wrote the log.
    #[error("the log was written by a newer release: this server only serves what is published")]
    ReadOnly,
    /// The server is starting, stopping or overloaded.
    #[error("the server is starting, stopping or overloaded; try again")]
    Unavailable,
    /// Somebody deleted published files.
    #[error("{count} published files are missing; a restart writes them again")]
    FilesMissing {
        /// Number of files that are missing.
        count: usize,
    },
    /// A fault of the server.
    #[error("the server has a fault; its log lines say more")]
    Internal,
}

impl From<ExactError> for Problem {
    fn from(error: ExactError) -> Problem {
        match error {
            ExactError::TooLarge { max, .. } => Problem::TooLarge { max },
            ExactError::Json(error) => Problem::Json(error),
            other => Problem::ExactInvalid { message: other.to_string() },
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Problem {
        match error {
            ReportError::TooLarge { max, .. } => Problem::TooLarge { max },
            ReportError::Json(error) => Problem::Json(error),
            ReportError::TooManyItems { max, got } => Problem::TooManyItems { max, got },
            _ => Problem::CodeInvalid,
        }
    }
}

/// One row of the table of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// Stable name of the problem.
    pub code: &'static str,
    /// HTTP status of the answer.
    pub status: u16,
    /// Whether the same request may succeed later.
    pub retry: bool,
}

impl Problem {
    /// The problem's row of the table.
    pub fn row(&self) -> ProblemKind {
        use Problem as R;
        let (code, status, retry) = match self {
            R::Json(error) if !error.is_json => ("json_invalid", 400, false),
            R::Json(_) => ("json_shape", 400, false),
            R::ParameterInvalid { .. } => ("parameter_invalid", 400, false),
            R::BodyIncomplete => ("body_incomplete", 400, true),
            R::TokenMissing | R::TokenUnknown => ("unauthorized", 401, false),
            R::Forbidden { .. } => ("forbidden", 403, false),
            R::CodeInvalid => ("code_invalid", 403, false),
            R::CodeSuspended => ("code_suspended", 403, true),
            R::CodeNotOpen => ("code_not_open", 403, true),
            R::ProviderInactive { .. } => ("provider_inactive", 403, false),
            R::NotFound => ("not_found", 404, false),
            R::ReportUnknown => ("report_unknown", 404, false),
            R::ProviderUnknown { .. } => ("provider_unknown", 404, false),
            R::RangeUnknown { .. } => ("range_unknown", 404, false),
            R::MethodNotAllowed { .. } => ("method_not_allowed", 405, false),
            R::Timeout { .. } => ("timeout", 408, true),
            R::CodeUsed => ("code_used", 409, false),
            R::CodeSpent => ("code_spent", 409, false),
            R::QuotaExceeded { .. } => ("quota_exceeded", 409, false),
            R::SerialsExhausted => ("serials_exhausted", 409, false),
            R::ProvidersExhausted { .. } => ("providers_exhausted", 409, false),
            R::PositionAhead { .. } => ("position_ahead", 409, false),
            R::TickPending { .. } => ("tick_pending", 409, true),
            R::ClockLeap { .. } => ("clock_leap", 409, false),
            R::ClockBehind { .. } => ("clock_behind", 409, true),
            R::DatesDropped { .. } => ("dates_dropped", 409, false),
            R::CodeExpired => ("code_expired", 410, false),
            R::CodeRevoked => ("code_revoked", 410, false),
            R::TooLarge { .. } => ("too_large", 413, false),
            R::RangeNotSatisfiable { .. } => ("range_not_satisfiable", 416, false),
            R::TooManyItems { .. } => ("too_many_items", 422, false),
            R::NoItems { .. } => ("no_items", 422, false),
            R::ProviderName => ("provider_name", 422, false),
            R::RangeCount { .. } => ("range_count", 422, false),
            R::RangeDays { .. } => ("range_days", 422, false),
            R::PolicyInvalid(_) => ("policy_invalid", 422, false),
            R::SelectionEmpty => ("selection_empty", 422, false),
            R::SelectionRange => ("selection_range", 422, false),
            R::SelectionNone { .. } => ("selection_none", 422, false),
            R::ExactInvalid { .. } => ("exact_invalid", 422, false),
            R::Internal => ("internal", 500, true),
            R::FilesMissing { .. } => ("files_missing", 503, false),
            R::StorageUnavailable => ("storage_unavailable", 503, true),
            R::ReadOnly => ("read_only", 503, true),
            R::Unavailable => ("unavailable", 503, true),
        };
        ProblemKind { code, status, retry }
    }
}
