//! What is exchanged with other health authorities.

use gcs_core::identifiers::bluetrace::{Hai, MessageHead};
use gcs_core::{DAY_SECONDS, PublicKey};

use super::{AuthorityIdentity, begin, expect_trusted_clock};
use crate::domain::events::{
    AuthorityRemoved, AuthoritySet, BatchAnswered, BatchJudged, Event, FollowUpDelivered,
    FollowUpMade, FollowUpReceived, FollowUpSeen, ForeignContact, ForeignVerdict, MessageNumber,
    MessageWithdrawn, MessagesWithdrawn, WithdrawalDelivered,
};
use crate::domain::judge::{Decision, Judgement, RequestContext};
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::domain::state::bluetrace::{
    BlueTrace, Case, Federation, MESSAGE_DAYS, MessageKey, Upload,
};

/// Most other authorities.
pub const MOST_AUTHORITIES: usize = 256;

/// Most messages of one authority that have not expired.
const MOST_MESSAGES: usize = 100_000;

/// Most characters of an authority's URL.
const MOST_URL: usize = 200;

/// What is known of other authorities, if BlueTrace has begun.
fn federation(state: &State) -> Option<&Federation> {
    state.bluetrace.as_ref().map(|bluetrace| &bluetrace.federation)
}

/// Sets URL and key of another authority.
///
/// # Errors
/// [`Problem::AuthorityInvalid`], [`Problem::TooManyAuthorities`], [`Problem::BluetraceKeys`].
pub fn set_authority(
    state: &State,
    authority: &AuthorityIdentity,
    hai: &Hai,
    url: &str,
    key: PublicKey,
) -> Judgement<()> {
    let hai = hai.to_string();
    if hai == authority.hai {
        return Err(Problem::AuthorityInvalid { what: "that is the HAI of this authority" });
    }
    let url = expect_url(url)?.to_owned();
    let known = federation(state).map(|federation| &federation.authorities);
    if known.is_some_and(|known| known.len() >= MOST_AUTHORITIES && !known.contains_key(&hai)) {
        return Err(Problem::TooManyAuthorities { max: MOST_AUTHORITIES });
    }
    let mut events = begin(state, authority)?;
    let is_set = known
        .and_then(|known| known.get(&hai))
        .is_some_and(|known| known.url == url && known.key == key.0);
    if !is_set {
        events.push(AuthoritySet { hai, url, key: key.0 }.into());
    }
    Ok(Decision { events, answer: () })
}

/// Makes sure that messages can be sent below a URL without being read on the way.
fn expect_url(url: &str) -> Result<&str, Problem> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>".contains(&byte);
    let host = |scheme| url.strip_prefix(scheme)?.split(['/', ':']).next();
    let is_here = |host: &str| host == "localhost" || host.starts_with("127.");
    let is_safe = host("https://").is_some_and(|host| !host.is_empty())
        || host("http://").is_some_and(is_here);
    match is_safe && url.len() <= MOST_URL && url.bytes().all(is_plain) && !url.ends_with('/') {
        true => Ok(url),
        false => Err(Problem::AuthorityInvalid {
            what: "its URL is https://HOST or https://HOST/PATH, of at most 200 characters, without a slash at the \
                   end, a query or a password (http:// is possible for this machine alone)",
        }),
    }
}

/// Exchanges no more messages with an authority. What it has sent is kept until it expires.
///
/// # Errors
/// [`Problem::AuthorityUnknown`].
pub fn remove_authority(state: &State, hai: &str) -> Judgement<()> {
    expect_known(state, hai)?;
    Ok(Decision::one(AuthorityRemoved { hai: hai.to_owned() }, ()))
}

fn expect_known(state: &State, hai: &str) -> Result<(), Problem> {
    let is_known = federation(state).is_some_and(|known| known.authorities.contains_key(hai));
    if is_known { Ok(()) } else { Err(Problem::AuthorityUnknown) }
}

/// Records the verdicts of another authority on its records in a piece of an upload. Nothing happens if these have
/// come already, or nobody waits for them any more.
///
/// # Errors
/// None.
pub fn batch_answered(state: &State, answered: &BatchAnswered) -> Judgement<()> {
    let place = (answered.piece, answered.hai.clone());
    let waits = federation(state).is_some_and(|known| known.waiting.contains_key(&place));
    Ok(if waits { Decision::one(answered.clone(), ()) } else { Decision::nothing(()) })
}

