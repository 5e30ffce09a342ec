//! The OpenAPI document, made from the routes themselves.

use std::sync::OnceLock;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, get};
use bytes::Bytes;
use gcs_core::Digest;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Content, HeaderBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder, ServerBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_actix_web::AppExt as _;

use super::problem::ProblemDetails;
use super::public::publish;
use super::public::signed::{KeyListPayload, ManifestPayload};
use super::{Listener, etag};

const TAGS: [(&str, &str); 9] = [
    (
        "files",
        "The files that phones fetch. Every file is signed or named by its hash, so any cache may \
         serve it. With a query, even an empty one, no file is found.",
    ),
    ("reports", "Reports of infected identifiers, and their status. This document is here too."),
    (
        "providers",
        "What healthcare providers do with their token: open, print and close ranges of one-time codes.",
    ),
    ("operator", "What the operator does with the operator's token."),
    (
        "bluetrace",
        "Phones of BlueTrace, on the public listener. Paths below `/bluetrace` are there only if the setting \
         `bluetrace` is set.",
    ),
    (
        "opentrace",
        "What OpenTrace's apps call, on the public listener. The answers are those of Firebase's callable functions.",
    ),
    (
        "federation",
        "What servers of other health authorities send, on the public listener. Bodies and answers are signed: \
         gcs-server/BLUETRACE.md, section Other authorities.",
    ),
    ("tracers", "What tracers do with their token: see whom cases of BlueTrace have met."),
    ("operations", "For programs that watch the server, and exact match for backends."),
];

const ROLES: [(&str, &str); 5] = [
    ("backend", "The token of backends and back offices, from `POST /v1/admin/backend-token`."),
    ("operator", "The operator's token. The first start of the server prints it, once."),
    ("provider", "A provider's token, from `POST /v1/admin/providers`."),
    ("tracer", "The tracers' token, from `POST /bluetrace/v1/admin/tracer-token`."),
    ("user", "The token of a user of BlueTrace, from `POST /bluetrace/v1/users`."),
];

/// The document of both listeners.
pub fn openapi() -> OpenApi {
    let mut document = described(Listener::Public);
    document.merge(described(Listener::Private));
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    document.tags = Some(TAGS.into_iter().map(tag).collect());
    let components = document.components.get_or_insert_with(Default::default);
    for (role, text) in ROLES {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text));
        components.add_security_scheme(role, SecurityScheme::Http(bearer.build()));
    }
    // No route names these: the first two are base64 in an envelope, and the last is in all routes.
    let mut unnamed = vec![
        ("ManifestPayload".to_owned(), ManifestPayload::schema()),
        ("KeyListPayload".to_owned(), KeyListPayload::schema()),
        ("ProblemDetails".to_owned(), ProblemDetails::schema()),
    ];
    ManifestPayload::schemas(&mut unnamed);
    ProblemDetails::schemas(&mut unnamed);
    components.schemas.extend(unnamed);
    document
}

/// The document of one listener, with the problems that all its operations can have.
fn described(listener: Listener) -> OpenApi {
    let (url, text) = match listener {
        Listener::Public => ("http://127.0.0.1:8080", "The public listener, by default"),
        Listener::Private => ("http://127.0.0.1:8081", "The private listener, by default"),
    };
    let mut document = of(listener);
    for (path, item) in &mut document.paths.paths {
        item.servers = Some(vec![ServerBuilder::new().url(url).description(Some(text)).build()]);
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            add_role(path, operation);
            // What is sent as to another server is answered as that one answers.
            if path != publish::PATH {
                add_problems(operation);
            }
        }
    }
    document
}

/// Declares the tag and the token of the paths of operators and providers.
fn add_role(path: &str, operation: &mut Operation) {
    let path = path.strip_prefix("/bluetrace").unwrap_or(path);
    let (tag, role) = match path.split('/').nth(2) {
        Some("admin") => ("operator", "operator"),
        Some("provider") => ("providers", "provider"),
        Some("tracer") => ("tracers", "tracer"),
        _ => return,
    };
    operation.tags = Some(vec![tag.to_owned()]);
    operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], _>(role, [])]);
}

