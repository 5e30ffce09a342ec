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
    ForeignVerdict, MessageNumber, UploadAccepted,
};

/// Days after which a message expires.
pub const MESSAGE_DAYS: u64 = 21;

/// When a message about something of this Unix time expires: the beginning of the UTC date 21 days later. It is never
/// after what it is about has been erased here, and does not tell the second of it.
pub fn expiry(time: u64) -> u64 {
    let date = time.saturating_add(MESSAGE_DAYS * DAY_SECONDS) / DAY_SECONDS;
    date.saturating_mul(DAY_SECONDS)
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
}

/// What is kept of another authority's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceivedSums {
    /// Batches and follow-ups.
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
                let withdrawn = WithdrawnMessage { expires: withdrawn.expires, time };
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
            self.waiting.add(position, &sighting.hai, OutgoingBatch { id, time, expires });
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

    /// The batches of a piece that an authority may have: those that are answered, and those that have been sent if
    /// it is known.
    pub fn sent_of(&self, piece: u64) -> impl Iterator<Item = (&str, MessageNumber)> {
        let waiting = self.waiting.of_piece(piece).map(|(hai, batch)| (hai, batch.id));
        let may_be_sent = waiting.filter(|(hai, _)| self.authorities.contains_key(*hai));
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

    /// What is kept of another authority's messages that came at this Unix time or later.
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
        let withdrawn = self.withdrawn.range(of_authority(hai));
        sums.withdrawn = withdrawn.filter(|(_, gone)| gone.time >= since).count() as u64;
        sums
    }

    /// Positions of the messages of others that have expired.
    pub fn expired(&self, now: u64) -> impl Iterator<Item = u64> {
        let received = self.received.values().filter(move |batch| batch.expires <= now);
        let to_call = self.to_call.values().filter(move |to_call| to_call.expires <= now);
        received.map(|batch| batch.position).chain(to_call.map(|to_call| to_call.position))
    }

    /// Forgets, at the time of a tick, withdrawals of what has expired.
    pub(super) fn tick(&mut self, now: u64) {
        let is_new = |time: u64| now < time.saturating_add((MESSAGE_DAYS + 1) * DAY_SECONDS);
        self.withdrawals.retain(|_, time| is_new(*time));
        // A clock that was a day ahead may accept what another one refuses.
        self.withdrawn.retain(|_, gone| now < gone.expires.saturating_add(DAY_SECONDS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
