//! The OpenAPI document, made from the routes themselves.

use actix_web::{App, HttpResponse, get};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem};
use utoipa_actix_web::AppExt as _;

use super::Listener;

/// The document of both listeners.
pub fn openapi() -> OpenApi {
    let mut document = of(Listener::Public);
    document.merge(of(Listener::Private));
    let components = document.components.get_or_insert_with(Default::default);
    for role in ["backend", "operator", "provider"] {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer.description(Some(format!("The {role}'s token")));
        components.add_security_scheme(role, SecurityScheme::Http(bearer.build()));
    }
    document
}

fn of(listener: Listener) -> OpenApi {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").build();
    let info = InfoBuilder::new()
        .title("gcs-server")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Reports of infected identifiers in, signed compact sets out. Paths tagged files \
             and reports are on the public listener, all others on the private one.",
        ))
        .license(Some(license));
    let (_, document) = App::new()
        .into_utoipa_app()
        .openapi(OpenApiBuilder::new().info(info).build())
        .configure(super::routes(listener))
        .split_for_parts();
    document
}

/// This document
#[utoipa::path(
    tag = "reports",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = String)),
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
