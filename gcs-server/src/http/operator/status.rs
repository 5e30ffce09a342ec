//! The operator's routes for the state of the server.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, web};
use gcs_core::live::LiveDate;
use gcs_core::{Date, Version};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::problem::Problem;
use crate::http::auth::{Operator, Reader};
use crate::http::{Answer, PublishedVersion};
use crate::service::Service;
use crate::spool::SpoolStatus;

/// A digest of the server's state.
#[derive(Serialize, ToSchema)]
struct DigestAnswer {
    /// Position in the log, counted in events, of the last event that is in the digest.
    position: u64,
    /// SHA-256 over the server's state, as hexadecimal digits: the same on every server with this
    /// log up to this position, and after a rebuild.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
}

/// Get a digest of the state, to compare with another server or a rebuild
///
/// It takes a tenth of a second or more for a million elements.
#[utoipa::path(
    operation_id = "get_state_digest",
    responses((status = 200, description = "The digest and its position in the log", body = DigestAnswer)),
)]
#[get("/v1/admin/digest")]
pub(super) async fn state_digest(service: Data<Service>, _: Reader<Operator>) -> Answer {
    let digest = web::block(move || {
        let state = service.node.state().clone();
        DigestAnswer { position: state.position, digest: state.digest().to_string() }
    });
    let digest = digest.await.map_err(|_| Problem::Internal)?;
    Ok(HttpResponse::Ok().json(digest))
}

/// The state of the server.
#[derive(Serialize, ToSchema)]
struct StatusAnswer {
    /// Position in the log, counted in events, of the last event.
    position: u64,
    /// SHA-256 of the last event's header, as hexadecimal digits. The hash covers all events
    /// before it.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    head: String,
    /// The publication that phones fetch now; null before the first one.
    #[schema(value_type = Option<PublishedVersion>)]
    published: Option<Version>,
    /// Number of reports in the log whose items have not been erased yet.
    reports: usize,
    /// The dates that have elements or are published, in order.
    dates: Vec<DateEntry>,
    /// Reports that wait in the spool of this server. It is there only where the log is in a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    spool: Option<SpoolEntry>,
}

/// Reports that this server took while it could not reach the log, and that are not judged yet.
#[derive(Serialize, ToSchema)]
struct SpoolEntry {
    /// Number of reports that wait.
    reports: u64,
    /// Bytes of these reports on the disk.
    bytes: u64,
    /// Unix time, in seconds, at which the first of them arrived; null if none waits.
    since: Option<u64>,
    /// Number of files of the spool in which something is damaged. They are kept.
    damaged_files: u64,
    /// Number of files of the spool that are of another deployment or of a newer release. They are kept.
    foreign_files: u64,
}

impl From<SpoolStatus> for SpoolEntry {
    fn from(status: SpoolStatus) -> SpoolEntry {
        SpoolEntry {
            reports: status.reports,
            bytes: status.bytes,
            since: status.since,
            damaged_files: status.damaged,
            foreign_files: status.foreign,
        }
    }
}

/// One date.
#[derive(Serialize, ToSchema)]
struct DateEntry {
    /// The UTC date on which the elements were broadcast, as YYYY-MM-DD.
    #[schema(value_type = String, format = Date, example = "2026-01-05")]
    date: Date,
    /// Whether the date is published. It is from two hours after its end.
    listed: bool,
    /// Number of elements that phones test for this date, filler included.
    elements: u64,
    /// Number of random elements among them, which hide how few reports there were.
    filler: u64,
    /// Number of reports whose elements for this date wait for their publication.
    waiting: u64,
}

impl From<(Date, &LiveDate)> for DateEntry {
    fn from((date, live): (Date, &LiveDate)) -> DateEntry {
        DateEntry {
            date,
            listed: live.is_listed(),
            elements: live.published_len(),
            filler: live.filler_len(),
            waiting: live.waiting_len(),
        }
    }
}

/// Get the state of the server: log, publication, reports and dates
#[utoipa::path(
    operation_id = "get_status",
    responses((status = 200, description = "The state of the server", body = StatusAnswer)),
)]
#[get("/v1/admin/status")]
pub(super) async fn server_status(service: Data<Service>, _: Reader<Operator>) -> HttpResponse {
    let published = service.version();
    let state = service.node.state();
    HttpResponse::Ok().json(StatusAnswer {
        position: state.position,
        head: data_encoding::HEXLOWER.encode(&state.head),
        published,
        reports: state.reports.len(),
        dates: state.live.dates().map(DateEntry::from).collect(),
        spool: service.spool.as_ref().map(|spool| spool.status().into()),
    })
}
