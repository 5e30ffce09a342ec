//! BlueTrace: users, codes, uploads and looks at cases.

mod federation;
mod purge;

use std::fmt;

use gcs_core::identifiers::bluetrace::{TOKEN_SECONDS, UserId};
use gcs_core::report::{Code, Item, ItemProblem, ItemRules, Kind, Kinds, ReportAnswer};
use gcs_core::{Date, Digest, Element};

pub use self::federation::{
    Earlier, LEAST_LIFETIME, MOST_AUTHORITIES, ReceivedMessage, batch_answered,
    follow_up_delivered, judge_batch, look_at_batch, make_follow_up, receive_follow_up,
    remove_authority, see_follow_up, set_authority, withdraw_message, withdrawal_delivered,
};
pub(super) use self::federation::{remove_authorities, withdrawal_of};
pub use self::purge::{KEPT_DAYS, purge_bluetrace};
use super::publication::expect_trusted_clock;
use super::reports::authenticate;
use super::{Decision, Judgement, RequestContext, active};
use crate::domain::events::{
    Act, BlueTraceBegun, CaseSeen, CodeBound, CodeId, Correction, Event, ForeignSighting,
    ReportAccepted, ShortCodeMade, Sighting, TracerTokenSet, TrackingId, UploadAccepted,
    UserRegistered, UserTokenSet, UserWithdrawn, VerdictCounts,
};
use crate::domain::keys::DeploymentKeys;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::problem::Problem;
use crate::domain::short_code::{ShortCodeKey, typed_short_code};
use crate::domain::state::bluetrace::{BlueTrace, Case, SHORT_CODE_SECONDS, Upload, User};
use crate::domain::state::{CodeStatus, State};
use crate::domain::token::{Role, Token};

/// Largest number of short codes that a user has at once.
const MOST_SHORT_CODES: usize = 3;

/// Largest number of sightings in a piece of an upload: 246 kB at most.
const PIECE: usize = 16 << 10;

/// Most bytes of foreign sightings in a piece.
const FOREIGN_PIECE: usize = 240_000;

/// Whose BlueTrace this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityIdentity {
    /// The authority's HAI.
    pub hai: String,
    /// A value derived from its keys.
    pub keys: [u8; 32],
}

/// A user who has registered.
pub struct Registered {
    /// The UserID.
    pub user: UserId,
    /// The token.
    pub token: Token,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registered(..)")
    }
}

/// Registers whoever has shown to have a phone number. Whoever is registered keeps the UserID, and
/// the token of before is void.
///
/// # Errors
/// [`Problem::BluetraceKeys`].
pub fn register(
    state: &State,
    context: RequestContext,
    authority: &AuthorityIdentity,
    number: PhoneNumber,
) -> Judgement<Registered> {
    let derived = |label: &str| Digest::of(&[label.as_bytes(), &context.random].concat()).0;
    let token = Token::new(Role::User, &derived("gcs bluetrace token v1"));
    let hash = token.hash();
    let mut events = begin(state, authority)?;
    let bluetrace = state.bluetrace.as_ref();
    if let Some((place, user)) = bluetrace.and_then(|known| known.users.by_number(number.digits()))
    {
        events.push(UserTokenSet { user: place, token: hash }.into());
        let answer = Registered { user: UserId(user.id), token };
        return Ok(Decision { events, answer });
    }
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _] = derived("gcs bluetrace user id v1");
    events.push(UserRegistered { number: number.digits(), id, token: hash }.into());
    Ok(Decision { events, answer: Registered { user: UserId(id), token } })
}

/// The event that begins BlueTrace, if it has not begun.
fn begin(state: &State, authority: &AuthorityIdentity) -> Result<Vec<Event>, Problem> {
    expect_authority(state, authority)?;
    let AuthorityIdentity { hai, keys } = authority.clone();
    let begun = state.bluetrace.is_none().then(|| BlueTraceBegun { hai, keys }.into());
    Ok(begun.into_iter().collect())
}

