//! The public and the private listener.
//!
//! | listener | paths |
//! |---|---|
//! | public | the published files, `/v1/reports`, `/v1/openapi.json` |
//! | private | `/v1/provider`, `/v1/admin`, `/v1/exact`, `/healthz`, `/readyz`, `/metrics` |

mod admin;
mod auth;
mod body;
mod corrections;
mod files;
pub mod metrics;
mod observe;
mod openapi;
mod ops;
mod problem;
mod provider;
mod reports;

use std::any::Any;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError as _, web};
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) use self::admin::providers::ExportedKey;
use self::openapi::Methods;
pub use self::openapi::openapi;
pub use self::reports::read_report;
use crate::domain::problem::Problem;
use crate::service::Service;

/// Which listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// What apps need.
    Public,
    /// What operators, providers and backends need.
    Private,
}

/// Requests that are under way when the server stops get so long to end.
const SHUTDOWN_SECONDS: u64 = 10;

/// Connections of one worker, of which there is one a core: with a whole report in each,
/// they take a gigabyte.
const CONNECTIONS: usize = 1600;

/// How long a client may take nothing of an answer (`TCP_USER_TIMEOUT`).
#[cfg(target_os = "linux")]
const STALL_PATIENCE: Duration = Duration::from_secs(30);

/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// Every route of a listener.
fn routes(listener: Listener) -> impl FnOnce(&mut ServiceConfig<'_>) {
    move |config| match listener {
        Listener::Public => {
            config
                .service(files::get_manifest)
                .service(files::get_kept_manifest)
                .service(files::get_index)
                .service(files::get_set)
                .service(files::get_bundle)
                .service(files::get_checks)
                .service(reports::post_report)
                .service(reports::get_report)
                .service(openapi::get_document);
        }
        Listener::Private => {
            config
                .service(ops::healthz)
                .service(ops::readyz)
                .service(ops::metrics)
                .service(ops::exact)
                .service(provider::open_range)
                .service(provider::list_ranges)
                .service(provider::print_codes)
                .service(provider::close_range)
                .service(admin::providers::add_provider)
                .service(admin::providers::list_providers)
                .service(admin::providers::change_provider)
                .service(admin::providers::revoke_code)
                .service(admin::publication::tick)
                .service(admin::publication::resume_clock)
                .service(admin::publication::start_series)
                .service(admin::publication::get_policy)
                .service(admin::publication::set_policy)
                .service(admin::tokens::new_token)
                .service(admin::status::server_status)
                .service(admin::status::state_digest)
                .service(admin::tokens::new_backend_token)
                .service(corrections::preview)
                .service(corrections::correct);
        }
    }
}

/// Serves one listener until it is stopped.
///
/// # Errors
/// When the socket cannot be used.
pub fn serve(listener: Listener, socket: TcpListener, service: Service) -> io::Result<Server> {
    let data = web::Data::new(service);
    let methods = web::Data::new(Methods::of(listener));
    let server = HttpServer::new(move || {
        let (app, _) = App::new().into_utoipa_app().configure(routes(listener)).split_for_parts();
        app.app_data(data.clone())
            .app_data(methods.clone())
            .app_data(web::QueryConfig::default().error_handler(|_, _| {
                Problem::ParameterInvalid { what: "a parameter behind the ? is unknown or wrong" }
                    .into()
            }))
            .default_service(web::to(nothing_here))
            .wrap(from_fn(observe::observe))
            .wrap(DefaultHeaders::new().add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")))
    });
    let server = server
        .on_connect(|connection, _| end_when_stalled(connection))
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEAD_PATIENCE)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen(socket)?;
    Ok(server.run())
}

/// Ends a connection whose client takes nothing of what it asked for: there is room for so
/// many only, and whoever stalls in all of them would shut everybody else out.
fn end_when_stalled(connection: &dyn Any) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
        // A socket that does not know the option works without it.
        let _unknown = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(STALL_PATIENCE));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = connection;
}

/// Tells a path that is not there from a method that is not.
async fn nothing_here(request: HttpRequest, methods: web::Data<Methods>) -> HttpResponse {
    match methods.at(request.path()) {
        Some(allow) => Problem::MethodNotAllowed { allow },
        None => Problem::NotFound,
    }
    .error_response()
}
