//! The keys of the last days: TempIDs that need not be stored.

use alloc::vec::Vec;
use core::fmt;

use super::cipher::Cipher;
use super::error::NoDayKey;
use super::record::UploadRecord;
use super::temp_id::{TempId, TempIdContent};
use super::user::{Hai, UserId};
use super::{LAST_WINDOW, WINDOW_SECONDS, date_of, window_of};
use crate::date::Date;
use crate::identifiers::secret::{Secret, hkdf, hmac};

/// Number of days before today whose keys are kept.
pub const KEPT_DAYS: u32 = 22;

/// Number of TempIDs in a batch: enough for 25 hours.
pub const BATCH_LEN: usize = 100;

/// Seconds after which a phone fetches its next batch.
pub const REFRESH_SECONDS: u64 = 43_200;

/// Number of days after today that a batch reaches into.
const DAYS_AHEAD: u32 = 2;

/// Most days by which [`KeyRing::extend`] goes beyond the oldest date.
pub const MAX_EXTENT_DAYS: u32 = 400;

/// The keys of the last days and of the next two, from which TempIDs are minted and opened.
///
/// Nothing is stored for a TempID: it follows from the user, the window and the key of the
/// window's UTC date. Windows are aligned, so all phones change their TempID at the same time.
///
/// ```text
/// MK(d+1)         HMAC-SHA256(MK(d), "bt-det/v1/ratchet")
/// K_enc(d)        HKDF-SHA256(MK(d), no salt, "bt-det/v1/enc" ‖ d as a big-endian u32), 32 bytes
/// K_iv(d)         HKDF-SHA256(MK(d), no salt, "bt-det/v1/iv" ‖ d as a big-endian u32), 32 bytes
/// IV              the first 16 bytes of HMAC-SHA256(K_iv(d), content)
/// TempID          AES-256-GCM(K_enc(d), IV, content)
/// ```
///
/// Only the oldest key that is kept need be stored: [`KeyRing::oldest`] and
/// [`KeyRing::to_secret`]. All later keys follow from it, and no earlier one does. So once
/// [`KeyRing::advance`] has moved on and the new secret is stored over the old one, nobody can
/// open the TempIDs of the days before.
///
/// An IV depends on the whole content. Two contents get the same IV with a probability near
/// 2^-71 a day at five million users, and GCM's limit of 2^32 messages a key is kept up to 44
/// million users.
#[derive(Clone)]
pub struct KeyRing {
    oldest: Date,
    /// MK of the oldest date.
    secret: Secret<32>,
    /// Of the oldest date and those after it.
    days: Vec<DayKeys>,
}

/// The keys of one date.
#[derive(Clone)]
struct DayKeys {
    enc: Cipher,
    iv: Secret<32>,
}

/// A TempID and when it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MintedTempId {
    /// What the phone broadcasts.
    pub temp_id: TempId,
    /// Unix time in seconds from which it is valid.
    pub start: u32,
    /// Unix time in seconds until which it is valid.
    pub expiry: u32,
}

/// What a phone gets when it asks for TempIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// [`BATCH_LEN`] TempIDs without a gap; the first is valid now.
    pub temp_ids: Vec<MintedTempId>,
    /// Unix time in seconds from which the phone asks again. In JSON it must be an integer.
    pub refresh_time: u64,
}

/// What an authority finds in a record of an upload file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The phones met, when the record says.
    Valid(TempIdContent),
    /// The record has no TempID.
    NoMsg,
    /// The TempID is real, and was not valid at the record's time. OpenTrace's iOS app goes on
    /// broadcasting the first TempID of a batch, so this happens to honest phones.
    ExpiredId(TempIdContent),
    /// The record names another authority. Nothing was opened: what it heard is for that
    /// authority to judge.
    OtherAuthority,
    /// No key opens the TempID.
    FailedDecryption,
}

impl Verdict {
    /// The name that OpenTrace gives it as `invalidReason`; `None` if the record is valid.
    /// OpenTrace tries its own keys on a record of another authority, and so they fail.
    pub fn invalid_reason(&self) -> Option<&'static str> {
        match self {
            Verdict::Valid(_) => None,
            Verdict::NoMsg => Some("no_msg"),
            Verdict::ExpiredId(_) => Some("expired_id"),
            Verdict::OtherAuthority | Verdict::FailedDecryption => Some("failed_decryption"),
        }
    }
}

