//! What is exchanged with other health authorities.

use gcs_core::identifiers::bluetrace::{Hai, MessageHead};
use gcs_core::{DAY_SECONDS, Digest, PublicKey};

use super::{AuthorityIdentity, begin, expect_trusted_clock};
use crate::domain::events::{
    AuthorityRemoved, AuthoritySet, BatchAnswered, BatchJudged, Event, FollowUpDelivered,
    FollowUpMade, FollowUpReceived, FollowUpSeen, ForeignContact, ForeignVerdict, MessageNumber,
    MessageWithdrawn, MessagesWithdrawn, WithdrawalDelivered, WithdrawnContent,
};
use crate::domain::judge::{Decision, Judgement, RequestContext};
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::domain::state::bluetrace::{
    BlueTrace, Case, Federation, IncomingBatch, IncomingFollowUp, MessageKey, Upload, expiry,
    last_expiry,
};

/// Most other authorities.
pub const MOST_AUTHORITIES: usize = 256;

/// Most messages of one authority that have not expired.
const MOST_MESSAGES: u64 = 100_000;

/// Most records and contacts of one authority on a UTC date, together: 40 MB in the log.
const MOST_RECORDS: u64 = 2_000_000;

/// Most messages that one authority withdraws on a UTC date.
const MOST_WITHDRAWN: u64 = 2000;

/// Seconds for which a batch or follow-up is kept at least: otherwise what expires at once would count for nothing.
pub const LEAST_LIFETIME: u64 = DAY_SECONDS;

/// What is known of other authorities, if BlueTrace has begun.
fn federation(state: &State) -> Option<&Federation> {
    state.bluetrace.as_ref().map(|bluetrace| &bluetrace.federation)
}

/// Sets URL and key of another authority. Messages can be sent below the URL without being read on the way.
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
    let url = url.to_owned();
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

/// Exchanges no more messages with an authority. What it has sent is kept until it expires.
///
/// # Errors
/// [`Problem::AuthorityUnknown`].
pub fn remove_authority(state: &State, hai: &str) -> Judgement<()> {
    expect_known(state, hai)?;
    Ok(Decision::one(AuthorityRemoved { hai: hai.to_owned() }, ()))
}

/// Makes sure that an authority still has the key by which what it says was verified.
fn expect_key(known: Option<&Federation>, hai: &str, key: &PublicKey) -> Result<(), Problem> {
    let authority = known.and_then(|known| known.authorities.get(hai));
    match authority.ok_or(Problem::SenderUnknown)?.key == key.0 {
        true => Ok(()),
        false => Err(Problem::SignatureInvalid),
    }
}

/// The removal of all other authorities.
pub(in crate::domain::judge) fn remove_authorities(state: &State) -> impl Iterator<Item = Event> {
    let known = federation(state).into_iter().flat_map(|known| known.authorities.keys());
    known.map(|hai| AuthorityRemoved { hai: hai.clone() }.into())
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
pub fn batch_answered(state: &State, key: &PublicKey, answered: &BatchAnswered) -> Judgement<()> {
    expect_key(federation(state), &answered.hai, key)?;
    let waiting = federation(state).map(|known| &known.waiting);
    let waits = waiting.is_some_and(|known| known.get(answered.piece, &answered.hai).is_some());
    Ok(if waits { Decision::one(answered.clone(), ()) } else { Decision::nothing(()) })
}

/// Records that another authority knows of a withdrawal.
///
/// # Errors
/// None.
pub fn withdrawal_delivered(
    state: &State,
    key: &PublicKey,
    (hai, id): &MessageKey,
) -> Judgement<()> {
    expect_key(federation(state), hai, key)?;
    let waits = federation(state)
        .is_some_and(|federation| federation.withdrawals.contains_key(&(hai.clone(), *id)));
    let delivered = WithdrawalDelivered { hai: hai.clone(), id: *id };
    Ok(if waits { Decision::one(delivered, ()) } else { Decision::nothing(()) })
}

/// Records that another authority has a follow-up of ours.
///
/// # Errors
/// None.
pub fn follow_up_delivered(
    state: &State,
    key: &PublicKey,
    case: u64,
    follow_up: u64,
) -> Judgement<()> {
    let made = federation(state).and_then(|known| known.follow_ups.get(&(case, follow_up)));
    if let Some(made) = made {
        expect_key(federation(state), &made.hai, key)?;
    }
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
    let batches = pieces.flat_map(|piece| federation.sent_of(piece));
    let batches = batches.map(|(hai, id)| (hai.to_owned(), id));
    let follow_ups = federation.follow_ups_of(position);
    let follow_ups = follow_ups.map(|(_, made)| (made.hai.clone(), made.id));
    // An authority that is not known now may be known again before they expire.
    let messages: Vec<MessageKey> = batches.chain(follow_ups).collect();
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
    /// The key that the signature is of.
    pub key: PublicKey,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Unix time at which it expires.
    pub expires: u64,
    /// Number of records or contacts.
    pub size: u32,
}

impl ReceivedMessage {
    fn number(&self) -> MessageKey {
        (self.head.sender.to_string(), self.head.id.0)
    }
}

/// What a message with a number of its own is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MessageKind {
    Batch,
    FollowUp,
}