/// Makes sure that the log's BlueTrace, if it has begun, is this one.
///
/// # Errors
/// [`Problem::BluetraceKeys`].
pub fn expect_authority(state: &State, authority: &AuthorityIdentity) -> Result<(), Problem> {
    let is_it = |known: &BlueTrace| known.hai == authority.hai && known.keys == authority.keys;
    let is_it = state.bluetrace.as_ref().is_none_or(|known| is_it(known));
    if is_it { Ok(()) } else { Err(Problem::BluetraceKeys) }
}

/// The user who has a token with a hash.
///
/// # Errors
/// [`Problem::TokenUnknown`].
pub fn user<'s>(state: &'s State, token: &[u8; 32]) -> Result<(u32, &'s User), Problem> {
    let known = state.bluetrace.as_ref().and_then(|bluetrace| bluetrace.users.by_token(token));
    known.ok_or(Problem::TokenUnknown)
}

/// Forgets the user who has a token. What was published of the user is retracted.
///
/// # Errors
/// [`Problem::TokenUnknown`].
pub fn withdraw(state: &State, token: &[u8; 32]) -> Judgement<()> {
    let (user, _) = user(state, token)?;
    let cases = || {
        let of_user = |bluetrace| cases_of(bluetrace, user);
        state.bluetrace.as_deref().into_iter().flat_map(of_user)
    };
    let retraction = retraction(state, cases().map(|(_, _, case)| case.code));
    let of_others =
        cases().filter_map(|(known, position, case)| withdrawal_of(known, position, case));
    let mut events: Vec<Event> = retraction.into_iter().chain(of_others).collect();
    events.push(UserWithdrawn { user }.into());
    Ok(Decision { events, answer: () })
}

/// The cases of a user.
fn cases_of(bluetrace: &BlueTrace, user: u32) -> impl Iterator<Item = (&BlueTrace, u64, &Case)> {
    let positions = bluetrace.cases.positions_of(user);
    positions
        .filter_map(move |position| Some((bluetrace, position, bluetrace.cases.get(position)?)))
}

/// Replaces the tracers' token; the one before is void.
///
/// # Errors
/// [`Problem::BluetraceKeys`].
pub fn replace_tracer_token(
    state: &State,
    context: RequestContext,
    authority: &AuthorityIdentity,
) -> Judgement<Token> {
    let token = Token::new(Role::Tracer, &context.random);
    let mut events = begin(state, authority)?;
    events.push(TracerTokenSet { token: token.hash() }.into());
    Ok(Decision { events, answer: token })
}

/// Makes a short code for the user with a phone number, which stands for a code of a provider.
///
/// # Errors
/// [`Problem::UserUnknown`]; a code that is not the provider's, or cannot be used; too many short
/// codes.
pub fn make_short_code(
    state: &State,
    keys: &DeploymentKeys,
    short_codes: &ShortCodeKey,
    context: RequestContext,
    provider: u16,
    (number, code): (PhoneNumber, &Code),
) -> Judgement<(String, u64)> {
    active(state, provider)?;
    expect_trusted_clock(state, context)?;
    let code = authenticate(state, keys, code).filter(|code| code.provider == provider);
    let code = code.ok_or(Problem::CodeInvalid)?;
    match state.code_status(code, context.now) {
        CodeStatus::Open => {}
        CodeStatus::Used => return Err(Problem::CodeUsed),
        CodeStatus::Expired => return Err(Problem::CodeExpired),
        CodeStatus::Revoked => return Err(Problem::CodeRevoked),
        CodeStatus::Suspended => return Err(Problem::CodeSuspended),
        CodeStatus::NotOpen => return Err(Problem::CodeNotOpen),
    }
    let bluetrace = state.bluetrace.as_ref().ok_or(Problem::UserUnknown)?;
    let user = bluetrace.users.by_number(number.digits());
    let (place, user) = user.ok_or(Problem::UserUnknown)?;
    let short = short_codes.short_code(&UserId(user.id), code);
    let mut open = 0;
    for made in short_codes_of(bluetrace, place, context.now) {
        if made.code == code {
            return Ok(Decision::nothing((short, made.expires)));
        }
        open += 1;
    }
    if open >= MOST_SHORT_CODES {
        return Err(Problem::TooManyShortCodes { max: MOST_SHORT_CODES, got: open });
    }
    let expires = context.now.saturating_add(SHORT_CODE_SECONDS);
    Ok(Decision::one(ShortCodeMade { user: place, code, expires }, (short, expires)))
}

