//! Elements, and the elements of a date.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::date::Date;

/// An element: bytes that a phone can hear and test. A published element has 16 to 64 bytes.
/// Up to 32 bytes are stored without an allocation.
///
/// ```
/// use gcs_core::Element;
///
/// let element = Element::from(*b"identifier heard");
/// assert_eq!(element.len(), 16);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Element(SmallVec<[u8; 32]>);

impl Element {
    /// An element of these bytes.
    pub fn from_slice(bytes: &[u8]) -> Element {
        Element(SmallVec::from_slice(bytes))
    }
}

impl From<[u8; 16]> for Element {
    fn from(bytes: [u8; 16]) -> Element {
        Element::from_slice(&bytes)
    }
}

impl From<[u8; 32]> for Element {
    fn from(bytes: [u8; 32]) -> Element {
        Element(SmallVec::from_buf(bytes))
    }
}

impl From<&[u8]> for Element {
    fn from(bytes: &[u8]) -> Element {
        Element::from_slice(bytes)
    }
}

impl From<Vec<u8>> for Element {
    fn from(bytes: Vec<u8>) -> Element {
        Element(SmallVec::from_vec(bytes))
    }
}

impl Deref for Element {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Element {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Element {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// All live elements of one date, each 16 to 64 bytes, in any order.
#[derive(Clone, Debug)]
pub struct Day<E> {
    /// The UTC date on which they were broadcast.
    pub date: Date,
    /// The elements; duplicates are merged.
    pub elements: Vec<E>,
}

/// All live elements of one date, each 16 to 64 bytes, in whatever form a publisher is given them:
/// a [`Day`], or memory that is shared with what keeps them.
pub trait DayElements {
    /// The UTC date on which they were broadcast.
    fn date(&self) -> Date;

    /// Number of elements.
    fn len(&self) -> usize;

    /// Whether there are no elements.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, always in the same order; duplicates are merged.
    fn elements(&self) -> impl Iterator<Item = &[u8]>;

    /// The memory that the elements are in, if it never changes and belongs to these elements
    /// alone. A publisher that is given the same memory again knows without a look at the elements
    /// that they are the same.
    fn shared(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
}

impl<E: AsRef<[u8]>> DayElements for Day<E> {
    fn date(&self) -> Date {
        self.date
    }

    fn len(&self) -> usize {
        self.elements.len()
    }

    fn elements(&self) -> impl Iterator<Item = &[u8]> {
        self.elements.iter().map(AsRef::as_ref)
    }
}
