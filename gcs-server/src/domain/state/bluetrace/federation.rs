//! Other health authorities: what waits for them, and what they have sent.
//!
//! What is sent is known from the log alone: a batch waits from the upload on until its answer is in the log. So a
//! server that starts again goes on where it was, and what it sends twice is the same bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use gcs_core::{DAY_SECONDS, Digest};
use serde::{Deserialize, Serialize};

use crate::domain::events::{
    AuthoritySet, BatchAnswered, BatchJudged, Event, FollowUpMade, FollowUpReceived, MessageNumber,
    UploadAccepted,
};

/// Days after which a message expires.
pub const MESSAGE_DAYS: u64 = 21;

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

/// Records of one authority's users in one piece of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingBatch {
    /// The number of the batch.
    pub id: MessageNumber,
    /// Unix time of the upload in seconds.
    pub time: u64,
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
    /// Our batches that are not answered, by the position of the piece and the HAI; of authorities too that are
    /// not known.
    pub waiting: BTreeMap<(u64, String), OutgoingBatch>,
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
    /// What others have withdrawn, each with the Unix time until which no copy of it is accepted.
    pub withdrawn: BTreeMap<MessageKey, u64>,
}

/// The number of a batch. It does not tell the case, the upload, or that two authorities have records of one upload.
pub fn batch_number(piece: &UploadAccepted, hai: &str) -> MessageNumber {
    let (case, number) = (piece.case.to_le_bytes(), piece.piece.to_le_bytes());
    let parts =
        [b"gcs bluetrace batch v1".as_slice(), &case, &piece.digest, &number, hai.as_bytes()];
    let digest = Digest::of(&parts.concat()).0;
    std::array::from_fn(|at| digest[at])
}

/// The batches of one piece.
fn of_piece(piece: u64) -> Range<(u64, String)> {
    (piece, String::new())..(piece.saturating_add(1), String::new())
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
            Event::BatchJudged(BatchJudged { hai, id, digest, expires, .. }) => {
                let batch = IncomingBatch { position, digest: *digest, expires: *expires };
                self.received.insert((hai.clone(), *id), batch);
            }
            Event::MessageWithdrawn(withdrawn) => {
                let message = (withdrawn.hai.clone(), withdrawn.id);
                let batch = self.received.remove(&message).map(|batch| batch.position);
                let to_call = self.to_call.remove(&message).map(|to_call| to_call.position);
                self.withdrawn.insert(message, withdrawn.expires);
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

    /// Notes the records of other authorities in a piece of an upload.
    pub(super) fn upload(&mut self, piece: &UploadAccepted, position: u64, time: u64) {
        for sighting in &piece.foreign {
            let batch = || OutgoingBatch { id: batch_number(piece, &sighting.hai), time };
            self.waiting.entry((position, sighting.hai.clone())).or_insert_with(batch);
        }
    }

    pub(super) fn follow_up(&mut self, made: &FollowUpMade, position: u64, time: u64) {
        let FollowUpMade { case, ref hai, id, ref contacts } = *made;
        let (hai, contacts) = (hai.clone(), contacts.len() as u32);
        let follow_up = OutgoingFollowUp { hai, id, time, contacts, is_delivered: false };
        self.follow_ups.insert((case, position), follow_up);
    }

    /// An answer to what is not there any more is not needed.
    fn answer(&mut self, answered: &BatchAnswered, position: u64) -> Vec<u64> {
        let place = (answered.piece, answered.hai.clone());
        let Some(batch) = self.waiting.remove(&place) else { return vec![position] };
        self.answered.insert(place, AnsweredBatch { id: batch.id, answer: position });
        Vec::new()
    }

    /// Whom the batches of a piece are for, and their numbers.
    pub fn batches_of(&self, piece: u64) -> impl Iterator<Item = (&str, MessageNumber)> {
        let waiting = self.waiting.range(of_piece(piece)).map(|((_, hai), batch)| (hai, batch.id));
        let answered = self.answered_of(piece).map(|(hai, batch)| (hai, batch.id));
        waiting.map(|(hai, id)| (hai.as_str(), id)).chain(answered)
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
            self.waiting.extract_if(of_piece(piece), |_, _| true).for_each(drop);
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
        self.waiting.retain(|(piece, _), _| stays(piece));
        self.answered.retain(|(piece, _), _| stays(piece));
        self.follow_ups.retain(|(_, position), _| stays(position));
        self.received.retain(|_, batch| stays(&batch.position));
        self.to_call.retain(|_, to_call| stays(&to_call.position));
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
        self.withdrawn.retain(|_, expires| now < expires.saturating_add(DAY_SECONDS));
    }
}
