//! The routes of the public listener: published files, reports, and the OpenAPI document.

pub(super) mod files;
pub(super) mod reports;
pub(super) mod signed;

use utoipa_actix_web::service_config::ServiceConfig;

use super::openapi;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    files::routes(config);
    config
        .service(reports::post_report)
        .service(reports::get_report)
        .service(openapi::get_document);
}
