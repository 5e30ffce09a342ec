//! Other health authorities: what waits for them, and what they have sent.
//!
//! What is sent is known from the log alone: a batch waits from the upload on until its answer is in the log. So a
//! server that starts again goes on where it was, and what it sends twice is the same bytes.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use gcs_core::{DAY_SECONDS, Digest};
use serde::{Deserialize, Serialize};

use super::waiting::{OutgoingBatch, WaitingBatches, of_piece};
use crate::domain::events::{
    AuthoritySet, BatchAnswered, BatchJudged, Event, FollowUpMade, FollowUpReceived,
    ForeignVerdict, MessageNumber, MessageWithdrawn, UploadAccepted, WithdrawnContent,
};

/// Days after which a message expires.
const MESSAGE_DAYS: u64 = 21;

/// When a message about something of this Unix time expires: the beginning of the UTC date 21 days later. It is never
/// after what it is about has been erased here, and does not tell the second of it.
pub fn expiry(time: u64) -> u64 {
    let date = time.saturating_add(MESSAGE_DAYS * DAY_SECONDS) / DAY_SECONDS;
    date.saturating_mul(DAY_SECONDS)
}

/// The latest Unix time at which a message may expire that comes at a Unix time.
pub fn last_expiry(time: u64) -> u64 {
    time.saturating_add((MESSAGE_DAYS + 1) * DAY_SECONDS)
}

/// Whom a message is for or from, and its number.
pub type MessageKey = (String, MessageNumber);

/// Another health authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// The URL below which its paths are.
    pub url: String,
    /// The key that its messages are signed with.
    pub key: [u8; 32],
}

/// A batch whose answer has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredBatch {
    /// The number of the batch.
    pub id: MessageNumber,
    /// Position of the answer.
    pub answer: u64,
}

/// Contacts of a case that another authority is to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingFollowUp {
    /// The authority's HAI.
    pub hai: String,
    /// The number of the follow-up.
    pub id: MessageNumber,
    /// Unix time at which it was made, in seconds.
    pub time: u64,
    /// Unix time at which it expires, as that of all batches and follow-ups of the case.
    pub expires: u64,
    /// Number of contacts.
    pub contacts: u32,
    /// Whether the authority has it.
    pub is_delivered: bool,
}

/// A batch of another authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingBatch {
    /// Position of its event.
    pub position: u64,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Unix time from which no copy of it is answered.
    pub expires: u64,
    /// Unix time at which it came, in seconds.
    pub time: u64,
    /// Number of records.
    pub records: u32,
    /// Number of records for which the authority was told a PseudoID.
    pub valid: u32,
}

/// What another authority has withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawnMessage {
    /// Unix time until which no copy of it is accepted.
    pub expires: u64,
    /// Unix time at which it was withdrawn, in seconds.
    pub time: u64,
    /// What was in it.
    pub content: WithdrawnContent,
}

/// What another authority has sent, whether it has withdrawn it or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceivedSums {
    /// Batches and follow-ups that are kept.
    pub messages: u64,
    /// Records of batches.
    pub records: u64,
    /// Records for which the authority was told a PseudoID.
    pub valid: u64,
    /// Contacts of follow-ups.
    pub contacts: u64,
    /// Messages that it has withdrawn.
    pub withdrawn: u64,
}

/// Contacts that another authority has us call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingFollowUp {
    /// Position of its event.
    pub position: u64,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Unix time from which no copy of it is accepted, and it is erased.
    pub expires: u64,
    /// Unix time at which it came, in seconds.
    pub time: u64,
    /// Number of contacts.
    pub contacts: u32,
}

/// What is exchanged with other authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Federation {
    /// The other authorities by HAI.
    pub authorities: BTreeMap<String, Authority>,
    /// Our batches that are not answered, of authorities too that are not known.
    pub waiting: WaitingBatches,
    /// Our batches that are answered.
    pub answered: BTreeMap<(u64, String), AnsweredBatch>,
    /// Our follow-ups, by the case and their position.
    pub follow_ups: BTreeMap<(u64, u64), OutgoingFollowUp>,
    /// Our withdrawals that are not delivered yet, each with its Unix time.
    pub withdrawals: BTreeMap<MessageKey, u64>,
    /// The batches of others.
    pub received: BTreeMap<MessageKey, IncomingBatch>,
    /// The follow-ups of others.
    pub to_call: BTreeMap<MessageKey, IncomingFollowUp>,
    /// What others have withdrawn.
    pub withdrawn: BTreeMap<MessageKey, WithdrawnMessage>,
}

/// The number of a batch. It does not tell the case, the upload, or that two authorities have records of one upload.
pub fn batch_number(piece: &UploadAccepted, hai: &str) -> MessageNumber {
    let (case, number) = (piece.case.to_le_bytes(), piece.piece.to_le_bytes());
    let parts =
        [b"gcs bluetrace batch v1".as_slice(), &case, &piece.digest, &number, hai.as_bytes()];
    let digest = Digest::of(&parts.concat()).0;
    std::array::from_fn(|at| digest[at])
}

