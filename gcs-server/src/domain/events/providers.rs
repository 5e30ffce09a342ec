//! The events of providers and their one-time codes.

use serde::{Deserialize, Serialize};

/// A new provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderAdded {
    /// Its number.
    pub provider: u16,
    /// Its name.
    pub name: String,
    /// SHA-256 of its token.
    pub token: [u8; 32],
}

/// What a provider may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderStatus {
    /// It may do everything.
    Active,
    /// It may do nothing for now, and its codes are not accepted.
    Suspended,
    /// It may do nothing any more, and its codes are void.
    Revoked,
}

/// A provider suspended, resumed or revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderStatusSet {
    /// The provider.
    pub provider: u16,
    /// Its new status.
    pub status: ProviderStatus,
}

/// A new token for a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderTokenSet {
    /// The provider.
    pub provider: u16,
    /// SHA-256 of the token.
    pub token: [u8; 32],
}

/// A new key for a provider's codes: those printed under the one before are void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderKeyRaised {
    /// The provider.
    pub provider: u16,
    /// The new generation.
    pub generation: u32,
}

/// A range of codes that can bring reports from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeOpened {
    /// The provider.
    pub provider: u16,
    /// Its key's generation.
    pub generation: u32,
    /// First serial number.
    pub first: u32,
    /// Number of codes.
    pub count: u32,
    /// Unix time from which they cannot bring reports any more.
    pub expires: u64,
}

/// A new key for a provider's next codes, because the serial numbers of the one before are used up.
/// Codes of the one before stay valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRenewed {
    /// The provider.
    pub provider: u16,
    /// The new generation.
    pub generation: u32,
}

/// A range of the provider's present key whose unused codes are void from now on. New events are a
/// [`RangeClosed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentRangeClosed {
    /// The provider.
    pub provider: u16,
    /// First serial number of the range, under the provider's present key.
    pub first: u32,
}

/// A range whose unused codes are void from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeClosed {
    /// The provider.
    pub provider: u16,
    /// Generation of the key that its codes are made with.
    pub generation: u32,
    /// First serial number of the range.
    pub first: u32,
}

/// One code of one provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CodeId {
    /// The provider.
    pub provider: u16,
    /// Generation of its key.
    pub generation: u32,
    /// Serial number.
    pub serial: u32,
}

/// One unused code that is void from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRevoked {
    /// The code.
    pub code: CodeId,
}
