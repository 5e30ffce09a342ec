//! The events of the log: every change that the server can record.
//!
//! The body of an event is its struct in the postcard format
//! (<https://postcard.jamesmunns.com>), and the header's kind says which struct. Kinds and
//! structs never change their meaning: a new meaning gets a new kind. Tests compare them with
//! stored bytes.

mod bluetrace;
mod deployment;
mod providers;
mod publication;
mod reports;

use serde::Deserialize;
use thiserror::Error;

pub use self::bluetrace::{
    AuthorityRemoved, AuthoritySet, BatchAnswered, BatchJudged, BlueTraceBegun, BlueTracePurge,
    CaseSeen, CodeBound, DayKeysAdvanced, FollowUpDelivered, FollowUpMade, FollowUpReceived,
    FollowUpSeen, ForeignContact, ForeignSighting, ForeignVerdict, MessageNumber, MessageWithdrawn,
    MessagesWithdrawn, ShortCodeMade, Sighting, TracerTokenSet, UploadAccepted, UploadUndone,
    UserRegistered, UserTokenSet, UserWithdrawn, VerdictCounts, WithdrawalDelivered,
    WithdrawnContent,
};
pub use self::deployment::{
    BackendTokenSet, BodiesLost, ClockResumed, Deployment, FirstPolicySet, FourthPolicySet,
    KeyListSet, LogMoved, LogRecovered, OperatorTokenSet, PolicySet, SecondPolicySet,
    ThirdPolicySet,
};
pub use self::providers::{
    CodeId, CodeRevoked, KeyRenewed, PresentRangeClosed, ProviderAdded, ProviderKeyRaised,
    ProviderStatus, ProviderStatusSet, ProviderTokenSet, RangeClosed, RangeOpened,
};
pub use self::publication::{FirstSeriesStarted, SeriesStarted, TickMade};
pub use self::reports::{Correction, Purge, Refusal, ReportAccepted, SpooledReportJudged, Verdict};
pub use gcs_core::live::Act;

/// Random number of a report, by which its sender asks for its status.
pub type TrackingId = [u8; 16];

