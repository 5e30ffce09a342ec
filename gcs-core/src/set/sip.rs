//! SipHash-2-4 (Aumasson and Bernstein, 2012) of two 16-byte messages at a time.
//!
//! Messages of any other length, and single ones, go to the `siphasher` crate.

use siphasher::sip::SipHasher24;

/// A key, as each function takes it.
#[derive(Clone, Copy)]
pub(super) struct SipKey {
    any_length: SipHasher24,
    /// The key mixed with the constants: the state before the first message word.
    state: [u64; 4],
}

impl SipKey {
    pub(super) fn new(key: &[u8; 16]) -> SipKey {
        let [k0, k1] = words(key);
        SipKey {
            any_length: SipHasher24::new_with_key(key),
            state: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
        }
    }

    /// The hash of a message of any length.
    #[inline]
    pub(super) fn hash(&self, message: &[u8]) -> u64 {
        self.any_length.hash(message)
    }
}

/// Two values that go through the same operations.
type Pair = [u64; 2];

/// The hashes of two messages of 16 bytes, each under its key.
///
/// One hash is a chain of dependent operations; two in step fill each other's gaps. Measured on
/// x86-64 (Zen 3): 13.1 ns a hash, against 16.3 of `siphasher`; four in step are no faster.
#[inline]
pub(super) fn hash_16(keys: [&SipKey; 2], messages: [&[u8; 16]; 2]) -> Pair {
    let mut state: [Pair; 4] = core::array::from_fn(|i| keys.map(|key| key.state[i]));
    let [first, second] = messages.map(words);
    // The last block holds the length alone.
    for block in [[first[0], second[0]], [first[1], second[1]], [16 << 56; 2]] {
        state[3] = xor(state[3], block);
        round(&mut state);
        round(&mut state);
        state[0] = xor(state[0], block);
    }
    state[2] = xor(state[2], [0xff; 2]);
    for _ in 0..4 {
        round(&mut state);
    }
    xor(xor(state[0], state[1]), xor(state[2], state[3]))
}

#[inline]
fn words(bytes: &[u8; 16]) -> Pair {
    let value = u128::from_le_bytes(*bytes);
    [value as u64, (value >> 64) as u64]
}

#[inline]
fn round([v0, v1, v2, v3]: &mut [Pair; 4]) {
    *v0 = add(*v0, *v1);
    *v1 = xor(rotate::<13>(*v1), *v0);
    *v0 = rotate::<32>(*v0);
    *v2 = add(*v2, *v3);
    *v3 = xor(rotate::<16>(*v3), *v2);
    *v0 = add(*v0, *v3);
    *v3 = xor(rotate::<21>(*v3), *v0);
    *v2 = add(*v2, *v1);
    *v1 = xor(rotate::<17>(*v1), *v2);
    *v2 = rotate::<32>(*v2);
}

#[inline]
fn add(a: Pair, b: Pair) -> Pair {
    [a[0].wrapping_add(b[0]), a[1].wrapping_add(b[1])]
}

#[inline]
fn xor(a: Pair, b: Pair) -> Pair {
    [a[0] ^ b[0], a[1] ^ b[1]]
}

#[inline]
fn rotate<const BITS: u32>(a: Pair) -> Pair {
    a.map(|a| a.rotate_left(BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The reference vector of the SipHash paper's authors: key 00..0f, message 00..0f.
    #[test]
    fn hashes_the_vector_of_16_bytes() {
        let bytes: [u8; 16] = core::array::from_fn(|i| i as u8);
        let key = SipKey::new(&bytes);
        assert_eq!(hash_16([&key; 2], [&bytes; 2]), [0x3f2a_cc7f_57c2_9bdb; 2]);
    }

    proptest! {
        #[test]
        fn two_are_hashed_as_one_by_one(
            keys in any::<[[u8; 16]; 2]>(),
            messages in any::<[[u8; 16]; 2]>(),
        ) {
            let keys = keys.map(|key| SipKey::new(&key));
            let got = hash_16([&keys[0], &keys[1]], [&messages[0], &messages[1]]);
            let expected = [keys[0].hash(&messages[0]), keys[1].hash(&messages[1])];
            prop_assert_eq!(got, expected);
        }
    }
}