fn short_codes_of(
    bluetrace: &BlueTrace,
    user: u32,
    now: u64,
) -> impl Iterator<Item = &ShortCodeMade> {
    let made = bluetrace.short_codes.values();
    made.filter(move |made| made.user == user && made.expires > now)
}

/// What was typed as an upload code, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct TypedCode<'a> {
    /// SHA-256 of the user's token.
    pub token: &'a [u8; 32],
    /// The text.
    pub text: &'a str,
}

/// What an upload code is judged by, besides the state.
#[derive(Clone, Copy, Debug)]
pub struct CodeKeys<'a> {
    /// The keys of providers.
    pub keys: &'a DeploymentKeys,
    /// The key of short codes.
    pub short_codes: &'a ShortCodeKey,
}

/// A code that a user may use: whose it is, and whether it is bound already.
struct Usable {
    place: u32,
    user: UserId,
    code: CodeId,
    is_bound: bool,
}

impl Usable {
    /// The event that binds the code, unless it is bound.
    fn binding(&self) -> impl Iterator<Item = Event> + use<> {
        let bound = CodeBound { user: self.place, code: self.code };
        (!self.is_bound).then(|| bound.into()).into_iter()
    }
}

/// Judges what was typed as an upload code.
fn usable(
    state: &State,
    CodeKeys { keys, short_codes }: CodeKeys<'_>,
    context: RequestContext,
    typed: TypedCode<'_>,
) -> Result<Usable, Problem> {
    let (place, user) = user(state, typed.token)?;
    expect_trusted_clock(state, context)?;
    let user = UserId(user.id);
    let bluetrace = state.bluetrace.as_ref().ok_or(Problem::TokenUnknown)?;
    let code = match typed_short_code(typed.text) {
        Some(short) => {
            let unused = short_codes_of(bluetrace, place, context.now).map(|made| made.code);
            // The answer to the first use may be lost, or the upload after it.
            let used = bluetrace.cases.of_user(place).filter(|case| !case.undone);
            let mut codes = unused.chain(used.map(|case| case.code));
            codes.find(|code| short_codes.is(&short, &user, *code))
        }
        None => typed.text.parse().ok().and_then(|code| authenticate(state, keys, &code)),
    };
    let code = code.ok_or(Problem::UploadCodeInvalid)?;
    let case = bluetrace.cases.by_code(code).map(|(_, case)| case);
    let is_bound = case.is_some_and(|case| case.user == place && !case.undone);
    match state.code_status(code, context.now) {
        _ if is_bound => Ok(Usable { place, user, code, is_bound }),
        CodeStatus::Open => Ok(Usable { place, user, code, is_bound }),
        _ => Err(Problem::UploadCodeInvalid),
    }
}

/// Binds an upload code to the user who types it, if it is a code or a short code of this user. The
/// same again, until something is uploaded.
///
/// # Errors
/// [`Problem::UploadCodeInvalid`], whatever is wrong with the code: unknown, used, revoked or
/// another user's.
pub fn bind(
    state: &State,
    keys: CodeKeys<'_>,
    context: RequestContext,
    typed: TypedCode<'_>,
) -> Judgement<(UserId, CodeId)> {
    let usable = usable(state, keys, context, typed)?;
    let case = state.bluetrace.as_ref().and_then(|known| known.cases.by_code(usable.code));
    if case.is_some_and(|(_, case)| case.upload.is_some()) {
        return Err(Problem::UploadCodeInvalid);
    }
    let events = usable.binding().collect();
    Ok(Decision { events, answer: (usable.user, usable.code) })
}

/// What a user's phone broadcast on a date, as elements that the authority has derived. There are
/// none of a date whose key is gone.
#[derive(Clone, Debug)]
pub struct DerivedDate {
    /// The UTC date.
    pub date: Date,
    /// The elements.
    pub elements: Vec<[u8; 32]>,
}

