//! Reports of patients.

use std::time::Instant;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, HttpResponseBuilder, get, post, web};
use data_encoding::HEXLOWER;
use gcs_core::Date;
use gcs_core::report::{MAX_REPORT_BYTES, ReceivedReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::report_status;
use crate::http::body::Raw;
use crate::http::problem::ProblemItem;
use crate::http::{Answer, PublishedVersion, not_stored};
use crate::service::{Reception, Service};

/// A report of infected identifiers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct ReportRequest {
    /// The one-time code, as it was typed: 16 symbols of Crockford's base 32, shown in fours.
    /// Upper and lower case are the same, I and L count as 1 and O as 0, full-width and styled
    /// symbols as plain ones. Spaces, dashes, underscores, full stops, marks and invisible
    /// characters are ignored.
    #[schema(example = "01A0-0Z92-6H3S-GEV5")]
    code: String,
    /// What is reported: 1 to 4096 items.
    #[schema(min_items = 1, max_items = 4096)]
    items: Vec<WireItem>,
}

/// What is reported: an element, or what elements follow from. The setting `kinds` says which kinds are
/// accepted. An item with other members than its kind has is not accepted (`shape`).
#[derive(Deserialize, ToSchema)]
#[schema(as = ReportItem)]
#[serde(tag = "kind", deny_unknown_fields)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
enum WireItem {
    /// A seed of DP-3T's unlinkable design, which proves that the sender broadcast it.
    ///
    /// The phone broadcast EphID, the first 16 bytes of SHA-256(seed). The element that is
    /// published, and that phones test, is SHA-256(EphID ‖ epoch as a big-endian u32), 32
    /// bytes. The seed and epoch of the examples give
    /// `k+jP+0+Ci6+eNrZYq4mIua/Tm+yflbJJMHaBVxSK3Mk=` in base64.
    #[serde(rename = "dp3t-unlinkable")]
    Dp3tUnlinkable {
        /// DP-3T's epoch in which the identifier was broadcast: Unix time in seconds divided by
        /// 900, rounded down. The UTC date follows from it. A report has at most 3 seeds for one
        /// epoch.
        #[schema(example = 1_762_781)]
        epoch: u32,
        /// The seed: 32 bytes in base64, padded with `=`.
        #[schema(
            content_encoding = "base64",
            min_length = 44,
            max_length = 44,
            example = "6qIFRjcAl1e5mIsomYIJ0lPu3mk0X4NbuRs7MzEI0ik="
        )]
        seed: String,
    },
    /// An element as it was broadcast, which is published as it is.
    #[serde(rename = "raw")]
    Raw {
        /// The UTC date on which the element was broadcast, as YYYY-MM-DD.
        #[schema(value_type = String, format = Date, example = "2026-01-05")]
        date: Date,
        /// The element: 16 to 64 bytes in base64, padded with `=`.
        #[schema(
            content_encoding = "base64",
            min_length = 24,
            max_length = 88,
            example = "aWRlbnRpZmllciBoZWFyZA=="
        )]
        element: String,
    },
    /// A key of DP-3T's low-cost design (SK_t). The server derives 96 elements of its date and of each date
    /// after it, up to that on which the report is accepted. The phone draws a fresh key when it reports.
    /// A report has at most 3 keys for one date.
    #[serde(rename = "dp3t-low-cost")]
    Dp3tLowCost {
        /// The first UTC date on which the phone broadcast from the key, as YYYY-MM-DD.
        #[schema(value_type = String, format = Date, example = "2026-01-05")]
        date: Date,
        /// The key of that date: 32 bytes in base64, padded with `=`.
        #[schema(
            content_encoding = "base64",
            min_length = 44,
            max_length = 44,
            example = "6qIFRjcAl1e5mIsomYIJ0lPu3mk0X4NbuRs7MzEI0ik="
        )]
        key: String,
    },
    /// A seed of DP-3T's hybrid design: 8 elements for a window of 2 hours, 16 for one of 4. The window must
    /// be over. A report has at most 3 seeds for one window.
    #[serde(rename = "dp3t-hybrid")]
    Dp3tHybrid {
        /// Length of the window in hours: 2 or 4, as the setting `hybrid_hours` has it.
        #[schema(minimum = 2, maximum = 4, multiple_of = 2, example = 4)]
        hours: u32,
        /// The window: Unix time in seconds divided by its length, rounded down.
        #[schema(example = 110_174)]
        window: u32,
        /// The seed: 16 bytes in base64, padded with `=`.
        #[schema(
            content_encoding = "base64",
            min_length = 24,
            max_length = 24,
            example = "AAECAwQFBgcICQoLDA0ODw=="
        )]
        seed: String,
    },
    /// A TCN report with its signature. Its numbers, from the first to the last of its span, are the
    /// elements: 72 at most. A phone whose key was in use at midnight (UTC) sends a report for each of the
    /// two dates. A report has at most 24 items of this kind for one date.
    #[serde(rename = "tcn")]
    Tcn {
        /// The UTC date on which all of its numbers were broadcast, as YYYY-MM-DD.
        #[schema(value_type = String, format = Date, example = "2026-01-05")]
        date: Date,
        /// The bytes of the report: 134 to 389 in base64, padded with `=`.
        #[schema(content_encoding = "base64", min_length = 180, max_length = 520)]
        report: String,
    },
    /// A temporary exposure key of Apple's and Google's Exposure Notification. The server derives the
    /// rolling proximity identifiers of all its intervals, which are the elements, each of the UTC date of
    /// its interval. A key that is still in use may be reported: no date is published before it is over.
    /// A report has at most 3 keys with one start.
    #[serde(rename = "gaen")]
    Gaen {
        /// The key: 16 bytes in base64, padded with `=`.
        #[schema(
            content_encoding = "base64",
            min_length = 24,
            max_length = 24,
            example = "dccEDbHcXZPrkmFSjAGkSg=="
        )]
        key: String,
        /// The first interval in which it was used: Unix time in seconds divided by 600, rounded down.
        #[schema(example = 2_642_976)]
        rolling_start: u32,
        /// Number of intervals in which it was used.
        #[schema(minimum = 1, maximum = 144, example = 144)]
        rolling_period: u32,
        /// The transmission risk; 0 if there is none.
        #[schema(minimum = 0, maximum = 8, default = 0, required = false, example = 0)]
        transmission_risk: Option<u8>,
        /// Why the sender counts as infected: a test, or a physician's word.
        #[schema(required = false, example = "confirmed")]
        diagnosis: Option<DiagnosisName>,
        /// Days from the onset of symptoms to the start of the key.
        #[schema(minimum = -14, maximum = 14, required = false, nullable = false, example = -2)]
        days_since_onset: Option<i8>,
    },
}

