//! What is counted, for Prometheus. No label says who asked.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What a request is counted under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestLabels {
    /// Its method.
    pub method: &'static str,
    /// The pattern of its path.
    pub route: String,
    /// The status of the answer.
    pub status: u16,
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let RequestLabels { method, route, status } = self;
        [("method", *method), ("route", route)].encode(encoder)?;
        [("status", *status)].encode(encoder)
    }
}

/// The counters. Gauges are read from the state when they are asked for.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Problems answered, by code.
    pub problems: Family<Vec<(&'static str, &'static str)>, Counter>,
    /// Seconds from a report's body to its durable answer.
    pub report_seconds: ReportSeconds,
}

/// A histogram with its buckets.
#[derive(Debug)]
pub struct ReportSeconds(pub Histogram);

impl Default for ReportSeconds {
    fn default() -> ReportSeconds {
        let buckets = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
        ReportSeconds(Histogram::new(buckets))
    }
}

impl Metrics {
    /// Everything in the OpenMetrics text format, and gauges: name, help, value.
    pub fn encode(&self, gauges: Vec<(&'static str, &'static str, i64)>) -> String {
        let mut registry = Registry::with_prefix("gcs");
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("problems", "Problems answered, by code", self.problems.clone());
        registry.register_with_unit(
            "report",
            "From a report's arrival to its durable answer",
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
