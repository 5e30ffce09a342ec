//! Providers, ranges and codes.

use gcs_core::report::{Code, MAX_PROVIDER, ProviderKey};

use super::bluetrace::{retraction, withdrawal_of};
use super::publication::expect_trusted_clock;
use super::reports::authenticate;
use super::{Decision, Judgement, RequestContext};
use crate::domain::events::{
    CodeId, CodeRevoked, KeyRenewed, ProviderAdded, ProviderKeyRaised, ProviderStatus,
    ProviderStatusSet, ProviderTokenSet, RangeClosed, RangeOpened, UploadUndone,
};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::state::{CodeRange, CodeStatus, Provider, State};
use crate::domain::token::{Role, Token};

/// Largest number of codes in a range.
pub const MAX_RANGE: u32 = 10_000;

/// What a range's codes that can still bring a report are made from.
#[derive(Clone, Debug)]
pub struct UnspentCodes {
    key: ProviderKey,
    provider: u16,
    serials: Vec<u32>,
    /// Unix time, in seconds, from which the codes are not accepted any more.
    pub expires: u64,
}

impl UnspentCodes {
    /// The codes, by serial number. This takes milliseconds: no lock may be held.
    pub fn codes(&self) -> Vec<Code> {
        let issue = |serial: &u32| Code::issue(&self.key, self.provider, *serial);
        self.serials.iter().filter_map(issue).collect()
    }
}

/// The provider of a number.
///
/// # Errors
/// [`Problem::ProviderUnknown`].
pub fn provider(state: &State, number: u16) -> Result<&Provider, Problem> {
    state.providers.get(&number).ok_or(Problem::ProviderUnknown { provider: number })
}

fn not_revoked(state: &State, number: u16) -> Result<&Provider, Problem> {
    match provider(state, number)? {
        Provider { status: ProviderStatus::Revoked, .. } => {
            Err(Problem::ProviderInactive { status: "revoked" })
        }
        provider => Ok(provider),
    }
}

/// The provider of a number, which is neither suspended nor revoked.
///
/// # Errors
/// [`Problem::ProviderUnknown`], [`Problem::ProviderInactive`].
pub fn active(state: &State, number: u16) -> Result<&Provider, Problem> {
    match not_revoked(state, number)? {
        Provider { status: ProviderStatus::Suspended, .. } => {
            Err(Problem::ProviderInactive { status: "suspended" })
        }
        provider => Ok(provider),
    }
}

/// Adds a provider under the next number. The token is shown only here.
///
/// # Errors
/// A name that is not allowed; all provider numbers taken.
pub fn add_provider(state: &State, context: RequestContext, name: &str) -> Judgement<(u16, Token)> {
    let name = name.trim();
    let length = name.chars().count();
    if !(1..=200).contains(&length) || name.chars().any(char::is_control) {
        return Err(Problem::ProviderName);
    }
    let last = state.providers.keys().next_back().copied().unwrap_or(0);
    let provider = last + 1;
    if provider > MAX_PROVIDER {
        return Err(Problem::ProvidersExhausted { max: MAX_PROVIDER });
    }
    let token = Token::new(Role::Provider, &context.random);
    let event = ProviderAdded { provider, name: name.to_owned(), token: token.hash() };
    Ok(Decision::one(event, (provider, token)))
}

/// Suspends, resumes or revokes a provider. A revoked provider stays revoked for good.
///
/// # Errors
/// An unknown provider, or one that is revoked already.
pub fn set_status(state: &State, number: u16, status: ProviderStatus) -> Judgement<()> {
    if provider(state, number)?.status == status {
        return Ok(Decision::nothing(()));
    }
    not_revoked(state, number)?;
    Ok(Decision::one(ProviderStatusSet { provider: number, status }, ()))
}

/// Replaces a provider's token.
///
/// # Errors
/// An unknown or revoked provider.
pub fn set_provider_token(
    state: &State,
    context: RequestContext,
    number: u16,
) -> Judgement<(u16, Token)> {
    not_revoked(state, number)?;
    let token = Token::new(Role::Provider, &context.random);
    let event = ProviderTokenSet { provider: number, token: token.hash() };
    Ok(Decision::one(event, (number, token)))
}

/// Gives a provider another key; unused codes of the one before are revoked.
///
/// # Errors
/// An unknown or revoked provider.
pub fn raise_key(state: &State, number: u16) -> Judgement<u32> {
    let generation = next_generation(not_revoked(state, number)?)?;
    Ok(Decision::one(ProviderKeyRaised { provider: number, generation }, generation))
}

fn next_generation(provider: &Provider) -> Result<u32, Problem> {
    provider.generation.checked_add(1).ok_or(Problem::Internal)
}

