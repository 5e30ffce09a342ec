//! All problems in one table: name, HTTP status, and whether to try again.

use gcs_core::exact::ExactError;
use thiserror::Error;

use crate::domain::policy::PolicyError;
use gcs_core::report::{ItemProblem, ReportError};

/// What is answered instead of success. Nothing has changed then.
#[derive(Debug, Error)]
pub enum Problem {
    /// The body is no JSON.
    #[error("the body is no JSON: line {line}, column {column}")]
    JsonInvalid {
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
    },
    /// JSON of another shape. What is wrong is not repeated: it may be a secret.
    #[error("the JSON has another shape than is asked for: line {line}, column {column}")]
    JsonShape {
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
    },
    /// A parameter of path or query that cannot be read.
    #[error("{what}")]
    ParameterInvalid {
        /// Which.
        what: &'static str,
    },
    /// No token came.
    #[error("this needs a token: send `Authorization: Bearer TOKEN`")]
    TokenMissing,
    /// Nobody has the token that came.
    #[error("this token is not known here; it may have been replaced")]
    TokenUnknown,
    /// A token of another role.
    #[error("this needs {role} token, and the one that came is another role's")]
    Forbidden {
        /// Whose, with an article.
        role: &'static str,
    },
    /// No such path.
    #[error("there is nothing here")]
    NotFound,
    /// The path is there, the method is not.
    #[error("this path takes {allow}")]
    MethodNotAllowed {
        /// The methods that it takes.
        allow: String,
    },
    /// The request took too long to arrive.
    #[error("the body took more than {seconds} seconds to arrive")]
    Timeout {
        /// How long it may take.
        seconds: u64,
    },
    /// The body is too large.
    #[error("the body is larger than {max} bytes")]
    TooLarge {
        /// How large it may be.
        max: usize,
    },
    /// The body broke off.
    #[error("the body broke off")]
    BodyIncomplete,
    /// Not satisfiable range of a file.
    #[error("the range lies outside the {length} bytes of the file")]
    RangeNotSatisfiable {
        /// The file's length.
        length: u64,
    },
    /// Not a code, or not an authentic one.
    #[error("this is no code of this service; check it for typing mistakes")]
    CodeInvalid,
    /// The code has brought another report.
    #[error("this code has been used for another report")]
    CodeUsed,
    /// The code cannot be revoked any more.
    #[error("this code has brought a report already; `retract --code` takes that back")]
    CodeSpent,
    /// The code's time is over.
    #[error("this code has expired")]
    CodeExpired,
    /// The code was revoked.
    #[error("this code has been revoked")]
    CodeRevoked,
    /// The code's provider is suspended.
    #[error("the provider of this code is suspended; the code may count again later")]
    CodeSuspended,
    /// No range with this code has been opened.
    #[error("this code has not been opened yet; its provider must open its range")]
    CodeNotOpen,
    /// More items than a report may have.
    #[error("a report has at most {max} items, got {got}")]
    TooManyItems {
        /// How many it may have.
        max: usize,
        /// How many came.
        got: usize,
    },
    /// None of the items was good; the code is not spent.
    #[error("none of the items can be accepted; the code is not spent")]
    NoItems {
        /// What is wrong with each, by index.
        problems: Vec<(u32, ItemProblem)>,
    },
    /// No such report.
    #[error(
        "there is no report of this tracking id; reports are forgotten some days after their dates expired"
    )]
    ReportUnknown,
    /// No such provider.
    #[error("there is no provider {provider}")]
    ProviderUnknown {
        /// The number.
        provider: u16,
    },
    /// The provider is not active.
    #[error("this provider is {status}")]
    ProviderInactive {
        /// What it is instead.
        status: &'static str,
    },
    /// A name that is empty, too long or not printable.
    #[error("a provider's name has 1 to 200 printable characters")]
    ProviderName,
    /// All provider numbers are taken.
    #[error("all {max} provider numbers are taken")]
    ProvidersExhausted {
        /// How many there are.
        max: u16,
    },
    /// No such range.
    #[error("this provider has no range that begins with serial number {first}")]
    RangeUnknown {
        /// The serial number.
        first: u32,
    },
    /// A number of codes that is not allowed.
    #[error("a range has 1 to {max} codes, got {got}")]
    RangeCount {
        /// How many it may have.
        max: u32,
        /// How many were asked for.
        got: u32,
    },
    /// A validity that is not allowed.
    #[error("codes are valid for 1 to {max} days, got {got}")]
    RangeDays {
        /// How many it may be.
        max: u32,
        /// How many were asked for.
        got: u32,
    },
    /// Too many unused codes.
    #[error("this provider may have {max} unused codes at once, and has {open}")]
    QuotaExceeded {
        /// How many it may have.
        max: u64,
        /// How many it has.
        open: u64,
    },
    /// The serial numbers of the present key are used up.
    #[error("the serial numbers of this provider's key are used up; the operator must rotate it")]
    SerialsExhausted,
    /// A policy out of bounds.
    #[error(transparent)]
    PolicyInvalid(#[from] PolicyError),
    /// A correction that selects nothing in particular.
    #[error("select by report, code, provider, range or time; an empty selection is refused")]
    SelectionEmpty,
    /// A range without its provider.
    #[error("a range is selected together with its provider")]
    SelectionRange,
    /// No report is selected.
    #[error("no report is selected, up to position {position} of the log")]
    SelectionNone {
        /// The position that was looked at.
        position: u64,
    },
    /// A log position in the future.
    #[error("the log is at position {last}, before {got}; preview again")]
    PositionAhead {
        /// Where the log is.
        last: u64,
        /// What was given.
        got: u64,
    },
    /// The tick before has not been published yet.
    #[error("tick {tick} has not been published yet; it is being retried")]
    TickPending {
        /// Its number.
        tick: u32,
    },
    /// The clock leapt ahead.
    #[error(
        "the clock is {seconds} seconds after the last tick: publishing waits; \
         if the clock is right, resume with `gcs-server clock resume`"
    )]
    ClockLeap {
        /// How far.
        seconds: u64,
    },
    /// The clock went back.
    #[error(
        "the clock is {seconds} seconds before the last tick: publishing waits until it is after \
         it again; if that is too long, because an earlier clock was wrong, raise the series"
    )]
    ClockBehind {
        /// How far.
        seconds: u64,
    },
    /// Dates would be dropped for good.
    #[error(
        "this drops {dates} dates with all their reports at the next tick, for good; \
         say --drop-dates (drop_dates=true) if that is meant"
    )]
    DatesDropped {
        /// How many.
        dates: usize,
    },
    /// An exact-match request that is out of bounds.
    #[error("{message}")]
    ExactInvalid {
        /// What is wrong with it.
        message: String,
    },
    /// The log cannot be written at the moment.
    #[error("the log cannot be written at the moment; nothing is known to be lost; try again")]
    StorageUnavailable,
    /// A newer release wrote the log.
    #[error(
        "the log was written by a newer release: this server serves what is published, no more"
    )]
    ReadOnly,
    /// The server is stopping, or has not finished starting.
    #[error("the server is starting or stopping; try again")]
    Unavailable,
    /// Published files are not there any more.
    #[error("{count} published files have been deleted; a restart writes them again")]
    FilesMissing {
        /// How many.
        count: usize,
    },
    /// A fault of the server.
    #[error("a fault of the server; it is in its log")]
    Internal,
}

