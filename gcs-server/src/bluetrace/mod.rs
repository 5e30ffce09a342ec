//! The BlueTrace authority, over the same log: its keys, its passwords, and what it makes of
//! uploads. What is accepted and refused is judged in [`crate::domain`], and the routes are in
//! `http`.
//!
//! | part | what it does |
//! |---|---|
//! | [`Keys`] | the day keys, their file, and how they are destroyed; all other keys |
//! | [`Authority`] | sends passwords, checks them, makes upload tokens, within limits |
//! | [`UploadJudge`] | judges an upload while it comes |
//! | [`encounters()`] | whom a case met, for tracers |
//! | [`messages`] | what is exchanged with other authorities |
//! | [`Courier`] | brings messages to other authorities, and their answers into the log |
//! | [`keeper`] | erases what is over, and destroys old day keys |

mod authority_url;
mod courier;
mod deliveries;
mod encounters;
mod foreign;
pub mod keeper;
mod key_file;
mod keys;
mod limits;
mod log_events;
pub mod messages;
mod password;
mod sender;
mod upload;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gcs_core::identifiers::bluetrace::{
    Hai, HandshakePin, UploadToken, UserId, element, window_of, windows_of,
};
use gcs_core::{DAY_SECONDS, Date, SigningKey};
use tokio::sync::Semaphore;

pub use self::authority_url::expect_url;
pub use self::courier::{Courier, Item, waits_since};
pub use self::deliveries::{Deliveries, Delivery, Failure};
pub use self::encounters::{Encounter, encounters, foreign_encounters, to_csv};
pub use self::foreign::{ForeignMeetings, Wanted};
pub use self::key_file::KeysError;
pub use self::keys::Keys;
use self::limits::Limit;
pub use self::log_events::read_events;
pub use self::password::PASSWORD_SECONDS;
use self::password::{Challenge, Nonce, Passwords};
pub use self::sender::{Sender, SenderSetting};
pub use self::upload::{JudgedUpload, MAX_UPLOAD_BYTES, MAX_UPLOAD_RECORDS, UploadJudge};
use crate::domain::events::CodeId;
use crate::domain::judge::{AuthorityIdentity, DerivedDate};
use crate::domain::phone_number::PhoneNumber;
use crate::domain::problem::Problem;
use crate::random::{self, Random};

/// Seconds after which another password is sent to the same number.
pub const RESEND_SECONDS: u64 = 60;

/// Number of messages of other authorities that are verified and judged at once.
const JUDGING_AT_ONCE: usize = 2;

/// The authority while the server runs.
pub struct Authority {
    hai: Hai,
    identity: AuthorityIdentity,
    keys: Keys,
    passwords: Passwords,
    sender: Arc<dyn Sender>,
    limits: Mutex<Limits>,
    messages: SigningKey,
    /// How it stands with the delivery to each authority.
    pub deliveries: Deliveries,
    /// Held by whoever computes the PseudoIDs of all users: that takes a core for seconds.
    pub search: Arc<tokio::sync::Mutex<()>>,
    /// Places for those who verify and judge a message of another authority.
    pub judging: Arc<Semaphore>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("hai", &self.hai).finish_non_exhaustive()
    }
}

/// What this node counts.
#[derive(Debug)]
struct Limits {
    /// Passwords in a minute, to all numbers together.
    all: Limit<()>,
    /// Passwords in an hour, by number.
    hour: Limit<PhoneNumber>,
    /// Passwords in [`RESEND_SECONDS`], by number.
    minute: Limit<PhoneNumber>,
    /// Tries of a password, by challenge.
    tries: Limit<Nonce>,
    /// Wrong passwords in a day, by number.
    wrong: Limit<PhoneNumber>,
    /// Wrong passwords in a minute, of all numbers together.
    all_wrong: Limit<()>,
    /// Wrong upload codes in an hour, by user.
    codes: Limit<u32>,
    /// Messages in a minute, by the authority that has signed them.
    messages: Limit<Hai>,
}

