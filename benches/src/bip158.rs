//! The peer: Golomb-coded sets of the `bitcoin` crate (rust-bitcoin, CC0-1.0), with the
//! parameters of BIP 158. No header, no checksum, no delta; reading is matching.

use bitcoin::bip158::{GcsFilterReader, GcsFilterWriter};

use crate::{Element, SALT};

/// The Rice parameter.
pub const P: u8 = 19;

/// The inverse of the false-positive rate.
pub const M: u64 = 784_931;

/// The SipHash key as the peer takes it.
fn key() -> (u64, u64) {
    let key = u128::from_le_bytes(SALT.0);
    (key as u64, (key >> 64) as u64)
}

/// The filter of the elements: a length, then the code.
pub fn build(elements: &[Element]) -> Vec<u8> {
    let (k0, k1) = key();
    let mut filter = Vec::new();
    let mut writer = GcsFilterWriter::new(&mut filter, k0, k1, M, P);
    for element in elements {
        writer.add_element(element);
    }
    writer.finish().expect("a Vec takes everything");
    filter
}

/// Whether any of the queries may be in the filter. Hashes and sorts the queries, then
/// decodes until one matches or the last is passed.
pub fn match_any(filter: &[u8], queries: &[Element]) -> bool {
    let (k0, k1) = key();
    GcsFilterReader::new(k0, k1, M, P)
        .match_any(&mut &*filter, queries.iter().map(Element::as_slice))
        .expect("the filter is whole")
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
