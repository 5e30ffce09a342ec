//! Problems as problem details (RFC 9457).

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use gcs_core::report::{self, ItemProblem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::problem::Problem;

/// Stable name of a problem. gcs-server/README.md, section Problems, says what to do about each.
/// More names may be added: a client that does not know one goes by `status` and `retry`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document; a test keeps it equal to the table")]
enum ProblemCode {
    JsonInvalid,
    JsonShape,
    ParameterInvalid,
    BodyIncomplete,
    Unauthorized,
    Forbidden,
    CodeInvalid,
    CodeSuspended,
    CodeNotOpen,
    ProviderInactive,
    NotFound,
    ReportUnknown,
    ProviderUnknown,
    RangeUnknown,
    MethodNotAllowed,
    Timeout,
    CodeUsed,
    CodeSpent,
    QuotaExceeded,
    SerialsExhausted,
    ProvidersExhausted,
    PositionAhead,
    TickPending,
    ClockLeap,
    ClockBehind,
    DatesDropped,
    CodeExpired,
    CodeRevoked,
    TooLarge,
    RangeNotSatisfiable,
    TooManyItems,
    NoItems,
    ProviderName,
    RangeCount,
    RangeDays,
    PolicyInvalid,
    SelectionEmpty,
    SelectionRange,
    SelectionNone,
    ExactInvalid,
    Internal,
    FilesMissing,
    StorageUnavailable,
    ReadOnly,
    Unavailable,
}

/// Why a request was not answered with success (RFC 9457). Nothing was changed then, unless
/// `detail` says otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemDetails {
    /// Always "about:blank": `code` says which problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The HTTP status in words.
    #[schema(example = "Conflict")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// Stable name of the problem, for programs.
    #[schema(value_type = ProblemCode, example = "code_used")]
    code: &'static str,
    /// Whether the same request may succeed later.
    #[schema(example = false)]
    retry: bool,
    /// What is wrong, in a sentence for people. It may change from release to release.
    #[schema(example = "this code has been used for another report")]
    detail: String,
    /// What is wrong with each item. It is there only when `code` is `no_items`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemItem>,
}

/// An item of a report that was not accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemItem {
    /// Place of the item among the items that were sent, counted from 0.
    #[schema(example = 0)]
    index: u32,
    /// What is wrong with the item.
    #[schema(value_type = ItemProblemName)]
    code: ItemProblem,
}

impl From<report::ProblemItem> for ProblemItem {
    fn from(report::ProblemItem { index, code }: report::ProblemItem) -> ProblemItem {
        ProblemItem { index, code }
    }
}

/// What is wrong with an item: `shape` (it is no object, or has members that its kind does not
/// have), `kind_unknown`, `epoch_invalid`, `seed_invalid`, `date_invalid`, `element_invalid` (that
/// member is missing or is not what it must be), `seed_length` (the seed is not 32 bytes),
/// `element_length` (the element is not 16 to 64 bytes), `raw_not_allowed` (this server does not
/// accept items of kind `raw`), `date_too_old` (its date is not published any more, or may not be
/// by the time at which the item would be), `date_in_future` (or its epoch is), `too_many_for_date`
/// (the report has more items for the date than `max_items_per_date`), `too_many_for_epoch` (the
/// report has more than 3 seeds for the epoch).
#[derive(ToSchema)]
#[schema(as = ItemProblem, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document: gcs-core writes it")]
enum ItemProblemName {
    Shape,
    SeedLength,
    ElementLength,
    RawNotAllowed,
    DateTooOld,
    DateInFuture,
    TooManyForDate,
    TooManyForEpoch,
    KindUnknown,
    EpochInvalid,
    SeedInvalid,
    DateInvalid,
    ElementInvalid,
}

impl From<&Problem> for ProblemDetails {
    fn from(problem: &Problem) -> ProblemDetails {
        let row = problem.row();
        let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problems = match problem {
            Problem::NoItems { problems } => problems
                .iter()
                .map(|(index, code)| ProblemItem { index: *index, code: *code })
                .collect(),
            _ => Vec::new(),
        };
        ProblemDetails {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: row.status,
            code: row.code,
            retry: row.retry,
            detail: problem.to_string(),
            problems,
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status_code());
        response.content_type("application/problem+json");
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        match self {
            // How to authenticate, and what is wrong with the token (RFC 6750).
            Problem::TokenMissing => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            Problem::TokenUnknown => {
                let challenge = "Bearer error=\"invalid_token\"";
                response.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            Problem::Forbidden { .. } => {
                let challenge = "Bearer error=\"insufficient_scope\"";
                response.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            Problem::MethodNotAllowed { allow } => {
                response.insert_header((header::ALLOW, allow.as_str()));
            }
            Problem::StorageUnavailable | Problem::ReadOnly | Problem::Unavailable => {
                response.insert_header((header::RETRY_AFTER, "10"));
            }
            Problem::RangeNotSatisfiable { length } => {
                response.insert_header((header::CONTENT_RANGE, format!("bytes */{length}")));
            }
            _ => {}
        }
        let body = serde_json::to_vec(&ProblemDetails::from(self)).unwrap_or_default();
        let mut response = response.body(body);
        response.extensions_mut().insert(self.row());
        response
    }
}
