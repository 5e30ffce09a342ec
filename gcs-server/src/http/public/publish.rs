//! `POST /v1/publish`: keys of Exposure Notification, as apps send them to Apple's and Google's key server.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, post};
use gcs_core::report::{
    MAX_PUBLISH_BYTES, ProblemItem, PublishRequest, PublishRequestError, ReportType,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::judge::PublishAnswer;
use crate::domain::problem::Problem;
use crate::domain::revision::RevisionProblem;
use crate::http::body::Raw;
use crate::service::Service;

/// The path, for the document.
pub(crate) const PATH: &str = "/v1/publish";

/// Keys as an app publishes them.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PublishRequest)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct WirePublication {
    /// The keys, 1 to 30. They follow one another, but for up to 3 that start together.
    #[schema(min_items = 1, max_items = 30)]
    temporary_exposure_keys: Vec<WireKey>,
    /// The authority, as the setting `gaen_authority` has it.
    #[serde(rename = "healthAuthorityID")]
    #[schema(required = false, example = "nl.example")]
    health_authority_id: String,
    /// The one-time code, as it was typed. Certificates of a verification server are not accepted.
    #[schema(required = false, example = "01A0-0Z92-6H3S-GEV5")]
    verification_payload: String,
    /// Not used: there is no certificate whose `tekmac` it could be compared with.
    #[schema(required = false)]
    hmac_key: String,
    /// The interval of ten minutes in which symptoms began. Keys of more than 14 days before or after it are
    /// left out with a warning. One that is as far from all keys counts as none.
    #[schema(required = false)]
    symptom_onset_interval: i32,
    /// Not used.
    #[schema(required = false)]
    traveler: bool,
    /// What the answer to an earlier publication of the same phone gave. It is needed if one of the keys is
    /// published already.
    #[schema(required = false)]
    revision_token: String,
    /// Not used. It hides how long the rest is.
    #[schema(required = false)]
    padding: String,
    /// What the keys are published for: `confirmed` (this if it is missing), `likely`, or `negative`, which takes
    /// back the reports that brought them. At Apple's and Google's server the certificate has it.
    #[schema(required = false, value_type = ReportTypeName)]
    report_type: ReportType,
}

/// What keys are published for.
#[derive(ToSchema)]
#[schema(as = ReportType, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
enum ReportTypeName {
    Confirmed,
    Likely,
    Negative,
}

/// A temporary exposure key.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PublishedKey)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct WireKey {
    /// The key: 16 bytes in base64, padded with `=`.
    #[schema(example = "dccEDbHcXZPrkmFSjAGkSg==")]
    key: String,
    /// The first interval of ten minutes in which it was used.
    #[schema(example = 2_642_976)]
    rolling_start_number: i32,
    /// Number of intervals in which it was used, 1 to 144.
    #[schema(example = 144)]
    rolling_period: i32,
    /// The transmission risk, 0 to 8.
    #[schema(required = false, example = 0)]
    transmission_risk: i32,
}

/// The answer, whatever it is.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PublishAnswer)]
struct WireAnswer {
    /// What the app sends with the next publication of this phone.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    revision_token: String,
    /// Number of keys that were accepted.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    inserted_exposures: u32,
    /// What is wrong, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    error: String,
    /// What is wrong, for programs.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(required = false, example = "partial_failure")]
    code: &'static str,
    /// What the author of the app should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
    /// Random bytes in base64, 1 to 2 kB of them.
    padding: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl WireAnswer {
    fn of(code: &'static str, error: String) -> WireAnswer {
        WireAnswer { error, code, ..WireAnswer::default() }
    }
}

/// Publish keys as to Apple's and Google's key server
///
/// The keys are a report with a one-time code, as `POST /v1/reports` takes it with items of kind `gaen`: they
/// are on disk before the answer, and the same keys with the same code get the same answer again, but for its
/// padding. A request with the header `X-Chaff` is answered and thrown away.
///
/// Nobody can publish so unless the setting `gaen_authority` names the authority. While the server cannot
/// reach its log, the answer is 503: there is no 202 here.
#[utoipa::path(
    tag = "reports",
    request_body = WirePublication,
    responses(
        (status = 200, description = "Accepted and on disk. partial_failure: but for the keys that `error` names", body = WireAnswer),
        (status = 400, description = "bad_request: it cannot be read, or no key can be accepted; missing_revision_token, \
         invalid_revision_token, key_already_revised, invalid_report_type_transition", body = WireAnswer),
        (status = 401, description = "unknown_health_authority_id; health_authority_verification_certificate_invalid: the code \
         does not count, and `error` says why", body = WireAnswer),
        (status = 408, description = "bad_request: the body arrived too slowly", body = WireAnswer),
        (status = 413, description = "bad_request: a publication has at most 64000 bytes", body = WireAnswer),
        (status = 503, description = "internal_error: send the same publication again later", body = WireAnswer),
        (status = "default", description = "Any other problem: internal_error", body = WireAnswer),
    ),
)]
#[post("/v1/publish")]
pub(super) async fn publish_keys(
    service: Data<Service>,
    request: HttpRequest,
    body: Result<Raw<MAX_PUBLISH_BYTES>, Problem>,
) -> HttpResponse {
    let is_chaff = request.headers().contains_key("x-chaff");
    let (status, answer) = match body {
        Ok(_) if is_chaff => (StatusCode::OK, WireAnswer::default()),
        Ok(Raw(body, _share)) => publish(&service, &body).await,
        Err(problem) => refused(&problem),
    };
    match service.padding() {
        Ok(padding) => write(status, &WireAnswer { padding, ..answer }),
        Err(_) => write(StatusCode::INTERNAL_SERVER_ERROR, &internal()),
    }
}

