//! Counting what a client fetches.

use std::ops::Range;

use gcs_core::sync::Fetch;

/// What was fetched, by kind of file, in bytes of bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Number of files fetched.
    pub requests: u64,
    /// Manifests.
    pub manifests: u64,
    /// Bundles and the indexes that list them.
    pub bundles: u64,
    /// Whole sets.
    pub sets: u64,
    /// Check records.
    pub confirmations: u64,
}

impl Traffic {
    /// All bytes.
    pub fn total(&self) -> u64 {
        self.manifests + self.bundles + self.sets + self.confirmations
    }

    fn count(&mut self, path: &str, bytes: u64) {
        self.requests += 1;
        *(match path.split('/').nth(2) {
            Some("sets") => &mut self.sets,
            Some("checks") => &mut self.confirmations,
            Some("bundles" | "index") => &mut self.bundles,
            _ => &mut self.manifests,
        }) += bytes;
    }
}

/// Fetches with another [`Fetch`], and counts.
#[derive(Clone, Debug)]
pub struct Counted<F> {
    /// The [`Fetch`] that is used.
    pub inner: F,
    /// What it fetched so far.
    pub traffic: Traffic,
}

impl<F> Counted<F> {
    /// A counter at zero.
    pub fn new(inner: F) -> Counted<F> {
        Counted { inner, traffic: Traffic::default() }
    }
}

impl<F: Fetch> Fetch for Counted<F> {
    type Error = F::Error;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, F::Error> {
        let fetched = self.inner.fetch(path, byte_range, limit)?;
        if let Some(bytes) = &fetched {
            self.traffic.count(path, bytes.len() as u64);
        }
        Ok(fetched)
    }
}