/// The messages of one authority.
pub fn of_authority(hai: &str) -> RangeInclusive<MessageKey> {
    (hai.to_owned(), [0; 16])..=(hai.to_owned(), [u8::MAX; 16])
}

impl Federation {
    /// Applies an event that concerns no case. Returns the position of a body that is not needed any more.
    pub(super) fn apply(&mut self, event: &Event, position: u64, time: u64) -> Vec<u64> {
        match event {
            Event::AuthoritySet(AuthoritySet { hai, url, key }) => {
                let set = Authority { url: url.clone(), key: *key };
                self.authorities.insert(hai.clone(), set);
                self.waiting.for_each(|of, batch| batch.may_be_sent |= of == hai);
            }
            Event::AuthorityRemoved(removed) => {
                self.authorities.remove(&removed.hai);
            }
            Event::BatchAnswered(answered) => return self.answer(answered, position),
            Event::MessagesWithdrawn(withdrawn) => {
                let withdrawn = withdrawn.messages.iter().cloned();
                self.withdrawals.extend(withdrawn.map(|message| (message, time)));
            }
            Event::WithdrawalDelivered(delivered) => {
                self.withdrawals.remove(&(delivered.hai.clone(), delivered.id));
            }
            Event::BatchJudged(judged) => {
                let BatchJudged { hai, id, digest, expires, ref verdicts } = judged.clone();
                let is_valid =
                    |verdict: &&ForeignVerdict| matches!(verdict, ForeignVerdict::Valid(_));
                let valid = verdicts.iter().filter(is_valid).count() as u32;
                let records = verdicts.len() as u32;
                let batch = IncomingBatch { position, digest, expires, time, records, valid };
                self.received.insert((hai, id), batch);
            }
            Event::MessageWithdrawn(withdrawn) => {
                let message = (withdrawn.hai.clone(), withdrawn.id);
                let batch = self.received.remove(&message).map(|batch| batch.position);
                let to_call = self.to_call.remove(&message).map(|to_call| to_call.position);
                let MessageWithdrawn { expires, content, .. } = *withdrawn;
                let withdrawn = WithdrawnMessage { expires, time, content };
                self.withdrawn.insert(message, withdrawn);
                return batch.into_iter().chain(to_call).collect();
            }
            Event::FollowUpDelivered(delivered) => {
                if let Some(follow_up) =
                    self.follow_ups.get_mut(&(delivered.case, delivered.follow_up))
                {
                    follow_up.is_delivered = true;
                }
            }
            Event::FollowUpReceived(FollowUpReceived { hai, id, digest, expires, contacts }) => {
                let (digest, expires, contacts) = (*digest, *expires, contacts.len() as u32);
                let to_call = IncomingFollowUp { position, digest, expires, time, contacts };
                self.to_call.insert((hai.clone(), *id), to_call);
            }
            // Who looked is for people to read.
            _ => {}
        }
        Vec::new()
    }

    /// Notes the records of other authorities in a piece of an upload, for a case that began at a Unix time.
    pub(super) fn upload(&mut self, piece: &UploadAccepted, position: u64, time: u64, since: u64) {
        let expires = expiry(since);
        for sighting in &piece.foreign {
            let id = batch_number(piece, &sighting.hai);
            let may_be_sent = self.authorities.contains_key(&sighting.hai);
            let batch = OutgoingBatch { id, time, expires, may_be_sent };
            self.waiting.add(position, &sighting.hai, batch);
        }
    }

    /// Notes a follow-up of a case that began at a Unix time.
    pub(super) fn follow_up(&mut self, made: &FollowUpMade, position: u64, time: u64, since: u64) {
        let FollowUpMade { case, ref hai, id, ref contacts } = *made;
        let (hai, contacts) = (hai.clone(), contacts.len() as u32);
        let expires = expiry(since);
        let follow_up = OutgoingFollowUp { hai, id, time, expires, contacts, is_delivered: false };
        self.follow_ups.insert((case, position), follow_up);
    }

    /// An answer to what is not there any more is not needed.
    fn answer(&mut self, answered: &BatchAnswered, position: u64) -> Vec<u64> {
        let BatchAnswered { piece, hai, .. } = answered;
        let Some(batch) = self.waiting.remove(*piece, hai) else { return vec![position] };
        self.answered
            .insert((*piece, hai.clone()), AnsweredBatch { id: batch.id, answer: position });
        Vec::new()
    }

