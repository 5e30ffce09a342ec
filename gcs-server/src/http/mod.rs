//! The public and the private listener.
//!
//! | listener | module | paths |
//! |---|---|---|
//! | public | `public` | the published files, `/v1/reports`, `/v1/openapi.json` |
//! | private | `provider` | `/v1/provider` |
//! | private | `operator` | `/v1/admin` |
//! | private | `ops` | `/v1/exact`, `/healthz`, `/readyz`, `/metrics` |
//! | both | `bluetrace` | `/bluetrace`, if that is on |
//!
//! A handler reads the request, asks the judge or the state, and writes the answer; what is
//! accepted is decided in [`crate::domain`]. Types beside a handler are the JSON of its requests
//! and answers and their description in the OpenAPI document.

mod auth;
mod bluetrace;
mod body;
mod budget;
mod connection;
mod etag;
mod head;
mod listen;
mod observe;
mod openapi;
mod operator;
mod ops;
mod problem;
mod provider;
mod public;
mod recent;
mod tls;
mod transport;

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::{App, Error, HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;

use self::budget::Budget;
pub(crate) use self::listen::with_ending;
pub use self::openapi::openapi;
pub(crate) use self::operator::log::LogPage;
pub(crate) use self::operator::providers::ExportedKey;
pub(crate) use self::provider::OpenedRange;
use self::public::files::Shortcut;
pub use self::tls::{Tls, TlsError, TlsFiles};
use crate::domain::problem::Problem;
use crate::service::Service;

/// One of the two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The listener for apps.
    Public,
    /// The listener for operators, providers and backends.
    Private,
}

/// What a handler answers.
type Answer = Result<HttpResponse, Problem>;

/// Which publication: its series and its tick. A later one has a higher series, or the same series
/// and a higher tick.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core writes it")]
struct PublishedVersion {
    /// The series of the publication. It goes up by one when the operator begins a new series.
    #[schema(example = 1)]
    series: u32,
    /// The number of the publication, one more than the one before.
    #[schema(example = 96)]
    tick: u32,
}

/// Bytes of memory for bodies of requests to the public listener: a hundred reports of the largest
/// size, or ten thousand ordinary ones.
const PUBLIC_BODIES: usize = 64 << 20;

/// Bytes of memory for bodies of requests to the private listener.
const PRIVATE_BODIES: usize = 16 << 20;

/// Every route of a listener, with those of BlueTrace or without.
fn routes(listener: Listener, with_bluetrace: bool) -> impl FnOnce(&mut ServiceConfig<'_>) {
    move |config| match listener {
        Listener::Public => {
            if with_bluetrace {
                bluetrace::public_routes(config);
            }
            public::routes(config);
        }
        Listener::Private => {
            ops::routes(config);
            provider::routes(config);
            operator::routes(config);
            if with_bluetrace {
                bluetrace::private_routes(config);
            }
        }
    }
}

/// Serves one listener, with so many places for connections, and with TLS if that is given, until it
/// is stopped.
///
/// # Errors
/// When the socket cannot be used.
pub fn serve(
    listener: Listener,
    socket: TcpListener,
    places: usize,
    tls: Option<Tls>,
    service: Service,
) -> io::Result<Server> {
    let data = web::Data::new(service);
    let budget = web::Data::new(Budget::new(match listener {
        Listener::Public => PUBLIC_BODIES,
        Listener::Private => PRIVATE_BODIES,
    }));
    listen::listen(socket, places, tls, move || {
        let routes = routes(listener, data.bluetrace.is_some());
        let (app, _) = App::new().into_utoipa_app().configure(routes).split_for_parts();
        let app = match listener {
            Listener::Public => app.app_data(Shortcut(Arc::clone(&data.shelf))),
            Listener::Private => app,
        };
        app.app_data(data.clone())
            .app_data(observe::Counters::default())
            .app_data(budget.clone())
            .app_data(web::QueryConfig::default().error_handler(|_, _| {
                let what =
                    "a query parameter (after the ?) is unknown, or its value cannot be read";
                Problem::ParameterInvalid { what }.into()
            }))
            .app_data(web::PathConfig::default().error_handler(|_, _| {
                let what =
                    "the path needs a number where this one has none, or one that is too large";
                Problem::ParameterInvalid { what }.into()
            }))
            .service(web::resource(ELSEWHERE).wrap(from_fn(nothing_here)))
            .default_service(web::to(|| async { HttpResponse::from_error(Problem::NotFound) }))
            .wrap(from_fn(public::files::shortcut))
            .wrap(from_fn(head::answer_head))
            .wrap(from_fn(observe::observe))
            .wrap(DefaultHeaders::new().add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")))
    })
}

/// An answer that no cache may keep.
fn not_stored(mut response: HttpResponseBuilder, body: &impl Serialize) -> HttpResponse {
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// The pattern that catches requests that no route takes. It is the last resource and has no
/// routes, so actix answers 405, with the methods of other resources of the same path in `Allow`.
const ELSEWHERE: &str = "/{path:.*}";

/// Answers `not_found` if the path does not exist, and `method_not_allowed` if it exists but does
/// not take the method.
async fn nothing_here(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let response = next.call(request).await?;
    let allow = response.headers().get(header::ALLOW).and_then(|allow| allow.to_str().ok());
    let problem = match allow {
        Some(allow) => {
            // Of a path that two patterns match, both have them.
            let methods: BTreeSet<&str> = allow.split(", ").collect();
            let methods: Vec<&str> = methods.into_iter().collect();
            Problem::MethodNotAllowed { allow: methods.join(", ").replace("GET", "GET, HEAD") }
        }
        None => Problem::NotFound,
    };
    Ok(response.into_response(HttpResponse::from_error(problem)))
}