impl Default for Limits {
    /// The places are as many as all together can take, so that nobody can fill them.
    fn default() -> Limits {
        Limits {
            all: Limit::new(12_000, 60, 1),
            hour: Limit::new(5, 3600, 1 << 20),
            minute: Limit::new(1, RESEND_SECONDS, 1 << 16),
            tries: Limit::new(5, PASSWORD_SECONDS, 1 << 18),
            wrong: Limit::new(10, DAY_SECONDS, 1 << 20),
            all_wrong: Limit::new(600, 60, 1),
            codes: Limit::new(5, 3600, 1 << 20),
            messages: Limit::new(600, 60, 1 << 10),
        }
    }
}

impl Authority {
    /// The authority of a data folder, whose keys are made if there are none.
    ///
    /// # Errors
    /// When the key file cannot be read or made.
    pub fn open(
        folder: &Path,
        hai: Hai,
        sender: &SenderSetting,
        now: u64,
        random: &Random,
    ) -> Result<Authority, KeysError> {
        let keys = Keys::open(folder, Date::of_time(now), random)?;
        Ok(Authority {
            hai,
            identity: keys.identity(&hai),
            passwords: Passwords(keys.password()),
            messages: keys.messages(),
            keys,
            sender: sender.sender(),
            limits: Mutex::default(),
            deliveries: Deliveries::default(),
            search: Arc::default(),
            judging: Arc::new(Semaphore::new(JUDGING_AT_ONCE)),
        })
    }

    /// Whose BlueTrace this is, as the log says it.
    pub fn identity(&self) -> &AuthorityIdentity {
        &self.identity
    }

    /// Its keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The judge of an upload that begins at a Unix time. It opens whatever phones may have by then.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub fn upload_judge(&self, now: u64) -> Result<UploadJudge, Problem> {
        let ring = self.keys.ring(Date::of_time(now))?.clone();
        Ok(UploadJudge::new(ring, self.hai, now))
    }

    /// The PIN by which a user knows a caller.
    pub fn pin(&self, user: &UserId) -> HandshakePin {
        HandshakePin::of(&self.keys.pin, user)
    }

    /// What a user's phone has broadcast on a date until now, as the elements that phones test.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub fn derive(&self, user: &UserId, date: Date, now: u64) -> Result<DerivedDate, Problem> {
        let ring = self.keys.ring(Date::of_time(now))?;
        let until = window_of(now).unwrap_or_default();
        let windows = windows_of(date).filter(|window| *window <= until);
        let element = |window| Some(element(&self.hai, window, &ring.mint(user, window).ok()?));
        Ok(DerivedDate { date, elements: windows.filter_map(element).collect() })
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a password to a number. Returns the challenge that the phone shows with it.
    ///
    /// # Errors
    /// [`Problem::LimitReached`], [`Problem::SenderFailed`].
    pub async fn send_password(
        &self,
        number: PhoneNumber,
        now: u64,
        random: &Random,
    ) -> Result<String, Problem> {
        self.limits().expect_password(number, now)?;
        let nonce = random.bytes().map_err(|_| Problem::Internal)?;
        let challenge = Challenge { nonce, expiry: now.saturating_add(PASSWORD_SECONDS) };
        let (text, password) = self.passwords.make(number, challenge);
        self.sender.send(number, password).await.map_err(|error| {
            tracing::error!(%error, "a password cannot be sent");
            self.limits().take_back_password(number);
            Problem::SenderFailed
        })?;
        Ok(text)
    }

    /// Makes sure that a password is the one that was sent with a challenge to a number, and uses it up. Five tries
    /// until then; and ten wrong ones in a day for a number, whatever the challenges.
    ///
    /// # Errors
    /// [`Problem::PasswordInvalid`], whatever is wrong; [`Problem::LimitReached`] after too many wrong
    /// ones, whatever this one is.
    pub fn expect_password(
        &self,
        number: PhoneNumber,
        challenge: &str,
        password: &str,
        now: u64,
    ) -> Result<(), Problem> {
        // What is too old is not counted, so that it takes no place.
        let challenge = self.passwords.open(number, challenge);
        let challenge = challenge.filter(|challenge| now < challenge.expiry);
        let challenge = challenge.ok_or(Problem::PasswordInvalid)?;
        let is_right = self.passwords.is_right(number, challenge, password);
        let mut limits = self.limits();
        limits.expect_try(number, challenge.nonce, now)?;
        if is_right {
            limits.tries.use_up(challenge.nonce, now);
            return Ok(());
        }
        limits.wrong.count(number, now);
        limits.all_wrong.count((), now);
        Err(Problem::PasswordInvalid)
    }

    /// Lets a password be used again that was right, because nobody was registered with it.
    pub fn take_back_password(&self, number: PhoneNumber, challenge: &str) {
        if let Some(challenge) = self.passwords.open(number, challenge) {
            self.limits().tries.take_back(&challenge.nonce);
        }
    }

    /// Makes sure that a user may try an upload code, and counts the try.
    ///
    /// # Errors
    /// [`Problem::LimitReached`] after five wrong ones in an hour.
    pub fn try_code(&self, user: u32, now: u64) -> Result<(), Problem> {
        let mut limits = self.limits();
        limits.codes.expect(&user, now)?;
        limits.codes.count(user, now);
        Ok(())
    }

    /// Takes back a try of an upload code that was not wrong.
    pub fn take_back_try(&self, user: u32) {
        self.limits().codes.take_back(&user);
    }

    /// The upload token of a user for a code.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn upload_token(
        &self,
        user: UserId,
        code: CodeId,
        now_ms: u64,
        random: &Random,
    ) -> Result<String, random::Error> {
        let CodeId { provider, generation, serial } = code;
        let upload_code = format!("{provider}.{generation}.{serial}");
        let token = UploadToken { user, created_ms: now_ms, upload_code };
        let sealed = token.seal(&self.keys.token, random.bytes()?);
        Ok(sealed.expect("a code is short"))
    }

    /// The code that a user's upload token is for.
    ///
    /// # Errors
    /// [`Problem::UploadTokenInvalid`] if it is another user's, or none, or too old.
    pub fn open_upload_token(
        &self,
        user: UserId,
        text: &str,
        now_ms: u64,
    ) -> Result<CodeId, Problem> {
        let token = UploadToken::open(&self.keys.token, text, now_ms).ok();
        let token = token.filter(|token| token.user == user);
        let code = token.and_then(|token| {
            let mut parts = token.upload_code.split('.');
            let provider = parts.next()?.parse().ok()?;
            let generation = parts.next()?.parse().ok()?;
            let serial = parts.next()?.parse().ok()?;
            Some(CodeId { provider, generation, serial })
        });
        code.ok_or(Problem::UploadTokenInvalid)
    }
}

