//! The keys of the authority while the server runs.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use gcs_core::identifiers::bluetrace::{
    Batch, Hai, KeyRing, PinKey, PseudoIdKey, TokenKey, UserId,
};
use gcs_core::{Date, SigningKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key_file::{KeyFile, KeysError, StoredKeys};
use crate::domain::judge::AuthorityIdentity;
use crate::domain::problem::Problem;
use crate::domain::short_code::ShortCodeKey;
use crate::random::Random;

/// The keys of the authority.
pub struct Keys {
    file: Mutex<KeyFile>,
    ring: RwLock<KeyRing>,
    fixed: Zeroizing<[u8; 32]>,
    /// Handshake PINs are made with it.
    pub pin: PinKey,
    /// Upload tokens are sealed with it.
    pub token: TokenKey,
    /// Short codes are made with it.
    pub short_code: ShortCodeKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("ring", &*self.known()).finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the keys of a data folder, or makes them.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn open(folder: &Path, today: Date, random: &Random) -> Result<Keys, KeysError> {
        let file = KeyFile::new(folder);
        let StoredKeys { date, day, fixed } = file.read_or_make(today, random)?;
        // Nothing is destroyed here: only the log says that a date has come.
        let ring = KeyRing::new(date, *day, date);
        Ok(Keys {
            file: Mutex::new(file),
            ring: RwLock::new(ring),
            pin: PinKey::new(derive(&fixed, "gcs bluetrace pin key v1")),
            token: TokenKey::new(derive(&fixed, "gcs bluetrace upload token key v1")),
            short_code: ShortCodeKey::new(derive(&fixed, "gcs bluetrace short code key v1")),
            fixed,
        })
    }

    /// The key of passwords for registrations.
    pub(super) fn password(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(derive(&self.fixed, "gcs bluetrace password key v1"))
    }

    /// The key that messages to other authorities are signed with.
    pub(super) fn messages(&self) -> SigningKey {
        SigningKey::from_seed(derive(&self.fixed, "gcs bluetrace message key v1"))
    }

    /// The key of the PseudoIDs for one authority.
    pub(super) fn pseudo_id(&self, asking: &Hai) -> PseudoIdKey {
        let label = format!("gcs bluetrace pseudo id key v1 {asking}");
        PseudoIdKey::new(derive(&self.fixed, &label))
    }

    /// What the log knows these keys by.
    pub(super) fn identity(&self, hai: &Hai) -> AuthorityIdentity {
        let keys = derive(&self.fixed, "gcs bluetrace key check v1");
        AuthorityIdentity { hai: hai.to_string(), keys }
    }

    /// The day keys that are derived. Drop the guard soon.
    fn known(&self) -> RwLockReadGuard<'_, KeyRing> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The day keys, with all that can be in use on a date, whatever the log says of the date. Drop the
    /// guard soon.
    ///
    /// # Errors
    /// [`Problem::ClockDoubt`] if the date is before the first day key, or more than
    /// [`MAX_EXTENT_DAYS`] after it.
    ///
    /// [`MAX_EXTENT_DAYS`]: gcs_core::identifiers::bluetrace::MAX_EXTENT_DAYS
    pub fn ring(&self, today: Date) -> Result<RwLockReadGuard<'_, KeyRing>, Problem> {
        if !self.known().covers(today) {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            ring.extend(today).map_err(|_| Problem::ClockDoubt)?;
        }
        Ok(self.known())
    }

    /// The TempIDs of a user from a Unix time on.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub fn batch(&self, user: &UserId, now: u64) -> Result<Batch, Problem> {
        let ring = self.ring(Date::of_time(now))?;
        ring.batch(user, now).map_err(|_| Problem::ClockDoubt)
    }

    /// Destroys the day keys that are too old on a date: on disk, then in memory. The log must say
    /// that the date has come.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing has changed.
    pub fn advance(&self, today: Date) -> Result<(), KeysError> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ring = self.known().clone();
        let before = ring.oldest();
        ring.advance(today);
        if ring.oldest() != before {
            let (date, day) = (ring.oldest(), Zeroizing::new(ring.to_secret()));
            file.replace(&StoredKeys { date, day, fixed: self.fixed.clone() })?;
            tracing::info!(oldest = %date, "day keys that were too old are destroyed");
        }
        // Not replaced: it may have been extended meanwhile.
        self.ring.write().unwrap_or_else(PoisonError::into_inner).advance(today);
        Ok(())
    }
}

