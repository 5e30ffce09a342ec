//! TCN, the protocol of the TCN Coalition (version 0.4.1): signed reports, and the numbers that
//! they stand for.
//!
//! A phone draws a report authorization key, and broadcasts temporary contact numbers (TCNs) of 16
//! bytes, each from the next key of a chain. A patient's phone sends a report of a span of the
//! chain, signed with the authorization key; whoever has the report computes the numbers. They
//! are the elements that phones test as they are.
//!
//! ```text
//! tck_0 = SHA-256("H_TCK" ‖ rak)                    rak: Ed25519 seed, rvk: its public key
//! tck_i = SHA-256("H_TCK" ‖ rvk ‖ tck_i-1)
//! tcn_i = SHA-256("H_TCN" ‖ i as a little-endian u16 ‖ tck_i), the first 16 bytes
//!
//! report:   0  32  rvk
//!          32  32  tck of the number before the first
//!          64   2  j1, number of the first TCN, from 1, little-endian
//!          66   2  j2, number of the last TCN, little-endian
//!          68   1  type of the memo
//!          69   1  length of the memo
//!          70      memo
//!              64  signature (Ed25519) of all before it
//! ```
//!
//! A report says nothing of time, and shows every number after its first, not only up to its
//! last. So phones draw a fresh authorization key after six hours or less.
//!
//! Signatures are verified strictly: weak keys and signatures that are not canonical are refused.
//! The reference implementation (MIT) verifies by ZIP 215, which takes some of these; honest
//! phones make none. It does not compare j1 with j2.
//!
//! ```
//! use gcs_core::identifiers::tcn::{MemoType, Report, ReportAuthorizationKey};
//!
//! let key = ReportAuthorizationKey::new([7; 32]); // In an app: from 32 random bytes.
//! let heard = key.number(3).unwrap();
//! let sent = key.report(2, 10, MemoType::CoEpi, b"symptom data")?;
//! let report = Report::parse(&sent)?;
//! assert!(report.numbers().any(|number| number == heard));
//! # Ok::<(), gcs_core::identifiers::tcn::ReportError>(())
//! ```

use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use thiserror::Error;

use super::secret::Secret;
use crate::digest::Digest;

/// Most bytes of a memo.
pub const MAX_MEMO_BYTES: usize = 255;

/// Fewest bytes of a report: one without a memo.
pub const MIN_REPORT_BYTES: usize = MEMO_AT + SIGNATURE_LEN;

/// Most bytes of a report.
pub const MAX_REPORT_BYTES: usize = MIN_REPORT_BYTES + MAX_MEMO_BYTES;

const MEMO_AT: usize = 70;
const SIGNATURE_LEN: usize = 64;

/// What a memo is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MemoType {
    /// A report of symptoms to CoEpi.
    CoEpi,
    /// A test for Covid Watch.
    CovidWatch,
    /// A report to ito.
    Ito,
    /// A report to HutchTrace.
    HutchTrace,
}

const MEMO_TYPES: [MemoType; 4] =
    [MemoType::CoEpi, MemoType::CovidWatch, MemoType::Ito, MemoType::HutchTrace];

/// Why bytes are not a report, or no report can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is shorter or longer than its memo makes it.
    #[error("a report with this memo has {expected} bytes, got {got}")]
    Length {
        /// The length that follows from the memo, or the least of any report.
        expected: usize,
        /// The length found.
        got: usize,
    },
    /// The first number is 0, or after the last.
    #[error("the first number of a report is 1 to its last, {last}, got {first}")]
    Span {
        /// j1.
        first: u16,
        /// j2.
        last: u16,
    },
    /// The type of the memo is not known.
    #[error("the type of a memo is 0 to 3, got {got}")]
    MemoType {
        /// The type.
        got: u8,
    },
    /// The memo is too long.
    #[error("a memo has at most {MAX_MEMO_BYTES} bytes, got {got}")]
    MemoLength {
        /// Its length in bytes.
        got: usize,
    },
    /// The signature is not that of the key in the report.
    #[error("the signature of the report is wrong")]
    Signature,
}

/// What a phone makes its numbers and reports from (rak). Its memory is wiped when dropped;
/// `Debug` shows nothing of it.
#[derive(Clone)]
pub struct ReportAuthorizationKey(SigningKey);

impl ReportAuthorizationKey {
    /// The key of 32 secret bytes from a cryptographic source of randomness.
    pub fn new(secret: [u8; 32]) -> ReportAuthorizationKey {
        ReportAuthorizationKey(SigningKey::from_bytes(&secret))
    }

