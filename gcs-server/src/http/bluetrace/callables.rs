//! What OpenTrace's apps call, in the envelope of Firebase's callable functions
//! (<https://firebase.google.com/docs/functions/callable-reference>): `{"data":…}` is answered with
//! `{"result":…}`, or `{"error":{"status":…,"message":…}}`.
//!
//! An app whose Firebase SDK is told another origin asks for `ORIGIN/PROJECT/REGION/NAME`, so names
//! are found below any project and region too.

use actix_web::http::StatusCode;
use actix_web::{
    FromRequest as _, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _, post, web,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::unwrap::Envelope;
use super::uploads::{accept, take, upload_token};
use super::users::{Pin, temp_ids};
use super::{Phone, Services};
use crate::bluetrace::UploadJudge;
use crate::domain::problem::Problem;
use crate::http::body::Json;
use crate::http::not_stored;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(call_get_temp_ids)
        .service(call_get_broadcast_message)
        .service(call_get_handshake_pin)
        .service(call_get_upload_token)
        .service(call_process_uploaded_data)
        .service(any_origin);
}

/// What an app sends.
#[derive(Default, Deserialize, ToSchema)]
struct CallableRequest {
    /// The argument: null, but for `getUploadToken`, where it is the upload code as text.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    data: serde_json::Value,
}

/// What an app gets.
#[derive(Serialize, ToSchema)]
struct CallableAnswer<T> {
    /// The answer of the function.
    result: T,
}

/// Why a call has failed.
#[derive(Serialize, ToSchema)]
struct CallableError {
    /// The error.
    error: CallableProblem,
}

/// An error as callable functions have it.
#[derive(Serialize, ToSchema)]
struct CallableProblem {
    /// A name of Google's error codes, such as `UNAUTHENTICATED`.
    #[schema(example = "UNAUTHENTICATED")]
    status: &'static str,
    /// What is wrong, for people.
    message: String,
}

