//! Messages between health authorities: what ours say, and what is made of those of others.

use std::collections::HashMap;

use gcs_core::identifiers::bluetrace::{
    BatchAnswer, Contact, FollowUp, ForeignRecord, Hai, Message, MessageHead, MessageId, PseudoId,
    Receipt, RecordBatch, RecordVerdict, SignedMessage, UserId, Withdrawal,
};
use gcs_core::{DAY_SECONDS, Date, Digest, PublicKey};

use super::Authority;
use crate::domain::events::{ForeignContact, ForeignVerdict, MessageNumber, UploadAccepted};
use crate::domain::phone_number::PhoneNumber;
use crate::domain::problem::Problem;
use crate::domain::state::bluetrace::Users;

/// The header that names the authority which sends a message or an answer.
pub const AUTHORITY_HEADER: &str = "bluetrace-authority";

/// The header with the signature over the body.
pub const SIGNATURE_HEADER: &str = "bluetrace-signature";

/// Paths, below the URL of an authority.
pub mod path {
    /// Where batches of records go.
    pub const BATCHES: &str = "/bluetrace/v1/federation/batches";
    /// Where withdrawals go.
    pub const WITHDRAWALS: &str = "/bluetrace/v1/federation/withdrawals";
    /// Where follow-ups go.
    pub const FOLLOW_UPS: &str = "/bluetrace/v1/federation/follow-ups";
}

/// Seconds after which nobody is told of a meeting any more: 22 days.
const OLDEST_RECORD: u64 = 22 * DAY_SECONDS;

/// Seconds by which the clock of a phone may be ahead.
const AHEAD: u64 = 900;

impl Authority {
    /// The key by which other authorities verify our messages.
    pub fn public_key(&self) -> PublicKey {
        self.messages.public()
    }

    /// The authority's HAI.
    pub fn hai(&self) -> &Hai {
        &self.hai
    }

    fn head(&self, id: MessageNumber, recipient: Hai) -> MessageHead {
        MessageHead { id: MessageId(id), sender: self.hai, recipient }
    }

    /// The batch of the records that another authority has in a piece of an upload. It has nothing of who heard
    /// them, and no signal.
    pub(super) fn batch_of(
        &self,
        (id, expires): (MessageNumber, u64),
        hai: Hai,
        piece: &UploadAccepted,
    ) -> RecordBatch {
        let of_them = piece.foreign.iter().filter(|sighting| sighting.hai == hai.as_str());
        let record = |sighting: &crate::domain::events::ForeignSighting| ForeignRecord {
            timestamp: sighting.time.into(),
            msg: sighting.msg.clone(),
        };
        RecordBatch::new(self.head(id, hai), expires, of_them.map(record).collect())
    }

    /// The withdrawal of a message that has expired at this Unix time.
    pub(super) fn withdrawal_of(&self, id: MessageNumber, hai: Hai, expires: u64) -> Withdrawal {
        Withdrawal::new(self.head(id, hai), expires)
    }

    /// The follow-up that a tracer of ours has made.
    pub(super) fn follow_up_of(
        &self,
        (id, expires): (MessageNumber, u64),
        hai: Hai,
        contacts: &[ForeignContact],
    ) -> FollowUp {
        let contact = |contact: &ForeignContact| {
            let date = Date::from_days(contact.day).unwrap_or(Date::MAX);
            Contact { pseudo_id: PseudoId(contact.pseudo_id), date }
        };
        let contacts = contacts.iter().map(contact).collect();
        FollowUp::new(self.head(id, hai), expires, contacts)
    }

    /// A message with our signature.
    pub(super) fn sign(&self, message: &impl Message) -> SignedMessage {
        message.sign(&self.messages)
    }

    /// Our verdicts on the records of a batch: who is registered now is known by the users.
    ///
    /// # Errors
    /// As [`Keys::ring`](super::Keys::ring).
    pub fn judge_batch(
        &self,
        batch: &RecordBatch,
        users: &Users,
        now: u64,
    ) -> Result<Vec<ForeignVerdict>, Problem> {
        let key = self.keys.pseudo_id(&batch.sender);
        let is_user = |user: &UserId| users.by_id(user).is_some();
        let ring = self.keys.ring(Date::of_time(now))?.clone();
        let verdicts = batch.judge(&ring, &key, is_user).into_iter().map(to_event);
        let times = batch.records.iter().map(|record| record.timestamp);
        Ok(times.zip(verdicts).map(|(time, verdict)| as_of(time, verdict, now)).collect())
    }