fn derive(secret: &[u8; 32], label: &str) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, secret)
        .expand(label.as_bytes(), &mut key)
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    key
}

#[cfg(test)]
mod tests {
    use super::super::key_file::NAME;
    use super::*;
    use data_encoding::HEXLOWER;
    use gcs_core::identifiers::bluetrace::{KEPT_DAYS, windows_of};
    use std::fs;

    const USER: UserId = UserId([5; 21]);

    fn date(days: u32) -> Date {
        Date::from_days(20_000 + days).unwrap()
    }

    /// Everything in a folder.
    fn bytes(folder: &Path) -> Vec<u8> {
        let files = fs::read_dir(folder).unwrap();
        files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }

    fn has(bytes: &[u8], key: &[u8; 32]) -> bool {
        let hex = HEXLOWER.encode(key);
        bytes.windows(64).any(|window| window == hex.as_bytes())
    }

    /// Research check 10.
    #[test]
    fn keys_that_are_too_old_are_gone_from_disk_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let open = |day| Keys::open(folder.path(), date(day), &Random::seeded(1)).unwrap();
        let keys = open(0);
        let first = keys.known().to_secret();
        let minted = keys.known().mint(&USER, windows_of(date(0)).start).unwrap();
        for day in 1..=KEPT_DAYS {
            keys.advance(date(day)).unwrap();
            assert!(keys.known().open(&minted, date(0)).is_some(), "{day}");
            assert!(has(&bytes(folder.path()), &first));
        }
        // A second file system name of the old file shows what became of its bytes.
        let (path, link) = (folder.path().join(NAME), folder.path().join("link"));
        fs::hard_link(&path, &link).unwrap();
        // What a crash left behind, too.
        let (part, part_link) =
            (folder.path().join("bluetrace.key.part"), folder.path().join("part"));
        fs::write(&part, fs::read(&path).unwrap()).unwrap();
        fs::hard_link(&part, &part_link).unwrap();
        keys.advance(date(KEPT_DAYS + 1)).unwrap();
        assert!(keys.known().open(&minted, date(0)).is_none());
        assert!(!has(&bytes(folder.path()), &first));
        for link in [&link, &part_link] {
            assert!(fs::read(link).unwrap().iter().all(|byte| *byte == b'0'));
        }
        assert!(!part.exists());
        // The same keys after a restart, and the same identity.
        let again = open(99);
        assert_eq!((again.known().oldest(), again.known().to_secret()), {
            let ring = keys.known();
            (ring.oldest(), ring.to_secret())
        });
        let hai = "SG_OTC".parse().unwrap();
        assert_eq!(again.identity(&hai), keys.identity(&hai));
        // A clock that goes back changes nothing.
        again.advance(date(1)).unwrap();
        assert_eq!(again.known().oldest(), date(1));
    }

    #[test]
    fn a_clock_that_is_ahead_destroys_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path(), date(0), &Random::seeded(1)).unwrap();
        let before = bytes(folder.path());
        let now = date(50).start();
        let ahead = keys.batch(&USER, now).unwrap();
        let heard = ahead.temp_ids[0].temp_id;
        assert!(keys.ring(date(50)).unwrap().open(&heard, date(50)).is_some());
        assert_eq!(u64::from(ahead.temp_ids[0].start), now);
        assert!(matches!(keys.batch(&USER, date(401).start()), Err(Problem::ClockDoubt)));
        assert!(matches!(keys.batch(&USER, 0), Err(Problem::ClockDoubt)));
        assert_eq!((keys.known().oldest(), bytes(folder.path())), (date(0), before));
        // Those keys are the ones that come.
        keys.advance(date(50)).unwrap();
        assert_eq!(keys.batch(&USER, now).unwrap(), ahead);
    }

    #[test]
    fn a_damaged_file_is_named_without_its_keys_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path(), date(0), &Random::seeded(1)).unwrap();
        let path = folder.path().join(NAME);
        let good = fs::read_to_string(&path).unwrap();
        let secret = HEXLOWER.encode(&keys.known().to_secret());
        for bad in [
            good[..good.len() / 2].to_owned(),
            String::new(),
            good.replace("\"format\": 1", "\"format\": 2"),
            good.replace(&secret, &secret[1..]),
        ] {
            fs::write(&path, &bad).unwrap();
            let error = Keys::open(folder.path(), date(0), &Random::seeded(1)).unwrap_err();
            assert!(error.to_string().contains(NAME) && !error.to_string().contains(&secret[1..]));
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