impl Limits {
    /// Makes sure that a password may be sent to a number, and counts it.
    fn expect_password(&mut self, number: PhoneNumber, now: u64) -> Result<(), Problem> {
        self.minute.expect(&number, now)?;
        self.hour.expect(&number, now)?;
        self.all.expect(&(), now)?;
        self.minute.count(number, now);
        self.hour.count(number, now);
        self.all.count((), now);
        Ok(())
    }

    /// Takes back a password that was not sent.
    fn take_back_password(&mut self, number: PhoneNumber) {
        self.minute.take_back(&number);
        self.hour.take_back(&number);
    }

    /// Makes sure that a password may be tried, and counts the try.
    fn expect_try(&mut self, number: PhoneNumber, nonce: Nonce, now: u64) -> Result<(), Problem> {
        self.wrong.expect(&number, now)?;
        self.all_wrong.expect(&(), now)?;
        self.tries.expect(&nonce, now).map_err(|_| Problem::PasswordInvalid)?;
        self.tries.count(nonce, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 20_000 * DAY_SECONDS;

    /// An authority whose sender is a command.
    fn authority(folder: &Path, command: &str) -> Authority {
        let sender = SenderSetting::Command(command.into());
        let hai = "SG_OTC".parse().unwrap();
        Authority::open(folder, hai, &sender, NOW, &Random::seeded(1)).unwrap()
    }

    fn number(at: u64) -> PhoneNumber {
        PhoneNumber::from_digits(6_591_000_000 + at)
    }

    /// A challenge and its password, as if it was sent at a time.
    fn sent(authority: &Authority, number: PhoneNumber, now: u64, at: u64) -> (String, String) {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&at.to_be_bytes());
        let challenge = Challenge { nonce, expiry: now + PASSWORD_SECONDS };
        authority.passwords.make(number, challenge)
    }

    fn wrong(right: &str) -> &'static str {
        if right == "000000" { "111111" } else { "000000" }
    }

