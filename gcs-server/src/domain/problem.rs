//! Why a request does not succeed.

use gcs_core::exact::ExactError;
use gcs_core::json::JsonError;
use gcs_core::report::{ItemProblem, ReportError};
use strum::{IntoStaticStr, VariantNames};
use thiserror::Error;

use crate::domain::policy::PolicyError;

/// The answer to a request that did not succeed. The request has changed nothing, unless the text
/// of the problem says otherwise. [`Problem::code`] is the variant's name in snake case.
#[derive(Debug, Error, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "the text of each says what it is")]
pub enum Problem {
    #[error(transparent)]
    JsonInvalid(JsonError),
    /// The text names the member that is wrong and its place, and no value: it may be a secret.
    #[error(transparent)]
    JsonShape(JsonError),
    #[error("{what}")]
    ParameterInvalid { what: &'static str },
    #[error("a token is needed: send `Authorization: Bearer TOKEN`")]
    #[strum(serialize = "unauthorized")]
    TokenMissing,
    #[error("the token is unknown; it may have been replaced")]
    #[strum(serialize = "unauthorized")]
    TokenUnknown,
    /// The role is in the possessive: `the operator's`, `a provider's` or `the backends'`.
    #[error("{role} token is needed; the token that was sent is of another role")]
    Forbidden { role: &'static str },
    #[error("there is no such path or file on this listener")]
    NotFound,
    #[error("this path takes only {allow}")]
    MethodNotAllowed { allow: String },
    #[error(
        "the body arrived too slowly: it may pause for {seconds} seconds at most, and after the \
         first {seconds} it must bring {rate} bytes a second on average"
    )]
    Timeout { seconds: u64, rate: u32 },
    #[error("the body is larger than {max} bytes")]
    TooLarge { max: usize },
    #[error("the connection broke before the whole body arrived")]
    BodyIncomplete,
    #[error("the range lies outside the {length} bytes of the file")]
    RangeNotSatisfiable { length: u64 },
    #[error("this is not a code of this service; look for typing mistakes")]
    CodeInvalid,
    #[error("this code has been used for another report")]
    CodeUsed,
    #[error(
        "this code has been used for a report; `gcs-server retract --code` takes the report back"
    )]
    CodeSpent,
    #[error("this code has expired, or is not known any more; ask for another one")]
    CodeExpired,
    #[error("this code has been revoked")]
    CodeRevoked,
    #[error("the provider of this code is suspended; the code may be accepted later")]
    CodeSuspended,
    #[error("this code is not valid yet: its provider must open its range first")]
    CodeNotOpen,
    #[error("a report has at most {max} items, got {got}")]
    TooManyItems { max: usize, got: usize },
    #[error("none of the items can be accepted, and the code is not used up")]
    NoItems { problems: Vec<(u32, ItemProblem)> },
    #[error(
        "there is no report with this tracking id; reports are erased some days after their dates expired"
    )]
    ReportUnknown,
    #[error("there is no provider with the number {provider}")]
    ProviderUnknown { provider: u16 },
    #[error("the provider is {status}")]
    ProviderInactive { status: &'static str },
    #[error("a provider's name has 1 to 200 printable characters")]
    ProviderName,
    #[error("all {max} provider numbers are taken")]
    ProvidersExhausted { max: u16 },
    #[error(
        "the provider's key of generation {generation} has no range that begins with serial number {first}"
    )]
    RangeUnknown { generation: u32, first: u32 },
    #[error(
        "ranges of the keys of generations {} begin with serial number {first}; say which, with \
         --generation (or ?generation=)",
        listed(.generations)
    )]
    RangeAmbiguous { first: u32, generations: Vec<u32> },
    #[error("a range has 1 to {max} codes, got {got}")]
    RangeCount { max: u32, got: u32 },
    #[error("codes are valid for 1 to {max} days, got {got}")]
    RangeDays { max: u32, got: u32 },
    #[error("the provider may have {max} unused codes at once, and has {open}")]
    QuotaExceeded { max: u64, open: u64 },
    #[error(transparent)]
    PolicyInvalid(#[from] PolicyError),
    #[error("say which reports: by report, code, provider, range or time")]
    SelectionEmpty,
    #[error("a range or generation needs its provider; name the provider too")]
    SelectionRange,
    #[error("no report is selected, up to position {position} of the log")]
    SelectionNone { position: u64 },
    #[error("the log has no position {got} yet, its last is {last}; preview again")]
    PositionAhead { last: u64, got: u64 },
    #[error("tick {tick} has not been published yet; it is being retried")]
    TickPending { tick: u32 },
    #[error(
        "the clock is {seconds} seconds after the last tick, so publishing waits; \
         if the clock is right, run `gcs-server clock resume`"
    )]
    ClockLeap { seconds: u64 },
    #[error(
        "the clock is {seconds} seconds before the last tick, so publishing waits for that time; \
         if that is too long because the clock was wrong before, begin a new series with \
         `gcs-server start-series --yes`"
    )]
    ClockBehind { seconds: u64 },
    #[error(
        "the clock was set {} seconds {} while this machine ran, so reports and publishing wait; put it \
         right, or, if it is right now, run `gcs-server clock resume`",
        .seconds.unsigned_abs(),
        if *.seconds < 0 { "back" } else { "ahead" }
    )]
    ClockMoved { seconds: i64 },
    #[error(
        "the next tick would drop {dates} dates with all their reports, for good; \
         if that is meant, add --drop-dates (or ?drop_dates=true)"
    )]
    DatesDropped { dates: usize },
    #[error("{message}")]
    ExactInvalid { message: String },
    #[error(
        "the log cannot be read or written at the moment; try again: nothing is certain to be stored \
         before an answer of success"
    )]
    StorageUnavailable,
    #[error(
        "a newer release wrote to the log: this server only serves what is published, until that \
         release is installed"
    )]
    ReadOnly,
    #[error(
        "the server cannot use its log, and accepts and answers nothing but the published files, until \
         that is put right; try again later (/readyz on the private listener says why)"
    )]
    LogUnusable,
    #[error("the server is starting, stopping or overloaded; try again")]
    Unavailable,
    #[error(
        "the server's clock may be wrong, and nothing is judged by a wrong clock; try again later"
    )]
    ClockDoubt,
    #[error(
        "a phone number is a plus and 7 to 15 digits, of which the first is not 0, without spaces"
    )]
    NumberInvalid,
    /// One answer, whatever is wrong.
    #[error(
        "the password is not the one that was sent, or it is too old or was tried too often; ask for another one"
    )]
    PasswordInvalid,
    #[error("too many requests; try again after {seconds} seconds")]
    LimitReached { seconds: u64 },
    #[error("the password cannot be sent at the moment; try again")]
    SenderFailed,
    /// One answer, whatever is wrong.
    #[error("this is not an upload code that you can use now; ask for another one")]
    UploadCodeInvalid,
    /// One answer, whatever is wrong.
    #[error(
        "the upload needs a token for an upload code of yours, not older than two hours and not used"
    )]
    UploadTokenInvalid,
    #[error("{message}")]
    UploadInvalid { message: String },
    #[error("nobody is registered with this phone number")]
    UserUnknown,
    #[error("a user may have {max} short codes at once, and has {got}")]
    TooManyShortCodes { max: usize, got: usize },
    #[error("there is no case with this number, or nothing was uploaded for it")]
    CaseUnknown,
    #[error("the message is of no authority that is known here; its operator has to be told first")]
    SenderUnknown,
    /// One answer, whatever is wrong.
    #[error(
        "the message is not signed with the key of the authority that `bluetrace-authority` names, for this path"
    )]
    SignatureInvalid,
    #[error("{message}")]
    MessageInvalid { message: String },
    #[error("the message is for another authority")]
    WrongRecipient,
    #[error("the message has expired")]
    MessageExpired,
    #[error("another message with this number has come before")]
    MessageChanged,
    #[error("the message was withdrawn")]
    MessageWithdrawn,
    #[error("there is no such authority; `gcs-server authority list` shows those that are known")]
    AuthorityUnknown,
    #[error("{what}")]
    AuthorityInvalid { what: &'static str },
    #[error("there are at most {max} other authorities")]
    TooManyAuthorities { max: usize },
    #[error("there is no follow-up with this number, or it has expired")]
    FollowUpUnknown,
    #[error("the case has not met {pseudo_id} of this authority, or that is not known yet")]
    PseudoIdUnknown { pseudo_id: String },
    #[error("BlueTrace does not work at the moment; the authority knows why")]
    BluetraceKeys,
    #[error("not everything works: {}", .reasons.join("; "))]
    NotReady { reasons: Vec<String> },
    #[error("the server has a fault; its log lines say more")]
    Internal,
}

fn listed(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(" and ")
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Problem {
        if error.is_json { Problem::JsonShape(error) } else { Problem::JsonInvalid(error) }
    }
}

impl From<ExactError> for Problem {
    fn from(error: ExactError) -> Problem {
        match error {
            ExactError::TooLarge { max, .. } => Problem::TooLarge { max },
            ExactError::Json(error) => error.into(),
            other => Problem::ExactInvalid { message: other.to_string() },
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Problem {
        match error {
            ReportError::TooLarge { max, .. } => Problem::TooLarge { max },
            ReportError::Json(error) => error.into(),
            ReportError::TooManyItems { max, got } => Problem::TooManyItems { max, got },
            _ => Problem::CodeInvalid,
        }
    }
}

impl Problem {
    /// Stable name of the problem.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
