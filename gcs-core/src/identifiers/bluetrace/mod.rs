//! BlueTrace, as OpenTrace implements it: TempIDs, packets, upload files, and what a health
//! authority derives for its users.
//!
//! An authority gives every phone a batch of TempIDs. A TempID is a user's id and a quarter of
//! an hour, encrypted by the authority; phones exchange them and keep those that they hear.
//!
//! - **Classic**: a patient's phone uploads what it heard. The authority reads the file with
//!   [`UploadReader`] and opens the TempIDs in it with [`KeyRing::judge`].
//! - **Published**: a patient consents, and the authority derives what the patient's phone
//!   broadcast, with [`KeyRing::mint`]. It publishes the [`element`] of each. Phones test the
//!   [`sighting_elements`] of what they heard, and nobody uploads contacts.
//!
//! Both modes have the same TempIDs, packets and files. Phones need no change to be found.
//!
//! ```
//! use gcs_core::Date;
//! use gcs_core::identifiers::bluetrace::{self, Hai, KeyRing, UserId};
//!
//! let (now, hai): (u64, Hai) = (1_586_000_000, "SG_OTC".parse()?);
//! let today = Date::of_time(now);
//! let ring = KeyRing::new(today, [7; 32], today); // In a real server: from a random secret.
//! let user = UserId([1; 21]); // In a real server: 21 random bytes at registration.
//! let batch = ring.batch(&user, now)?;
//!
//! // A phone broadcasts the TempID that is valid now. The authority can open it.
//! let heard = batch.temp_ids[0].temp_id;
//! assert_eq!(ring.open(&heard, today).map(|content| content.user), Some(user));
//!
//! // Published mode: the phone that heard it and the authority make the same element of it.
//! let window = bluetrace::window_of(now).unwrap();
//! let published = bluetrace::element(&hai, window, &heard);
//! assert!(bluetrace::sighting_elements(&hai, &heard, now).any(|probe| probe == published));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | type | what it is |
//! |---|---|
//! | [`UserId`], [`Hai`] | who a user and an authority are |
//! | [`TempId`], [`TempIdContent`] | what is broadcast, and what the authority reads in it |
//! | [`KeyRing`] | the keys of the last days: mints and opens TempIDs, judges records |
//! | [`Packet`] | what two phones exchange |
//! | [`UploadReader`] | reads an upload file piece by piece |
//! | [`UploadToken`] | what allows a phone to upload |
//! | [`HandshakePin`], [`PseudoId`] | what a user verifies a caller by, and what other authorities know a user by |
//! | `RecordBatch`, `BatchAnswer`, `Withdrawal`, `FollowUp`, `Receipt` | signed messages between authorities, with the feature `protocol` |
//! | [`TempIdKey`], [`TokenKey`], [`PinKey`], [`PseudoIdKey`] | a key for each purpose |
//!
//! Source: the behaviour of OpenTrace's apps and cloud functions (2020). Minting without storage, the element and the PseudoID's formula are this
//! library's; OpenTrace opens TempIDs minted here when it is given the key of the day.

mod cipher;
mod error;
#[cfg(feature = "protocol")]
mod federation;
mod key_ring;
mod keys;
mod packet;
mod pseudonyms;
mod record;
mod splitter;
mod temp_id;
mod token;
mod upload;
mod user;
#[cfg(test)]
mod vectors;

pub use self::error::{
    HaiError, NoDayKey, PacketError, PseudoIdError, RecordError, TempIdError, TokenError,
    UploadError, UserIdError,
};
#[cfg(feature = "protocol")]
pub use self::federation::{
    BatchAnswer, Contact, FederationError, FollowUp, ForeignRecord, MAX_BATCH_RECORDS,
    MAX_CONTACTS, MAX_MESSAGE_BYTES, MAX_RECORD_BYTES, Message, MessageHead, MessageId,
    MessageIdError, Receipt, RecordBatch, RecordVerdict, SignedMessage, Withdrawal,
};
pub use self::key_ring::{
    BATCH_LEN, Batch, KEPT_DAYS, KeyRing, MAX_EXTENT_DAYS, MintedTempId, REFRESH_SECONDS, Verdict,
};
pub use self::keys::{PinKey, PseudoIdKey, TempIdKey, TokenKey};
pub use self::packet::{MAX_PACKET_BYTES, Packet, Role};
pub use self::pseudonyms::{HandshakePin, PseudoId};
pub use self::record::{UploadEvent, UploadRecord};
pub use self::temp_id::{TempId, TempIdContent};
pub use self::token::{TOKEN_SECONDS, UploadToken};
pub use self::upload::{MAX_VALUE_BYTES, UploadPart, UploadReader};
pub use self::user::{Hai, UserId};