/// Records that another authority knows of a withdrawal.
///
/// # Errors
/// None.
pub fn withdrawal_delivered(state: &State, (hai, id): &MessageKey) -> Judgement<()> {
    let waits = federation(state)
        .is_some_and(|federation| federation.withdrawals.contains_key(&(hai.clone(), *id)));
    let delivered = WithdrawalDelivered { hai: hai.clone(), id: *id };
    Ok(if waits { Decision::one(delivered, ()) } else { Decision::nothing(()) })
}

/// Records that another authority has a follow-up of ours.
///
/// # Errors
/// None.
pub fn follow_up_delivered(state: &State, case: u64, follow_up: u64) -> Judgement<()> {
    let made = federation(state).and_then(|known| known.follow_ups.get(&(case, follow_up)));
    let waits = made.is_some_and(|made| !made.is_delivered);
    let delivered = FollowUpDelivered { case, follow_up };
    Ok(if waits { Decision::one(delivered, ()) } else { Decision::nothing(()) })
}

/// The withdrawal of what other authorities were sent, or will be, about an upload.
pub(in crate::domain::judge) fn withdrawal_of(
    bluetrace: &BlueTrace,
    position: u64,
    case: &Case,
) -> Option<Event> {
    let federation = &bluetrace.federation;
    let pieces = case.upload.iter().flat_map(Upload::positions);
    let batches = pieces.flat_map(|piece| federation.batches_of(piece));
    let batches = batches.map(|(hai, id)| (hai.to_owned(), id));
    let follow_ups = federation.follow_ups_of(position);
    let follow_ups = follow_ups.map(|(_, made)| (made.hai.clone(), made.id));
    let mut messages: Vec<MessageKey> = batches.chain(follow_ups).collect();
    messages.retain(|(hai, _)| federation.authorities.contains_key(hai));
    (!messages.is_empty()).then(|| MessagesWithdrawn { messages }.into())
}

/// What was asked before with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: it is new.
    Nothing,
    /// The same. What was made of it is at this position of the log.
    Same(u64),
}

/// A message of another authority whose signature is right.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedMessage {
    /// What it begins with.
    pub head: MessageHead,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Unix time at which it expires.
    pub expires: u64,
}

impl ReceivedMessage {
    fn key(&self) -> MessageKey {
        (self.head.sender.to_string(), self.head.id.0)
    }
}

/// Makes sure that a message is for us and of today, and says whether it has come before.
///
/// # Errors
/// [`Problem::WrongRecipient`], [`Problem::MessageExpired`], [`Problem::MessageInvalid`], [`Problem::MessageChanged`],
/// [`Problem::MessageWithdrawn`], [`Problem::LimitReached`], [`Problem::SenderUnknown`], [`Problem::ClockDoubt`].
pub fn earlier(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
) -> Result<Earlier, Problem> {
    let known = expect_message(state, context, message)?;
    let key = message.key();
    if known.withdrawn.contains_key(&key) {
        return Err(Problem::MessageWithdrawn);
    }
    let batch = known.received.get(&key).map(|batch| (batch.position, batch.digest));
    let follow_up = || known.to_call.get(&key).map(|to_call| (to_call.position, to_call.digest));
    match batch.or_else(follow_up) {
        Some((position, digest)) if digest == message.digest => Ok(Earlier::Same(position)),
        Some(_) => Err(Problem::MessageChanged),
        None => {
            expect_room(known, &key.0)?;
            Ok(Earlier::Nothing)
        }
    }
}

fn expect_message<'s>(
    state: &'s State,
    context: RequestContext,
    message: &ReceivedMessage,
) -> Result<&'s Federation, Problem> {
    expect_trusted_clock(state, context)?;
    let ours = state.bluetrace.as_ref().ok_or(Problem::SenderUnknown)?;
    let sender = message.head.sender.to_string();
    if !ours.federation.authorities.contains_key(&sender) {
        return Err(Problem::SenderUnknown);
    }
    if message.head.recipient.to_string() != ours.hai {
        return Err(Problem::WrongRecipient);
    }
    if message.expires <= context.now {
        return Err(Problem::MessageExpired);
    }
    if message.expires > context.now.saturating_add((MESSAGE_DAYS + 1) * DAY_SECONDS) {
        let message = "a message expires 22 days from now at the latest".to_owned();
        return Err(Problem::MessageInvalid { message });
    }
    Ok(&ours.federation)
}