impl KeyRing {
    /// The ring whose key of `date` is these secret bytes, advanced to `today`. O(1) time for
    /// each day between them.
    pub fn new(date: Date, secret: [u8; 32], today: Date) -> KeyRing {
        let mut ring = KeyRing { oldest: date, secret: Secret(secret), days: Vec::new() };
        ring.advance(today);
        ring
    }

    /// Forgets the keys of dates that are more than [`KEPT_DAYS`] before `today`, and derives
    /// those of the next days. A clock that goes back changes nothing; one that leaps ahead
    /// destroys keys, so make sure of the date first.
    pub fn advance(&mut self, today: Date) {
        let oldest = today.days().saturating_sub(KEPT_DAYS);
        let newest = (today.days() + DAYS_AHEAD).max(self.newest().days()).min(Date::MAX.days());
        while self.oldest.days() < oldest {
            self.secret = ratchet(&self.secret);
            self.oldest = after(self.oldest);
        }
        self.derive_to(newest);
    }

    /// Derives the keys that a batch on `today` needs, and forgets none. So it may be called with
    /// a date that is in doubt. O(1) time for each day of the ring, or for none when nothing is
    /// missing.
    ///
    /// # Errors
    /// [`NoDayKey`] if `today` is before the oldest date, or more than [`MAX_EXTENT_DAYS`] after
    /// it; then nothing has changed.
    pub fn extend(&mut self, today: Date) -> Result<(), NoDayKey> {
        match today.days().checked_sub(self.oldest.days()) {
            Some(0..=MAX_EXTENT_DAYS) => {}
            _ => return Err(self.no_key(today)),
        }
        if !self.covers(today) {
            self.derive_to((today.days() + DAYS_AHEAD).min(Date::MAX.days()));
        }
        Ok(())
    }

    /// Whether it has all keys that a batch on `today` needs. O(1).
    pub fn covers(&self, today: Date) -> bool {
        let newest = (today.days() + DAYS_AHEAD).min(Date::MAX.days());
        self.oldest <= today && newest <= self.newest().days()
    }

    /// Derives the keys from the oldest date to this one.
    fn derive_to(&mut self, newest: u32) {
        let mut secret = self.secret.clone();
        let dates = self.oldest.days()..=newest.max(self.oldest.days());
        // A vector that grows leaves copies of keys behind.
        let mut days = Vec::with_capacity(dates.clone().count());
        for day in dates {
            days.push(DayKeys::new(&secret, day));
            secret = ratchet(&secret);
        }
        self.days = days;
    }

    /// The first date that has a key.
    pub fn oldest(&self) -> Date {
        self.oldest
    }

    /// The last date that has a key.
    pub fn newest(&self) -> Date {
        let newest = self.oldest.days() + (self.days.len() as u32).saturating_sub(1);
        Date::from_days(newest).unwrap_or(Date::MAX)
    }

    /// The key of the oldest date, to be stored in the place of the one before. Whoever has it
    /// can open every TempID from that date on.
    pub fn to_secret(&self) -> [u8; 32] {
        self.secret.0
    }

