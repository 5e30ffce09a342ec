//! Files in memory: a client's own files, or published files.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use gcs_core::sync::{Driver, Fetch};

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A driver that keeps a client's own files in memory, and fetches with `F`.
#[derive(Clone, Debug)]
pub struct MemoryDriver<F> {
    /// The client's own files.
    pub own: Files,
    /// Fetches published files.
    pub remote: F,
}

impl<F> MemoryDriver<F> {
    /// A client that has no files yet.
    pub fn new(remote: F) -> MemoryDriver<F> {
        MemoryDriver { own: Files::new(), remote }
    }

    /// Tables and sets, which are equal for any two clients of one publication.
    pub fn state(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        let is_state = |name: &str| name.starts_with("set-") || name.starts_with("table-");
        self.own.iter().filter(move |(name, _)| is_state(name))
    }

    /// Length of all sets in bytes.
    pub fn sets(&self) -> u64 {
        let sets = self.own.iter().filter(|(name, _)| name.starts_with("set-"));
        sets.map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

impl<F: Fetch> Driver for MemoryDriver<F> {
    type Error = F::Error;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, F::Error> {
        self.remote.fetch(path, byte_range, limit)
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, F::Error> {
        Ok(self.own.get(name).cloned())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), F::Error> {
        self.own.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), F::Error> {
        self.own.remove(name);
        Ok(())
    }
}

/// Fetches from published files in memory, by path.
#[derive(Clone, Copy, Debug)]
pub struct MemoryFetch<'f>(pub &'f Files);

impl Fetch for MemoryFetch<'_> {
    type Error = Infallible;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        _limit: u64,
    ) -> Result<Option<Vec<u8>>, Infallible> {
        let part = |file: &Vec<u8>| match &byte_range {
            // A part that the file does not have is empty, and so no legal answer.
            Some(part) => {
                file.get(part.start as usize..part.end as usize).unwrap_or_default().to_vec()
            }
            None => file.clone(),
        };
        Ok(self.0.get(path).map(part))
    }
}