fn expect_room(known: &Federation, hai: &str) -> Result<(), Problem> {
    let of = (hai.to_owned(), [0; 16])..=(hai.to_owned(), [u8::MAX; 16]);
    let count = known.received.range(of.clone()).count()
        + known.to_call.range(of.clone()).count()
        + known.withdrawn.range(of).count();
    if count < MOST_MESSAGES { Ok(()) } else { Err(Problem::LimitReached { seconds: 3600 }) }
}

/// Records the verdicts on a batch, unless it has come before.
///
/// # Errors
/// As [`earlier`].
pub fn judge_batch(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
    verdicts: &[ForeignVerdict],
) -> Judgement<Earlier> {
    let earlier = earlier(state, context, message)?;
    let (hai, id) = message.key();
    let ReceivedMessage { digest, expires, .. } = *message;
    let judged = BatchJudged { hai, id, digest, expires, verdicts: verdicts.to_vec() };
    let events = (earlier == Earlier::Nothing).then(|| judged.into()).into_iter().collect();
    Ok(Decision { events, answer: earlier })
}

/// Records that a batch or follow-up of another authority counts no more, whether it has come or not.
///
/// # Errors
/// As [`earlier`], but for what the number stands for.
pub fn withdraw_message(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
) -> Judgement<()> {
    let known = expect_message(state, context, message)?;
    let key = message.key();
    if known.withdrawn.contains_key(&key) {
        return Ok(Decision::nothing(()));
    }
    let is_here = known.received.contains_key(&key) || known.to_call.contains_key(&key);
    if !is_here {
        expect_room(known, &key.0)?;
    }
    let (hai, id) = key;
    Ok(Decision::one(MessageWithdrawn { hai, id, expires: message.expires }, ()))
}

/// Records whom another authority has us call, unless it has come before.
///
/// # Errors
/// As [`earlier`].
pub fn receive_follow_up(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
    contacts: &[ForeignContact],
) -> Judgement<()> {
    let earlier = earlier(state, context, message)?;
    let (hai, id) = message.key();
    let ReceivedMessage { digest, expires, .. } = *message;
    let received = FollowUpReceived { hai, id, digest, expires, contacts: contacts.to_vec() };
    let events = (earlier == Earlier::Nothing).then(|| received.into()).into_iter().collect();
    Ok(Decision { events, answer: () })
}

/// Has another authority call contacts of a case.
///
/// # Errors
/// [`Problem::CaseUnknown`], [`Problem::AuthorityUnknown`].
pub fn make_follow_up(
    state: &State,
    context: RequestContext,
    case: u64,
    hai: &str,
    contacts: &[ForeignContact],
) -> Judgement<()> {
    expect_known(state, hai)?;
    let known = state.bluetrace.as_ref().and_then(|bluetrace| bluetrace.cases.get(case));
    known.and_then(|known| known.upload.as_ref()).ok_or(Problem::CaseUnknown)?;
    let id: MessageNumber = std::array::from_fn(|at| context.random[at]);
    let made = FollowUpMade { case, hai: hai.to_owned(), id, contacts: contacts.to_vec() };
    Ok(Decision::one(made, ()))
}

/// Records that a tracer looks at whom to call for another authority.
///
/// # Errors
/// [`Problem::FollowUpUnknown`].
pub fn see_follow_up(state: &State, position: u64) -> Judgement<()> {
    let mut to_call = federation(state).into_iter().flat_map(|known| known.to_call.values());
    match to_call.any(|to_call| to_call.position == position) {
        true => Ok(Decision::one(FollowUpSeen { follow_up: position }, ())),
        false => Err(Problem::FollowUpUnknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_that_nobody_on_the_way_can_read() {
        for good in [
            "https://bt.example",
            "https://bt.example:8443/a/b",
            "http://127.0.0.1:8080",
            "http://localhost",
        ] {
            assert_eq!(expect_url(good).unwrap(), good);
        }
        for bad in [
            "",
            "https://",
            "https:///path",
            "http://bt.example",
            "http://127.0.0.1/",
            "https://me:secret@bt.example",
            "https://bt.example?x=1",
            "https://bt.example/#x",
            "https://bt.example/ x",
            "ftp://bt.example",
            "bt.example",
            &format!("https://{}", "a".repeat(200)),
        ] {
            let refused = expect_url(bad);
            assert!(matches!(refused, Err(Problem::AuthorityInvalid { .. })), "{bad}");
        }
    }
}
