//! A file of a spool: reports that were written together, each sealed on its own.
//!
//! ```text
//! magic   8    "gcsspl01"
//! salt    32   random bytes, from which the key of this file follows
//! count   u32  of the reports
//! check   32   HKDF over the above under the master key: which deployment's file it is
//! digest  8    the beginning of SHA-256 over the above: whether the head is whole
//! then for each report:
//! length  u32  of what follows
//! sealed       the report, by ChaCha20-Poly1305 under the file's key; the nonce is its number
//! ```
//!
//! Numbers are little-endian. Nobody reads or changes a report without the deployment's master key, and
//! one damaged report does not affect the others.

use gcs_core::Digest;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use thiserror::Error;

use crate::domain::keys::DeploymentKeys;
use crate::domain::spooled::SpooledReport;

/// What the files of every version begin with.
const ANY_VERSION: &[u8] = b"gcsspl";
const MAGIC: &[u8; 8] = b"gcsspl01";
const SALTED: usize = 8 + 32;
const CHECKED: usize = SALTED + 4;
const DIGESTED: usize = CHECKED + 32;
const HEAD: usize = DIGESTED + 8;

/// Bytes that a sealed report has more than a report.
const TAG: usize = 16;

/// Bytes that a report takes in a file besides its own.
pub(super) const OVERHEAD: usize = 4 + TAG;

/// Why nothing of a file can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Its head is damaged.
    #[error("it is damaged")]
    Damaged,
    /// It is another deployment's.
    #[error("it is of another deployment: give the key file of that one")]
    Foreign,
    /// A newer release wrote it.
    #[error("a newer release wrote it: install that")]
    Newer,
}

/// What could be read of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// The reports that are whole, with the length that each has in the file.
    pub reports: Vec<(SpooledReport, usize)>,
    /// Whether a report is damaged or missing.
    pub is_damaged: bool,
}

/// The bytes of a file with these reports.
pub fn seal(keys: &DeploymentKeys, salt: [u8; 32], reports: &[Vec<u8>]) -> Vec<u8> {
    let count = reports.len() as u32;
    let mut file = [MAGIC.as_slice(), &salt, &count.to_le_bytes()].concat();
    file.extend(keys.spool_check(&file));
    let digest = Digest::of(&file);
    file.extend(&digest.0[..HEAD - DIGESTED]);
    let key = key_of(keys, &salt);
    for (number, report) in (0..).zip(reports) {
        let mut sealed = report.clone();
        let nonce = nonce_of(number);
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).expect("it is short enough");
        file.extend((sealed.len() as u32).to_le_bytes());
        file.extend(sealed);
    }
    file
}

/// Reads a file.
///
/// # Errors
/// When nothing of it can be read.
pub fn open(keys: &DeploymentKeys, file: &[u8]) -> Result<Opened, Unreadable> {
    let (head, mut rest) = file.split_at_checked(HEAD).ok_or(Unreadable::Damaged)?;
    if head.starts_with(ANY_VERSION) && !head.starts_with(MAGIC) {
        return Err(Unreadable::Newer);
    }
    let (digested, digest) = head.split_at(DIGESTED);
    if !head.starts_with(MAGIC) || Digest::of(digested).0[..HEAD - DIGESTED] != *digest {
        return Err(Unreadable::Damaged);
    }
    let (checked, check) = digested.split_at(CHECKED);
    if keys.spool_check(checked) != *check {
        return Err(Unreadable::Foreign);
    }
    let (salted, count) = checked.split_at(SALTED);
    let salt = salted[MAGIC.len()..].try_into().map_err(|_| Unreadable::Damaged)?;
    let count = u32::from_le_bytes(count.try_into().map_err(|_| Unreadable::Damaged)?);
    let key = key_of(keys, &salt);
    let mut opened = Opened { reports: Vec::new(), is_damaged: false };
    for number in 0..count {
        let Some(sealed) = take(&mut rest) else {
            opened.is_damaged = true;
            return Ok(opened);
        };
        let mut sealed = sealed.to_vec();
        let report = key.open_in_place(nonce_of(number), Aad::empty(), &mut sealed).ok();
        match report.and_then(|report| SpooledReport::decode(report)) {
            Some(report) => opened.reports.push((report, sealed.len() + 4)),
            None => opened.is_damaged = true,
        }
    }
    opened.is_damaged |= !rest.is_empty();
    Ok(opened)
}

