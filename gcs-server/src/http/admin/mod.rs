//! What the operator does.

pub(super) mod providers;
pub(super) mod publication;
pub(super) mod status;
pub(super) mod tokens;

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

/// An answer that no cache may keep.
fn secret(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}
