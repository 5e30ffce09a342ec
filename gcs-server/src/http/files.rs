//! The published files, as any web server or CDN would serve them.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::header::{
    self, ByteRangeSpec, EntityTag, Header as _, HeaderValue, IfNoneMatch,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, route, web};
use bytes::Bytes;
use futures_util::stream;
use gcs_core::Digest;
use gcs_core::publish::Path;

use crate::publishing::Files;
use crate::rejection::Rejection;
use crate::service::Service;

/// How much of a file is held in memory for a reader: the server copies what it is given
/// into the connection, so a reader that stalls must not have been given much.
const SLICE: u64 = 64 << 10;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const MINUTE: &str = "public, max-age=60";

/// Declares a route for each kind of file; they differ in their documentation only.
macro_rules! files {
    ($($name:ident $path:literal $summary:literal $mime:literal;)*) => {$(
        #[utoipa::path(
            get, path = $path, tag = "files", summary = $summary,
            responses(
                (status = 200, description = "The file", content_type = $mime, body = Vec<u8>),
                (status = 206, description = "The range that was asked for"),
                (status = 304, description = "The file that If-None-Match names"),
                (status = 404, description = "No such file", body = crate::http::problem::Problem),
                (status = 416, description = "No such range", body = crate::http::problem::Problem),
            ),
        )]
        #[route($path, method = "GET", method = "HEAD")]
        pub(super) async fn $name(
            request: HttpRequest,
            service: web::Data<Service>,
        ) -> Result<HttpResponse, Rejection> {
            serve(&request, &service).await
        }
    )*};
}

files! {
    get_manifest "/v1/manifest" "The signed manifest: what is published now" "application/json";
    get_kept_manifest "/v1/manifests/{version}" "A manifest of the past" "application/json";
    get_index "/v1/index/{sha256}" "The table of dates and the kept bundles" "application/octet-stream";
    get_set "/v1/sets/{date}/{identity}" "One date's set" "application/octet-stream";
    get_bundle "/v1/bundles/{span}/{to}" "What changed over a span of ticks" "application/octet-stream";
    get_checks "/v1/checks/{date}/{root}" "One date's check records, whole or one by Range" "application/octet-stream";
}

async fn serve(request: &HttpRequest, service: &Service) -> Result<HttpResponse, Rejection> {
    let path: Path = request.path().parse().map_err(|_| Rejection::NotFound)?;
    if path == Path::Manifest {
        let published = service.published.borrow().clone();
        let manifest = published.ok_or(Rejection::Unavailable)?.manifest;
        return answer(request, path, manifest.len() as u64, Source::Memory(manifest));
    }
    let name = path.to_string();
    let length = service.files.length(&name).await.map_err(|error| {
        tracing::error!(%error, "a file cannot be read");
        Rejection::Internal
    })?;
    let length = length.ok_or(Rejection::NotFound)?;
    answer(request, path, length, Source::File(service.files.clone(), name))
}

/// Where a file's bytes come from.
enum Source {
    Memory(Bytes),
    File(Files, String),
}

impl Source {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, object_store::Error> {
        match self {
            Source::Memory(bytes) => Ok(bytes.slice(range.start as usize..range.end as usize)),
            Source::File(files, name) => files.get_range(name, range).await,
        }
    }

    /// Names the content: a path does, but for the manifest's.
    fn etag(&self, path: &Path) -> EntityTag {
        let named = match self {
            Source::Memory(bytes) => Digest::of(bytes),
            Source::File(..) => Digest::of(path.to_string().as_bytes()),
        };
        EntityTag::new_strong(named.to_string().chars().take(32).collect())
    }
}

fn answer(
    request: &HttpRequest,
    path: Path,
    length: u64,
    source: Source,
) -> Result<HttpResponse, Rejection> {
    let etag = source.etag(&path);
    let mut response = HttpResponseBuilder::new(StatusCode::OK);
    response.insert_header(header::ETag(etag.clone()));
    let cache = if path.is_immutable() { IMMUTABLE } else { MINUTE };
    response.insert_header((header::CACHE_CONTROL, cache));
    if is_known(request, &etag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    let is_json = matches!(path, Path::Manifest | Path::KeptManifest { .. });
    response.content_type(if is_json { "application/json" } else { "application/octet-stream" });
    let mut range = 0..length;
    if let Some(asked) = asked_range(request, &etag, length) {
        range = asked.ok_or(Rejection::RangeNotSatisfiable { length })?;
        let shown = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        response.status(StatusCode::PARTIAL_CONTENT);
        response.insert_header((header::CONTENT_RANGE, shown));
    }
    let size = range.end - range.start;
    if request.method() == Method::HEAD {
        range = 0..0; // The length is told, nothing is read.
    }
    Ok(response.body(SizedStream::new(size, slices(source, range))))
}

fn slices(
    source: Source,
    range: Range<u64>,
) -> impl stream::Stream<Item = Result<Bytes, object_store::Error>> {
    stream::try_unfold((source, range), |(source, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start + SLICE);
        let bytes = source.read(range.start..end).await?;
        Ok(Some((bytes, (source, end..range.end))))
    })
}

fn is_known(request: &HttpRequest, etag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(etag)),
        Err(_) => false,
    }
}

/// The one range that was asked for: `Some(None)` if it lies outside the file. Several
/// ranges, other units, or a range of another content are answered with the whole file
/// (RFC 9110, 14.2).
fn asked_range(request: &HttpRequest, etag: &EntityTag, length: u64) -> Option<Option<Range<u64>>> {
    let headers = request.headers();
    let is_other = |of: &HeaderValue| of.as_bytes() != etag.to_string().as_bytes();
    if headers.get(header::IF_RANGE).is_some_and(is_other) {
        return None;
    }
    headers.get(header::RANGE)?;
    let Ok(header::Range::Bytes(specs)) = header::Range::parse(request) else { return None };
    match specs.as_slice() {
        [spec] => Some(satisfied(spec, length)),
        _ => None,
    }
}

fn satisfied(spec: &ByteRangeSpec, length: u64) -> Option<Range<u64>> {
    let (first, last) = spec.to_satisfiable_range(length)?;
    Some(first..last + 1)
}