/// Makes sure that a message is for us and of today, and says whether it has come before. Batches and follow-ups
/// share their numbers.
fn earlier(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
    kind: MessageKind,
) -> Result<Earlier, Problem> {
    let known = expect_message(state, context, message)?;
    let key = message.number();
    if known.withdrawn.contains_key(&key) {
        return Err(Problem::MessageWithdrawn);
    }
    let batch = known.received.get(&key);
    let batch = batch.map(|batch| (MessageKind::Batch, batch.position, batch.digest));
    let to_call = known.to_call.get(&key);
    let to_call = to_call.map(|call| (MessageKind::FollowUp, call.position, call.digest));
    match batch.or(to_call) {
        Some((of, position, digest)) if of == kind && digest == message.digest => {
            Ok(Earlier::Same(position))
        }
        Some(_) => Err(Problem::MessageChanged),
        None => {
            expect_lifetime(context, message)?;
            expect_room(known, &key.0, message.size, context.now)?;
            Ok(Earlier::Nothing)
        }
    }
}

/// Says of a batch whether it has come before.
///
/// # Errors
/// [`Problem::WrongRecipient`], [`Problem::MessageExpired`], [`Problem::MessageInvalid`], [`Problem::MessageChanged`],
/// [`Problem::MessageWithdrawn`], [`Problem::LimitReached`], [`Problem::SenderUnknown`], [`Problem::SignatureInvalid`]
/// if the sender has another key by now, [`Problem::ClockDoubt`].
pub fn look_at_batch(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
) -> Judgement<Earlier> {
    Ok(Decision::nothing(earlier(state, context, message, MessageKind::Batch)?))
}

fn expect_message<'s>(
    state: &'s State,
    context: RequestContext,
    message: &ReceivedMessage,
) -> Result<&'s Federation, Problem> {
    expect_trusted_clock(state, context)?;
    let ours = state.bluetrace.as_ref().ok_or(Problem::SenderUnknown)?;
    expect_key(Some(&ours.federation), message.head.sender.as_str(), &message.key)?;
    if message.head.recipient.to_string() != ours.hai {
        return Err(Problem::WrongRecipient);
    }
    if message.expires <= context.now {
        return Err(Problem::MessageExpired);
    }
    if message.expires > last_expiry(context.now) {
        let message = "a message expires 22 days from now at the latest".to_owned();
        return Err(Problem::MessageInvalid { message });
    }
    Ok(&ours.federation)
}

fn expect_lifetime(context: RequestContext, message: &ReceivedMessage) -> Result<(), Problem> {
    if message.expires >= context.now.saturating_add(LEAST_LIFETIME) {
        return Ok(());
    }
    let message = "a batch or follow-up expires a day from now at the earliest".to_owned();
    Err(Problem::MessageInvalid { message })
}

/// Makes sure that there is room for one more message of an authority, with so many records or contacts.
fn expect_room(known: &Federation, hai: &str, size: u32, now: u64) -> Result<(), Problem> {
    let all = known.received_of(hai, 0);
    if all.messages + all.withdrawn >= MOST_MESSAGES {
        return Err(Problem::LimitReached { seconds: 3600 });
    }
    let of_today = known.received_of(hai, now - now % DAY_SECONDS);
    let records = of_today.records + of_today.contacts + u64::from(size);
    if records <= MOST_RECORDS { Ok(()) } else { Err(tomorrow(now)) }
}