    /// The batches of a piece that an authority may have: those that are answered, and those that it may have been
    /// sent.
    pub fn sent_of(&self, piece: u64) -> impl Iterator<Item = (&str, MessageNumber)> {
        let waiting = self.waiting.of_piece(piece).filter(|(_, batch)| batch.may_be_sent);
        let may_be_sent = waiting.map(|(hai, batch)| (hai, batch.id));
        may_be_sent.chain(self.answered_of(piece).map(|(hai, batch)| (hai, batch.id)))
    }

    /// The batches of a piece that are answered.
    pub fn answered_of(&self, piece: u64) -> impl Iterator<Item = (&str, &AnsweredBatch)> {
        let answered = self.answered.range(of_piece(piece));
        answered.map(|((_, hai), batch)| (hai.as_str(), batch))
    }

    /// Forgets the batches of pieces. Returns the positions of their answers.
    pub(super) fn end_batches(&mut self, pieces: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut answers = Vec::new();
        for piece in pieces {
            self.waiting.remove_piece(piece);
            let answered = self.answered.extract_if(of_piece(piece), |_, _| true);
            answers.extend(answered.map(|(_, batch)| batch.answer));
        }
        answers
    }

    /// The follow-ups of a case, by position.
    pub fn follow_ups_of(&self, case: u64) -> impl Iterator<Item = (u64, &OutgoingFollowUp)> {
        let of = self.follow_ups.range((case, 0)..=(case, u64::MAX));
        of.map(|((_, position), follow_up)| (*position, follow_up))
    }

    /// Forgets the follow-ups of a case. Returns their positions.
    pub(super) fn end_follow_ups(&mut self, case: u64) -> Vec<u64> {
        let over = self.follow_ups.extract_if((case, 0)..=(case, u64::MAX), |_, _| true);
        over.map(|((_, position), _)| position).collect()
    }

    /// Forgets events whose bodies are erased. They are sorted.
    pub(super) fn forget(&mut self, events: &[u64]) {
        let stays = |position: &u64| events.binary_search(position).is_err();
        self.waiting.retain(stays);
        self.answered.retain(|(piece, _), _| stays(piece));
        self.follow_ups.retain(|(_, position), _| stays(position));
        self.received.retain(|_, batch| stays(&batch.position));
        self.to_call.retain(|_, to_call| stays(&to_call.position));
    }

    /// What is known of another authority's messages that came at this Unix time or later: what it withdraws was
    /// judged all the same.
    pub fn received_of(&self, hai: &str, since: u64) -> ReceivedSums {
        let mut sums = ReceivedSums::default();
        let received = self.received.range(of_authority(hai)).map(|(_, batch)| batch);
        for batch in received.filter(|batch| batch.time >= since) {
            sums.messages += 1;
            sums.records += u64::from(batch.records);
            sums.valid += u64::from(batch.valid);
        }
        let to_call = self.to_call.range(of_authority(hai)).map(|(_, to_call)| to_call);
        for to_call in to_call.filter(|to_call| to_call.time >= since) {
            sums.messages += 1;
            sums.contacts += u64::from(to_call.contacts);
        }
        for gone in self.withdrawn.range(of_authority(hai)).map(|(_, gone)| gone) {
            sums.withdrawn += u64::from(gone.time >= since);
            if gone.content.received >= since {
                sums.records += u64::from(gone.content.records);
                sums.valid += u64::from(gone.content.valid);
                sums.contacts += u64::from(gone.content.contacts);
            }
        }
        sums
    }

    /// Positions of the messages of others that have expired.
    pub fn expired(&self, now: u64) -> impl Iterator<Item = u64> {
        let received = self.received.values().filter(move |batch| batch.expires <= now);
        let to_call = self.to_call.values().filter(move |to_call| to_call.expires <= now);
        received.map(|batch| batch.position).chain(to_call.map(|to_call| to_call.position))
    }

    /// Whatever has a later time is as old as if it came now, so that it is not kept for longer.
    pub(super) fn put_clock_right(&mut self, now: u64) {
        let earlier = |time: &mut u64| *time = now.min(*time);
        let theirs = |expires: &mut u64| *expires = last_expiry(now).min(*expires);
        // Nobody has accepted it. Another authority may have what it could accept, and must get the same bytes again.
        let ours = |expires: &mut u64| {
            if *expires > last_expiry(now) {
                *expires = expiry(now);
            }
        };
        self.waiting.for_each(|_, batch| {
            earlier(&mut batch.time);
            ours(&mut batch.expires);
        });
        for made in self.follow_ups.values_mut() {
            earlier(&mut made.time);
            ours(&mut made.expires);
        }
        self.withdrawals.values_mut().for_each(earlier);
        for batch in self.received.values_mut() {
            earlier(&mut batch.time);
            theirs(&mut batch.expires);
        }
        for to_call in self.to_call.values_mut() {
            earlier(&mut to_call.time);
            theirs(&mut to_call.expires);
        }
        for gone in self.withdrawn.values_mut() {
            earlier(&mut gone.time);
            earlier(&mut gone.content.received);
            theirs(&mut gone.expires);
        }
    }

