//! Sizes as a measurement of criterion: bits an element, instead of time.

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter};

/// Measures bits, so that sizes stand beside times in criterion's output.
pub struct Bits;

impl Measurement for Bits {
    type Intermediate = ();
    type Value = f64;

    fn start(&self) {}

    fn end(&self, (): ()) -> f64 {
        0.0
    }

    fn add(&self, one: &f64, other: &f64) -> f64 {
        one + other
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &BitsFormatter
    }
}

struct BitsFormatter;

impl ValueFormatter for BitsFormatter {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        "bits/element"
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        "elements"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "bits/element"
    }
}