/// Why somebody counts as infected: `confirmed` (a test was positive; this if it is missing) or `likely` (a physician says
/// so).
#[derive(Deserialize, ToSchema)]
#[schema(as = Diagnosis)]
#[serde(rename_all = "snake_case")]
enum DiagnosisName {
    Confirmed,
    Likely,
}

/// The answer to a report.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core writes it")]
pub(crate) struct ReportAnswer {
    /// The number with which the report's status is asked for: 32 hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{32}$", example = "6f1ed002ab5595859014ebf0951522d9")]
    tracking_id: String,
    /// Number of items that were accepted. Equal items count once.
    accepted: u32,
    /// The items that were not accepted.
    problems: Vec<ProblemItem>,
}

/// The answer to a report that is received, and not judged yet.
#[derive(Serialize, ToSchema)]
struct ReceivedAnswer {
    /// The number with which the report's status is asked for: 32 hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{32}$", example = "6f1ed002ab5595859014ebf0951522d9")]
    tracking_id: String,
    /// Always `received`.
    #[schema(value_type = Status, example = "received")]
    status: report_status::Status,
}

/// Report infected identifiers with a one-time code
///
/// A 201 means that the report is on disk and will be published. The same code with the same
/// items gets the same answer again, however often it is sent, so a client may always try again.
/// The same items are the same set of items, whatever their order, repetition and spelling.
/// Items that cannot be accepted are listed in `problems`; the others are kept. The code is used
/// up as soon as one item is accepted.
///
/// A 202 means that the server cannot reach its log, and that the report is on the disk of this one server.
/// It is judged when the log is back, and whoever asks for its status learns the verdict. Until then, the same
/// report gets the same 202 from this server. It may be sent to another server too: it counts once. Servers
/// that have their log on their own disk never answer 202.
#[utoipa::path(
    tag = "reports",
    request_body = ReportRequest,
    responses(
        (status = 201, description = "The report is accepted and on disk", body = ReportAnswer,
         headers(("Location" = String, description = "Path at which the report's status can be asked for"))),
        (status = 202, description = "The report is on the disk of one server, and not judged yet: ask for its status", body = ReceivedAnswer,
         headers(("Location" = String, description = "Path at which the report's status can be asked for"))),
        (status = 403, description = "code_invalid, code_suspended, code_not_open"),
        (status = 409, description = "code_used: another report was made with this code"),
        (status = 410, description = "code_expired, code_revoked"),
        (status = 413, description = "too_large: a report has at most 640 KiB"),
        (status = 422, description = "too_many_items; no_items: none of the items can be accepted, and `problems` says why"),
        (status = 503, description = "storage_unavailable, clock_doubt, read_only, log_unusable, unavailable: send the same report again later"),
    ),
)]
#[post("/v1/reports")]
pub(super) async fn post_report(
    service: Data<Service>,
    Raw(body, _share): Raw<MAX_REPORT_BYTES>,
) -> Answer {
    let arrived = Instant::now();
    let received = ReceivedReport::from_json(&body)?;
    let reception = service.report(received).await?;
    service.metrics.report_seconds.0.observe(arrived.elapsed().as_secs_f64());
    Ok(match reception {
        Reception::Accepted(answer) => {
            let location = location(&answer.tracking_id);
            not_stored(at(HttpResponse::Created(), location), &answer)
        }
        Reception::Received(tracking) => {
            let answer = ReceivedAnswer {
                tracking_id: HEXLOWER.encode(&tracking),
                status: report_status::Status::Received,
            };
            not_stored(at(HttpResponse::Accepted(), location(&answer.tracking_id)), &answer)
        }
    })
}

