//! The events of BlueTrace.
//!
//! A user is named by its place among the registrations of the log, from 0, and a case by the
//! position of its [`CodeBound`]: so what stays for ever says nothing of a person once the bodies
//! with numbers, UserIDs and codes are erased.

use gcs_core::Date;
use serde::{Deserialize, Serialize};

use super::CodeId;

/// BlueTrace is on from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlueTraceBegun {
    /// The authority's HAI.
    pub hai: String,
    /// A value derived from the keys, by which the right key file is recognised.
    pub keys: [u8; 32],
}

/// A new user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRegistered {
    /// The phone number, E.164 without the plus.
    pub number: u64,
    /// The UserID.
    pub id: [u8; 21],
    /// SHA-256 of the token.
    pub token: [u8; 32],
}

/// A new token for a user: the one before is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserTokenSet {
    /// The user.
    pub user: u32,
    /// SHA-256 of the token.
    pub token: [u8; 32],
}

/// A user who has withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserWithdrawn {
    /// The user.
    pub user: u32,
}

/// A short code for one user, which stands for a one-time code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortCodeMade {
    /// The user.
    pub user: u32,
    /// The one-time code. The short code follows from both.
    pub code: CodeId,
    /// Unix time from which the short code is void.
    pub expires: u64,
}

/// A one-time code that a user has used for an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeBound {
    /// The user.
    pub user: u32,
    /// The code.
    pub code: CodeId,
}

/// A piece of an upload. All pieces of one are in one batch, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadAccepted {
    /// The case that it belongs to.
    pub case: u64,
    /// SHA-256 of the set of records. A retry is recognised by it.
    pub digest: [u8; 32],
    /// Number of this piece, from 0.
    pub piece: u32,
    /// Number of pieces.
    pub pieces: u32,
    /// The verdicts on the whole upload.
    pub counts: VerdictCounts,
    /// Who was heard, in the order of users and times.
    pub sightings: Vec<Sighting>,
    /// What other authorities have to judge, in the order of the upload.
    pub foreign: Vec<ForeignSighting>,
}

/// How many records of an upload got which verdict, without duplicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Records of real meetings.
    pub valid: u32,
    /// Records without a TempID.
    pub no_msg: u32,
    /// Records of TempIDs that were not valid then.
    pub expired_id: u32,
    /// Records of TempIDs that no key opens.
    pub failed_decryption: u32,
    /// Records of other authorities.
    pub other_authority: u32,
    /// Records that cannot be read.
    pub unreadable: u32,
}

/// A user whom the uploader's phone heard once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// The user who was heard.
    pub user: u32,
    /// Unix time in seconds.
    pub time: u32,
    /// Signal strength in dBm.
    pub rssi: Option<i8>,
    /// Transmission power in dBm.
    pub tx_power: Option<i8>,
    /// Whether the TempID was not valid then.
    pub expired: bool,
}

/// A TempID of another authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignSighting {
    /// The authority's HAI.
    pub hai: String,
    /// The TempID as text, whatever it is there.
    pub msg: String,
    /// Unix time in seconds.
    pub time: u32,
    /// Signal strength in dBm.
    pub rssi: Option<i8>,
}

impl ForeignSighting {
    /// Largest number of bytes that it takes in a log: its texts, two lengths, the time and the
    /// signal.
    pub fn size(&self) -> usize {
        self.hai.len() + self.msg.len() + 11
    }
}

/// An upload that counts no more, because its code was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadUndone {
    /// The case.
    pub case: u64,
}

/// A new token for tracers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracerTokenSet {
    /// SHA-256 of the token.
    pub token: [u8; 32],
}

/// A tracer has looked at a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseSeen {
    /// The case.
    pub case: u64,
}

/// The day keys that are too old on a date are destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayKeysAdvanced {
    /// The date.
    pub date: Date,
}

/// Bodies of BlueTrace's events that were erased, because they are too old, or what they say is
/// over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlueTracePurge {
    /// Positions of the events, ascending.
    pub events: Vec<u64>,
    /// The codes in them whose ranges have not expired: they stay used. They are sorted, so that of
    /// several users in one purge nothing says whose they were.
    pub used: Vec<CodeId>,
}

