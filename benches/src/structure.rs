//! What the structures under test have in common: one way to build them and to ask them.

use siphasher::sip::SipHasher24;

use crate::data::{Element, SALT};
use crate::plan::Plan;

/// What a structure is built from or asked for: an element, which it hashes itself, or the
/// SipHash of one, for measurements without hashing.
pub trait Key: Copy {
    /// The SipHash-2-4 of the element, as 64 bits.
    fn hash(&self, hasher: &SipHasher24) -> u64;

    /// Says which of the two the keys are.
    fn keys(keys: &[Self]) -> Keys<'_>;
}

impl Key for Element {
    #[inline]
    fn hash(&self, hasher: &SipHasher24) -> u64 {
        hasher.hash(self)
    }

    #[inline]
    fn keys(keys: &[Element]) -> Keys<'_> {
        Keys::Elements(keys)
    }
}

impl Key for u64 {
    #[inline]
    fn hash(&self, _: &SipHasher24) -> u64 {
        *self
    }

    #[inline]
    fn keys(keys: &[u64]) -> Keys<'_> {
        Keys::Hashes(keys)
    }
}

/// Elements, or their hashes.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// Hashing is part of what is measured.
    Elements(&'a [Element]),
    /// Hashing was done before.
    Hashes(&'a [u64]),
}

impl Keys<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Keys::Elements(elements) => elements.len(),
            Keys::Hashes(hashes) => hashes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The hasher of every peer: SipHash-2-4 of the `siphasher` crate under [`SALT`].
pub fn sip_hasher() -> SipHasher24 {
    SipHasher24::new_with_key(&SALT.0)
}

/// Hashes into a range, as sets of fingerprints do.
#[derive(Clone, Copy)]
pub struct Fingerprints {
    hasher: SipHasher24,
    range: u64,
}

impl Fingerprints {
    /// Fingerprints in the plan's hash range.
    pub fn new(plan: &Plan) -> Fingerprints {
        Fingerprints { hasher: sip_hasher(), range: plan.range().get() }
    }

    /// The fingerprint: the hash mapped into the range by multiply-high, which keeps the order.
    #[inline]
    pub fn of<K: Key>(&self, key: &K) -> u64 {
        ((u128::from(key.hash(&self.hasher)) * u128::from(self.range)) >> 64) as u64
    }

    /// The distinct fingerprints, ascending: what most sets of fingerprints are built from.
    pub fn sorted<K: Key>(&self, keys: &[K]) -> Vec<u64> {
        let mut values: Vec<u64> = keys.iter().map(|key| self.of(key)).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// A structure that holds a set: the adapter of a peer, or of ours.
pub trait Adapter: Sized {
    /// Builds it. Hashes the keys, if they are elements.
    fn build<K: Key>(plan: &Plan, keys: &[K]) -> Self;

    /// Whether the key may be in it.
    fn contains<K: Key>(&self, key: &K) -> bool;

    /// Positions of the keys that may be in it: by the quickest way it offers for many keys.
    fn matches<K: Key>(&self, keys: &[K]) -> Vec<usize> {
        let found = keys.iter().enumerate().filter(|(_, key)| self.contains(*key));
        found.map(|(position, _)| position).collect()
    }

    /// How many of the keys may be in it, asked one by one.
    fn count<K: Key>(&self, keys: &[K]) -> usize {
        keys.iter().filter(|key| self.contains(*key)).count()
    }

    /// Decodes everything that it stores and adds it up; `None` if it cannot list what it holds.
    /// A peer that can only search looks for the element `beyond`, which is past its last.
    fn decode(&self, beyond: &Element) -> Option<u64> {
        let _unused = beyond;
        None
    }

    /// Bytes that it takes at rest, in memory or as a file, whichever is its usual form.
    fn bytes(&self) -> usize;
}

/// An [`Adapter`] behind a pointer. Loops over keys run inside of one call, so that the pointer
/// costs nothing.
pub trait Built {
    /// See [`Adapter::count`].
    fn count(&self, keys: Keys<'_>) -> usize;
    /// See [`Adapter::matches`]; how many there are.
    fn matches(&self, keys: Keys<'_>) -> usize;
    /// See [`Adapter::decode`].
    fn decode(&self, beyond: &Element) -> Option<u64>;
    /// See [`Adapter::bytes`].
    fn bytes(&self) -> usize;
}

impl<A: Adapter> Built for A {
    fn count(&self, keys: Keys<'_>) -> usize {
        match keys {
            Keys::Elements(elements) => Adapter::count(self, elements),
            Keys::Hashes(hashes) => Adapter::count(self, hashes),
        }
    }

    fn matches(&self, keys: Keys<'_>) -> usize {
        match keys {
            Keys::Elements(elements) => Adapter::matches(self, elements).len(),
            Keys::Hashes(hashes) => Adapter::matches(self, hashes).len(),
        }
    }

    fn decode(&self, beyond: &Element) -> Option<u64> {
        Adapter::decode(self, beyond)
    }

    fn bytes(&self) -> usize {
        Adapter::bytes(self)
    }
}

/// Builds a structure of keys, behind a pointer.
pub fn boxed<A: Adapter + 'static>(plan: &Plan, keys: Keys<'_>) -> Box<dyn Built> {
    match keys {
        Keys::Elements(elements) => Box::new(A::build(plan, elements)),
        Keys::Hashes(hashes) => Box::new(A::build(plan, hashes)),
    }
}

/// A structure under test: its name and what it can do.
#[derive(Clone, Copy)]
pub struct Structure {
    /// Its name in tables and plots.
    pub name: &'static str,
    /// The package that it comes from; empty for what needs none.
    pub package: &'static str,
    /// Builds it.
    pub build: fn(&Plan, Keys<'_>) -> Box<dyn Built>,
    /// The false-positive rate that it states for a plan.
    pub rate: fn(&Plan) -> f64,
    /// Whether it answers a single query without reading all that it stores.
    pub is_indexed: bool,
    /// Whether it can list what it stores.
    pub is_listable: bool,
    /// Whether it can be built from hashes; if not, it is left out of measurements without hashing.
    pub takes_hashes: bool,
}

impl Structure {
    /// Whether the structure is one of ours.
    pub fn is_ours(&self) -> bool {
        self.package == "gcs-core"
    }
}