/// The answer to a call, in its envelope.
fn envelope(answer: Result<impl Serialize, Problem>) -> HttpResponse {
    let problem = match answer {
        Ok(result) => return not_stored(HttpResponse::Ok(), &CallableAnswer { result }),
        Err(problem) => problem,
    };
    let (status, name) = match problem.status_code().as_u16() {
        401 => (401, "UNAUTHENTICATED"),
        403 => (403, "PERMISSION_DENIED"),
        404 => (404, "NOT_FOUND"),
        429 => (429, "RESOURCE_EXHAUSTED"),
        503 => (503, "UNAVAILABLE"),
        400..500 => (400, "INVALID_ARGUMENT"),
        _ => (500, "INTERNAL"),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = CallableProblem { status: name, message: problem.to_string() };
    not_stored(HttpResponseBuilder::new(status), &CallableError { error })
}

/// Whose call it is, and its argument.
type Call = (Result<Phone, Problem>, Result<Json<CallableRequest>, Problem>);

async fn call(
    name: &str,
    service: &Services,
    (phone, request): Call,
) -> Result<serde_json::Value, Problem> {
    let (phone, Json(CallableRequest { data })) = (phone?, request?);
    let to_value = |value| serde_json::to_value(value).map_err(|_| Problem::Internal);
    match name {
        "getTempIDs" => to_value(json!(temp_ids(service, &phone)?)),
        "getBroadcastMessage" => {
            let ids = temp_ids(service, &phone)?;
            Ok(json!({ "status": "SUCCESS", "bm": ids.current(), "refreshTime": ids.refresh_time }))
        }
        "getHandshakePin" => to_value(json!(Pin::of(&phone))),
        "getUploadToken" => {
            let code = data.as_str().map(str::to_owned);
            let code = code.ok_or(Problem::UploadCodeInvalid)?;
            let token = upload_token(service, &phone, code).await?;
            Ok(json!({ "status": "SUCCESS", "token": token }))
        }
        _ => Err(Problem::NotFound),
    }
}

macro_rules! callables {
    ($($(#[doc = $doc:literal])* $function:ident $name:literal $path:literal;)*) => {$(
        $(#[doc = $doc])*
        #[utoipa::path(
            tag = "opentrace",
            security(("user" = [])),
            request_body = CallableRequest,
            responses(
                (status = 200, description = "The result", body = CallableAnswer<serde_json::Value>),
                (status = 401, description = "UNAUTHENTICATED", body = CallableError),
            ),
        )]
        #[post($path)]
        async fn $function(
            service: Services,
            phone: Result<Phone, Problem>,
            request: Result<Json<CallableRequest>, Problem>,
        ) -> HttpResponse {
            envelope(call($name, &service, (phone, request)).await)
        }
    )*};
}

callables! {
    /// Get your TempIDs, as OpenTrace's apps do
    call_get_temp_ids "getTempIDs" "/bluetrace/callable/getTempIDs";
    /// Get the TempID of now, as early apps for iOS do
    call_get_broadcast_message "getBroadcastMessage" "/bluetrace/callable/getBroadcastMessage";
    /// Get your PIN, as OpenTrace's apps do
    call_get_handshake_pin "getHandshakePin" "/bluetrace/callable/getHandshakePin";
    /// Get a token for an upload, as OpenTrace's apps do
    call_get_upload_token "getUploadToken" "/bluetrace/callable/getUploadToken";
}

/// Upload what your phone has recorded, in an envelope
///
/// In OpenTrace a file that an app puts into a bucket triggers the function of this name.
#[utoipa::path(
    operation_id = "call_process_uploaded_data",
    tag = "opentrace",
    security(("user" = [])),
    request_body = CallableRequest,
    responses(
        (status = 200, description = "The result", body = CallableAnswer<serde_json::Value>),
        (status = 401, description = "UNAUTHENTICATED", body = CallableError),
    ),
)]
#[post("/bluetrace/callable/processUploadedData")]
async fn call_process_uploaded_data(
    request: HttpRequest,
    service: Services,
    phone: Result<Phone, Problem>,
    payload: web::Payload,
) -> HttpResponse {
    envelope(process(&request, &service, phone, payload).await)
}

async fn process(
    request: &HttpRequest,
    service: &Services,
    phone: Result<Phone, Problem>,
    payload: web::Payload,
) -> Result<serde_json::Value, Problem> {
    let phone = phone?;
    let mut envelope = Envelope::default();
    let read =
        |judge: &mut UploadJudge, bytes: &[u8]| envelope.read(bytes, |bytes| judge.read(bytes));
    let (judged, _share) = take((request, payload), service, &phone, read).await?;
    envelope.finish()?;
    let verdicts = accept(service, &phone, judged).await?;
    Ok(json!({ "status": "SUCCESS", "verdicts": verdicts }))
}

/// Call a function, as an app does whose origin for functions was replaced
#[utoipa::path(
    operation_id = "call_function",
    tag = "opentrace",
    params(
        ("project" = String, Path, description = "Any name"),
        ("region" = String, Path, description = "Any name"),
        ("name" = String, Path, description = "`getTempIDs`, `getBroadcastMessage`, `getHandshakePin`, `getUploadToken` or `processUploadedData`"),
    ),
    security(("user" = [])),
    request_body = CallableRequest,
    responses(
        (status = 200, description = "The result", body = CallableAnswer<serde_json::Value>),
        (status = 401, description = "UNAUTHENTICATED", body = CallableError),
        (status = 404, description = "NOT_FOUND", body = CallableError),
    ),
)]
#[post("/bluetrace/callable/{project}/{region}/{name}")]
async fn any_origin(
    request: HttpRequest,
    service: Services,
    path: web::Path<(String, String, String)>,
    phone: Result<Phone, Problem>,
    payload: web::Payload,
) -> HttpResponse {
    if path.2 == "processUploadedData" {
        return envelope(process(&request, &service, phone, payload).await);
    }
    let json = Json::from_request(&request, &mut payload.into_inner()).await;
    envelope(call(&path.2, &service, (phone, json)).await)
}