use core::ops::Range;

use crate::date::{DAY_SECONDS, Date};
use crate::digest::Digest;

/// Length of a window, for which one TempID is valid, in seconds.
pub const WINDOW_SECONDS: u64 = 900;

/// Number of windows in a day.
pub const WINDOWS_A_DAY: u32 = 96;

/// How far the clocks of two phones may be apart in seconds, for [`sighting_elements`].
pub const CLOCK_TOLERANCE: u64 = 60;

/// The last window whose end a TempID can name: its times are Unix seconds in 32 bits.
const LAST_WINDOW: u32 = ((u32::MAX as u64 - WINDOW_SECONDS) / WINDOW_SECONDS) as u32;

/// The window of a Unix time in seconds: the time divided by [`WINDOW_SECONDS`]. `None` from
/// February 2106 on, when TempIDs end.
pub fn window_of(time: u64) -> Option<u32> {
    u32::try_from(time / WINDOW_SECONDS).ok().filter(|window| *window <= LAST_WINDOW)
}

/// The 96 windows of a UTC date.
pub fn windows_of(date: Date) -> Range<u32> {
    let first = date.days() * WINDOWS_A_DAY;
    first..first + WINDOWS_A_DAY
}

/// The UTC date of a window.
fn date_of(window: u32) -> Date {
    Date::of_time(u64::from(window) * WINDOW_SECONDS)
}

/// The element of a TempID in published mode:
/// SHA-256("gcs-elem/v1/bluetrace" ‖ 0 ‖ length of the HAI ‖ HAI ‖ window as a big-endian u32 ‖
/// the TempID's 61 bytes). A TempID that is replayed in another window has another element.
pub fn element(hai: &Hai, window: u32, temp_id: &TempId) -> [u8; 32] {
    let hai = hai.as_str().as_bytes();
    let length = [hai.len() as u8];
    let label = b"gcs-elem/v1/bluetrace\0";
    Digest::of_parts(&[label, &length, hai, &window.to_be_bytes(), &temp_id.0]).0
}

/// The elements that a TempID heard at a Unix time may stand for: one, or two if a window begins
/// or ends within [`CLOCK_TOLERANCE`] of it. A phone tests all of them.
pub fn sighting_elements(
    hai: &Hai,
    temp_id: &TempId,
    time: u64,
) -> impl Iterator<Item = [u8; 32]> + use<> {
    let (hai, temp_id) = (*hai, *temp_id);
    let window = |time| window_of(time).unwrap_or(LAST_WINDOW);
    let first = window(time.saturating_sub(CLOCK_TOLERANCE));
    let last = window(time.saturating_add(CLOCK_TOLERANCE));
    (first..=last).map(move |window| element(&hai, window, &temp_id))
}

const _: () = assert!(WINDOWS_A_DAY as u64 * WINDOW_SECONDS == DAY_SECONDS);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_sighting_near_the_edge_of_a_window_has_two_elements() {
        let (hai, id) = ("SG_OTC".parse().unwrap(), TempId([9; TempId::LEN]));
        let start = 1_762_176 * WINDOW_SECONDS;
        let windows = |time: u64| {
            let of = |probe| (1_762_174..1_762_179).find(|w| element(&hai, *w, &id) == probe);
            sighting_elements(&hai, &id, time).map(|probe| of(probe).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(windows(start), [1_762_175, 1_762_176]);
        assert_eq!(windows(start + 59), [1_762_175, 1_762_176]);
        assert_eq!(windows(start + 60), [1_762_176]);
        assert_eq!(windows(start + 839), [1_762_176]);
        assert_eq!(windows(start + 840), [1_762_176, 1_762_177]);
        assert_eq!(sighting_elements(&hai, &id, 0).count(), 1);
        assert_eq!(sighting_elements(&hai, &id, u64::MAX).count(), 1);
    }

    #[test]
    fn windows_end_where_a_tempid_cannot_name_their_end() {
        let end = u64::from(LAST_WINDOW + 1) * WINDOW_SECONDS;
        assert!(u32::try_from(end).is_ok() && u32::try_from(end + WINDOW_SECONDS).is_err());
        assert_eq!(window_of(end - 1), Some(LAST_WINDOW));
        assert_eq!(window_of(end), None);
        assert_eq!(windows_of(Date::MAX).len(), 96);
        assert_eq!(windows_of(Date::from_days(18_356).unwrap()).start, 1_762_176);
        assert_eq!(date_of(1_762_176 + 95).days(), 18_356);
    }
}
