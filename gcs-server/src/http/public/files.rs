//! The published files, as any web server or CDN would serve them.

use std::future::ready;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, EitherBody, MessageBody, SizedStream};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, ByteRangeSpec, Header as _, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder, get};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gcs_core::files::Cache;
use gcs_core::files::Path;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::signed::Envelope;
use crate::domain::problem::Problem;
use crate::http::connection::Connection;
use crate::http::observe::Route;
use crate::http::{Answer, etag};
use crate::publishing::{Damaged, Memory, Shelf, Shelved, mime};
use crate::service::Service;

/// Bytes of a body that are given at a time. They are copied, and stay until the client has taken them.
const SLICE: u64 = 64 << 10;

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "for the document")]
struct FileBytes(Vec<u8>);

/// Paths of export files, each with a line feed.
#[derive(ToSchema)]
#[schema(value_type = String, example = "v1/exports/2026-01-19/ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80.zip\n")]
#[expect(dead_code, reason = "for the document")]
struct ExportLines(String);

/// A part of a file's bytes.
#[derive(ToSchema)]
#[schema(value_type = serde_json::Value)]
#[expect(dead_code, reason = "for the document")]
struct FilePart(Vec<u8>);

/// The request headers that every file answers to.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the document")]
struct FileHeaders {
    /// One range of bytes to answer with. For several ranges, or other units than bytes, the
    /// answer is the whole file.
    #[param(rename = "Range", required = false, example = "bytes=0-1023")]
    range: String,
    /// An ETag. If the file has another one by now, `Range` is ignored and the answer is the
    /// whole file.
    #[param(rename = "If-Range", required = false)]
    if_range: String,
    /// The ETags of contents that the client has already. If the file's is among them, the
    /// answer is 304 without a body.
    #[param(rename = "If-None-Match", required = false)]
    if_none_match: String,
}

/// Declares a route for each kind of file, and all of them together. The routes differ only in
/// their documentation.
macro_rules! files {
    ($($name:ident $path:literal ($($param:tt)*) $mime:literal $body:ty, $summary:literal $text:literal;)*) => {
        pub(super) fn routes(config: &mut ServiceConfig<'_>) {
            $(config.service($name);)*
        }
    $(
        #[utoipa::path(
            get, path = $path, tag = "files", summary = $summary, description = $text,
            params(
                $($param)*
                FileHeaders
            ),
            responses(
                (status = 200, description = "The whole file", content_type = $mime, body = $body),
                (status = 206, description = "The range of bytes that was asked for", content_type = $mime, body = FilePart),
                (status = 304, description = "The client has this content already: `If-None-Match` has its ETag"),
                (status = 404, description = "not_found: there is no such file"),
                (status = 416, description = "range_not_satisfiable"),
                (status = 503, description = "unavailable: nothing is published yet, or the file is damaged on disk and is being written again"),
            ),
        )]
        #[get($path)]
        async fn $name(
            request: HttpRequest,
            service: Data<Service>,
        ) -> Answer {
            serve(&request, &service).await
        }
    )*};
}

