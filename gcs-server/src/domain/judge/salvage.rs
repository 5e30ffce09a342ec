//! A log that goes on without bodies of events, which a damaged disk has lost.
//!
//! What a lost event did is not known, only its kind. So whatever it may have made void is made void: a token
//! that may have been replaced, a provider who may have been suspended, and codes that may have been used or
//! revoked.

use gcs_core::files::SignedKeyList;
use thiserror::Error;

use super::{Decision, Recovery, RequestContext, recover};
use crate::domain::events::{
    BackendTokenSet, BlueTraceBegun, BlueTracePurge, BodiesLost, CodeRevoked, Deployment, Event,
    FirstPolicySet, FourthPolicySet, KeyListSet, LogMoved, LogRecovered, OperatorTokenSet,
    PolicySet, PresentRangeClosed, ProviderKeyRaised, ProviderStatus, ProviderStatusSet,
    ProviderTokenSet, Purge, RangeClosed, SecondPolicySet, ThirdPolicySet, TracerTokenSet,
    UserWithdrawn,
};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::state::State;

/// Largest number of events that one event names.
const EVENTS_PER_EVENT: usize = 20_000;

/// The hash that a token has which nobody has.
const NO_TOKEN: [u8; 32] = [0; 32];

/// An event whose body is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostBody {
    /// Its position in the log.
    pub position: u64,
    /// Its kind, as in the header.
    pub kind: u16,
}

impl LostBody {
    /// The name of its kind.
    pub fn name(&self) -> &'static str {
        Event::name_of(self.kind).unwrap_or("unknown")
    }

    /// Whether the log says nothing without it.
    pub fn is_needed(&self) -> bool {
        matches!(
            self.kind,
            Deployment::KIND
                | FirstPolicySet::KIND
                | SecondPolicySet::KIND
                | ThirdPolicySet::KIND
                | FourthPolicySet::KIND
                | PolicySet::KIND
                | LogMoved::KIND
                | BlueTraceBegun::KIND
        )
    }

    /// Whether it may have made codes void, or said that they were used.
    fn may_have_voided_codes(&self) -> bool {
        matches!(
            self.kind,
            ProviderKeyRaised::KIND
                | PresentRangeClosed::KIND
                | RangeClosed::KIND
                | CodeRevoked::KIND
                | Purge::KIND
                | BlueTracePurge::KIND
                | LogRecovered::KIND
        )
    }
}

/// Why a log cannot go on without events.
#[derive(Debug, Error)]
pub enum Unsalvageable {
    /// What was judged and published depends on the event, and nothing else says what it was.
    #[error(
        "event {} ({}) is lost, and without it nobody can tell what the later ones did",
        .0.position, .0.name()
    )]
    Needed(LostBody),
    /// Codes may count again that were void.
    #[error(
        "event {} ({}) is lost, and which codes it made void is not known: make void all codes that are out, with \
         --void-codes",
        .0.position, .0.name()
    )]
    VoidCodes(LostBody),
    /// A user may be registered again who has withdrawn.
    #[error(
        "event {} ({}) is lost, and who has withdrawn with it is not known: that user is registered again. If there is \
         no copy of the log, do it nevertheless with --users-return, and tell your users to withdraw again",
        .0.position, .0.name()
    )]
    UsersReturn(LostBody),
    /// The log cannot be recovered.
    #[error("{0}")]
    Problem(#[from] Problem),
}

/// Lets a log go on without bodies that are lost. The state is that of the log without them, and `published` is the
/// newest series that is known to have been published.
///
/// # Errors
/// [`Unsalvageable`]: an event without which the log says nothing; codes that must be made void; whatever keeps a log
/// from being recovered.
pub fn go_on_without(
    state: &State,
    keys: &DeploymentKeys,
    context: RequestContext,
    published: u32,
    lost: &[LostBody],
    allow: Recovery,
) -> Result<Decision<LogRecovered>, Unsalvageable> {
    if let Some(lost) = lost.iter().find(|lost| lost.is_needed()) {
        return Err(Unsalvageable::Needed(*lost));
    }
    let voiding = lost.iter().find(|lost| lost.may_have_voided_codes());
    if let Some(lost) = voiding.filter(|_| !allow.void_codes) {
        return Err(Unsalvageable::VoidCodes(*lost));
    }
    let withdrawn = lost.iter().find(|lost| lost.kind == UserWithdrawn::KIND);
    if let Some(lost) = withdrawn.filter(|_| !allow.users_return) {
        return Err(Unsalvageable::UsersReturn(*lost));
    }
    // The event that began the series of the last tick may be lost.
    let series = state.last_tick.map_or(0, |last| last.version.series);
    let recovered = recover(state, context, published.max(series), allow)?;
    let named: Vec<u64> = lost.iter().map(|lost| lost.position).collect();
    let named = named.chunks(EVENTS_PER_EVENT).map(<[u64]>::to_vec);
    let mut events: Vec<Event> = named.map(|events| BodiesLost { events }.into()).collect();
    events.extend(recovered.events);
    let lists = lost.iter().filter(|lost| lost.kind == KeyListSet::KIND).count();
    if lists > 0 {
        events.push(next_key_list(state, keys, context.now, lists)?);
    }
    events.extend(made_void(state, lost));
    Ok(Decision { events, answer: recovered.answer })
}

