//! What is counted, for Prometheus. No label says who asked.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::service::Service;

/// A request, by kind.
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

/// Counters; gauges are read from the state when they are asked for.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Refusals by code.
    pub refusals: Family<Vec<(&'static str, &'static str)>, Counter>,
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
    /// Everything in the OpenMetrics text format.
    pub fn encode(&self, service: &Service) -> String {
        let mut registry = Registry::with_prefix("gcs");
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("refusals", "Requests refused, by code", self.refusals.clone());
        registry.register_with_unit(
            "report",
            "From a report's arrival to its durable answer",
            Unit::Seconds,
            self.report_seconds.0.clone(),
        );
        for (name, help, value) in gauges(service) {
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

fn gauges(service: &Service) -> Vec<(&'static str, &'static str, i64)> {
    let missing = service.published.borrow().as_ref().map_or(0, |published| published.missing);
    let published = service.published.borrow().as_ref().map(|published| published.stamp);
    let state = service.node.state();
    let days = state.days.values();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let tick = |time: Option<u64>| number(time.unwrap_or(0));
    vec![
        ("log_position", "Position of the last event of the log", number(state.position)),
        ("reports", "Reports that have not been purged", number(state.reports.len() as u64)),
        ("providers", "Providers", number(state.providers.len() as u64)),
        (
            "elements_published",
            "Elements at the last tick, filler included",
            number(days.clone().map(crate::state::Day::published_len).sum()),
        ),
        (
            "filler_published",
            "Filler among them",
            number(days.clone().map(crate::state::Day::filler_len).sum()),
        ),
        (
            "additions_waiting",
            "Additions of reports to dates that wait",
            number(days.map(crate::state::Day::waiting_len).sum()),
        ),
        (
            "files_missing",
            "Files of the last tick that somebody deleted",
            i64::try_from(missing).unwrap_or(i64::MAX),
        ),
        ("epoch", "Epoch of the log", i64::from(state.epoch)),
        (
            "tick_logged",
            "Last tick in the log",
            state.last_tick.map_or(0, |last| i64::from(last.version.tick)),
        ),
        (
            "tick_published",
            "Last tick that is out",
            published.map_or(0, |stamp| i64::from(stamp.version.tick)),
        ),
        (
            "tick_published_timestamp_seconds",
            "Unix time of the last tick that is out",
            tick(published.map(|stamp| stamp.time)),
        ),
    ]
}