    /// The answer to a batch with these verdicts, which are the same bytes each time.
    pub fn answer_batch(
        &self,
        head: MessageHead,
        request: Digest,
        verdicts: &[ForeignVerdict],
    ) -> SignedMessage {
        let verdicts = verdicts.iter().copied().map(from_event).collect();
        let head = self.head(head.id.0, head.sender);
        self.sign(&BatchAnswer::new(head, request, verdicts))
    }

    /// The receipt for a message.
    pub fn receipt(&self, head: MessageHead, request: Digest) -> SignedMessage {
        self.sign(&Receipt::new(self.head(head.id.0, head.sender), request))
    }

    /// Counts a message of an authority.
    ///
    /// # Errors
    /// [`Problem::LimitReached`] after 600 in a minute.
    pub fn count_message(&self, sender: Hai, now: u64) -> Result<(), Problem> {
        let mut limits = self.limits();
        limits.messages.expect(&sender, now)?;
        limits.messages.count(sender, now);
        Ok(())
    }

    /// Whom contacts of another authority's follow-up are: their numbers, each with the date of the last meeting. It
    /// computes the PseudoID of one user after the other. Who has withdrawn is nobody.
    pub fn find_contacts(
        &self,
        asking: &Hai,
        contacts: &[ForeignContact],
        users: &Users,
    ) -> Vec<(PhoneNumber, Date)> {
        let key = self.keys.pseudo_id(asking);
        let mut wanted: HashMap<PseudoId, u32> = HashMap::new();
        for ForeignContact { pseudo_id, day } in contacts {
            let last = wanted.entry(PseudoId(*pseudo_id)).or_default();
            *last = (*last).max(*day);
        }
        let mut found = Vec::new();
        for user in users.iter() {
            if wanted.is_empty() {
                break;
            }
            if let Some(day) = wanted.remove(&PseudoId::of(&key, &UserId(user.id))) {
                let date = Date::from_days(day).unwrap_or(Date::MAX);
                found.push((PhoneNumber::from_digits(user.number), date));
            }
        }
        found.sort_unstable_by_key(|(number, date)| (*date, number.digits()));
        found
    }
}

/// The contacts of a follow-up, as the log has them.
pub fn to_contacts(follow_up: &FollowUp) -> Vec<ForeignContact> {
    let contact = |contact: &Contact| ForeignContact {
        pseudo_id: contact.pseudo_id.0,
        day: contact.date.days(),
    };
    follow_up.contacts.iter().map(contact).collect()
}

pub(super) fn to_event(verdict: RecordVerdict) -> ForeignVerdict {
    match verdict {
        RecordVerdict::Valid { pseudo_id } => ForeignVerdict::Valid(pseudo_id.0),
        RecordVerdict::ExpiredId => ForeignVerdict::ExpiredId,
        RecordVerdict::FailedDecryption => ForeignVerdict::FailedDecryption,
    }
}

/// The verdict on a record of a Unix time. Nobody is told of a meeting that is not over, or longer ago than a phone
/// keeps what it has heard.
fn as_of(time: u64, verdict: ForeignVerdict, now: u64) -> ForeignVerdict {
    let oldest = now.saturating_sub(OLDEST_RECORD);
    match verdict {
        ForeignVerdict::Valid(_) if !(oldest..=now.saturating_add(AHEAD)).contains(&time) => {
            ForeignVerdict::ExpiredId
        }
        verdict => verdict,
    }
}