    /// Its numbers, from number 1 on: what the phone broadcasts. Two hashes each.
    pub fn numbers(&self) -> impl Iterator<Item = [u8; 16]> + use<> {
        numbers(self.verifying_key(), self.contact_key(0), 1, u16::MAX)
    }

    /// A number, from 1; `None` for 0. O(number) hashes: to broadcast, go through
    /// [`ReportAuthorizationKey::numbers`] instead.
    pub fn number(&self, number: u16) -> Option<[u8; 16]> {
        self.numbers().nth(usize::from(number).checked_sub(1)?)
    }

    /// A signed report of the numbers from `first` to `last`, both included. O(first) hashes.
    ///
    /// # Errors
    /// [`ReportError::Span`], [`ReportError::MemoLength`].
    pub fn report(
        &self,
        first: u16,
        last: u16,
        memo_type: MemoType,
        memo: &[u8],
    ) -> Result<Vec<u8>, ReportError> {
        let Ok(length) = u8::try_from(memo.len()) else {
            return Err(ReportError::MemoLength { got: memo.len() });
        };
        expect_span(first, last)?;
        let mut bytes = Vec::with_capacity(MIN_REPORT_BYTES + memo.len());
        bytes.extend_from_slice(&self.verifying_key());
        bytes.extend_from_slice(&self.contact_key(first - 1).0);
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&last.to_le_bytes());
        bytes.extend_from_slice(&[memo_type as u8, length]);
        bytes.extend_from_slice(memo);
        let signature = self.0.sign(&bytes).to_bytes();
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }

    /// The temporary contact key of a number, from 0.
    fn contact_key(&self, number: u16) -> Secret<32> {
        let first = Secret(Digest::of_parts(&[b"H_TCK", self.0.as_bytes()]).0);
        let rvk = self.verifying_key();
        (0..number).fold(first, |key, _| ratchet(&rvk, &key))
    }

    fn verifying_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

impl fmt::Debug for ReportAuthorizationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReportAuthorizationKey(..)")
    }
}

/// A report. `Debug` shows only its span and what its memo is about.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    verifying_key: [u8; 32],
    /// tck of the number before the first.
    contact_key: [u8; 32],
    first: u16,
    last: u16,
    memo_type: MemoType,
    memo: Vec<u8>,
}

impl Report {
    /// Reads a report and verifies its signature.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn parse(bytes: &[u8]) -> Result<Report, ReportError> {
        let report = Report::parse_unverified(bytes)?;
        let Some((signed, signature)) = bytes.split_last_chunk::<SIGNATURE_LEN>() else {
            return Err(ReportError::Length { expected: MIN_REPORT_BYTES, got: bytes.len() });
        };
        let key = VerifyingKey::from_bytes(&report.verifying_key);
        let key = key.map_err(|_| ReportError::Signature)?;
        let verified = key.verify_strict(signed, &Signature::from_bytes(signature));
        verified.map(|()| report).map_err(|_| ReportError::Signature)
    }

    /// Reads a report without a look at its signature: for one that was verified before, or will be
    /// before anything is made of it. It takes some hundredths of the time of [`Report::parse`].
    ///
    /// # Errors
    /// [`ReportError`], but for [`ReportError::Signature`].
    pub fn parse_unverified(bytes: &[u8]) -> Result<Report, ReportError> {
        let length = |expected| ReportError::Length { expected, got: bytes.len() };
        let Some((signed, _)) = bytes.split_last_chunk::<SIGNATURE_LEN>() else {
            return Err(length(MIN_REPORT_BYTES));
        };
        let Some((header, memo)) = signed.split_first_chunk::<MEMO_AT>() else {
            return Err(length(MIN_REPORT_BYTES));
        };
        let [verifying_key @ .., _, _, _, _, _, _] = header;
        let (verifying_key, contact_key) = verifying_key.split_at(32);
        let [.., j1_low, j1_high, j2_low, j2_high, memo_type, memo_length] = *header;
        if memo.len() != usize::from(memo_length) {
            return Err(length(MIN_REPORT_BYTES + usize::from(memo_length)));
        }
        let first = u16::from_le_bytes([j1_low, j1_high]);
        let last = u16::from_le_bytes([j2_low, j2_high]);
        expect_span(first, last)?;
        let memo_type = MEMO_TYPES.get(usize::from(memo_type));
        let memo_type = *memo_type.ok_or(ReportError::MemoType { got: header[68] })?;
        let mut report = Report {
            verifying_key: [0; 32],
            contact_key: [0; 32],
            first,
            last,
            memo_type,
            memo: memo.to_vec(),
        };
        report.verifying_key.copy_from_slice(verifying_key);
        report.contact_key.copy_from_slice(contact_key);
        Ok(report)
    }

    /// Number of its temporary contact numbers, 1 to 65535. A backend that knows how long phones
    /// use one authorization key refuses reports that have more.
    pub fn len(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// Never: a report has at least one number.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Its temporary contact numbers: the elements that phones test. Two hashes each.
    pub fn numbers(&self) -> impl Iterator<Item = [u8; 16]> + use<> {
        numbers(self.verifying_key, Secret(self.contact_key), self.first, self.last)
    }

    /// What the memo is about.
    pub fn memo_type(&self) -> MemoType {
        self.memo_type
    }

    /// The memo, at most 255 bytes. The same unusual memo in two reports links them.
    pub fn memo(&self) -> &[u8] {
        &self.memo
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Report({:?}, {:?})", self.first..=self.last, self.memo_type)
    }
}

