//! Counters for Prometheus. No label identifies a client.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The labels under which a request is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestLabels {
    /// The HTTP method.
    pub method: &'static str,
    /// The pattern of the path, such as `/v1/reports/{tracking_id}`.
    pub route: String,
    /// The HTTP status of the answer.
    pub status: u16,
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let RequestLabels { method, route, status } = self;
        [("method", *method), ("route", route)].encode(encoder)?;
        [("status", *status)].encode(encoder)
    }
}

/// The counters. Gauges are not kept: they are read from the state at each request for metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Number of requests that were answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Number of problems that were answered, by code.
    pub problems: Family<Vec<(&'static str, &'static str)>, Counter>,
    /// Seconds from the arrival of a report's body until the report is on disk and answered.
    pub report_seconds: ReportSeconds,
    /// Number of reports that a spool was to hold, by what became of them.
    pub spooled: Family<Vec<(&'static str, &'static str)>, Counter>,
}

/// A histogram of seconds, with buckets from a millisecond to ten seconds.
#[derive(Debug)]
pub struct ReportSeconds(pub Histogram);

impl Default for ReportSeconds {
    fn default() -> ReportSeconds {
        let buckets = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
        ReportSeconds(Histogram::new(buckets))
    }
}

impl Metrics {
    /// Counts a report that a spool was to hold: `received` or `not_received` when it came; `accepted`, `known` or
    /// `refused` when it was judged.
    pub fn count_spooled(&self, outcome: &'static str) {
        self.spooled.get_or_create(&vec![("outcome", outcome)]).inc();
    }

    /// The counters, that of mended files, and the given gauges (name, help, value) in the OpenMetrics
    /// text format.
    pub fn encode(
        &self,
        mended: &Counter,
        gauges: Vec<(&'static str, &'static str, i64)>,
    ) -> String {
        let mut registry = Registry::with_prefix("gcs");
        registry.register("http_requests", "Requests answered", self.requests.clone());
        let help = "Reports for the spool: received or not_received when they came, accepted, known or refused when they were judged";
        registry.register("spooled_reports", help, self.spooled.clone());
        registry.register("problems", "Problems answered, by code", self.problems.clone());
        let help = "Published files that were damaged or missing on disk, and were written again";
        registry.register("files_mended", help, mended.clone());
        registry.register_with_unit(
            "report",
            "From a report's arrival until it is on disk and answered",
            Unit::Seconds,
            self.report_seconds.0.clone(),
        );
        for (name, help, value) in gauges {
            let gauge: Gauge = Gauge::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _written = encode(&mut text, &registry);
        text
    }
}