/// Path at which the status of a report can be asked for.
fn location(tracking_id: &str) -> String {
    format!("/v1/reports/{tracking_id}")
}

fn at(mut response: HttpResponseBuilder, location: String) -> HttpResponseBuilder {
    response.insert_header((header::LOCATION, location));
    response
}

/// The status of a report, or of its elements of one date: `received` (it was answered with 202, and is not
/// judged yet), `refused` (it was answered with 202 and then refused: `code` says why), `held` (it waits to be published),
/// `published` (all of it that has not expired is published), `retracted` (the operator took it
/// back) or `expired` (its dates are not published any more).
#[derive(ToSchema)]
#[schema(as = PublicationStatus, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document: the domain writes it")]
enum Status {
    Received,
    Refused,
    Held,
    Published,
    Retracted,
    Expired,
}

/// The status of a report, as a whole and by date.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: the domain writes it")]
struct ReportStatus {
    /// The status of the whole report. It is `held` while any date is `held`.
    status: Status,
    /// The status of the report's elements, by date. There are none while it is `received`, and if it is
    /// `refused`.
    dates: Vec<DateStatus>,
    /// Why it was refused: the code of the problem with which it would have been answered. It is there only
    /// when `status` is `refused`. After `code_suspended` and `code_not_open` the same report may be accepted
    /// if it is sent again later.
    #[schema(required = false, nullable = false, example = "code_used")]
    code: Option<String>,
}

/// The status of a report's elements of one date.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: the domain writes it")]
struct DateStatus {
    /// The UTC date on which the elements were broadcast, as YYYY-MM-DD.
    #[schema(value_type = String, format = Date, example = "2026-01-05")]
    date: Date,
    /// The status of the elements of this date.
    status: Status,
    /// The publication that was the first to have all these elements. It is there only when
    /// `status` is `published`.
    #[schema(required = false, nullable = false)]
    since: Option<PublishedVersion>,
}

/// Get the status of a report
///
/// The tracking id of a 202 is known to every server of the deployment. As long as the log has no verdict,
/// all of them answer `received` for three days; after that only the server that has the report in its spool does, and
/// the others answer 404.
#[utoipa::path(
    tag = "reports",
    params(("tracking_id" = String, Path, description = "The `tracking_id` from the answer to the report",
        pattern = "^[0-9a-f]{32}$", example = "6f1ed002ab5595859014ebf0951522d9")),
    responses(
        (status = 200, description = "The report's status", body = ReportStatus),
        (status = 404, description = "report_unknown"),
        (status = 503, description = "storage_unavailable: another server may know the report; read_only, log_unusable"),
    ),
)]
#[get("/v1/reports/{tracking_id}")]
pub(super) async fn get_report(service: Data<Service>, tracking: web::Path<String>) -> Answer {
    Ok(not_stored(HttpResponse::Ok(), &service.report_status(&tracking).await?))
}
