//! The peer closest to ours: Golomb-coded sets of the `bitcoin` crate (rust-bitcoin, CC0-1.0),
//! with the parameters of BIP 158. No header, no checksum, no delta; reading is matching.

use bitcoin::bip158::{GcsFilterReader, GcsFilterWriter};

use crate::data::{Element, SALT};
use crate::plan::Plan;
use crate::structure::{Adapter, Key, Keys, Structure, boxed};

/// The BIP 158 filter in the groups.
pub const BIP158: Structure = Structure {
    name: "bip158",
    package: "bitcoin",
    build: boxed::<Bip158>,
    rate: Plan::rate,
    is_indexed: false,
    is_listable: true,
    takes_hashes: false,
};

/// The Rice parameter of BIP 158.
pub const P: u8 = Plan::RATE_BITS as u8;

/// The inverse of its false-positive rate.
pub const M: u64 = 784_931;

/// The SipHash key as the peer takes it.
fn key() -> (u64, u64) {
    let key = u128::from_le_bytes(SALT.0);
    (key as u64, (key >> 64) as u64)
}

/// The filter of the elements, with the parameters of BIP 158.
pub fn build(elements: &[Element]) -> Vec<u8> {
    encode(elements, M, P)
}

/// A length, then the code.
fn encode(elements: &[Element], modulus: u64, parameter: u8) -> Vec<u8> {
    let (k0, k1) = key();
    let mut filter = Vec::new();
    let mut writer = GcsFilterWriter::new(&mut filter, k0, k1, modulus, parameter);
    for element in elements {
        writer.add_element(element);
    }
    writer.finish().expect("a Vec takes everything");
    filter
}

/// A filter with its parameters.
pub(crate) struct Bip158 {
    filter: Vec<u8>,
    modulus: u64,
    parameter: u8,
}

impl Bip158 {
    /// Whether any of the queries may be in the filter. Hashes and sorts the queries, then
    /// decodes until one matches or the last is passed.
    pub(crate) fn match_any(&self, queries: &[Element]) -> bool {
        let (k0, k1) = key();
        GcsFilterReader::new(k0, k1, self.modulus, self.parameter)
            .match_any(&mut &*self.filter, queries.iter().map(Element::as_slice))
            .expect("the filter is whole")
    }

    /// How many of the queries may be in the filter: where any is, both halves are asked.
    fn count_by_halves(&self, queries: &[Element]) -> usize {
        if queries.is_empty() || !self.match_any(queries) {
            return 0;
        }
        if queries.len() == 1 {
            return 1;
        }
        let (left, right) = queries.split_at(queries.len() / 2);
        self.count_by_halves(left) + self.count_by_halves(right)
    }
}

fn elements_of<K: Key>(keys: &[K]) -> &[Element] {
    match K::keys(keys) {
        Keys::Elements(elements) => elements,
        Keys::Hashes(_) => unreachable!("this structure says that it does not take hashes"),
    }
}

impl Adapter for Bip158 {
    fn build<K: Key>(plan: &Plan, keys: &[K]) -> Bip158 {
        let (modulus, parameter) = (plan.modulus(), plan.rate_bits as u8);
        Bip158 { filter: encode(elements_of(keys), modulus, parameter), modulus, parameter }
    }

    fn contains<K: Key>(&self, key: &K) -> bool {
        self.match_any(elements_of(std::slice::from_ref(key)))
    }

    /// The filter tells only whether any query matches: this gives no position, or the first one.
    fn matches<K: Key>(&self, keys: &[K]) -> Vec<usize> {
        if self.match_any(elements_of(keys)) { vec![0] } else { Vec::new() }
    }

    fn count<K: Key>(&self, keys: &[K]) -> usize {
        elements_of(keys).chunks(100_000).map(|queries| self.count_by_halves(queries)).sum()
    }

    fn decode(&self, beyond: &Element) -> Option<u64> {
        Some(u64::from(self.match_any(std::slice::from_ref(beyond))))
    }

    fn bytes(&self) -> usize {
        self.filter.len()
    }
}

/// All numbers that the filter codes, in order, read with the peer's own bit reader.
#[cfg(test)]
pub(crate) fn values(filter: &[u8]) -> Vec<u64> {
    use bitcoin::bip158::BitStreamReader;
    use bitcoin::consensus::encode::{Decodable, VarInt};

    let mut code = filter;
    let len = VarInt::consensus_decode(&mut code).expect("the filter starts with its length");
    let mut reader = BitStreamReader::new(&mut code);
    let mut value = 0;
    let mut next = || {
        while reader.read(1)? == 1 {
            value += 1 << P;
        }
        value += reader.read(P)?;
        Ok::<u64, bitcoin::io::Error>(value)
    };
    (0..len.0).map(|_| next().expect("the filter is whole")).collect()
}
