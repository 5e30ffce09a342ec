//! The routes of the operator.

mod corrections;
pub(super) mod log;
pub(super) mod providers;
mod publication;
mod status;
mod tokens;

use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(providers::add_provider)
        .service(providers::list_providers)
        .service(providers::change_provider)
        .service(providers::revoke_code)
        .service(corrections::preview)
        .service(corrections::correct)
        .service(publication::tick)
        .service(publication::resume_clock)
        .service(publication::start_series)
        .service(publication::get_policy)
        .service(publication::set_policy)
        .service(tokens::new_token)
        .service(tokens::new_backend_token)
        .service(status::server_status)
        .service(status::state_digest)
        .service(log::read_log);
}
