//! Problems as problem details (RFC 9457).

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use gcs_core::report;
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::problem::Problem;

/// The codes of all problems by HTTP status.
const STATUSES: &[(u16, &[&str])] = &[
    (400, &["json_invalid", "json_shape", "parameter_invalid", "body_incomplete"]),
    (401, &["unauthorized"]),
    (
        403,
        &[
            "forbidden",
            "code_invalid",
            "code_suspended",
            "code_not_open",
            "provider_inactive",
            "password_invalid",
            "upload_code_invalid",
            "upload_token_invalid",
            "sender_unknown",
            "signature_invalid",
        ],
    ),
    (
        404,
        &[
            "not_found",
            "report_unknown",
            "provider_unknown",
            "range_unknown",
            "user_unknown",
            "case_unknown",
            "authority_unknown",
            "follow_up_unknown",
        ],
    ),
    (405, &["method_not_allowed"]),
    (408, &["timeout"]),
    (
        409,
        &[
            "code_used",
            "code_spent",
            "range_ambiguous",
            "quota_exceeded",
            "providers_exhausted",
            "position_ahead",
            "tick_pending",
            "clock_leap",
            "clock_behind",
            "clock_moved",
            "dates_dropped",
            "too_many_short_codes",
            "message_changed",
            "too_many_authorities",
        ],
    ),
    (410, &["code_expired", "code_revoked", "message_expired", "message_withdrawn"]),
    (413, &["too_large"]),
    (416, &["range_not_satisfiable"]),
    (
        422,
        &[
            "too_many_items",
            "no_items",
            "provider_name",
            "range_count",
            "range_days",
            "policy_invalid",
            "selection_empty",
            "selection_range",
            "selection_none",
            "exact_invalid",
            "number_invalid",
            "upload_invalid",
            "message_invalid",
            "wrong_recipient",
            "authority_invalid",
            "pseudo_id_unknown",
        ],
    ),
    (429, &["limit_reached"]),
    (500, &["internal"]),
    (
        503,
        &[
            "clock_doubt",
            "not_ready",
            "storage_unavailable",
            "read_only",
            "log_unusable",
            "unavailable",
            "sender_failed",
            "bluetrace_keys",
        ],
    ),
];

/// The codes of problems after which the same request may succeed later.
const RETRY: &[&str] = &[
    "body_incomplete",
    "code_suspended",
    "code_not_open",
    "timeout",
    "tick_pending",
    "clock_behind",
    "internal",
    "clock_doubt",
    "not_ready",
    "storage_unavailable",
    "read_only",
    "log_unusable",
    "unavailable",
    "limit_reached",
    "sender_failed",
];

/// Stable name of a problem, kept with the answer for log lines and counters.
#[derive(Clone, Copy)]
pub(super) struct ProblemCode(pub(super) &'static str);

impl PartialSchema for ProblemCode {
    fn schema() -> RefOr<Schema> {
        let codes = STATUSES.iter().flat_map(|(_, codes)| codes.iter().copied());
        let description = "Stable name of a problem. gcs-server/README.md, section Problems, says \
            what to do about each. More names may be added: a client that does not know one goes \
            by `status` and `retry`.";
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
        schema.description(Some(description)).into()
    }
}

impl ToSchema for ProblemCode {}

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
    #[schema(value_type = Vec<ProblemItem>)]
    problems: Vec<report::ProblemItem>,
}

/// An item of a report that was not accepted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core writes it")]
pub(super) struct ProblemItem {
    /// Place of the item among the items that were sent, counted from 0.
    #[schema(example = 0)]
    index: u32,
    /// What is wrong with the item.
    code: ItemProblemName,
}

