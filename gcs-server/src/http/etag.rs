//! Entity tags: whether a client has a content already (RFC 9110, 13.1.2).

use actix_web::HttpRequest;
use actix_web::http::header::{self, EntityTag, Header as _, HeaderValue, IfNoneMatch};

/// Whether the request's `If-None-Match` has this tag.
pub(super) fn is_known(request: &HttpRequest, etag: &HeaderValue) -> bool {
    let Some(known) = request.headers().get(header::IF_NONE_MATCH) else { return false };
    if known == etag {
        return true;
    }
    let tag = etag.to_str().ok().and_then(|etag| etag.parse::<EntityTag>().ok());
    match (IfNoneMatch::parse(request), tag) {
        (Ok(IfNoneMatch::Any), _) => true,
        (Ok(IfNoneMatch::Items(known)), Some(tag)) => known.iter().any(|known| known.weak_eq(&tag)),
        _ => false,
    }
}