    /// Forgets withdrawals of what has expired, at the time of a tick of a steady clock.
    pub(super) fn forget_withdrawals(&mut self, now: u64) {
        let is_new = |time: u64| now < last_expiry(time);
        self.withdrawals.retain(|_, time| is_new(*time));
        // A clock that was a day ahead may accept what another one refuses.
        self.withdrawn.retain(|_, gone| now < gone.expires.saturating_add(DAY_SECONDS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::{
        AuthorityRemoved, ForeignContact, ForeignSighting, MessagesWithdrawn, VerdictCounts,
    };

    const NOW: u64 = 1_770_000_000;
    const NZ: &str = "NZ_MOH";

    fn known() -> Event {
        AuthoritySet { hai: NZ.into(), url: "https://x.example".into(), key: [7; 32] }.into()
    }

    fn removed() -> Event {
        AuthorityRemoved { hai: NZ.into() }.into()
    }

    fn piece() -> UploadAccepted {
        let (hai, msg) = (NZ.into(), String::new());
        let sighting = ForeignSighting { hai, msg, time: NOW as u32, rssi: None };
        let (digest, counts) = ([1; 32], VerdictCounts::default());
        let (own, foreign) = (Vec::new(), vec![sighting]);
        UploadAccepted { case: 1, piece: 0, pieces: 1, digest, counts, sightings: own, foreign }
    }

    /// An authority that was removed may have what it was sent before.
    #[test]
    fn whoever_was_known_while_a_batch_waits_may_have_it() {
        let known_then = |events: &[Event]| {
            let mut federation = Federation::default();
            federation.upload(&piece(), 3, NOW, NOW);
            for (event, position) in events.iter().zip(4..) {
                federation.apply(event, position, NOW);
            }
            federation.sent_of(3).count()
        };
        assert_eq!(known_then(&[]), 0);
        assert_eq!(known_then(&[known()]), 1);
        assert_eq!(known_then(&[known(), removed()]), 1);
        let mut federation = Federation::default();
        federation.apply(&known(), 1, NOW);
        federation.upload(&piece(), 3, NOW, NOW);
        federation.apply(&removed(), 4, NOW);
        assert_eq!(federation.sent_of(3).count(), 1);
    }

    /// A federation with one of everything, made at a Unix time.
    fn everything(time: u64) -> Federation {
        let mut federation = Federation::default();
        federation.upload(&piece(), 3, time, time);
        let contacts = vec![ForeignContact { pseudo_id: [9; 16], day: 20_000 }];
        let made =
            FollowUpMade { case: 1, hai: NZ.into(), id: [2; 16], contacts: contacts.clone() };
        federation.follow_up(&made, 4, time, time);
        let (digest, expires) = ([5; 32], last_expiry(time));
        let hai = || NZ.to_owned();
        let events = [
            MessagesWithdrawn { messages: vec![(NZ.into(), [3; 16])] }.into(),
            BatchJudged { hai: hai(), id: [4; 16], digest, expires, verdicts: vec![] }.into(),
            FollowUpReceived { hai: hai(), id: [5; 16], digest, expires, contacts }.into(),
            MessageWithdrawn { hai: hai(), id: [6; 16], expires, content: Default::default() }
                .into(),
        ];
        for (event, position) in events.iter().zip(5..) {
            federation.apply(event, position, time);
        }
        federation
    }

    #[test]
    fn what_a_wrong_clock_dated_is_not_kept_for_longer() {
        for ahead in [40 * DAY_SECONDS, 4000 * DAY_SECONDS] {
            let (mut right, mut wrong) = (everything(NOW), everything(NOW + ahead));
            wrong.put_clock_right(NOW);
            assert_eq!(wrong, right);
            assert_eq!(wrong.expired(last_expiry(NOW)).count(), 2);
            right.put_clock_right(NOW);
            assert_eq!(wrong, right);
        }
        // Another authority may have it with these very bytes.
        let before = everything(NOW + DAY_SECONDS);
        let mut after = before.clone();
        after.put_clock_right(NOW);
        assert_eq!(
            after.waiting.get(3, NZ).unwrap().expires,
            before.waiting.get(3, NZ).unwrap().expires
        );
    }

    /// Otherwise the time would join the batches of one upload across the authorities that get them.
    #[test]
    fn when_a_message_expires_tells_the_date_alone_and_is_never_after_the_case() {
        let days = |days: u64| days * DAY_SECONDS;
        for second in [0, 1, 43_200, 86_399] {
            assert_eq!(expiry(days(20_000) + second), days(20_021));
        }
        assert_eq!(expiry(days(20_001)), days(20_022));
        assert!(expiry(u64::MAX) > days(20_000));
    }
}
