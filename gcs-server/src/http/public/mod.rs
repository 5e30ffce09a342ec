//! The routes of the public listener: published files, reports, and the OpenAPI document.

pub(super) mod files;
pub(super) mod publish;
pub(super) mod reports;
pub(super) mod signed;

use utoipa_actix_web::service_config::ServiceConfig;

use super::openapi;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    // A path is compared with one pattern after the other, and files seldom come this way: see `files::shortcut`.
    config.service(reports::post_report).service(reports::get_report);
    config.service(publish::publish_keys);
    files::routes(config);
    config.service(openapi::get_document);
}