/// Makes sure that an authority has not withdrawn too much today.
fn expect_withdrawable(known: &Federation, hai: &str, now: u64) -> Result<(), Problem> {
    let of_today = known.received_of(hai, now - now % DAY_SECONDS);
    if of_today.withdrawn < MOST_WITHDRAWN { Ok(()) } else { Err(tomorrow(now)) }
}

fn tomorrow(now: u64) -> Problem {
    Problem::LimitReached { seconds: DAY_SECONDS - now % DAY_SECONDS }
}

/// Records the verdicts on a batch, unless it has come before.
///
/// # Errors
/// As [`look_at_batch`].
pub fn judge_batch(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
    verdicts: &[ForeignVerdict],
) -> Judgement<Earlier> {
    let earlier = earlier(state, context, message, MessageKind::Batch)?;
    let (hai, id) = message.number();
    let ReceivedMessage { digest, expires, .. } = *message;
    let judged = BatchJudged { hai, id, digest, expires, verdicts: verdicts.to_vec() };
    let events = (earlier == Earlier::Nothing).then(|| judged.into()).into_iter().collect();
    Ok(Decision { events, answer: earlier })
}

/// Records that a batch or follow-up of another authority counts no more, whether it has come or not.
///
/// # Errors
/// As [`look_at_batch`], but for what the number stands for.
pub fn withdraw_message(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
) -> Judgement<()> {
    let known = expect_message(state, context, message)?;
    let key = message.number();
    if known.withdrawn.contains_key(&key) {
        return Ok(Decision::nothing(()));
    }
    expect_withdrawable(known, &key.0, context.now)?;
    let (mut expires, mut content) = (message.expires, WithdrawnContent::default());
    // A copy must be refused for as long as it could be accepted.
    if let Some(batch) = known.received.get(&key) {
        let IncomingBatch { time: received, records, valid, .. } = *batch;
        expires = expires.max(batch.expires);
        content = WithdrawnContent { received, records, valid, contacts: 0 };
    } else if let Some(to_call) = known.to_call.get(&key) {
        let IncomingFollowUp { time: received, contacts, .. } = *to_call;
        expires = expires.max(to_call.expires);
        content = WithdrawnContent { received, contacts, ..content };
    } else {
        expect_room(known, &key.0, 0, context.now)?;
    }
    let (hai, id) = key;
    Ok(Decision::one(MessageWithdrawn { hai, id, expires, content }, ()))
}

/// Records whom another authority has us call, unless it has come before.
///
/// # Errors
/// As [`look_at_batch`].
pub fn receive_follow_up(
    state: &State,
    context: RequestContext,
    message: &ReceivedMessage,
    contacts: &[ForeignContact],
) -> Judgement<()> {
    let earlier = earlier(state, context, message, MessageKind::FollowUp)?;
    let (hai, id) = message.number();
    let ReceivedMessage { digest, expires, .. } = *message;
    let received = FollowUpReceived { hai, id, digest, expires, contacts: contacts.to_vec() };
    let events = (earlier == Earlier::Nothing).then(|| received.into()).into_iter().collect();
    Ok(Decision { events, answer: () })
}

/// Has another authority call contacts of a case. The same contacts with the same dates again are called once.
///
/// # Errors
/// [`Problem::CaseUnknown`], [`Problem::AuthorityUnknown`]; [`Problem::ParameterInvalid`] if the case is too old.
pub fn make_follow_up(
    state: &State,
    context: RequestContext,
    case: u64,
    hai: &str,
    contacts: &[ForeignContact],
) -> Judgement<()> {
    expect_known(state, hai)?;
    let bluetrace = state.bluetrace.as_ref().ok_or(Problem::CaseUnknown)?;
    let of = bluetrace.cases.get(case).ok_or(Problem::CaseUnknown)?;
    let upload = of.upload.as_ref().ok_or(Problem::CaseUnknown)?;
    if expiry(of.since) < context.now.saturating_add(LEAST_LIFETIME) {
        let what = "the case is erased within two days: no other authority is asked about it";
        return Err(Problem::ParameterInvalid { what });
    }
    let mut contacts = contacts.to_vec();
    contacts.sort_unstable_by_key(|contact| (contact.pseudo_id, contact.day));
    contacts.dedup();
    let id = follow_up_number(upload, case, hai, &contacts);
    if bluetrace.federation.follow_ups_of(case).any(|(_, made)| made.hai == hai && made.id == id) {
        return Ok(Decision::nothing(()));
    }
    Ok(Decision::one(FollowUpMade { case, hai: hai.to_owned(), id, contacts }, ()))
}

