//! What two health authorities send each other: signed messages. They need the feature `protocol`.
//!
//! A message is a JSON object. Its signature is Ed25519 (RFC 8032) over the purpose of the message, a line feed
//! and the bytes of the JSON; so whoever receives it can verify it before any of it is read, and no signature is good
//! for a message of another purpose.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::{Hai, KeyRing, PseudoId, PseudoIdKey, UploadRecord, UserId, Verdict};
use crate::base64;
use crate::date::Date;
use crate::digest::Digest;
use crate::json::{self, JsonError};
use crate::keys::{PublicKey, SigningKey};

/// Largest message in bytes.
pub const MAX_MESSAGE_BYTES: usize = 2 << 20;

/// Largest number of records of a batch.
pub const MAX_BATCH_RECORDS: usize = 20_000;

/// Largest number of bytes of a record's TempID, which may be of another kind than ours.
pub const MAX_RECORD_BYTES: usize = 512;

/// Largest number of contacts of a follow-up.
pub const MAX_CONTACTS: usize = 10_000;

/// The only version of messages.
const VERSION: u32 = 1;

/// The number of a batch or follow-up, which no other of the same sender has. Shown and parsed as 32
/// lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<MessageId, MessageIdError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(MessageId).ok_or(MessageIdError { length: text.len() })
    }
}

/// A text that is not the number of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected 32 lower-case hexadecimal digits, got {length} bytes of something else")]
pub struct MessageIdError {
    /// Length of the text in bytes.
    pub length: usize,
}

/// Serialises as the text that `Display` shows and `FromStr` parses.
macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

as_text! { Hai MessageId PseudoId }

/// A message that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FederationError {
    /// It is too long.
    #[error("a message has at most {max} bytes, got {got}")]
    TooLong {
        /// Most bytes.
        max: usize,
        /// Bytes of this one.
        got: usize,
    },
    /// The signature is not one of the sender's over this message and purpose.
    #[error("the signature is not the sender's over these bytes, as a {purpose}")]
    Signature {
        /// The purpose that was expected.
        purpose: &'static str,
    },
    /// It is not the JSON of such a message.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is of another version.
    #[error("the version is {expected}, got {got}")]
    Version {
        /// The only version.
        expected: u32,
        /// The version of this one.
        got: u32,
    },
    /// It has too many of something, or none.
    #[error("a message has 1 to {max} {what}, got {got}")]
    Count {
        /// What there may be so many of.
        what: &'static str,
        /// Most of them.
        max: usize,
        /// Number of them here.
        got: usize,
    },
}

/// What every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHead {
    /// The number of the batch or follow-up.
    pub id: MessageId,
    /// Who sends the message.
    pub sender: Hai,
    /// Whom it is for.
    pub recipient: Hai,
}

/// A message with its signature, as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMessage {
    /// The JSON.
    pub body: String,
    /// The signature: 88 characters of base64 (RFC 4648, section 4).
    pub signature: String,
}

/// A kind of message.
pub trait Message: Serialize + DeserializeOwned {
    /// What it is for, which is signed with it.
    const PURPOSE: &'static str;

    /// What it begins with.
    fn head(&self) -> MessageHead;

    /// Its version, and how many it has of what is limited: what, most, number.
    #[doc(hidden)]
    fn bounds(&self) -> (u32, Option<(&'static str, usize, usize)>);

    /// The message as JSON, with a signature. The same message and key give the same bytes.
    fn sign(&self, key: &SigningKey) -> SignedMessage {
        let body = serde_json::to_string(self).unwrap_or_default(); // Text and numbers: it cannot fail.
        let signature = BASE64.encode(&key.sign(&signed_bytes(Self::PURPOSE, body.as_bytes())));
        SignedMessage { body, signature }
    }

    /// Reads a message that is signed with a key. Nothing is read before the signature is verified. O(n) for n bytes.
    ///
    /// # Errors
    /// A [`FederationError`].
    fn verify(body: &[u8], signature: &str, key: &PublicKey) -> Result<Self, FederationError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(FederationError::TooLong { max: MAX_MESSAGE_BYTES, got: body.len() });
        }
        let purpose = Self::PURPOSE;
        let is_right = |signature: Vec<u8>| key.verifies(&signed_bytes(purpose, body), &signature);
        let is_signed = signature.len() == 88 && base64::decode(signature).is_some_and(is_right);
        if !is_signed {
            return Err(FederationError::Signature { purpose });
        }
        let message: Self = json::from_slice(body)?;
        let (got, counted) = message.bounds();
        if got != VERSION {
            return Err(FederationError::Version { expected: VERSION, got });
        }
        match counted {
            Some((what, max, got)) if got == 0 || got > max => {
                Err(FederationError::Count { what, max, got })
            }
            _ => Ok(message),
        }
    }
}

fn signed_bytes(purpose: &str, body: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), b"\n", body].concat()
}