fn from_event(verdict: ForeignVerdict) -> RecordVerdict {
    match verdict {
        ForeignVerdict::Valid(pseudo_id) => RecordVerdict::Valid { pseudo_id: PseudoId(pseudo_id) },
        ForeignVerdict::ExpiredId => RecordVerdict::ExpiredId,
        ForeignVerdict::FailedDecryption => RecordVerdict::FailedDecryption,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bluetrace::SenderSetting;
    use crate::domain::state::bluetrace::User;
    use crate::random::Random;
    use std::io::Write as _;

    fn authority(folder: &std::path::Path) -> Authority {
        let sender = SenderSetting::Command("/nowhere".into());
        let (hai, now) = ("SG_OTC".parse().unwrap(), 20_000 * DAY_SECONDS);
        Authority::open(folder, hai, &sender, now, &Random::seeded(1)).unwrap()
    }

    fn users(count: u64) -> Users {
        let mut users = Users::default();
        for number in 1..=count {
            let digest = Digest::of(&number.to_le_bytes()).0;
            users.add_for_test(User::for_test(number, std::array::from_fn(|at| digest[at])));
        }
        users
    }

    fn contact(authority: &Authority, asking: &Hai, user: &User, day: u32) -> ForeignContact {
        let key = authority.keys.pseudo_id(asking);
        ForeignContact { pseudo_id: PseudoId::of(&key, &UserId(user.id)).0, day }
    }

    #[test]
    fn a_pseudo_id_is_found_among_the_users_by_whoever_was_told_it() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path());
        let users = users(3000);
        let asking: [Hai; 2] = ["NZ_MOH", "AU_DTA"].map(|hai| hai.parse().unwrap());
        let user = |at| users.get(at).unwrap();
        let nobody = User::for_test(7, [9; 21]);
        let contacts = [
            contact(&authority, &asking[0], user(2999), 5),
            contact(&authority, &asking[0], user(0), 4),
            contact(&authority, &asking[0], user(0), 6),
            contact(&authority, &asking[0], &nobody, 6),
        ];
        let found = authority.find_contacts(&asking[0], &contacts, &users);
        let found: Vec<(u64, u32)> =
            found.iter().map(|(number, date)| (number.digits(), date.days())).collect();
        assert_eq!(found, [(3000, 5), (1, 6)]);
        assert_eq!(authority.find_contacts(&asking[1], &contacts, &users), []);
    }

    #[test]
    fn a_batch_has_the_records_of_its_recipient_alone() {
        use crate::domain::events::{ForeignSighting, VerdictCounts};
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path());
        let heard = |hai: &str, time| {
            let (hai, msg) = (hai.to_owned(), format!("TempID {time}"));
            ForeignSighting { hai, msg, time, rssi: Some(-60) }
        };
        let foreign = vec![heard("NZ_MOH", 1), heard("AU_DTA", 2), heard("NZ_MOH", 3)];
        let (digest, counts, sightings) = ([0; 32], VerdictCounts::default(), Vec::new());
        let piece =
            UploadAccepted { case: 1, digest, piece: 0, pieces: 1, counts, sightings, foreign };
        let batch = authority.batch_of(([5; 16], 100), "NZ_MOH".parse().unwrap(), &piece);
        let record = |timestamp, msg: &str| ForeignRecord { timestamp, msg: msg.to_owned() };
        assert_eq!(batch.records, [record(1, "TempID 1"), record(3, "TempID 3")]);
        assert_eq!((batch.id.0, batch.expires), ([5; 16], 100));
        assert_eq!((batch.sender.as_str(), batch.recipient.as_str()), ("SG_OTC", "NZ_MOH"));
    }

    #[test]
    fn nobody_is_told_of_a_meeting_to_come_or_of_long_ago() {
        let (valid, now) = (ForeignVerdict::Valid([7; 16]), 20_000 * DAY_SECONDS);
        for (time, verdict) in [
            (now, valid),
            (now + 900, valid),
            (now + 901, ForeignVerdict::ExpiredId),
            (u64::MAX, ForeignVerdict::ExpiredId),
            (now - 22 * DAY_SECONDS, valid),
            (now - 22 * DAY_SECONDS - 1, ForeignVerdict::ExpiredId),
            (0, ForeignVerdict::ExpiredId),
        ] {
            assert_eq!(as_of(time, valid, now), verdict, "{time}");
            let failed = ForeignVerdict::FailedDecryption;
            assert_eq!(as_of(time, failed, now), failed);
        }
    }

    /// `cargo test -p gcs-server --lib -- --ignored --nocapture five_million`
    #[test]
    #[ignore = "a measurement, which takes 1 GB of memory"]
    fn how_long_five_million_users_take() {
        let folder = tempfile::tempdir().unwrap();
        let (authority, users) = (authority(folder.path()), users(5_000_000));
        let asking = "NZ_MOH".parse().unwrap();
        let last = users.get(4_999_999).unwrap();
        let contacts = [contact(&authority, &asking, last, 5)];
        let began = std::time::Instant::now();
        let found = authority.find_contacts(&asking, &contacts, &users);
        let _heard = writeln!(std::io::stderr(), "5,000,000 users took {:?}", began.elapsed());
        assert_eq!(found.len(), 1);
    }
}
