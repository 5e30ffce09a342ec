//! The events of the deployment and its log: settings, keys, tokens, and what happened to the log.

use serde::{Deserialize, Serialize};

use crate::domain::policy::{FirstPolicy, FourthPolicy, Policy, SecondPolicy, ThirdPolicy};

/// The end of a log, which goes on in another place. That one does not have this event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMoved {
    /// Where it goes on, for people.
    pub to: String,
}

/// Which deployment this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Random number of the deployment.
    pub id: [u8; 16],
    /// The root key that apps pin.
    pub root: [u8; 32],
    /// A value derived from the master key, by which a start recognises the right key file.
    pub master_check: [u8; 32],
}

/// New settings, as they were before `max_filler`: that was without bound. New events are a
/// [`PolicySet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstPolicySet {
    /// All settings, changed or not.
    pub policy: FirstPolicy,
}

/// New settings, as they were before `kinds`. New events are a [`PolicySet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondPolicySet {
    /// All settings, changed or not.
    pub policy: SecondPolicy,
}

/// New settings, as they were before `seeds`. New events are a [`PolicySet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThirdPolicySet {
    /// All settings, changed or not.
    pub policy: ThirdPolicy,
}

/// New settings, as they were before `exports`. New events are a [`PolicySet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FourthPolicySet {
    /// All settings, changed or not.
    pub policy: FourthPolicy,
}

/// New settings. A log that has one is read by this release and later ones only, as are the kinds of items
/// that it lets a report have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySet {
    /// All settings, changed or not.
    pub policy: Policy,
}

/// A new list of online keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyListSet {
    /// The list as signed JSON.
    pub signed: String,
}

/// A new operator token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorTokenSet {
    /// SHA-256 of the token.
    pub token: [u8; 32],
}

/// A new token for backends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendTokenSet {
    /// SHA-256 of the token.
    pub token: [u8; 32],
}

/// The log goes on although its end was lost. Nobody knows which keys and serial numbers the lost
/// events brought out, so all providers get keys of a generation that cannot have been out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecovered {
    /// The new series.
    pub series: u32,
    /// The new generation of every provider's key, and the first one of a new provider's.
    pub generation: u32,
    /// Whether the codes that are out are void.
    pub void_codes: bool,
}

/// Events whose bodies a damaged disk has lost. Their headers are there, and so the chain holds. What they did
/// counts no more, but for what follows from their headers: see `State::apply`. Nothing that was published before
/// can be computed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodiesLost {
    /// Positions of the events.
    pub events: Vec<u64>,
}

/// The operator's statement that the clock is right after it leapt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockResumed {}