    #[test]
    fn wrong_passwords_are_limited_for_a_number_whatever_the_challenges() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path(), "/nowhere");
        for at in 0..10 {
            let (challenge, right) = sent(&authority, number(1), NOW, at);
            let tried = authority.expect_password(number(1), &challenge, wrong(&right), NOW);
            assert!(matches!(tried, Err(Problem::PasswordInvalid)), "{at}: {tried:?}");
        }
        let (challenge, right) = sent(&authority, number(1), NOW, 10);
        let tried = authority.expect_password(number(1), &challenge, &right, NOW + 1);
        assert!(matches!(tried, Err(Problem::LimitReached { seconds: 86_399 })), "{tried:?}");
        let (challenge, right) = sent(&authority, number(2), NOW, 11);
        authority.expect_password(number(2), &challenge, &right, NOW).unwrap();
        let tomorrow = NOW + DAY_SECONDS;
        let (challenge, right) = sent(&authority, number(1), tomorrow, 12);
        authority.expect_password(number(1), &challenge, &right, tomorrow).unwrap();
    }

    #[test]
    fn a_right_password_is_good_once() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path(), "/nowhere");
        let (challenge, right) = sent(&authority, number(1), NOW, 1);
        let confirm = |now| authority.expect_password(number(1), &challenge, &right, now);
        confirm(NOW).unwrap();
        for later in [0, 1, PASSWORD_SECONDS - 1] {
            let again = confirm(NOW + later);
            assert!(matches!(again, Err(Problem::PasswordInvalid)), "{later}: {again:?}");
        }
        // Nobody was registered with it: once more.
        authority.take_back_password(number(1), &challenge);
        confirm(NOW).unwrap();
        assert!(matches!(confirm(NOW), Err(Problem::PasswordInvalid)));
        let (next, right) = sent(&authority, number(1), NOW, 2);
        authority.expect_password(number(1), &next, &right, NOW).unwrap();
    }

    #[test]
    fn wrong_passwords_are_limited_in_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path(), "/nowhere");
        let tried = |at, is_right, now| {
            let (challenge, right) = sent(&authority, number(at), now, at);
            let password = if is_right { &right } else { wrong(&right) };
            authority.expect_password(number(at), &challenge, password, now)
        };
        for at in 0..600 {
            tried(10_000 + at, true, NOW).unwrap();
            assert!(matches!(tried(at, false, NOW), Err(Problem::PasswordInvalid)), "{at}");
        }
        let last = tried(600, true, NOW + 20);
        assert!(matches!(last, Err(Problem::LimitReached { seconds: 40 })), "{last:?}");
        tried(600, true, NOW + 60).unwrap();
    }

    #[test]
    fn a_challenge_that_is_over_takes_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path(), "/nowhere");
        let (challenge, right) = sent(&authority, number(1), NOW, 1);
        let late = NOW + PASSWORD_SECONDS;
        let tried = authority.expect_password(number(1), &challenge, &right, late);
        assert!(matches!(tried, Err(Problem::PasswordInvalid)));
        assert_eq!(authority.limits().tries.len(), 0);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_password_that_was_not_sent_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let random = Random::seeded(2);
        let failing = authority(folder.path(), "/bin/false");
        for _ in 0..9 {
            let sent = failing.send_password(number(1), NOW, &random).await;
            assert!(matches!(sent, Err(Problem::SenderFailed)), "{sent:?}");
        }
        let working = authority(folder.path(), "/bin/cat");
        working.send_password(number(1), NOW, &random).await.unwrap();
        let early = working.send_password(number(1), NOW, &random).await;
        assert!(matches!(early, Err(Problem::LimitReached { seconds: 60 })), "{early:?}");
    }
}