/// The numbers from `first` on, given the key before.
fn numbers(
    verifying_key: [u8; 32],
    mut contact_key: Secret<32>,
    first: u16,
    last: u16,
) -> impl Iterator<Item = [u8; 16]> + use<> {
    (first..=last).map(move |number| {
        contact_key = ratchet(&verifying_key, &contact_key);
        let digest = Digest::of_parts(&[b"H_TCN", &number.to_le_bytes(), &contact_key.0]).0;
        core::array::from_fn(|at| digest[at])
    })
}

fn ratchet(verifying_key: &[u8; 32], contact_key: &Secret<32>) -> Secret<32> {
    Secret(Digest::of_parts(&[b"H_TCK", verifying_key, &contact_key.0]).0)
}

fn expect_span(first: u16, last: u16) -> Result<(), ReportError> {
    if (1..=last).contains(&first) { Ok(()) } else { Err(ReportError::Span { first, last }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    fn key(text: &str) -> ReportAuthorizationKey {
        ReportAuthorizationKey::new(hex(text).try_into().unwrap())
    }

    const RAK: &str = "577cfdae21fee71579211ab02c418ee0948bacab613cf69d0a4a5ae5a1557dbb";
    const RVK: &str = "fd8deb9d91a13e144ca5b0ce14e289532e040fe0bf922c6e3dadb1e4e2333c78";
    const TCK_1: &str = "df535b90ac99bec8be3a8add45ce77897b1e7cb1906b5cff1097d3cb142fd9d0";
    const REST: &str = "02000a00000c73796d70746f6d206461746131078ec5367b67a8c793b740626d81ba904789363137b5a313419c0f50b180d8226ecc984bf073ff89cbd9c88fea06bda1f0f368b0e7e88bbe68f15574482904";

    fn report() -> Vec<u8> {
        [hex(RVK), hex(TCK_1), hex(REST)].concat()
    }

    /// tests/test_vectors.rs of TCN 0.4.1, as its clients for Android and iOS have them.
    #[test]
    fn keys_numbers_and_the_report_are_those_of_the_reference_implementation() {
        let key = key(RAK);
        assert_eq!(key.verifying_key().to_vec(), hex(RVK));
        assert_eq!(key.contact_key(1).0.to_vec(), hex(TCK_1));
        for (number, text) in [
            (1, "f4350a4a33e30f2f568898fbe4c4cf34"),
            (2, "135eeaa6482b8852fea3544edf6eabf0"),
            (3, "d713ce68cf4127bcebde6874c4991e4b"),
        ] {
            assert_eq!(key.number(number).map(|number| number.to_vec()), Some(hex(text)));
        }
        assert_eq!(report().len(), 146);
        assert_eq!(key.report(2, 10, MemoType::CoEpi, b"symptom data"), Ok(report()));
        let read = Report::parse(&report()).unwrap();
        assert_eq!((read.memo_type(), read.memo()), (MemoType::CoEpi, &b"symptom data"[..]));
        assert!(read.numbers().eq(key.numbers().skip(1).take(9)));
        assert_eq!(read.len(), 9);
        assert_eq!(format!("{read:?}"), "Report(2..=10, CoEpi)");
    }

    #[test]
    fn a_day_of_numbers_is_that_of_another_program() {
        let key = ReportAuthorizationKey::new(core::array::from_fn(|at| at as u8));
        let report = key.report(1, 96, MemoType::CovidWatch, b"").unwrap();
        assert_eq!(report.len(), 134);
        assert!(HEXLOWER.encode(&report).ends_with("6931becdb2d8800dc00"));
        let numbers: Vec<_> = Report::parse(&report).unwrap().numbers().collect();
        assert_eq!(HEXLOWER.encode(&numbers[0]), "fe5d7c77d6705872d26e72d7d0ba9c65");
        assert_eq!(HEXLOWER.encode(&numbers[95]), "30aa30602a42e6cc025b3fd4594d2f83");
        assert_eq!(
            Digest::of(&numbers.concat()).to_string(),
            "2f773baf30ae16b2eda06a558809e243c19cbd526d935fabaea1bf7caf550589"
        );
    }

    #[test]
    fn every_changed_bit_and_every_other_length_is_refused() {
        let report = report();
        for (at, bit) in (0..report.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut other = report.clone();
            other[at] ^= 1 << bit;
            assert!(Report::parse(&other).is_err(), "bit {bit} of byte {at}");
        }
        for got in 0..report.len() {
            let expected = if got < MIN_REPORT_BYTES { MIN_REPORT_BYTES } else { 146 };
            assert_eq!(Report::parse(&report[..got]), Err(ReportError::Length { expected, got }));
        }
        let longer = [report, alloc::vec![0]].concat();
        assert_eq!(Report::parse(&longer), Err(ReportError::Length { expected: 146, got: 147 }));
    }

    /// Signed as they should be, so that only the rule refuses them.
    #[test]
    fn spans_and_memo_types_that_are_not_allowed_are_refused() {
        let key = key(RAK);
        let signed = |first: u16, last: u16, memo_type: u8| {
            let mut bytes = [&key.verifying_key()[..], &[7; 32]].concat();
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&last.to_le_bytes());
            bytes.extend_from_slice(&[memo_type, 0]);
            let signature = key.0.sign(&bytes).to_bytes();
            bytes.extend_from_slice(&signature);
            Report::parse(&bytes).map(|report| report.len())
        };
        assert_eq!(signed(1, 65_535, 3), Ok(65_535));
        assert_eq!(signed(9, 9, 0), Ok(1));
        for (first, last) in [(0, 5), (0, 0), (6, 5), (65_535, 65_534)] {
            assert_eq!(signed(first, last, 0), Err(ReportError::Span { first, last }));
            let report = key.report(first, last, MemoType::Ito, b"");
            assert_eq!(report, Err(ReportError::Span { first, last }));
        }
        assert_eq!(signed(1, 5, 4), Err(ReportError::MemoType { got: 4 }));
        assert_eq!(signed(1, 5, 255), Err(ReportError::MemoType { got: 255 }));
        let long = key.report(1, 5, MemoType::Ito, &[0; 256]);
        assert_eq!(long, Err(ReportError::MemoLength { got: 256 }));
        assert_eq!(key.number(0), None);
        assert_eq!(key.number(65_535), key.numbers().last());
        assert_eq!(format!("{key:?}"), "ReportAuthorizationKey(..)");
    }

    #[test]
    fn a_key_is_wiped() {
        crate::identifiers::secret::wiped(&ReportAuthorizationKey::new([1; 32]).0);
    }

    /// A key of low order verifies a signature of anything by the lax rules.
    #[test]
    fn weak_keys_are_refused() {
        let mut bytes = alloc::vec![0; MIN_REPORT_BYTES];
        bytes[0] = 1; // The neutral point.
        bytes[64] = 1;
        bytes[66] = 1;
        bytes[70] = 1; // R is the neutral point too, s is 0.
        assert_eq!(Report::parse(&bytes), Err(ReportError::Signature));
    }

    proptest! {
        #[test]
        fn reports_round_trip(secret: [u8; 32], first in 1u16..300, more in 0u16..300, memo_type in 0usize..4, memo in proptest::collection::vec(any::<u8>(), 0..=255)) {
            let (key, memo_type) = (ReportAuthorizationKey::new(secret), MEMO_TYPES[memo_type]);
            let bytes = key.report(first, first + more, memo_type, &memo).unwrap();
            prop_assert!((MIN_REPORT_BYTES..=MAX_REPORT_BYTES).contains(&bytes.len()));
            let report = Report::parse(&bytes).unwrap();
            prop_assert_eq!((report.memo_type(), report.memo()), (memo_type, &memo[..]));
            let all: Vec<_> = key.numbers().take(700).collect();
            let span = usize::from(first) - 1..usize::from(first + more);
            prop_assert!(report.numbers().eq(all[span].iter().copied()));
        }
    }
}