/// Declares messages: purpose, name, members after the head, and what is limited.
macro_rules! messages {
    ($($(#[$doc:meta])* $purpose:literal $name:ident {
        $($(#[$of_member:meta])* $member:ident: $type:ty,)*
    } $([$counted:ident $max:ident])?)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            version: u32,
            /// The number of the batch or follow-up.
            pub id: MessageId,
            /// Who sends the message.
            pub sender: Hai,
            /// Whom it is for.
            pub recipient: Hai,
            $($(#[$of_member])* pub $member: $type,)*
        }

        impl $name {
            /// A message of the present version.
            pub fn new(head: MessageHead, $($member: $type),*) -> $name {
                let MessageHead { id, sender, recipient } = head;
                $name { version: VERSION, id, sender, recipient, $($member),* }
            }
        }

        impl Message for $name {
            const PURPOSE: &'static str = $purpose;

            fn head(&self) -> MessageHead {
                MessageHead { id: self.id, sender: self.sender, recipient: self.recipient }
            }

            fn bounds(&self) -> (u32, Option<(&'static str, usize, usize)>) {
                let counted = None$(.or(Some((stringify!($counted), $max, self.$counted.len()))))?;
                (self.version, counted)
            }
        }
    )*};
}

messages! {
    /// Records of TempIDs of the recipient, which the sender cannot open. It has nothing of who heard them.
    ///
    /// ```
    /// use gcs_core::SigningKey;
    /// use gcs_core::identifiers::bluetrace::{
    ///     ForeignRecord, Message as _, MessageHead, MessageId, RecordBatch,
    /// };
    ///
    /// let head = MessageHead {
    ///     id: MessageId([7; 16]), // In a real server: random, and the same when it is sent again.
    ///     sender: "SG_OTC".parse()?,
    ///     recipient: "NZ_MOH".parse()?,
    /// };
    /// let record = ForeignRecord { timestamp: 1_770_206_400, msg: "TempID".to_string() };
    /// let batch = RecordBatch::new(head, 1_772_020_800, vec![record]);
    /// let key = SigningKey::from_seed([1; 32]);
    /// let signed = batch.sign(&key);
    /// let read = RecordBatch::verify(signed.body.as_bytes(), &signed.signature, &key.public())?;
    /// assert_eq!(read, batch);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    "bluetrace batch v1" RecordBatch {
        /// Unix time in seconds from which nobody sends or accepts it any more.
        expires: u64,
        /// The records: 1 to [`MAX_BATCH_RECORDS`].
        records: Vec<ForeignRecord>,
    } [records MAX_BATCH_RECORDS]

    /// The verdicts on a batch.
    "bluetrace batch answer v1" BatchAnswer {
        /// SHA-256 of the batch's JSON.
        request: Digest,
        /// A verdict on each record, in their order.
        verdicts: Vec<RecordVerdict>,
    } [verdicts MAX_BATCH_RECORDS]

    /// A batch or follow-up counts no more, whether it has arrived or not. Its number is that of what is withdrawn.
    "bluetrace withdrawal v1" Withdrawal {
        /// Unix time in seconds at which what is withdrawn expires, or later.
        expires: u64,
    }

    /// Users of the recipient whom a tracer of the sender judged to be contacts of a patient.
    "bluetrace follow-up v1" FollowUp {
        /// Unix time in seconds from which nobody sends or accepts it any more.
        expires: u64,
        /// The users: 1 to [`MAX_CONTACTS`].
        contacts: Vec<Contact>,
    } [contacts MAX_CONTACTS]

    /// The recipient has a withdrawal or a follow-up, and will not forget it before its time.
    "bluetrace receipt v1" Receipt {
        /// SHA-256 of the JSON of the message that it is for.
        request: Digest,
    }
}

/// A record of a TempID that another authority can open. `Debug` shows only the time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignRecord {
    /// Unix time in seconds at which it was heard.
    pub timestamp: u64,
    /// The TempID as text, as the phone recorded it: at most [`MAX_RECORD_BYTES`]. A longer one is
    /// [`RecordVerdict::FailedDecryption`].
    pub msg: String,
}

impl fmt::Debug for ForeignRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignRecord({})", self.timestamp)
    }
}

/// What the authority of a TempID says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum RecordVerdict {
    /// A user was met.
    Valid {
        /// What the asking authority knows the user by.
        pseudo_id: PseudoId,
    },
    /// The TempID is real, and was not valid then.
    ExpiredId,
    /// No key opens the TempID, or it is of a user who has withdrawn.
    FailedDecryption,
}

/// A user whom a patient met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// What the asking authority knows the user by.
    pub pseudo_id: PseudoId,
    /// The UTC date of the last meeting.
    pub date: Date,
}

impl RecordBatch {
    /// The verdict on each record, by the recipient's keys. `key` is that for the sender, and `is_user` says who is
    /// registered now.
    pub fn judge(
        &self,
        ring: &KeyRing,
        key: &PseudoIdKey,
        is_user: impl Fn(&UserId) -> bool,
    ) -> Vec<RecordVerdict> {
        let judge = |record: &ForeignRecord| {
            if record.msg.len() > MAX_RECORD_BYTES {
                return RecordVerdict::FailedDecryption;
            }
            match ring.judge(&self.recipient, &uploaded(record)) {
                Verdict::Valid(content) if is_user(&content.user) => {
                    RecordVerdict::Valid { pseudo_id: PseudoId::of(key, &content.user) }
                }
                Verdict::ExpiredId(content) if is_user(&content.user) => RecordVerdict::ExpiredId,
                _ => RecordVerdict::FailedDecryption,
            }
        };
        self.records.iter().map(judge).collect()
    }
}

/// The record as if a user of the recipient had uploaded it.
fn uploaded(record: &ForeignRecord) -> UploadRecord {
    UploadRecord {
        time_ms: record.timestamp.saturating_mul(1000),
        msg: Some(record.msg.clone()),
        org: None,
        model_p: None,
        model_c: None,
        rssi: None,
        tx_power: None,
    }
}

#[cfg(test)]
#[path = "federation_tests.rs"]
mod tests;