impl From<ExactError> for Problem {
    /// What `serde_json` says may repeat values, so of wrong JSON only that is told.
    fn from(error: ExactError) -> Problem {
        match error {
            ExactError::TooLarge { max, .. } => Problem::TooLarge { max },
            ExactError::Json { .. } => Problem::ExactInvalid {
                message: "the JSON has another shape than is asked for".to_owned(),
            },
            other => Problem::ExactInvalid { message: other.to_string() },
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Problem {
        match error {
            ReportError::TooLarge { max, .. } => Problem::TooLarge { max },
            ReportError::Json { line, column } => Problem::JsonInvalid { line, column },
            ReportError::Shape { line, column } => Problem::JsonShape { line, column },
            ReportError::TooManyItems { max, got } => Problem::TooManyItems { max, got },
            ReportError::Code(_) | _ => Problem::CodeInvalid,
        }
    }
}

/// One row of the table of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// Stable name.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Whether the same request may succeed later.
    pub retry: bool,
}

impl Problem {
    /// Its row of the table.
    pub fn row(&self) -> ProblemKind {
        use Problem as R;
        let (code, status, retry) = match self {
            R::JsonInvalid { .. } => ("json_invalid", 400, false),
            R::JsonShape { .. } => ("json_shape", 400, false),
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