/// The next sealed report of a file.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (sealed, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(sealed)
}

fn key_of(keys: &DeploymentKeys, salt: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, &*keys.spool_key(salt));
    LessSafeKey::new(key.expect("the key has 32 bytes"))
}

/// Each report of a file has its own, and each file its own key.
fn nonce_of(number: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::CodeId;
    use crate::domain::keys::Secrets;
    use gcs_core::report::{Code, Item, ReceivedReport};
    use proptest::prelude::*;

    fn keys(master: u8) -> DeploymentKeys {
        DeploymentKeys::new(Secrets::new([1; 32], [2; 32], [master; 32]))
    }

    fn report(serial: u32) -> SpooledReport {
        let code = Code::issue(&keys(3).provider(1, 1), 1, serial).unwrap();
        let items = vec![Ok(Item::Dp3tUnlinkable { epoch: 1_762_781, seed: [serial as u8; 32] })];
        SpooledReport {
            tracking: [serial as u8; 16],
            arrived: 1_767_571_200,
            is_time_trusted: true,
            code: CodeId { provider: 1, generation: 1, serial },
            was_open: true,
            report: ReceivedReport::new(code, items),
        }
    }

    fn file() -> Vec<u8> {
        let reports: Vec<Vec<u8>> = (1..=3).map(|serial| report(serial).encode()).collect();
        seal(&keys(3), [7; 32], &reports)
    }

    fn reports(opened: &Opened) -> Vec<SpooledReport> {
        opened.reports.iter().map(|(report, _)| report.clone()).collect()
    }

    #[test]
    fn reports_are_read_as_they_were_sealed_and_by_their_deployment_only() {
        let file = file();
        let opened = open(&keys(3), &file).unwrap();
        assert_eq!(reports(&opened), [1, 2, 3].map(report));
        assert!(!opened.is_damaged);
        let lengths: usize = opened.reports.iter().map(|(_, length)| length).sum();
        assert_eq!(HEAD + lengths, file.len());
        assert_eq!(lengths, 3 * (report(1).encode().len() + OVERHEAD));
        assert_eq!(open(&keys(4), &file), Err(Unreadable::Foreign));
        // Nothing of a report is in the file.
        let seed = [2; 32];
        assert!(!file.windows(seed.len()).any(|window| window == seed));
        let mut newer = file;
        newer[7] = b'2';
        assert_eq!(open(&keys(3), &newer), Err(Unreadable::Newer));
    }

    /// Damage is seen wherever it is, and never makes another report of one.
    #[test]
    fn one_flipped_bit_costs_one_report_at_most() {
        let file = file();
        let whole = [1, 2, 3].map(report);
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 4;
            match open(&keys(3), &damaged) {
                Ok(opened) => {
                    assert!(at >= HEAD && opened.is_damaged, "{at}");
                    assert!(reports(&opened).iter().all(|report| whole.contains(report)), "{at}");
                    let length = file.len() - HEAD;
                    let is_length = (at - HEAD) % (length / 3) < 4;
                    assert!(is_length || opened.reports.len() == 2, "{at}");
                }
                Err(error) => {
                    assert!(at < HEAD && error != Unreadable::Foreign, "{at}: {error}");
                }
            }
        }
        for length in 0..file.len() {
            let opened = open(&keys(3), &file[..length]);
            assert!(opened.map_or(length < HEAD, |opened| opened.is_damaged), "{length}");
        }
        let longer = [file.as_slice(), &[0]].concat();
        assert!(open(&keys(3), &longer).unwrap().is_damaged);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), head: bool) {
            let mut file = if head { file()[..HEAD].to_vec() } else { MAGIC.to_vec() };
            file.extend(bytes);
            if let Ok(opened) = open(&keys(3), &file) {
                prop_assert!(opened.is_damaged && opened.reports.is_empty());
            }
        }
    }
}