    /// The TempID of a user in a window. The same again, always. One HMAC and one AES-GCM of 29
    /// bytes.
    ///
    /// # Errors
    /// [`NoDayKey`] if the ring has no key of the window's date.
    pub fn mint(&self, user: &UserId, window: u32) -> Result<TempId, NoDayKey> {
        let date = date_of(window);
        let keys = self.keys(date).filter(|_| window <= LAST_WINDOW);
        let keys = keys.ok_or_else(|| self.no_key(date))?;
        let (start, expiry) = times(window);
        let content = TempIdContent { user: *user, start, expiry };
        let [iv @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            hmac(&keys.iv.0, &[&content.to_bytes()]).0;
        Ok(content.seal(&keys.enc, iv))
    }

    /// The TempIDs of a user for the 25 hours from the Unix time `now`. Two calls within one
    /// window give the same.
    ///
    /// # Errors
    /// [`NoDayKey`] if the ring has no key for some of the 25 hours. On the date that it was
    /// advanced to, it has all.
    pub fn batch(&self, user: &UserId, now: u64) -> Result<Batch, NoDayKey> {
        let first = window_of(now).ok_or_else(|| self.no_key(Date::of_time(now)))?;
        let minted = |window| {
            let (start, expiry) = times(window);
            Ok(MintedTempId { temp_id: self.mint(user, window)?, start, expiry })
        };
        let temp_ids = (first..).take(BATCH_LEN).map(minted).collect::<Result<_, _>>()?;
        Ok(Batch { temp_ids, refresh_time: now + REFRESH_SECONDS })
    }

    /// What is in a TempID; `None` if no key opens it. The keys of `near` and the date before
    /// are tried first, so a TempID heard on a date is mostly opened by the first key; one that
    /// no key opens costs a trial of each.
    pub fn open(&self, temp_id: &TempId, near: Date) -> Option<TempIdContent> {
        let near = near.days().saturating_sub(self.oldest.days()) as usize;
        let near = near.min(self.days.len().saturating_sub(1));
        let order = (0..=near).rev().chain(near + 1..self.days.len());
        order.filter_map(|at| self.days.get(at)).find_map(|keys| temp_id.open(&keys.enc))
    }

    /// What an authority, `own`, finds in a record. A record that names no authority counts as
    /// its own. One trial for most records, and one for each day that is kept for a record that no
    /// key opens.
    pub fn judge(&self, own: &Hai, record: &UploadRecord) -> Verdict {
        let Some(msg) = record.msg.as_deref().filter(|msg| !msg.is_empty()) else {
            return Verdict::NoMsg;
        };
        if record.org.as_deref().is_some_and(|org| org != own.as_str()) {
            return Verdict::OtherAuthority;
        }
        let near = Date::of_time(record.time_ms / 1000);
        match msg.parse().ok().and_then(|temp_id| self.open(&temp_id, near)) {
            None => Verdict::FailedDecryption,
            Some(content) if content.is_valid_at(record.time_ms) => Verdict::Valid(content),
            Some(content) => Verdict::ExpiredId(content),
        }
    }

    fn keys(&self, date: Date) -> Option<&DayKeys> {
        self.days.get(date.days().checked_sub(self.oldest.days())? as usize)
    }

    fn no_key(&self, got: Date) -> NoDayKey {
        NoDayKey { oldest: self.oldest, newest: self.newest(), got }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} to {})", self.oldest, self.newest())
    }
}

impl DayKeys {
    fn new(secret: &Secret<32>, day: u32) -> DayKeys {
        let day = day.to_be_bytes();
        let enc = hkdf(&secret.0, &[b"bt-det/v1/enc", &day]);
        DayKeys { enc: Cipher::new(&enc.0), iv: hkdf(&secret.0, &[b"bt-det/v1/iv", &day]) }
    }
}

fn ratchet(secret: &Secret<32>) -> Secret<32> {
    hmac(&secret.0, &[b"bt-det/v1/ratchet"])
}

fn after(date: Date) -> Date {
    date.next().unwrap_or(date)
}

