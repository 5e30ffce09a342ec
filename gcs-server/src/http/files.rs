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
use gcs_core::files::Cache;
use gcs_core::files::Path;
use utoipa::{IntoParams, ToSchema};

use super::problem::ProblemDetails;
use crate::domain::problem::Problem;
use crate::publishing::Files;
use crate::service::Service;

/// How much of a file is held in memory for a reader: the server copies what it is given
/// into the connection, so a reader that stalls must not have been given much.
const SLICE: u64 = 64 << 10;

/// Bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "for the document")]
struct FileBytes(Vec<u8>);

/// Request headers of every file.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the document")]
struct FileHeaders {
    /// One range of bytes. Several, or other units, are answered with the whole file.
    #[param(rename = "Range", required = false, example = "bytes=0-1023")]
    range: String,
    /// An ETag: `Range` counts only if it is still the file's.
    #[param(rename = "If-Range", required = false)]
    if_range: String,
    /// ETags that are at hand: if the file's is among them, it is not sent again.
    #[param(rename = "If-None-Match", required = false)]
    if_none_match: String,
}

/// A DSSE v1.0.2 envelope: what is signed, and Ed25519 signatures over it. A reader ignores
/// members that it does not know.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document")]
pub(super) struct Envelope {
    /// Of the manifest `application/vnd.gcs.manifest+json`, of its key list
    /// `application/vnd.gcs.keys+json`.
    #[schema(example = "application/vnd.gcs.manifest+json")]
    payload_type: String,
    /// The payload's JSON in base64. A manifest's is a ManifestPayload, a key list's a
    /// KeyListPayload.
    #[schema(content_encoding = "base64", content_media_type = "application/json")]
    payload: String,
    /// Over `"DSSEv1 " ‖ len(type) ‖ " " ‖ type ‖ " " ‖ len(payload) ‖ " " ‖ payload`:
    /// lengths in bytes as decimal ASCII, the payload as decoded. One that verifies is enough.
    #[schema(min_items = 1, max_items = 4)]
    signatures: Vec<EnvelopeSignature>,
}

/// A signature of an envelope.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
struct EnvelopeSignature {
    /// A hint for people; readers try every key.
    #[schema(required = false)]
    keyid: String,
    /// Ed25519, 64 bytes in base64.
    #[schema(content_encoding = "base64", min_length = 88, max_length = 88)]
    sig: String,
}

/// What a manifest's envelope has in `payload`, signed by one of the keys of its key list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
pub(super) struct ManifestPayload {
    /// Version of the format: 1.
    #[schema(example = 1)]
    format: u32,
    /// Series of the publication.
    series: u32,
    /// Tick of the publication.
    tick: u32,
    /// Unix time of issue.
    issued: u64,
    /// Unix time of expiry: 86400 seconds later.
    expires: u64,
    /// Unix time at which the next publication is expected.
    next: u64,
    /// SHA-256 of the table of dates.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    state: String,
    /// The index, at /v1/index/{sha256}.
    index: NamedFile,
    /// The bundle of span 1 that leads to this tick; null or missing when there is none.
    bundle: Option<NamedFile>,
    /// The key list, signed by the root key, which clients pin.
    keys: Envelope,
}

/// What a key list's envelope has in `payload`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
pub(super) struct KeyListPayload {
    /// Never below one that was seen before.
    version: u32,
    /// Unix time from which the list counts no more.
    expires: u64,
    /// Ed25519 public keys that sign manifests, each 32 bytes in base64.
    #[schema(min_items = 1, max_items = 4)]
    keys: Vec<String>,
}

/// Length and hash of a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
struct NamedFile {
    /// Its length.
    bytes: u64,
    /// Its SHA-256.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
}

/// Declares a route for each kind of file; they differ in their documentation only.
macro_rules! files {
    ($($name:ident $path:literal ($($param:tt)*) $mime:literal $body:ty, $summary:literal $text:literal;)*) => {$(
        #[utoipa::path(
            get, path = $path, tag = "files", summary = $summary, description = $text,
            params(
                $($param)*
                FileHeaders
            ),
            responses(
                (status = 200, description = "The whole file", content_type = $mime, body = $body,
                 headers(
                    ("ETag" = String, description = "Names the content"),
                    ("Cache-Control" = String, description = "How long it may be kept"),
                    ("Accept-Ranges" = String, description = "bytes"),
                 )),
                (status = 206, description = "The range that was asked for", content_type = $mime,
                 body = FileBytes,
                 headers(
                    ("ETag" = String, description = "Names the content of the whole file"),
                    ("Cache-Control" = String, description = "How long it may be kept"),
                    ("Content-Range" = String, description = "`bytes FIRST-LAST/LENGTH`"),
                 )),
                (status = 304, description = "`If-None-Match` names the file's content",
                 headers(
                    ("ETag" = String, description = "Names the content"),
                    ("Cache-Control" = String, description = "How long it may be kept"),
                 )),
                (status = 404, description = "not_found: no such file", body = ProblemDetails),
                (status = 416, description = "range_not_satisfiable", body = ProblemDetails,
                 headers(("Content-Range" = String, description = "`bytes */LENGTH`"))),
            ),
        )]
        #[route($path, method = "GET", method = "HEAD")]
        pub(super) async fn $name(
            request: HttpRequest,
            service: web::Data<Service>,
        ) -> Result<HttpResponse, Problem> {
            serve(&request, &service).await
        }
    )*};
}