/// A health authority whose users ours may have met, or another URL or key of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthoritySet {
    /// The authority's HAI.
    pub hai: String,
    /// The URL below which its paths are, without a slash at the end.
    pub url: String,
    /// The key that its messages are signed with.
    pub key: [u8; 32],
}

/// A health authority with which no messages are exchanged any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityRemoved {
    /// The authority's HAI.
    pub hai: String,
}

/// What the authority of a TempID says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForeignVerdict {
    /// A user was met, whom we know by this PseudoID.
    Valid([u8; 16]),
    /// The TempID is real, and was not valid then.
    ExpiredId,
    /// No key opens the TempID.
    FailedDecryption,
}

/// Verdicts of another authority on the records of its users in a piece of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAnswered {
    /// Position of the piece.
    pub piece: u64,
    /// The authority's HAI.
    pub hai: String,
    /// A verdict on each of these records, in their order.
    pub verdicts: Vec<ForeignVerdict>,
}

/// Number of a batch or follow-up between authorities.
pub type MessageNumber = [u8; 16];

/// Batches and follow-ups of ours that count no more, because the upload is undone, or the user has withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesWithdrawn {
    /// Whom each was for, and its number.
    pub messages: Vec<(String, MessageNumber)>,
}

/// Another authority knows that a batch or follow-up of ours counts no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalDelivered {
    /// The authority's HAI.
    pub hai: String,
    /// Number of the batch or follow-up.
    pub id: MessageNumber,
}

/// A batch of another authority, and our verdicts on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchJudged {
    /// The authority's HAI.
    pub hai: String,
    /// Number of the batch.
    pub id: MessageNumber,
    /// SHA-256 of its bytes. A copy is recognised by it.
    pub digest: [u8; 32],
    /// Unix time from which no copy of it is answered.
    pub expires: u64,
    /// A verdict on each record.
    pub verdicts: Vec<ForeignVerdict>,
}

/// A batch or follow-up of another authority that counts no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageWithdrawn {
    /// The authority's HAI.
    pub hai: String,
    /// Number of the batch or follow-up.
    pub id: MessageNumber,
    /// Unix time until which no copy of it is accepted.
    pub expires: u64,
    /// What was in it.
    pub content: WithdrawnContent,
}

/// What was in a message that its sender has withdrawn; nothing if it has not come. It is in the event, since the
/// message itself is erased, and counts among what its sender has sent all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawnContent {
    /// Unix time at which it came, in seconds.
    pub received: u64,
    /// Number of records.
    pub records: u32,
    /// Number of records for which the sender was told a PseudoID.
    pub valid: u32,
    /// Number of contacts.
    pub contacts: u32,
}

/// A user of another authority whom a tracer judged to be a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignContact {
    /// What the asking authority knows the user by.
    pub pseudo_id: [u8; 16],
    /// Days from 1970-01-01 to the UTC date of the last meeting.
    pub day: u32,
}

/// A tracer of ours has another authority call contacts of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpMade {
    /// The case.
    pub case: u64,
    /// The authority's HAI.
    pub hai: String,
    /// Number of the follow-up.
    pub id: MessageNumber,
    /// The contacts.
    pub contacts: Vec<ForeignContact>,
}

/// Another authority has a follow-up of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpDelivered {
    /// The case.
    pub case: u64,
    /// Position of the follow-up.
    pub follow_up: u64,
}

/// Another authority has our tracers call contacts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpReceived {
    /// The authority's HAI.
    pub hai: String,
    /// Number of the follow-up.
    pub id: MessageNumber,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Unix time from which no copy of it is accepted, and it is erased.
    pub expires: u64,
    /// The contacts.
    pub contacts: Vec<ForeignContact>,
}

/// A tracer has looked at whom to call for another authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpSeen {
    /// Position of the follow-up.
    pub follow_up: u64,
}