/// Declares the problems that are the same for many operations, and the form of all problems.
fn add_problems(operation: &mut Operation) {
    if operation.tags.as_ref().is_some_and(|tags| tags == &["opentrace"]) {
        return;
    }
    let responses = &mut operation.responses.responses;
    let mut declare = |status: &str, description: &str| {
        let problem = || RefOr::T(ResponseBuilder::new().description(description).build());
        responses.entry(status.to_owned()).or_insert_with(problem);
    };
    if operation.security.is_some() {
        declare("401", "unauthorized: the token is missing or unknown");
        declare("403", "forbidden: the token is of another role");
        declare("503", "read_only, log_unusable, storage_unavailable, unavailable");
    }
    if operation.request_body.is_some() {
        declare("400", "json_invalid, json_shape, body_incomplete");
        declare("408", "timeout: the body arrived too slowly");
        declare("413", "too_large: at most 16 KiB");
    }
    let is_problem = |status: &str| status.starts_with(['4', '5']);
    if responses.keys().any(|status| is_problem(status)) {
        let any = "Any other problem, such as internal or storage_unavailable";
        let any = ResponseBuilder::new().description(any).build();
        responses.insert("default".to_owned(), RefOr::T(any));
    }
    let is_file = operation.tags.as_ref().is_some_and(|tags| tags == &["files"]);
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        if is_problem(status) || status == "default" {
            let problem = Content::new(Some(Ref::from_schema_name("ProblemDetails")));
            response.content = [("application/problem+json".to_owned(), problem.into())].into();
        }
        let told = HEADERS.iter().filter(|(statuses, of_files, ..)| {
            statuses.contains(&status.as_str()) && (is_file || !of_files)
        });
        for (_, _, name, text) in told {
            let header = HeaderBuilder::new().description(Some(*text)).build();
            response.headers.insert((*name).to_owned(), header.into());
        }
    }
}

/// Headers of answers: with which statuses, whether only of files, name and description.
const HEADERS: [(&[&str], bool, &str, &str); 7] = [
    (&["200", "206", "304"], true, "ETag", "Identifies the content of the whole file"),
    (
        &["200", "206", "304"],
        true,
        "Cache-Control",
        "How long a cache may keep the file, in seconds",
    ),
    (&["200"], true, "Accept-Ranges", "Always `bytes`"),
    (
        &["206"],
        true,
        "Content-Range",
        "First and last byte of the answer, and the file's length, with 12 digits each: `bytes FIRST-LAST/LENGTH`",
    ),
    (&["416"], true, "Content-Range", "The file's length: `bytes */LENGTH`"),
    (&["401"], false, "WWW-Authenticate", "`Bearer`, and what is wrong with the token (RFC 6750)"),
    (
        &["503"],
        false,
        "Retry-After",
        "Seconds after which to try again, for unavailable, storage_unavailable, clock_doubt, read_only and log_unusable",
    ),
];

fn of(listener: Listener) -> OpenApi {
    let license =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("gcs-server")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The server of a health authority for contact tracing. It receives reports of infected \
             identifiers and publishes them as signed, compact sets for phones to test. Paths with \
             the tags files, reports, bluetrace, opentrace and federation are on the public listener, all others on the \
             private one. \
             HEAD is answered wherever GET is. Every error is answered with ProblemDetails; each operation names the `code`s that it \
             may have. gcs-core/FORMAT.md describes the bytes of the files, and how a client \
             verifies them.",
        ))
        .license(Some(license.build()));
    let (_, document) = App::new()
        .into_utoipa_app()
        .openapi(OpenApiBuilder::new().info(info).build())
        .configure(super::routes(listener, true))
        .split_for_parts();
    document
}

/// Get this document
#[utoipa::path(
    operation_id = "get_openapi",
    tag = "reports",
    params(("If-None-Match" = Option<String>, Header, description = "The ETags of contents that the client has already. \
        If the document's is among them, the answer is 304 without a body.")),
    responses(
        (status = 200, description = "The OpenAPI 3.1 document", content_type = "application/json", body = Object,
         headers(("ETag" = String, description = "Identifies the content"))),
        (status = 304, description = "The client has this content already: `If-None-Match` has its ETag",
         headers(("ETag" = String, description = "Identifies the content"))),
    ),
)]
#[get("/v1/openapi.json")]
pub(super) async fn get_document(request: HttpRequest) -> HttpResponse {
    static DOCUMENT: OnceLock<(Bytes, String)> = OnceLock::new();
    let (document, etag) = DOCUMENT.get_or_init(|| {
        let document = openapi().to_json().unwrap_or_default();
        let hash = Digest::of(document.as_bytes()).to_string();
        (document.into(), format!("\"{}\"", &hash[..32]))
    });
    let Ok(etag) = HeaderValue::from_str(etag) else {
        return HttpResponse::InternalServerError().into();
    };
    let is_known = etag::is_known(&request, &etag);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, etag));
    if is_known {
        return response.finish();
    }
    response.content_type("application/json").body(document.clone())
}