/// When a window begins and ends, for windows up to the last.
fn times(window: u32) -> (u32, u32) {
    let start = window.saturating_mul(WINDOW_SECONDS as u32);
    (start, start.saturating_add(WINDOW_SECONDS as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifiers::bluetrace::{WINDOWS_A_DAY, windows_of};
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn date(days: u32) -> Date {
        Date::from_days(days).unwrap()
    }

    const DAY: u32 = 18_400;
    const USER: UserId = UserId([5; 21]);

    fn own() -> Hai {
        "SG_OTC".parse().unwrap()
    }

    fn record(time_ms: u64, msg: Option<&str>) -> UploadRecord {
        let msg = msg.map(ToString::to_string);
        let (org, model_p, model_c, rssi, tx_power) = (None, None, None, None, None);
        UploadRecord { time_ms, msg, org, model_p, model_c, rssi, tx_power }
    }

    #[test]
    fn tempids_of_22_days_are_opened_and_older_keys_are_gone() {
        let mut ring = KeyRing::new(date(DAY), [7; 32], date(DAY));
        let minted: Vec<_> = windows_of(date(DAY)).map(|w| ring.mint(&USER, w).unwrap()).collect();
        let secret = ring.to_secret();
        for today in DAY..=DAY + 22 {
            ring.advance(date(today));
            assert_eq!((ring.oldest(), ring.newest()), (date(DAY), date(today + 2)));
            assert!(minted.iter().all(|id| ring.open(id, date(today)).is_some()));
        }
        assert_eq!(ring.to_secret(), secret);
        ring.advance(date(DAY + 23));
        assert_eq!((ring.oldest(), ring.newest()), (date(DAY + 1), date(DAY + 25)));
        assert_ne!(ring.to_secret(), secret);
        assert!(minted.iter().all(|id| ring.open(id, date(DAY)).is_none()));
        let (oldest, newest, got) = (date(DAY + 1), date(DAY + 25), date(DAY));
        let error = Err(NoDayKey { oldest, newest, got });
        assert_eq!(ring.mint(&USER, windows_of(date(DAY)).end - 1), error);
        // A clock that goes back changes nothing.
        ring.advance(date(3));
        assert_eq!((ring.oldest(), ring.newest()), (date(DAY + 1), date(DAY + 25)));
    }

    #[test]
    fn a_ring_is_extended_and_forgets_nothing() {
        let mut ring = KeyRing::new(date(DAY), [7; 32], date(DAY));
        let secret = ring.to_secret();
        let last = DAY + MAX_EXTENT_DAYS;
        for (today, newest) in
            [(DAY, DAY + 2), (DAY + 9, DAY + 11), (DAY + 1, DAY + 11), (last, last + 2)]
        {
            assert_eq!(ring.extend(date(today)), Ok(()));
            assert_eq!((ring.oldest(), ring.newest()), (date(DAY), date(newest)));
            assert!(ring.covers(date(today)) && !ring.covers(date(newest - 1)));
            assert!(ring.batch(&USER, date(today).end() - 1).is_ok());
        }
        assert_eq!(ring.days.capacity(), ring.days.len());
        let (oldest, newest) = (date(DAY), date(last + 2));
        for got in [date(DAY - 1), date(last + 1), Date::MAX] {
            assert_eq!(ring.extend(got), Err(NoDayKey { oldest, newest, got }));
        }
        assert_eq!((ring.to_secret(), ring.newest()), (secret, newest));
        // They are the keys that come.
        let at_once = KeyRing::new(date(DAY), [7; 32], date(last));
        for window in windows_of(date(last)) {
            assert_eq!(ring.mint(&USER, window), at_once.mint(&USER, window));
        }
        let mut ends = KeyRing::new(Date::MAX, [7; 32], Date::MAX);
        assert_eq!(ends.extend(Date::MAX), Ok(()));
        assert_eq!(ends.newest(), Date::MAX);
    }

    #[test]
    fn debug_shows_dates_alone() {
        let ring = KeyRing::new(date(DAY), [7; 32], date(DAY));
        assert_eq!(format!("{ring:?}"), "KeyRing(2020-05-18 to 2020-05-20)");
    }

    /// A vector that grew has room to spare.
    #[test]
    fn no_copies_of_keys_are_left_behind() {
        let mut ring = KeyRing::new(date(DAY), [7; 32], date(DAY));
        assert_eq!((ring.days.len(), ring.days.capacity()), (3, 3));
        ring.advance(date(DAY + 22));
        assert_eq!((ring.days.len(), ring.days.capacity()), (25, 25));
    }

    #[test]
    fn a_ring_that_was_stored_is_the_same_ring() {
        let mut ring = KeyRing::new(date(DAY), [7; 32], date(DAY));
        ring.advance(date(DAY + 60));
        let stored = KeyRing::new(ring.oldest(), ring.to_secret(), date(DAY + 60));
        let at_once = KeyRing::new(date(DAY), [7; 32], date(DAY + 60));
        for window in windows_of(date(DAY + 50)) {
            let id = ring.mint(&USER, window);
            assert!(id.is_ok());
            assert_eq!(id, stored.mint(&USER, window));
            assert_eq!(id, at_once.mint(&USER, window));
        }
    }

    #[test]
    fn a_batch_at_any_time_of_today_has_all_its_keys() {
        let ring = KeyRing::new(date(DAY), [7; 32], date(DAY));
        assert!(ring.batch(&USER, date(DAY).start()).is_ok());
        let batch = ring.batch(&USER, date(DAY).end() - 1).unwrap();
        assert_eq!(date_of(batch.temp_ids[99].start / 900), date(DAY + 2));
        assert!(ring.batch(&USER, date(DAY).start() - 1).is_err());
        assert!(ring.batch(&USER, date(DAY + 2).start()).is_err());
        assert!(ring.batch(&USER, u64::MAX).is_err());
    }

    #[test]
    fn records_get_the_verdicts_of_opentrace() {
        let ring = KeyRing::new(date(DAY), [7; 32], date(DAY + 5));
        let window = windows_of(date(DAY + 1)).end - 1; // It ends at midnight.
        let id = ring.mint(&USER, window).unwrap();
        let (start, expiry) = times(window);
        let content = TempIdContent { user: USER, start, expiry };
        let own = own();
        let verdict = |time_ms| ring.judge(&own, &record(time_ms, Some(&id.to_string())));
        let (from, to) = (u64::from(start) * 1000, u64::from(expiry) * 1000);
        assert_eq!(verdict(from - 1), Verdict::ExpiredId(content));
        assert_eq!(verdict(from), Verdict::Valid(content));
        assert_eq!(verdict(to), Verdict::Valid(content));
        assert_eq!(verdict(to + 1), Verdict::ExpiredId(content));
        for far in [0, to + 10 * 86_400_000, u64::MAX] {
            assert_eq!(verdict(far), Verdict::ExpiredId(content));
        }
        assert_eq!(ring.judge(&own, &record(from, None)), Verdict::NoMsg);
        assert_eq!(ring.judge(&own, &record(from, Some(""))), Verdict::NoMsg);
        let other = KeyRing::new(date(DAY), [8; 32], date(DAY + 5)).mint(&USER, window).unwrap();
        for msg in [other.to_string(), "text".to_string(), id.to_string().replace('=', "")] {
            assert_eq!(ring.judge(&own, &record(from, Some(&msg))), Verdict::FailedDecryption);
        }
        let reasons = [Verdict::Valid(content), Verdict::NoMsg, Verdict::ExpiredId(content)];
        let reasons = reasons.map(|verdict| verdict.invalid_reason());
        assert_eq!(reasons, [None, Some("no_msg"), Some("expired_id")]);
        assert_eq!(Verdict::FailedDecryption.invalid_reason(), Some("failed_decryption"));
    }

    #[test]
    fn what_is_of_another_authority_is_never_opened() {
        let ring = KeyRing::new(date(DAY), [7; 32], date(DAY));
        let window = windows_of(date(DAY)).start;
        let id = ring.mint(&USER, window).unwrap().to_string();
        let time_ms = u64::from(window) * 900_000;
        let judged = |org: Option<&str>, msg| {
            let org = org.map(ToString::to_string);
            ring.judge(&own(), &UploadRecord { org, ..record(time_ms, msg) })
        };
        for org in [Some("SG_OTC"), None] {
            assert!(matches!(judged(org, Some(&id)), Verdict::Valid(_)), "{org:?}");
        }
        for org in ["AU_DTA", "sg_otc", "SG_OTC ", ""] {
            assert_eq!(judged(Some(org), Some(&id)), Verdict::OtherAuthority, "{org:?}");
        }
        assert_eq!(judged(Some("AU_DTA"), None), Verdict::NoMsg);
        assert_eq!(Verdict::OtherAuthority.invalid_reason(), Some("failed_decryption"));
    }

    #[test]
    fn the_ends_of_time_are_no_panic() {
        let ring = KeyRing::new(date(0), [7; 32], date(0));
        assert_eq!(ring.oldest(), date(0));
        assert!(ring.mint(&USER, 0).is_ok());
        let last = LAST_WINDOW / WINDOWS_A_DAY;
        let ring = KeyRing::new(date(last), [7; 32], date(last));
        assert!(ring.mint(&USER, LAST_WINDOW).is_ok());
        assert!(ring.mint(&USER, LAST_WINDOW + 1).is_err());
        assert!(ring.mint(&USER, u32::MAX).is_err());
        let ring = KeyRing::new(Date::MAX, [7; 32], Date::MAX);
        assert_eq!((ring.oldest(), ring.newest()), (Date::MAX, Date::MAX));
        let ring = KeyRing::new(Date::MAX, [7; 32], date(0));
        assert_eq!((ring.oldest(), ring.newest()), (Date::MAX, Date::MAX));
    }

    proptest! {
        #[test]
        fn whatever_is_minted_is_opened(user: [u8; 21], secret: [u8; 32], day in 0u32..25, near in 0u32..60, window in 0..WINDOWS_A_DAY) {
            let ring = KeyRing::new(date(DAY), secret, date(DAY + 22));
            let window = windows_of(date(DAY + day)).start + window;
            let id = ring.mint(&UserId(user), window).unwrap();
            let (start, expiry) = times(window);
            let content = TempIdContent { user: UserId(user), start, expiry };
            prop_assert_eq!(ring.open(&id, date(DAY - 20 + near)), Some(content));
        }
    }
}
