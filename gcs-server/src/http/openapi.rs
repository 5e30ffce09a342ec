//! The OpenAPI document, made from the routes themselves.

use actix_web::{App, HttpResponse, get};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Content, HeaderBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref,
    RefOr, Response, ResponseBuilder, ServerBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_actix_web::AppExt as _;

use super::Listener;
use super::files::{KeyListPayload, ManifestPayload};

const TAGS: [(&str, &str); 5] = [
    ("files", "What phones fetch: signed or named by a hash, for any cache. HEAD is answered too."),
    ("reports", "What apps send and ask, and this document."),
    ("providers", "What healthcare providers do, with their token."),
    ("operator", "What the operator does, with the operator's token."),
    ("operations", "For those who watch the server, and exact match for backends."),
];

const ROLES: [(&str, &str); 3] = [
    ("backend", "The backends' token, from /v1/admin/backend-token."),
    ("operator", "The operator's token, printed once by the first start."),
    ("provider", "A provider's token, from the answer that added it."),
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
    // These are in base64 in an envelope, so no route names them.
    let mut payloads = vec![
        ("ManifestPayload".to_owned(), ManifestPayload::schema()),
        ("KeyListPayload".to_owned(), KeyListPayload::schema()),
    ];
    ManifestPayload::schemas(&mut payloads);
    components.schemas.extend(payloads);
    document
}

/// The document of one listener, with what holds for all its operations.
fn described(listener: Listener) -> OpenApi {
    let (url, text) = match listener {
        Listener::Public => ("http://127.0.0.1:8080", "The public listener, by default"),
        Listener::Private => ("http://127.0.0.1:8081", "The private listener, by default"),
    };
    let mut document = of(listener);
    for item in document.paths.paths.values_mut() {
        item.servers = Some(vec![ServerBuilder::new().url(url).description(Some(text)).build()]);
        let operations = [&mut item.get, &mut item.put, &mut item.post];
        operations.into_iter().flatten().for_each(add_refusals);
    }
    document
}

/// Declares the refusals that are not told one by one, and the form of all of them.
fn add_refusals(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let mut refuse = |status: &str, description: &str| {
        let refusal = || RefOr::T(ResponseBuilder::new().description(description).build());
        responses.entry(status.to_owned()).or_insert_with(refusal);
    };
    if operation.security.is_some() {
        refuse("401", "unauthorized");
        refuse("403", "forbidden");
    }
    if operation.request_body.is_some() {
        refuse("400", "json_invalid, json_shape, body_incomplete");
        refuse("408", "timeout: the body took too long");
        refuse("413", "too_large: at most 16 KiB");
    }
    let is_refusal = |status: &str| status.starts_with(['4', '5']);
    if responses.keys().any(|status| is_refusal(status)) {
        let any = "Any other refusal, such as internal or storage_unavailable";
        let any = ResponseBuilder::new().description(any).build();
        responses.insert("default".to_owned(), RefOr::T(any));
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && (is_refusal(status) || status == "default")
        {
            form_refusal(status, response);
        }
    }
}

fn form_refusal(status: &str, response: &mut Response) {
    let problem = Content::new(Some(Ref::from_schema_name("ProblemDetails")));
    response.content.clear();
    response.content.insert("application/problem+json".to_owned(), RefOr::T(problem));
    let mut header = |name: &str, text: &str| {
        let header = HeaderBuilder::new().description(Some(text)).build();
        response.headers.insert(name.to_owned(), RefOr::T(header));
    };
    match status {
        "401" => header("WWW-Authenticate", "Bearer"),
        "503" => header("Retry-After", "Seconds, of unavailable and storage_unavailable"),
        _ => {}
    }
}

fn of(listener: Listener) -> OpenApi {
    let license =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("gcs-server")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Reports of infected identifiers in, signed compact sets out. Paths tagged files \
             and reports are on the public listener, all others on the private one. Every refusal \
             is a ProblemDetails. gcs-core/FORMAT.md tells what is in the files and how to check them.",
        ))
        .license(Some(license.build()));
    let (_, document) = App::new()
        .into_utoipa_app()
        .openapi(OpenApiBuilder::new().info(info).build())
        .configure(super::routes(listener))
        .split_for_parts();
    document
}

/// This document
#[utoipa::path(
    operation_id = "get_openapi",
    tag = "reports",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)),
)]
#[get("/v1/openapi.json")]
pub(super) async fn get_document() -> HttpResponse {
    HttpResponse::Ok().json(openapi())
}

/// The paths of a listener, and the methods that each takes.
#[derive(Debug)]
pub(super) struct Methods(Vec<(String, &'static str)>);

impl Methods {
    pub(super) fn of(listener: Listener) -> Methods {
        let paths = of(listener).paths.paths.into_iter();
        Methods(paths.map(|(pattern, item)| (pattern, allowed(&item))).collect())
    }

    /// The methods that a path takes, as the Allow header has them; `None` if there is no
    /// such path.
    pub(super) fn at(&self, path: &str) -> Option<&'static str> {
        let known = self.0.iter().find(|(pattern, _)| fits(pattern, path));
        known.map(|(_, methods)| *methods)
    }
}

fn allowed(item: &PathItem) -> &'static str {
    match (&item.get, &item.put, &item.post) {
        (Some(_), Some(_), _) => "GET, PUT",
        (Some(_), _, Some(_)) => "GET, POST",
        (Some(get), ..) if get.tags.iter().flatten().any(|tag| tag == "files") => "GET, HEAD",
        (Some(_), ..) => "GET",
        _ => "POST",
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(got)) if wanted == got => {}
            (Some(wanted), Some(got)) if wanted.starts_with('{') && !got.is_empty() => {}
            _ => return false,
        }
    }
}