/// A list of online keys that is newer than those that are lost.
fn next_key_list(
    state: &State,
    keys: &DeploymentKeys,
    now: u64,
    lost: usize,
) -> Result<Event, Problem> {
    let known = SignedKeyList::from_json(&state.key_list).ok();
    let known = known.and_then(|list| list.verify(&keys.root()).ok());
    let lost = u32::try_from(lost).unwrap_or(u32::MAX);
    let version = known.map_or(0, |list| list.version).saturating_add(lost).saturating_add(1);
    let signed = keys.sign_key_list(version, now).map_err(|_| Problem::Internal)?;
    Ok(KeyListSet { signed: signed.to_json() }.into())
}

/// Tokens and providers that lost events may have made void.
fn made_void(state: &State, lost: &[LostBody]) -> Vec<Event> {
    let has = |kind: u16| lost.iter().any(|lost| lost.kind == kind);
    let mut events = Vec::new();
    if has(OperatorTokenSet::KIND) {
        events.push(OperatorTokenSet { token: NO_TOKEN }.into());
    }
    if has(BackendTokenSet::KIND) {
        events.push(BackendTokenSet { token: NO_TOKEN }.into());
    }
    if has(TracerTokenSet::KIND) {
        events.push(TracerTokenSet { token: NO_TOKEN }.into());
    }
    for (number, provider) in &state.providers {
        if has(ProviderTokenSet::KIND) {
            events.push(ProviderTokenSet { provider: *number, token: NO_TOKEN }.into());
        }
        if has(ProviderStatusSet::KIND) && provider.status == ProviderStatus::Active {
            let status = ProviderStatus::Suspended;
            events.push(ProviderStatusSet { provider: *number, status }.into());
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::{
        AuthorityRemoved, AuthoritySet, BlueTraceBegun, TickMade, UserRegistered,
    };
    use crate::domain::keys::Secrets;
    use crate::domain::state::State;
    use gcs_core::live::FillerKey;

    fn kinds(lost: &[u16], allow: Recovery) -> Result<Vec<u16>, Unsalvageable> {
        let mut state = State::new(FillerKey::new([0; 32]));
        let set = |hai: &str| AuthoritySet {
            hai: hai.to_owned(),
            url: "https://x.example".to_owned(),
            key: [1; 32],
        };
        let begun = BlueTraceBegun { hai: "SG_OTC".to_owned(), keys: [0; 32] };
        for (position, event) in
            (1..).zip([Event::from(begun), set("NZ_MOH").into(), set("AU_DTA").into()])
        {
            state.apply_bluetrace(&event, position, 0).unwrap();
        }
        let keys = DeploymentKeys::new(Secrets::new([1; 32], [2; 32], [3; 32]));
        let context = RequestContext { now: 1_770_000_000, leap: None, random: [0; 32] };
        let lost: Vec<LostBody> =
            lost.iter().map(|kind| LostBody { position: 9, kind: *kind }).collect();
        let decision = go_on_without(&state, &keys, context, 1, &lost, allow)?;
        Ok(decision.events.iter().map(Event::kind).collect())
    }

    #[test]
    fn nobody_who_has_withdrawn_returns_silently() {
        let lost = [UserRegistered::KIND, UserWithdrawn::KIND];
        let refused = kinds(&lost, Recovery { void_codes: true, ..Recovery::default() });
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Unsalvageable::UsersReturn(_)), "{refused}");
        assert!(refused.to_string().contains("--users-return"), "{refused}");
        let allow = Recovery { users_return: true, ..Recovery::default() };
        let removed = AuthorityRemoved::KIND;
        let expected = [BodiesLost::KIND, LogRecovered::KIND, removed, removed];
        assert_eq!(kinds(&lost, allow).unwrap(), expected);
        // The flag allows nothing else.
        assert!(matches!(kinds(&[Purge::KIND], allow), Err(Unsalvageable::VoidCodes(_))));
    }

    /// Whatever was lost: the end of the log may be lost too.
    #[test]
    fn other_authorities_are_removed() {
        for kind in [AuthoritySet::KIND, AuthorityRemoved::KIND, TickMade::KIND] {
            let events = kinds(&[kind], Recovery::default()).unwrap();
            let removed = AuthorityRemoved::KIND;
            assert_eq!(events, [BodiesLost::KIND, LogRecovered::KIND, removed, removed]);
        }
    }
}
