//! The published elements of a date, shared and not copied.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use super::elements::{Chunk, published};
use crate::date::Date;
use crate::element::DayElements;

/// The published elements of a date, as [`Live::days`](super::Live::days) gives them. Clones share
/// them.
#[derive(Clone, Debug)]
pub struct LiveDay {
    date: Date,
    elements: Arc<Published>,
}

#[derive(Debug)]
struct Published {
    real: Vec<Arc<Chunk>>,
    filler: Vec<Arc<Chunk>>,
    len: usize,
}

impl LiveDay {
    pub(super) fn new(
        date: Date,
        real: Vec<Arc<Chunk>>,
        filler: Vec<Arc<Chunk>>,
        len: u64,
    ) -> LiveDay {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        LiveDay { date, elements: Arc::new(Published { real, filler, len }) }
    }

    /// The UTC date on which the elements were broadcast.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The elements, filler included, always in the same order.
    pub fn elements(&self) -> impl Iterator<Item = &[u8]> {
        published(&self.elements.real).chain(published(&self.elements.filler))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.elements.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl DayElements for LiveDay {
    fn date(&self) -> Date {
        self.date
    }

    fn len(&self) -> usize {
        self.elements.len
    }

    fn elements(&self) -> impl Iterator<Item = &[u8]> {
        self.elements()
    }

    fn shared(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(Arc::<Published>::clone(&self.elements))
    }
}