/// Accepts a report of what a user's phone broadcast, by an upload code of the user. The same dates
/// again get the first answer.
///
/// # Errors
/// As [`bind`]; [`Problem::NoItems`], by the index of each date, if none can be published.
pub fn publish_ids(
    state: &State,
    keys: CodeKeys<'_>,
    context: RequestContext,
    typed: TypedCode<'_>,
    derived: &[DerivedDate],
) -> Judgement<ReportAnswer> {
    let usable = usable(state, keys, context, typed)?;
    let dates: Vec<u8> =
        derived.iter().flat_map(|derived| derived.date.days().to_be_bytes()).collect();
    let payload = Digest::of(&dates).0;
    if let Some((_, first)) = state.reports.by_code(usable.code) {
        return match first.payload == payload {
            true => Ok(Decision::nothing(ReportAnswer::new(
                &first.tracking,
                first.accepted,
                &first.problems,
            ))),
            false => Err(Problem::UploadCodeInvalid),
        };
    }
    // Whether others may report raw elements is another question.
    let rules = ItemRules { kinds: Kinds::of(&[Kind::Raw]), ..state.policy.items() };
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    for (index, DerivedDate { date, elements }) in (0..).zip(derived) {
        let raw = |element: &[u8; 32]| Item::Raw { date: *date, element: Element::from(*element) };
        let of_date = elements.first().map(raw).ok_or(ItemProblem::DateTooOld);
        match of_date.and_then(|item| item.validate(&rules, context.now)) {
            Ok(()) => items.extend(elements.iter().map(raw)),
            Err(problem) => problems.push((index, problem)),
        }
    }
    if items.is_empty() {
        return Err(Problem::NoItems { problems });
    }
    let mut tracking = TrackingId::default();
    tracking.copy_from_slice(&context.random[..16]);
    let answer = ReportAnswer::new(&tracking, items.len() as u32, &problems);
    let code = usable.code;
    let report = ReportAccepted { code, payload, tracking, items, problems };
    let events = usable.binding().chain([report.into()]).collect();
    Ok(Decision { events, answer })
}

/// The event that retracts what was published by codes.
pub(super) fn retraction(state: &State, codes: impl Iterator<Item = CodeId>) -> Option<Event> {
    let reports: Vec<u64> = codes.filter_map(|code| Some(state.reports.by_code(code)?.0)).collect();
    let selection = "a user of BlueTrace withdrew, or a code was revoked".to_owned();
    let retract = Correction { act: Act::Retract, reports, selection };
    (!retract.reports.is_empty()).then(|| retract.into())
}

/// What a phone has uploaded, without duplicates, each part in order.
#[derive(Clone, Debug, Default)]
pub struct ReceivedUpload {
    /// SHA-256 of the set of records.
    pub digest: [u8; 32],
    /// The verdicts.
    pub counts: VerdictCounts,
    /// Who was heard.
    pub sightings: Vec<Sighting>,
    /// What other authorities have to judge.
    pub foreign: Vec<ForeignSighting>,
}

/// Accepts what the user who has a token uploads for a code. The same again gets the same answer.
///
/// # Errors
/// [`Problem::UploadTokenInvalid`] if it is not the user's code, or it has brought another upload;
/// [`Problem::ClockDoubt`], since records are judged by the time.
pub fn upload(
    state: &State,
    context: RequestContext,
    token: &[u8; 32],
    code: CodeId,
    received: &ReceivedUpload,
) -> Judgement<VerdictCounts> {
    let (place, _) = user(state, token)?;
    expect_trusted_clock(state, context)?;
    let bluetrace = state.bluetrace.as_ref().ok_or(Problem::TokenUnknown)?;
    let case = bluetrace.cases.by_code(code).filter(|(_, case)| case.user == place);
    let (position, case) = case.ok_or(Problem::UploadTokenInvalid)?;
    match &case.upload {
        Some(Upload { digest, counts, .. }) if *digest == received.digest => {
            Ok(Decision::nothing(*counts))
        }
        None if !case.undone => {
            Ok(Decision { events: pieces(position, received), answer: received.counts })
        }
        _ => Err(Problem::UploadTokenInvalid),
    }
}