/// Declares the kinds of events: number, name, body.
macro_rules! events {
    ($($(#[$doc:meta])* $number:literal $name:ident;)*) => {
        /// An event.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name($name),)*
        }

        impl Event {
            /// Its kind, as in the header.
            pub fn kind(&self) -> u16 {
                match self { $(Event::$name(_) => $number,)* }
            }

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self { $(Event::$name(_) => stringify!($name),)* }
            }

            /// Its body as bytes.
            pub fn encode(&self) -> Vec<u8> {
                let encoded = match self {
                    $(Event::$name(body) => postcard::to_allocvec(body),)*
                };
                encoded.expect("writing to memory does not fail")
            }

            /// Reads a body.
            ///
            /// # Errors
            /// An unknown kind, or bytes that are no body of the kind.
            pub fn decode(kind: u16, body: &[u8]) -> Result<Event, DecodeError> {
                match kind {
                    $($number => decode(body).map(Event::$name),)*
                    _ => Err(DecodeError::UnknownKind),
                }
            }

            /// All kinds that this release knows.
            pub const KINDS: &[u16] = &[$($number),*];

            /// The name of a kind; `None` if this release does not know it.
            pub fn name_of(kind: u16) -> Option<&'static str> {
                match kind {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        $(impl $name {
            /// The kind of these events, as in the header.
            pub const KIND: u16 = $number;
        }

        impl From<$name> for Event {
            fn from(body: $name) -> Event {
                Event::$name(body)
            }
        })*
    };
}

events! {
    /// The first event: which deployment this is.
    1 Deployment;
    /// New settings, as they were before `max_filler`.
    2 FirstPolicySet;
    /// A new list of online keys.
    3 KeyListSet;
    /// A new operator token.
    4 OperatorTokenSet;
    /// A new provider.
    5 ProviderAdded;
    /// A provider suspended, resumed or revoked.
    6 ProviderStatusSet;
    /// A new token for a provider.
    7 ProviderTokenSet;
    /// A new key for a provider's codes.
    8 ProviderKeyRaised;
    /// A range of codes that can bring reports.
    9 RangeOpened;
    /// A range of the provider's present key whose unused codes are void.
    10 PresentRangeClosed;
    /// One unused code that is void.
    11 CodeRevoked;
    /// A report.
    12 ReportAccepted;
    /// Reports retracted or reinstated.
    13 Correction;
    /// A publication.
    14 TickMade;
    /// A new series, as a recall or a recovery of before began it.
    15 FirstSeriesStarted;
    /// The operator's statement that the clock is right after it leapt.
    16 ClockResumed;
    /// Bodies of reports that were erased.
    17 Purge;
    /// A new token for backends.
    18 BackendTokenSet;
    /// The log goes on although its end was lost.
    19 LogRecovered;
    /// A new key for a provider's next codes.
    20 KeyRenewed;
    /// A range whose unused codes are void.
    21 RangeClosed;
    /// New settings, as they were before `kinds`.
    22 SecondPolicySet;
    /// A new series.
    23 SeriesStarted;
    /// What became of a report that was answered with 202, if it is no report of its own.
    24 SpooledReportJudged;
    /// The log goes on although bodies of events are lost.
    25 BodiesLost;
    /// The end of this log: it goes on in another place.
    26 LogMoved;
    /// BlueTrace is on from here.
    27 BlueTraceBegun;
    /// A new user of BlueTrace.
    28 UserRegistered;
    /// A new token for a user.
    29 UserTokenSet;
    /// A user who has withdrawn.
    30 UserWithdrawn;
    /// A short code for one user.
    31 ShortCodeMade;
    /// A one-time code that a user has used for an upload.
    32 CodeBound;
    /// A piece of an upload.
    33 UploadAccepted;
    /// An upload that counts no more.
    34 UploadUndone;
    /// A new token for tracers.
    35 TracerTokenSet;
    /// A tracer has looked at a case.
    36 CaseSeen;
    /// Day keys that are too old are destroyed.
    37 DayKeysAdvanced;
    /// Bodies of BlueTrace's events that were erased.
    38 BlueTracePurge;
    /// Another health authority, with which messages are exchanged.
    39 AuthoritySet;
    /// New settings, as they were before `seeds`.
    40 ThirdPolicySet;
    /// New settings, as they were before `exports`.
    41 FourthPolicySet;
    /// A health authority with which no messages are exchanged any more.
    42 AuthorityRemoved;
    /// Verdicts of another authority.
    43 BatchAnswered;
    /// Batches and follow-ups of ours that count no more.
    44 MessagesWithdrawn;
    /// Another authority knows that a batch or follow-up of ours counts no more.
    45 WithdrawalDelivered;
    /// Our verdicts on a batch of another authority.
    46 BatchJudged;
    /// A batch or follow-up of another authority that counts no more.
    47 MessageWithdrawn;
    /// Contacts for another authority to call.
    48 FollowUpMade;
    /// Another authority has a follow-up of ours.
    49 FollowUpDelivered;
    /// Contacts for our tracers to call.
    50 FollowUpReceived;
    /// A tracer has looked at whom to call for another authority.
    51 FollowUpSeen;
    /// New settings.
    52 PolicySet;
}

impl Event {
    /// Positions of the events whose bodies this one has erased, if it is a purge.
    pub fn erased(&self) -> Option<&[u64]> {
        match self {
            Event::Purge(purge) => Some(&purge.reports),
            Event::BlueTracePurge(purge) => Some(&purge.events),
            _ => None,
        }
    }
}

/// Whether a purge erases bodies of a kind: those of reports, and those that name a person.
pub fn is_erasable(kind: u16) -> bool {
    matches!(
        kind,
        ReportAccepted::KIND
            | UserRegistered::KIND
            | UserTokenSet::KIND
            | ShortCodeMade::KIND
            | CodeBound::KIND
            | UploadAccepted::KIND
            | BatchAnswered::KIND
            | BatchJudged::KIND
            | FollowUpMade::KIND
            | FollowUpReceived::KIND
    )
}

/// Bytes that are not an event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The kind is unknown: a newer release wrote the event.
    #[error("unknown kind")]
    UnknownKind,
    /// The bytes are not a body of the kind.
    #[error("{0}")]
    Body(postcard::Error),
}

fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(body) {
        Ok((event, [])) => Ok(event),
        Ok(_) => Err(DecodeError::Body(postcard::Error::DeserializeBadEncoding)),
        Err(error) => Err(DecodeError::Body(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use gcs_core::Date;
    use gcs_core::report::{Item, ItemProblem};

    use crate::domain::policy::{ExportPolicy, FourthPolicy, Policy, SecondPolicy, ThirdPolicy};

    fn round_trip(event: &Event, golden: &str) {
        let bytes = event.encode();
        assert_eq!(HEXLOWER.encode(&bytes), golden, "{}", event.name());
        assert_eq!(Event::decode(event.kind(), &bytes).as_ref(), Ok(event));
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(Event::decode(event.kind(), &longer).is_err());
    }

    /// What is in a log today must be read for ever.
    #[test]
    fn bodies_are_the_golden_bytes() {
        let code = CodeId { provider: 300, generation: 1, serial: 5 };
        let raw = Item::Raw {
            date: Date::from_days(20_458).unwrap(),
            element: gcs_core::Element::from_slice(&[3; 16]),
        };
        let seed = Item::Dp3tUnlinkable { epoch: 1_762_781, seed: [2; 32] };
        let report = ReportAccepted {
            code,
            payload: [1; 32],
            tracking: [4; 16],
            items: vec![seed, raw],
            problems: vec![(7, ItemProblem::DateTooOld)],
        };
        let golden = [
            "ac020105",
            &"01".repeat(32),
            &"04".repeat(16),
            "0200ddcb6b",
            &"02".repeat(32),
            "01ea9f0110",
            &"03".repeat(16),
            "010704",
        ]
        .concat();
        assert!(is_erasable(Event::from(report.clone()).kind()));
        round_trip(&report.into(), &golden);
        round_trip(&TickMade { series: 1, number: 200 }.into(), "01c801");
        round_trip(&BodiesLost { events: vec![2, 300] }.into(), "0202ac02");
        round_trip(&CodeRevoked { code }.into(), "ac020105");
        let correction =
            Correction { act: Act::Reinstate, reports: vec![12, 900], selection: "x".into() };
        round_trip(&correction.into(), "01020c84070178");
        let status = ProviderStatusSet { provider: 1, status: ProviderStatus::Revoked };
        round_trip(&status.into(), "0102");
        let range = RangeOpened {
            provider: 1,
            generation: 2,
            first: 0,
            count: 100,
            expires: 1_800_000_000,
        };
        round_trip(&range.into(), "0102006480a4a7da06");
        let second = SecondPolicy {
            rate_bits: 20,
            expected_per_date: 1000,
            interval: 900,
            min_reports: 10,
            max_hold: 7200,
            retention_days: 14,
            raw: false,
            max_items_per_date: 256,
            max_code_days: 400,
            max_open_codes: 100_000,
            max_filler: 100_000,
        };
        let second = SecondPolicySet { policy: second };
        round_trip(&second.into(), "14e80784070aa0380e0080029003a08d06a08d06");
        let third = ThirdPolicy {
            rate_bits: 20,
            expected_per_date: 1000,
            interval: 900,
            min_reports: 10,
            max_hold: 7200,
            retention_days: 14,
            kinds: Policy::default().kinds,
            hybrid_hours: 4,
            max_elements_per_date: 512,
            max_code_days: 400,
            max_open_codes: 100_000,
            max_filler: 100_000,
            gaen_authority: String::new(),
        };
        assert_eq!(Policy::from(third.clone()), Policy::default());
        let third = ThirdPolicySet { policy: third };
        round_trip(&third.into(), "14e80784070aa0380e010480049003a08d06a08d0600");
        let fourth = FourthPolicy {
            rate_bits: 20,
            expected_per_date: 1000,
            interval: 900,
            min_reports: 10,
            max_hold: 7200,
            retention_days: 14,
            kinds: Policy::default().kinds,
            hybrid_hours: 4,
            max_elements_per_date: 512,
            max_code_days: 400,
            max_open_codes: 100_000,
            max_filler: 100_000,
            gaen_authority: String::new(),
            seeds: Policy::default().seeds,
        };
        assert_eq!(Policy::from(fourth.clone()), Policy::default());
        let fourth = FourthPolicySet { policy: fourth };
        round_trip(&fourth.into(), "14e80784070aa0380e010480049003a08d06a08d060000");
        let policy = PolicySet { policy: Policy::default() };
        round_trip(&policy.into(), "14e80784070aa0380e010480049003a08d06a08d06000000");
        let exports = ExportPolicy {
            region: "NL".into(),
            interval: 14_400,
            key_id: "204".into(),
            key_version: "v1".into(),
        };
        let policy = PolicySet { policy: Policy { exports: Some(exports), ..Policy::default() } };
        let golden = "14e80784070aa0380e010480049003a08d06a08d06000001024e4cc0700332303402\
                      7631";
        round_trip(&policy.into(), golden);
        let recovered = LogRecovered { series: 300, generation: 301, void_codes: true };
        round_trip(&recovered.into(), "ac02ad0201");
        round_trip(&KeyRenewed { provider: 300, generation: 2 }.into(), "ac0202");
        let closed = RangeClosed { provider: 300, generation: 2, first: 5 };
        round_trip(&closed.into(), "ac020205");
        round_trip(&ClockResumed {}.into(), "");
        let of_spool = |verdict| SpooledReportJudged { tracking: [4; 16], verdict }.into();
        round_trip(&of_spool(Verdict::Known(300)), &format!("{}00ac02", "04".repeat(16)));
        let refusals = [
            Refusal::CodeInvalid,
            Refusal::CodeUsed,
            Refusal::CodeExpired,
            Refusal::CodeRevoked,
            Refusal::CodeSuspended,
            Refusal::CodeNotOpen,
            Refusal::NoItems,
        ];
        for (number, refusal) in refusals.into_iter().enumerate() {
            let golden = format!("{}010{number}", "04".repeat(16));
            round_trip(&of_spool(Verdict::Refused(refusal)), &golden);
        }
        let names = Event::KINDS.iter().map(|kind| Event::name_of(*kind));
        assert!(names.clone().all(|name| name.is_some()) && names.count() == 52);
        assert_eq!(Event::decode(999, &[]), Err(DecodeError::UnknownKind));
    }
}