async fn publish(service: &Service, body: &[u8]) -> (StatusCode, WireAnswer) {
    let request = match PublishRequest::from_json(body) {
        Ok(request) => request,
        Err(error) => return unread(&error),
    };
    let authority = service.node.state().policy.gaen_authority.clone();
    if authority.is_empty() || request.authority != authority {
        let error = "unauthorized health authority".to_owned();
        let code = "unknown_health_authority_id";
        return (StatusCode::UNAUTHORIZED, WireAnswer::of(code, error));
    }
    let warnings = request.warnings.clone();
    let (status, answer) = match service.publish_keys(request).await {
        Ok(Ok(answer)) => (StatusCode::OK, accepted(answer)),
        Ok(Err(problem)) => unrevised(problem),
        Err(problem) => refused(&problem),
    };
    (status, WireAnswer { warnings, ..answer })
}

fn accepted(answer: PublishAnswer) -> WireAnswer {
    let PublishAnswer { accepted, problems, revision_token } = answer;
    let partial = if problems.is_empty() { "" } else { "partial_failure" };
    let answer = WireAnswer::of(partial, told(&problems));
    WireAnswer { revision_token, inserted_exposures: accepted, ..answer }
}

fn told(problems: &[ProblemItem]) -> String {
    let told = |problem: &ProblemItem| {
        let code = serde_json::to_value(problem.code).unwrap_or_default();
        let code = code.as_str().unwrap_or_default().to_owned();
        format!("key {} cannot be imported: {code}", problem.index)
    };
    problems.iter().map(told).collect::<Vec<_>>().join("; ")
}

fn unread(error: &PublishRequestError) -> (StatusCode, WireAnswer) {
    let (status, code) = match error {
        PublishRequestError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "bad_request"),
        PublishRequestError::Code(_) => (StatusCode::UNAUTHORIZED, CERTIFICATE),
        _ => (StatusCode::BAD_REQUEST, "bad_request"),
    };
    (status, WireAnswer::of(code, error.to_string()))
}

/// In place of the certificate of that server is the code of this one.
const CERTIFICATE: &str = "health_authority_verification_certificate_invalid";

fn refused(problem: &Problem) -> (StatusCode, WireAnswer) {
    let error = problem.to_string();
    match problem {
        Problem::CodeInvalid
        | Problem::CodeUsed
        | Problem::CodeExpired
        | Problem::CodeRevoked
        | Problem::CodeSuspended
        | Problem::CodeNotOpen => (StatusCode::UNAUTHORIZED, WireAnswer::of(CERTIFICATE, error)),
        Problem::NoItems { problems } => {
            let told = told(&ProblemItem::list(problems));
            (StatusCode::BAD_REQUEST, WireAnswer::of("bad_request", told))
        }
        problem if problem.status_code().is_client_error() => {
            (problem.status_code(), WireAnswer::of("bad_request", error))
        }
        problem => (problem.status_code(), WireAnswer::of("internal_error", error)),
    }
}

fn unrevised(problem: RevisionProblem) -> (StatusCode, WireAnswer) {
    let code = match problem {
        RevisionProblem::Missing => "missing_revision_token",
        RevisionProblem::Invalid => "invalid_revision_token",
        RevisionProblem::AlreadyRevised => "key_already_revised",
        RevisionProblem::Transition => "invalid_report_type_transition",
    };
    (StatusCode::BAD_REQUEST, WireAnswer::of(code, problem.to_string()))
}

fn internal() -> WireAnswer {
    WireAnswer::of("internal_error", "the server has a fault".to_owned())
}

fn write(status: StatusCode, answer: &WireAnswer) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header(("X-Api-Version", "v1"));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, "10"));
    }
    response.json(answer)
}