/// Opens a range of codes. When the serial numbers of the provider's key are used up, its next codes
/// get another key; codes that are out stay valid.
///
/// # Errors
/// A provider that is not active; a number of codes or of days out of bounds; too many unused
/// codes.
pub fn open_range(
    state: &State,
    context: RequestContext,
    number: u16,
    count: u32,
    days: u32,
) -> Judgement<RangeOpened> {
    let provider = active(state, number)?;
    if !(1..=MAX_RANGE).contains(&count) {
        return Err(Problem::RangeCount { max: MAX_RANGE, got: count });
    }
    expect_trusted_clock(state, context)?;
    let max = state.policy.max_code_days;
    if !(1..=max).contains(&days) {
        return Err(Problem::RangeDays { max, got: days });
    }
    let (open, _) = provider.code_counts(context.now);
    let max = u64::from(state.policy.max_open_codes);
    if open + u64::from(count) > max {
        return Err(Problem::QuotaExceeded { max, open });
    }
    let expires = context.now.saturating_add(u64::from(days) * gcs_core::DAY_SECONDS);
    let mut events = Vec::new();
    let (mut generation, mut first) = (provider.generation, provider.next_serial);
    if count > provider.serials_left() {
        (generation, first) = (next_generation(provider)?, 0);
        events.push(KeyRenewed { provider: number, generation }.into());
    }
    let range = RangeOpened { provider: number, generation, first, count, expires };
    events.push(range.clone().into());
    Ok(Decision { events, answer: range })
}

/// A provider's range by its first serial number, and by the generation of its key where two keys that
/// are in force have such a range. The answer has the generation too.
fn range(
    provider: &Provider,
    generation: Option<u32>,
    first: u32,
) -> Result<(u32, &CodeRange), Problem> {
    if generation.is_none() {
        let in_force =
            provider.generations().take_while(|generation| *generation >= provider.oldest);
        let of = in_force.filter(|generation| provider.ranges.contains_key(&(*generation, first)));
        let generations: Vec<u32> = of.collect();
        if let [generation] = generations[..] {
            return range(provider, Some(generation), first);
        }
        if generations.len() > 1 {
            return Err(Problem::RangeAmbiguous { first, generations });
        }
    }
    let generation = generation.unwrap_or(provider.generation);
    let range = provider.ranges.get(&(generation, first));
    Ok((generation, range.ok_or(Problem::RangeUnknown { generation, first })?))
}

/// The codes of a range that can still bring a report. A generation is needed only where ranges of two
/// keys begin with the same serial number.
///
/// # Errors
/// A provider that is not active; an unknown range.
pub fn unspent_codes(
    state: &State,
    keys: &DeploymentKeys,
    number: u16,
    generation: Option<u32>,
    first: u32,
) -> Result<UnspentCodes, Problem> {
    let provider = active(state, number)?;
    let (generation, range) = range(provider, generation, first)?;
    let is_void = generation < provider.oldest;
    let unspent = (0..range.count).filter(|at| !is_void && range.is_unspent(*at));
    Ok(UnspentCodes {
        key: keys.provider(number, generation),
        provider: number,
        serials: unspent.map(|at| first + at).collect(),
        expires: range.expires,
    })
}

/// Revokes the unused codes of a range. A generation is needed only where ranges of two keys begin with
/// the same serial number.
///
/// # Errors
/// A provider that is not active; an unknown range.
pub fn close_range(
    state: &State,
    number: u16,
    generation: Option<u32>,
    first: u32,
) -> Judgement<()> {
    let (generation, range) = range(active(state, number)?, generation, first)?;
    if range.closed {
        return Ok(Decision::nothing(()));
    }
    Ok(Decision::one(RangeClosed { provider: number, generation, first }, ()))
}

/// Revokes one unused code; or one that was used in BlueTrace, whose upload is undone, and whose
/// publication retracted.
///
/// # Errors
/// A code that is not authentic, not open yet, used for a report, or expired.
pub fn revoke_code(
    state: &State,
    keys: &DeploymentKeys,
    context: RequestContext,
    code: &Code,
) -> Judgement<()> {
    let code = authenticate(state, keys, code).ok_or(Problem::CodeInvalid)?;
    match state.code_status(code, context.now) {
        CodeStatus::Open | CodeStatus::Suspended => Ok(Decision::one(CodeRevoked { code }, ())),
        CodeStatus::Revoked => Ok(Decision::nothing(())),
        CodeStatus::Used => undo_upload(state, code),
        CodeStatus::Expired => {
            expect_trusted_clock(state, context)?;
            Err(Problem::CodeExpired)
        }
        CodeStatus::NotOpen => Err(Problem::CodeNotOpen),
    }
}

/// Undoes the upload that a code was used for, or keeps it from coming.
fn undo_upload(state: &State, code: CodeId) -> Judgement<()> {
    let bluetrace = state.bluetrace.as_ref();
    match bluetrace.and_then(|bluetrace| bluetrace.cases.by_code(code)) {
        Some((_, case)) if case.undone => Ok(Decision::nothing(())),
        Some((position, case)) => {
            let retraction = retraction(state, std::iter::once(case.code));
            let of_others =
                bluetrace.and_then(|bluetrace| withdrawal_of(bluetrace, position, case));
            let undone = UploadUndone { case: position }.into();
            let events = retraction.into_iter().chain(of_others).chain([undone]).collect();
            Ok(Decision { events, answer: () })
        }
        None => Err(Problem::CodeSpent),
    }
}