/// The number of a follow-up. It tells nothing to whoever does not know what was uploaded.
fn follow_up_number(
    upload: &Upload,
    case: u64,
    hai: &str,
    contacts: &[ForeignContact],
) -> MessageNumber {
    let mut text = [b"gcs bluetrace follow-up v1".as_slice(), &upload.digest].concat();
    text.extend(case.to_le_bytes());
    for contact in contacts {
        text.extend(contact.pseudo_id);
        text.extend(contact.day.to_le_bytes());
    }
    text.extend(hai.as_bytes());
    let digest = Digest::of(&text).0;
    std::array::from_fn(|at| digest[at])
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
    use gcs_core::identifiers::bluetrace::MessageId;
    use gcs_core::live::FillerKey;

    use super::*;
    use crate::domain::events::BlueTraceBegun;
    use crate::domain::judge::{Recovery, recover};

    const NOW: u64 = 1_770_000_000;
    const KEY: [u8; 32] = [7; 32];

    fn state() -> State {
        let mut state = State::new(FillerKey::new([0; 32]));
        (state.clock, state.seen) = (NOW, NOW);
        let begun = BlueTraceBegun { hai: "SG_OTC".to_owned(), keys: [0; 32] };
        let set = AuthoritySet {
            hai: "NZ_MOH".to_owned(),
            url: "https://x.example".to_owned(),
            key: KEY,
        };
        for (position, event) in [(1, Event::from(begun)), (2, set.into())] {
            state.apply_bluetrace(&event, position, NOW).unwrap();
        }
        state
    }

    fn context() -> RequestContext {
        RequestContext { now: NOW, leap: None, random: [0; 32] }
    }

    fn message(key: [u8; 32]) -> ReceivedMessage {
        let [sender, recipient] = ["NZ_MOH", "SG_OTC"].map(|hai| hai.parse().unwrap());
        let head = MessageHead { id: MessageId([1; 16]), sender, recipient };
        let expires = NOW + 10 * DAY_SECONDS;
        ReceivedMessage { head, key: PublicKey(key), digest: [2; 32], expires, size: 1 }
    }

    /// The code of a problem, or "ok".
    fn said<T>(judged: Judgement<T>) -> &'static str {
        judged.map_or_else(|problem| problem.code(), |_| "ok")
    }

    /// The key may have been replaced between the look at the signature and the entry in the log.
    #[test]
    fn what_was_verified_by_a_key_of_before_is_refused() {
        let (state, old) = (state(), [8; 32]);
        let expected = ("ok", "signature_invalid");
        let look = |key| said(look_at_batch(&state, context(), &message(key)));
        assert_eq!((look(KEY), look(old)), expected);
        let judge = |key| said(judge_batch(&state, context(), &message(key), &[]));
        assert_eq!((judge(KEY), judge(old)), expected);
        let follow_up = |key| said(receive_follow_up(&state, context(), &message(key), &[]));
        assert_eq!((follow_up(KEY), follow_up(old)), expected);
        let withdraw = |key| said(withdraw_message(&state, context(), &message(key)));
        assert_eq!((withdraw(KEY), withdraw(old)), expected);
        // Answers too.
        let answered = BatchAnswered { piece: 3, hai: "NZ_MOH".to_owned(), verdicts: Vec::new() };
        let answer = |key| said(batch_answered(&state, &PublicKey(key), &answered));
        assert_eq!((answer(KEY), answer(old)), expected);
        let number = ("NZ_MOH".to_owned(), [1; 16]);
        let receipt = |key| said(withdrawal_delivered(&state, &PublicKey(key), &number));
        assert_eq!((receipt(KEY), receipt(old)), expected);
    }

    /// One authority cannot fill the disk.
    #[test]
    fn records_and_withdrawals_of_a_date_are_limited() {
        let mut state = state();
        let numbered = |number: u32, size| {
            let mut message = ReceivedMessage { size, ..message(KEY) };
            message.head.id.0[..4].copy_from_slice(&number.to_le_bytes());
            message
        };
        let verdicts = vec![ForeignVerdict::ExpiredId; 20_000];
        let mut position = 2;
        let mut take = |state: &mut State, events: Vec<Event>| {
            for event in events {
                position += 1;
                state.apply_bluetrace(&event, position, NOW).unwrap();
            }
        };
        for number in 0..100 {
            let batch = numbered(number, 20_000);
            let judged = judge_batch(&state, context(), &batch, &verdicts).unwrap();
            take(&mut state, judged.events);
        }
        let one_more = numbered(200, 1);
        let look = |state: &State| said(look_at_batch(state, context(), &one_more));
        assert_eq!(look(&state), "limit_reached");
        // On the next date there is room again.
        let tomorrow = RequestContext { now: NOW + DAY_SECONDS, ..context() };
        assert_eq!(said(look_at_batch(&state, tomorrow, &one_more)), "ok");
        let sums = state.bluetrace.as_ref().unwrap().federation.received_of("NZ_MOH", 0);
        assert_eq!((sums.messages, sums.records, sums.valid), (100, 2_000_000, 0));
        // What is withdrawn was judged all the same, and the operator sees it.
        let withdrawn = withdraw_message(&state, context(), &numbered(7, 0)).unwrap();
        take(&mut state, withdrawn.events);
        assert_eq!(look(&state), "limit_reached");
        assert_eq!(said(look_at_batch(&state, tomorrow, &one_more)), "ok");
        let sums = state.bluetrace.as_ref().unwrap().federation.received_of("NZ_MOH", 0);
        assert_eq!((sums.messages, sums.records, sums.withdrawn), (99, 2_000_000, 1));
        for number in 1001..3000 {
            let withdrawn = withdraw_message(&state, context(), &numbered(number, 0)).unwrap();
            take(&mut state, withdrawn.events);
        }
        let last = numbered(0, 0);
        assert_eq!(said(withdraw_message(&state, context(), &last)), "limit_reached");
        assert_eq!(said(withdraw_message(&state, tomorrow, &last)), "ok");
        // What would be over at once is refused, and what was taken is not.
        let short = |number| ReceivedMessage { expires: NOW + 86_399, ..numbered(number, 1) };
        assert_eq!(said(look_at_batch(&state, context(), &short(300))), "message_invalid");
        assert_eq!(said(look_at_batch(&state, context(), &short(1))), "ok");
    }

    /// What is refused, or has come before, is known before anything is decrypted.
    #[test]
    fn a_look_at_a_batch_needs_no_verdicts() {
        let mut state = state();
        let look = |state: &State, message| match look_at_batch(state, context(), &message) {
            Ok(Decision { answer: Earlier::Same(position), .. }) => position.to_string(),
            judged => said(judged).to_owned(),
        };
        let good = message(KEY);
        assert_eq!(look(&state, good), "ok");
        let other = MessageHead { recipient: "AU_DTA".parse().unwrap(), ..good.head };
        let for_another = ReceivedMessage { head: other, ..good };
        assert_eq!(look(&state, for_another), "wrong_recipient");
        assert_eq!(look(&state, ReceivedMessage { expires: NOW, ..good }), "message_expired");
        let [event] = &judge_batch(&state, context(), &good, &[]).unwrap().events[..] else {
            panic!()
        };
        state.apply_bluetrace(event, 3, NOW).unwrap();
        assert_eq!(look(&state, good), "3");
        let changed = ReceivedMessage { digest: [9; 32], ..good };
        assert_eq!(look(&state, changed), "message_changed");
        let withdrawn = withdraw_message(&state, context(), &good).unwrap().events.remove(0);
        state.apply_bluetrace(&withdrawn, 4, NOW).unwrap();
        assert_eq!(look(&state, good), "message_withdrawn");
    }

    #[test]
    fn a_recovery_removes_other_authorities() {
        let events = recover(&state(), context(), 1, Recovery::default()).unwrap().events;
        let removed = AuthorityRemoved { hai: "NZ_MOH".to_owned() };
        assert!(
            matches!(&events[..], [Event::LogRecovered(_), Event::AuthorityRemoved(of)] if *of == removed)
        );
    }
}