/// Makes sure that a user has a code for which an upload may come, or come again because its answer
/// was lost.
///
/// # Errors
/// [`Problem::UploadTokenInvalid`].
pub fn expect_upload(state: &State, place: u32, now: u64) -> Result<(), Problem> {
    let is_new = |upload: &Upload| now <= upload.time.saturating_add(TOKEN_SECONDS);
    let cases = state.bluetrace.iter().flat_map(|bluetrace| bluetrace.cases.of_user(place));
    let mut cases = cases.filter(|case| !case.undone);
    let is_expected = cases.any(|case| case.upload.as_ref().is_none_or(is_new));
    if is_expected { Ok(()) } else { Err(Problem::UploadTokenInvalid) }
}

/// The events of an upload.
fn pieces(case: u64, received: &ReceivedUpload) -> Vec<Event> {
    let ReceivedUpload { digest, counts, sightings, foreign } = received;
    let of_sightings = sightings.chunks(PIECE).map(|sightings| (sightings, [].as_slice()));
    let of_foreign = foreign_pieces(foreign).map(|foreign| ([].as_slice(), foreign));
    let mut parts: Vec<(&[Sighting], &[ForeignSighting])> =
        of_sightings.chain(of_foreign).collect();
    if parts.is_empty() {
        parts.push((&[], &[]));
    }
    let pieces = parts.len() as u32;
    let piece = |(piece, (sightings, foreign)): (u32, (&[Sighting], &[ForeignSighting]))| {
        let (sightings, foreign) = (sightings.to_vec(), foreign.to_vec());
        UploadAccepted { case, digest: *digest, piece, pieces, counts: *counts, sightings, foreign }
    };
    (0..).zip(parts).map(piece).map(Event::from).collect()
}

/// What other authorities have to judge, in parts of at most [`FOREIGN_PIECE`] bytes.
fn foreign_pieces(mut rest: &[ForeignSighting]) -> impl Iterator<Item = &[ForeignSighting]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |foreign: &&ForeignSighting| {
            bytes += foreign.size();
            bytes <= FOREIGN_PIECE
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (piece, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(piece)
    })
}

/// Records that a tracer looks at a case, whose upload is given.
///
/// # Errors
/// [`Problem::CaseUnknown`].
pub fn see_case(state: &State, position: u64) -> Judgement<Upload> {
    let case = state.bluetrace.as_ref().and_then(|bluetrace| bluetrace.cases.get(position));
    let upload = case.and_then(|case| case.upload.clone()).ok_or(Problem::CaseUnknown)?;
    Ok(Decision::one(CaseSeen { case: position }, upload))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every piece of an upload is small, whatever is in it, and nothing is left out.
    #[test]
    fn a_piece_of_an_upload_has_256_kb_at_most() {
        let (rssi, tx_power) = (Some(-70), Some(-12));
        let sighting = Sighting { user: u32::MAX, time: u32::MAX, rssi, tx_power, expired: true };
        let foreign = |at: usize| {
            let (hai, msg) = ("A".repeat(32), "x".repeat(at % 513));
            ForeignSighting { hai, msg, time: u32::MAX, rssi }
        };
        let sizes = [(0, 0), (1, 0), (0, 1), (PIECE, 0), (PIECE + 1, 5000), (40_000, 13_000)];
        for (heard, of_others) in sizes {
            let received = ReceivedUpload {
                sightings: vec![sighting; heard],
                foreign: (0..of_others).map(foreign).collect(),
                ..ReceivedUpload::default()
            };
            let (mut got, mut number) = (ReceivedUpload::default(), 0);
            let events = pieces(7, &received);
            for event in &events {
                let Event::UploadAccepted(piece) = event else { panic!("{event:?}") };
                assert!(postcard::to_allocvec(piece).unwrap().len() <= 256_000);
                assert_eq!((piece.piece, piece.pieces as usize), (number, events.len()));
                number += 1;
                got.sightings.extend(&piece.sightings);
                got.foreign.extend(piece.foreign.iter().cloned());
            }
            assert!(number >= 1);
            assert_eq!((got.sightings, got.foreign), (received.sightings, received.foreign));
        }
    }
}
