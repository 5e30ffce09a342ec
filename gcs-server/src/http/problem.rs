//! Refusals as problem details (RFC 9457).

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::judge::ProblemItem;
use crate::domain::problem::Problem;

/// Stable name of what is wrong. gcs-server/README.md, Refusals, has a table of them: status,
/// retry, what to do. More may come: of an unknown one, go by `status` and `retry`.
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

/// ProblemDetails details. `code` is stable; `detail` is for people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemDetails {
    /// Always "about:blank": the code says more.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable name of what is wrong.
    #[schema(value_type = ProblemCode)]
    code: &'static str,
    /// Whether the same request may succeed later.
    retry: bool,
    /// What is wrong, for people.
    detail: String,
    /// What is wrong with each item, when all of them are bad (no_items).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemItem>,
}

impl From<&Problem> for ProblemDetails {
    fn from(problem: &Problem) -> ProblemDetails {
        let row = problem.row();
        let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problems = match problem {
            Problem::NoItems { problems } => ProblemItem::list(problems),
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
            Problem::Unauthorized => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            Problem::MethodNotAllowed { allow } => {
                response.insert_header((header::ALLOW, *allow));
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