files! {
    get_manifest "/v1/manifest" () "application/json" Envelope,
        "The signed manifest: what is published now"
        "The one file that changes. It is not there before the first publication (503). Follow \
         its payload: `index` to the index, that to sets, bundles and check records.";
    get_kept_manifest "/v1/manifests/{version}" (
        ("version" = String, Path, description = "Series and tick, with `-` between",
            pattern = "^(0|[1-9][0-9]*)-(0|[1-9][0-9]*)$", example = "1-96"),
    ) "application/json" Envelope,
        "A manifest of the past"
        "The bytes that /v1/manifest had at that series and tick.";
    get_index "/v1/index/{sha256}" (
        ("sha256" = String, Path, description = "SHA-256 of the file, from a manifest",
            pattern = "^[0-9a-f]{64}$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80"),
    ) "application/octet-stream" FileBytes,
        "The table of dates and the kept bundles"
        "Named by a manifest. gcs-core/FORMAT.md, section 7.";
    get_set "/v1/sets/{date}/{identity}" (
        ("date" = String, Path, description = "UTC date", format = Date,
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", example = "2026-01-19"),
        ("identity" = String, Path, description = "The set's identity, from the table in the index",
            pattern = "^[0-9a-f]{64}$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80"),
    ) "application/octet-stream" FileBytes,
        "One date's set"
        "A Golomb-coded set of fingerprints. gcs-core/FORMAT.md, section 4.";
    get_bundle "/v1/bundles/{span}/{to}" (
        ("span" = String, Path, description = "Ticks that it spans",
            pattern = "^(1|4|24|96)$", example = "4"),
        ("to" = String, Path, description = "Series and the later tick, with `-` between",
            pattern = "^(0|[1-9][0-9]*)-(0|[1-9][0-9]*)$", example = "1-96"),
    ) "application/octet-stream" FileBytes,
        "What changed over a span of ticks"
        "From tick `to - span` to tick `to` of one series. gcs-core/FORMAT.md, section 8.";
    get_checks "/v1/checks/{date}/{root}" (
        ("date" = String, Path, description = "UTC date", format = Date,
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", example = "2026-01-19"),
        ("root" = String, Path, description = "The date's check root, from the table in the index",
            pattern = "^[0-9a-f]{64}$",
            example = "ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80"),
    ) "application/octet-stream" FileBytes,
        "One date's check records, whole or one by Range"
        "LoggedEvent r is bytes `r·length` to `(r + 1)·length - 1`. gcs-core/FORMAT.md, section 9.";
}

async fn serve(request: &HttpRequest, service: &Service) -> Result<HttpResponse, Problem> {
    let path: Path = request.path().parse().map_err(|_| Problem::NotFound)?;
    if path == Path::Manifest {
        let published = service.published.borrow().clone();
        let manifest = match published {
            Some(published) => published.manifest,
            // The start has not got that far yet; what is out stays out.
            None => {
                let file = service.files.get(&path.to_string()).await;
                file.map_err(|_| Problem::Unavailable)?
            }
        };
        return answer(request, path, manifest.len() as u64, Source::Memory(manifest));
    }
    let name = path.to_string();
    let length = service.files.length(&name).await.map_err(|error| {
        tracing::error!(%error, "a file cannot be read");
        Problem::Internal
    })?;
    let length = length.ok_or(Problem::NotFound)?;
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
) -> Result<HttpResponse, Problem> {
    let etag = source.etag(&path);
    let mut response = HttpResponseBuilder::new(StatusCode::OK);
    response.insert_header(header::ETag(etag.clone()));
    response.insert_header((header::CACHE_CONTROL, Cache::of(&path).header()));
    if is_known(request, &etag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    let is_json = matches!(path, Path::Manifest | Path::KeptManifest { .. });
    response.content_type(if is_json { "application/json" } else { "application/octet-stream" });
    let mut range = 0..length;
    if let Some(asked) = asked_range(request, &etag, length) {
        range = asked.ok_or(Problem::RangeNotSatisfiable { length })?;
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