/// What is wrong with an item: `shape` (it is no object, or has members that its kind does not
/// have), `kind_unknown`, `epoch_invalid`, `seed_invalid`, `date_invalid`, `element_invalid`, `key_invalid`,
/// `window_invalid`, `hours_invalid`, `report_invalid`, `rolling_start_invalid`, `rolling_period_invalid`,
/// `transmission_risk_invalid`, `diagnosis_invalid`, `days_since_onset_invalid` (that
/// member is missing or is not what it must be), `seed_length`, `key_length` (it is not as long as a seed or
/// key of its kind),
/// `element_length` (the element is not 16 to 64 bytes), `kind_not_allowed` (this server does not
/// accept items of this kind; `raw_not_allowed` in answers of earlier releases), `hours_not_allowed` (it
/// accepts windows of another length), `date_too_old` (its date is not published any more, or may not be
/// by the time at which the item would be), `date_in_future` (it begins in the future), `window_open` (the
/// window is not over), `too_many_for_date`
/// (the report would bring more elements of the date than `max_elements_per_date`, or has more than 24 TCN
/// reports for it), `too_many_for_epoch`, `too_many_for_window`, `too_many_keys` (the
/// report has more than 3 seeds for the epoch or window, or keys for one date, or keys with one start),
/// `span_too_long` (the TCN report is of more than 72 numbers), `signature_wrong`.
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
    KindNotAllowed,
    KeyInvalid,
    KeyLength,
    WindowInvalid,
    HoursInvalid,
    HoursNotAllowed,
    WindowOpen,
    TooManyForWindow,
    TooManyKeys,
    ReportInvalid,
    SpanTooLong,
    SignatureWrong,
    RollingStartInvalid,
    RollingPeriodInvalid,
    TransmissionRiskInvalid,
    DiagnosisInvalid,
    DaysSinceOnsetInvalid,
}

impl From<&Problem> for ProblemDetails {
    fn from(problem: &Problem) -> ProblemDetails {
        let (status, code) = (problem.status_code(), problem.code());
        let problems = match problem {
            Problem::NoItems { problems } => report::ProblemItem::list(problems),
            _ => Vec::new(),
        };
        ProblemDetails {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            retry: RETRY.contains(&code),
            detail: problem.to_string(),
            problems,
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        let of = STATUSES.iter().find(|(_, codes)| codes.contains(&self.code()));
        of.and_then(|(status, _)| StatusCode::from_u16(*status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
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
            Problem::ClockDoubt
            | Problem::StorageUnavailable
            | Problem::ReadOnly
            | Problem::LogUnusable
            | Problem::Unavailable => {
                response.insert_header((header::RETRY_AFTER, "10"));
            }
            Problem::LimitReached { seconds } => {
                response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
            Problem::RangeNotSatisfiable { length } => {
                response.insert_header((header::CONTENT_RANGE, format!("bytes */{length}")));
            }
            _ => {}
        }
        let body = serde_json::to_vec(&ProblemDetails::from(self)).unwrap_or_default();
        let mut response = response.body(body);
        response.extensions_mut().insert(ProblemCode(self.code()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use strum::VariantNames as _;

    /// Every problem has one status, and the handbook's table of them is this one.
    #[test]
    fn the_table_of_problems_is_whole_and_the_handbooks() {
        let rows = STATUSES.iter().flat_map(|(status, codes)| {
            codes.iter().map(move |code| {
                let retry = if RETRY.contains(code) { "yes" } else { "no" };
                (*code, format!("| `{code}` | {status} | {retry} |"))
            })
        });
        let (codes, rows): (Vec<&str>, Vec<String>) = rows.unzip();
        let known: BTreeSet<&str> = codes.iter().copied().collect();
        assert_eq!(known, Problem::VARIANTS.iter().copied().collect());
        assert_eq!(known.len(), codes.len(), "a code has two statuses");
        assert!(RETRY.iter().all(|code| known.contains(code)));
        let table =
            include_str!("../../README.md").split("<!-- problems:begin -->").nth(1).unwrap();
        let table = table.split("<!-- problems:end -->").next().unwrap().trim();
        let told: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(told.len(), rows.len());
        for (told, row) in told.iter().zip(&rows) {
            assert!(told.starts_with(row.as_str()), "{told} is not {row}");
        }
    }
}