files! {
    get_manifest "/v1/manifest" () "application/json" Envelope,
        "Get the signed manifest of the newest publication"
        "A client begins here: every other file but /v1/exports/index.txt stays as it is. Its payload names the index, and the \
         index names sets, bundles and check records. Before the first publication the answer is 503.";
    get_kept_manifest "/v1/manifests/{version}" (
        ("version" = String, Path, description = "Series and tick of the publication, with `-` between them",
            pattern = "^(0|[1-9][0-9]*)-(0|[1-9][0-9]*)$", example = "1-96"),
    ) "application/json" Envelope,
        "Get the manifest of an earlier publication"
        "The same bytes that /v1/manifest had when this publication was the newest.";
    get_index "/v1/index/{sha256}" (
        ("sha256" = String, Path, description = "SHA-256 of the index, from the manifest",
            pattern = "^[0-9a-f]{64}$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80"),
    ) "application/octet-stream" FileBytes,
        "Get the index: the table of dates and the list of bundles"
        "Binary: gcs-core/FORMAT.md, section 7. The table says which set each date has.";
    get_set "/v1/sets/{date}/{identity}" (
        ("date" = String, Path, description = "UTC date of the set, as YYYY-MM-DD", format = Date,
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", example = "2026-01-19"),
        ("identity" = String, Path, description = "Identity of the set, from the table in the index",
            pattern = "^[0-9a-f]{64}$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80"),
    ) "application/octet-stream" FileBytes,
        "Get the set of one date"
        "Binary: a Golomb-coded set of the fingerprints of all elements of the date. \
         gcs-core/FORMAT.md, section 4.";
    get_bundle "/v1/bundles/{span}/{to}" (
        ("span" = String, Path, description = "Number of ticks that the bundle covers: 1, 4, 24 or 96",
            pattern = "^(1|4|24|96)$", example = "4"),
        ("to" = String, Path, description = "Series and last tick of the bundle, with `-` between them",
            pattern = "^(0|[1-9][0-9]*)-(0|[1-9][0-9]*)$", example = "1-96"),
    ) "application/octet-stream" FileBytes,
        "Get what changed over a number of ticks"
        "Binary: the changes of all sets from tick `to - span` to tick `to` of one series. \
         gcs-core/FORMAT.md, section 8.";
    get_checks "/v1/checks/{date}/{root}" (
        ("date" = String, Path, description = "UTC date of the records, as YYYY-MM-DD", format = Date,
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", example = "2026-01-19"),
        ("root" = String, Path, description = "Check root of the date, from the table in the index",
            pattern = "^[0-9a-f]{64}$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80"),
    ) "application/octet-stream" FileBytes,
        "Get the check records of one date: all, or one by Range"
        "Binary: with a record, a phone tells a real match from a false positive. All records have \
         the same length; record r is the bytes `r·length` to `(r + 1)·length - 1`. \
         gcs-core/FORMAT.md, section 9.";
    get_seeds "/v1/seeds/{sha256}" (
        ("sha256" = String, Path, description = "SHA-256 of the file, from the manifest or from the index of lists of seeds",
            pattern = "^[0-9a-f]{64}$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80"),
    ) "application/octet-stream" FileBytes,
        "Get an index, a list or a bundle of seeds"
        "Binary: gcs-core/FORMAT.md, sections 21 and 22. For phones that expand seeds themselves, of the \
         kinds that the policy's `seeds` names. Without these there is no such file.";
    get_export_index "/v1/exports/index.txt" () "text/plain" ExportLines,
        "Get the list of exports under a name that does not change"
        "The same bytes as the list that the manifest names, for apps that were made for Google's server. It is not \
         signed; every file that it names is. Before exports were first published the answer is 404; once they are \
         published no more, the list is empty for a day, and then 404.";
    get_export_list "/v1/exports/{sha256}" (
        ("sha256" = String, Path, description = "SHA-256 of the list, from the manifest",
            pattern = "^[0-9a-f]{64}$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80"),
    ) "text/plain" ExportLines,
        "Get the list of exports"
        "Text: the path of each export file without its first slash, and a line feed, in the order in which phones take them. \
         gcs-core/FORMAT.md, section 23. Without the policy's `exports` there is no such file.";
    get_export "/v1/exports/{date}/{file}" (
        ("date" = String, Path, description = "UTC date of the keys, as YYYY-MM-DD", format = Date,
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", example = "2026-01-19"),
        ("file" = String, Path, description = "SHA-256 of the file, and `.zip`, from the list of exports",
            pattern = "^[0-9a-f]{64}\\.zip$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80.zip"),
    ) "application/zip" FileBytes,
        "Get an export file: keys of one date, for the systems of Apple and Google"
        "A zip archive (`export.zip`) of the keys of Exposure Notification that are new, revised or revoked since the \
         file before, and their signature.";
}

async fn serve(request: &HttpRequest, service: &Service) -> Answer {
    // A cache keeps an answer for each query: with made-up ones it could be got around.
    if request.uri().query().is_some() {
        return Err(Problem::NotFound);
    }
    let damaged = |Damaged| Problem::Unavailable;
    let Some(file) = service.shelf.find(request.path()).await.map_err(damaged)? else {
        // The first publication will come.
        let is_manifest = request.path() == "/v1/manifest";
        return Err(if is_manifest { Problem::Unavailable } else { Problem::NotFound });
    };
    if let Some(memory) = file.memory() {
        return from_memory(request, &file, memory);
    }
    let (mut response, range) = head(request, &file)?;
    if range.is_empty() {
        return Ok(response.finish());
    }
    // Before the head: whoever gets one that a cache may keep gets the right bytes, or too few.
    let first = service.shelf.read(&file, range.clone()).await.map_err(damaged)?;
    let (read, size) = (first.len() as u64, range.end - range.start);
    Ok(if read < size {
        let shelf = Arc::clone(&service.shelf);
        response.body(SizedStream::new(size, slices(shelf, file, first, range)))
    } else {
        response.body(first)
    })
}

/// The files that are answered without a route.
#[derive(Clone, Debug)]
pub(in crate::http) struct Shortcut(pub(in crate::http) Arc<Shelf>);

/// Answers with a file in memory before a route is looked for, which costs more than all the rest.
pub(in crate::http) async fn shortcut<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let file = match request.app_data::<Shortcut>() {
        Some(Shortcut(shelf)) if is_plain_get(&request) => shelf.in_memory(request.path()),
        _ => None,
    };
    let Some((file, memory)) = file.as_ref().and_then(|file| Some((file, file.memory()?))) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let answer = from_memory(request.request(), file, memory);
    request.extensions_mut().insert(Route(pattern(file.path())));
    let response = answer.unwrap_or_else(HttpResponse::from_error);
    Ok(request.into_response(response).map_into_right_body())
}

fn is_plain_get(request: &ServiceRequest) -> bool {
    request.method() == Method::GET && request.uri().query().is_none()
}

/// The pattern of a file's route.
fn pattern(path: &Path) -> &'static str {
    match path {
        Path::Manifest => "/v1/manifest",
        Path::KeptManifest { .. } => "/v1/manifests/{version}",
        Path::Index(_) => "/v1/index/{sha256}",
        Path::Set { .. } => "/v1/sets/{date}/{identity}",
        Path::Bundle { .. } => "/v1/bundles/{span}/{to}",
        Path::Checks { .. } => "/v1/checks/{date}/{root}",
        Path::Seeds(_) => "/v1/seeds/{sha256}",
        Path::Export { .. } => "/v1/exports/{date}/{file}",
        Path::ExportList(_) => "/v1/exports/{sha256}",
        Path::ExportIndex => "/v1/exports/index.txt",
    }
}

fn from_memory(request: &HttpRequest, file: &Shelved, memory: &Memory) -> Answer {
    let (mut response, range) = head(request, file)?;
    if range.is_empty() {
        return Ok(response.finish());
    }
    if range.end - range.start <= SLICE {
        return Ok(response.body(memory.read(range).map_err(|_| Problem::Internal)?));
    }
    if let (Memory::Sealed(file), Some(connection)) = (memory, request.conn_data())
        && let Some(answer) =
            Rc::<Connection>::clone(connection).send(&mut response, file, range.clone())
    {
        return Ok(answer);
    }
    Ok(response.body(Slices { memory: memory.clone(), range }))
}

/// The head of an answer, and which bytes come after it: none if the client has them already.
fn head(
    request: &HttpRequest,
    file: &Shelved,
) -> Result<(HttpResponseBuilder, Range<u64>), Problem> {
    let mut response = HttpResponseBuilder::new(StatusCode::OK);
    let etag = HeaderValue::from_maybe_shared(file.etag().clone());
    let etag = etag.map_err(|_| Problem::Internal)?;
    response.insert_header((header::ETAG, etag.clone()));
    let cache = HeaderValue::from_static(Cache::of(file.path()).header());
    response.insert_header((header::CACHE_CONTROL, cache));
    if etag::is_known(request, &etag) {
        response.status(StatusCode::NOT_MODIFIED);
        return Ok((response, 0..0));
    }
    response.insert_header((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
    let mime = HeaderValue::from_static(mime(file.path()));
    response.insert_header((header::CONTENT_TYPE, mime));
    let length = file.length();
    let mut range = 0..length;
    if let Some(asked) = asked_range(request, &etag, length) {
        range = asked.ok_or(Problem::RangeNotSatisfiable { length })?;
        // Twelve digits, so that answers with different records are equally long.
        let shown = format!("bytes {:012}-{:012}/{length:012}", range.start, range.end - 1);
        response.status(StatusCode::PARTIAL_CONTENT);
        response.insert_header((header::CONTENT_RANGE, shown));
    }
    Ok((response, range))
}

/// A body in memory, of which a client that takes nothing holds one slice.
struct Slices {
    memory: Memory,
    range: Range<u64>,
}

impl MessageBody for Slices {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.range.end - self.range.start)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        let Range { start, end } = self.range;
        if start == end {
            return Poll::Ready(None);
        }
        self.range.start = end.min(start + SLICE);
        Poll::Ready(Some(self.memory.read(start..self.range.start)))
    }
}

/// A body on disk, of which the first slice has been read.
fn slices(
    shelf: Arc<Shelf>,
    file: Arc<Shelved>,
    first: Bytes,
    range: Range<u64>,
) -> impl stream::Stream<Item = Result<Bytes, Damaged>> {
    let rest = range.start + first.len() as u64..range.end;
    let rest = stream::try_unfold(rest, move |range| {
        let (shelf, file) = (Arc::clone(&shelf), Arc::clone(&file));
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let bytes = shelf.read(&file, range.clone()).await?;
            let rest = range.start + bytes.len() as u64..range.end;
            Ok(Some((bytes, rest)))
        }
    });
    stream::once(ready(Ok(first))).chain(rest)
}

/// The one range that was asked for: `Some(None)` if it lies outside the file. Several
/// ranges, other units, or a range of another content are answered with the whole file
/// (RFC 9110, 14.2).
fn asked_range(
    request: &HttpRequest,
    etag: &HeaderValue,
    length: u64,
) -> Option<Option<Range<u64>>> {
    let headers = request.headers();
    if headers.get(header::IF_RANGE).is_some_and(|of| of != etag) {
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
