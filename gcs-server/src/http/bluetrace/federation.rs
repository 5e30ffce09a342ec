//! What other health authorities send, as one server to another.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, post, web};
use gcs_core::identifiers::bluetrace::{
    FederationError, FollowUp, Hai, MAX_MESSAGE_BYTES, Message, MessageHead, RecordBatch,
    SignedMessage, Withdrawal,
};
use gcs_core::{Digest, PublicKey};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Services, authority};
use crate::bluetrace::messages::{AUTHORITY_HEADER, SIGNATURE_HEADER, to_contacts};
use crate::bluetrace::{Authority, read_events};
use crate::domain::events::{Event, ForeignVerdict};
use crate::domain::judge::{self, Earlier, ReceivedMessage};
use crate::domain::problem::Problem;
use crate::http::Answer;
use crate::http::body::take_pieces;
use crate::http::budget::Share;
use crate::service::Service;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(receive_batch).service(receive_withdrawal).service(receive_follow_up);
}

/// A message whose signature is right.
struct Received<M> {
    message: M,
    head: MessageHead,
    /// The key that the signature is of.
    key: PublicKey,
    /// SHA-256 of its bytes.
    digest: Digest,
    authority: Arc<Authority>,
    /// Its place among those that take a core, until it is answered.
    _place: OwnedSemaphorePermit,
    /// Its memory, until it is answered.
    _share: Share,
}

impl<M: Message + Send + 'static> Received<M> {
    /// Reads a message, of whose bytes nothing is looked at before the signature is verified. The body of a sender that
    /// is not known is not even read.
    async fn of(
        request: &HttpRequest,
        payload: web::Payload,
        service: &Services,
    ) -> Result<Received<M>, Problem> {
        let authority = authority(service)?;
        let sender: Hai =
            header(request, AUTHORITY_HEADER).parse().map_err(|_| Problem::SenderUnknown)?;
        let key = sender_key(service, &sender).await?;
        let mut body = Vec::new();
        let share = take_pieces(request, payload, MAX_MESSAGE_BYTES, |bytes| {
            body.extend_from_slice(&bytes);
            Ok(body.capacity())
        });
        let share = share.await?;
        let signature = header(request, SIGNATURE_HEADER).to_owned();
        let place = Arc::clone(&authority.judging).acquire_owned().await;
        let place = place.map_err(|_| Problem::Internal)?;
        let verify = move || (M::verify(&body, &signature, &key), Digest::of(&body));
        let (message, digest) = web::block(verify).await.map_err(|_| Problem::Internal)?;
        let message = message.map_err(|error| refusal(&error))?;
        let head = message.head();
        if head.sender != sender {
            let message = format!("the sender is the authority that `{AUTHORITY_HEADER}` names");
            return Err(Problem::MessageInvalid { message });
        }
        authority.count_message(sender, service.clock.now())?;
        Ok(Received { message, head, key, digest, authority, _place: place, _share: share })
    }

    fn to_judge(&self, expires: u64, size: usize) -> ReceivedMessage {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        ReceivedMessage { head: self.head, key: self.key, digest: self.digest.0, expires, size }
    }

    fn receipt(&self) -> HttpResponse {
        signed(&self.authority, self.authority.receipt(self.head, self.digest))
    }
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> &'r str {
    let value = request.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn refusal(error: &FederationError) -> Problem {
    match error {
        FederationError::Signature { .. } => Problem::SignatureInvalid,
        other => Problem::MessageInvalid { message: other.to_string() },
    }
}

async fn sender_key(service: &Services, sender: &Hai) -> Result<PublicKey, Problem> {
    let known = || {
        let state = service.node.state();
        let bluetrace = state.bluetrace.as_ref();
        let known = bluetrace.and_then(|of| of.federation.authorities.get(sender.as_str()));
        known.map(|known| PublicKey(known.key)).ok_or(Problem::SenderUnknown)
    };
    match known() {
        // Another node may have been told.
        Err(_) if service.log.is_shared() => {
            service.look().await?;
            known()
        }
        known => known,
    }
}

fn signed(authority: &Authority, SignedMessage { body, signature }: SignedMessage) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .insert_header((AUTHORITY_HEADER, authority.hai().as_str()))
        .insert_header((SIGNATURE_HEADER, signature))
        .content_type("application/json")
        .body(body)
}

/// A batch of records. BLUETRACE.md has every member.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct BatchMessage {
    /// Always 1.
    version: u32,
    /// Number of the batch, which no other of the sender has.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// HAI of the sender.
    #[schema(example = "SG_OTC")]
    sender: String,
    /// HAI of the recipient.
    #[schema(example = "NZ_MOH")]
    recipient: String,
    /// Unix time, in seconds, from which it is not accepted any more.
    expires: u64,
    /// 1 to 20,000 records.
    records: Vec<RecordMember>,
}

/// A TempID that was heard.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct RecordMember {
    /// Unix time in seconds.
    timestamp: u64,
    /// The TempID.
    msg: String,
}

/// The verdicts on a batch.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core writes it")]
struct BatchAnswerMessage {
    /// Always 1.
    version: u32,
    /// Number of the batch.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// HAI of the authority that answers.
    #[schema(example = "NZ_MOH")]
    sender: String,
    /// HAI of the authority that asked.
    #[schema(example = "SG_OTC")]
    recipient: String,
    /// SHA-256 of the batch's bytes.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    request: String,
    /// A verdict on each record, in their order.
    verdicts: Vec<VerdictMember>,
}

/// What a record is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core writes it")]
struct VerdictMember {
    /// `valid`, `expired_id` or `failed_decryption`.
    #[schema(example = "valid")]
    verdict: String,
    /// What the asking authority may call the user; it is there only if the record is valid.
    #[schema(example = "GWZ92PM27AAwFsqbJz3G2Q")]
    pseudo_id: Option<String>,
}

/// Judge records of another authority
///
/// For servers of other health authorities. The body is signed: `BlueTrace-Authority` names the sender, and
/// `BlueTrace-Signature` is its signature; so is the answer. The same batch again gets the same answer. BLUETRACE.md
/// (Other authorities) says how.
#[utoipa::path(
    operation_id = "receive_batch",
    tag = "federation",
    params(("BlueTrace-Authority" = String, Header, description = "HAI of the sender"),
        ("BlueTrace-Signature" = String, Header, description = "Ed25519 over purpose, line feed and body, in base64")),
    request_body = BatchMessage,
    responses(
        (status = 200, description = "The verdicts, signed", body = BatchAnswerMessage),
        (status = 403, description = "sender_unknown, signature_invalid"),
        (status = 409, description = "message_changed"),
        (status = 410, description = "message_expired, message_withdrawn"),
        (status = 413, description = "too_large: a message has at most 2 MiB"),
        (status = 422, description = "message_invalid, wrong_recipient"),
        (status = 429, description = "limit_reached: `Retry-After` says when to try again"),
        (status = 503, description = "storage_unavailable, clock_doubt, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[post("/bluetrace/v1/federation/batches")]
async fn receive_batch(request: HttpRequest, service: Services, payload: web::Payload) -> Answer {
    let received = Received::<RecordBatch>::of(&request, payload, &service).await?;
    let judged = received.to_judge(received.message.expires, received.message.records.len());
    let Received { message, head, digest, authority, _place, _share, .. } = received;
    // What comes again, or is refused, is not decrypted.
    let look = move |state: &_, context| judge::look_at_batch(state, context, &judged);
    let mut earlier = service.node.act(look).await?;
    let mut verdicts = Vec::new();
    if earlier == Earlier::Nothing {
        verdicts = decrypt(&service, &authority, message).await?;
        let fresh = verdicts.clone();
        let judge = move |state: &_, context| judge::judge_batch(state, context, &judged, &fresh);
        earlier = service.node.act(judge).await?;
    }
    if let Earlier::Same(position) = earlier {
        // Keys may be gone since, or users: the answer is what it was.
        verdicts = judged_before(&service, position).await?;
    }
    Ok(signed(&authority, authority.answer_batch(head, digest, &verdicts)))
}

/// Our verdicts on a batch of now.
async fn decrypt(
    service: &Services,
    authority: &Arc<Authority>,
    batch: RecordBatch,
) -> Result<Vec<ForeignVerdict>, Problem> {
    let now = service.clock.now();
    // A copy, so that nobody waits until all are judged.
    let users = service.node.state().bluetrace.as_ref().map(|bluetrace| bluetrace.users.clone());
    let users = users.ok_or(Problem::SenderUnknown)?;
    let authority = Arc::clone(authority);
    let verdicts = web::block(move || authority.judge_batch(&batch, &users, now)).await;
    verdicts.map_err(|_| Problem::Internal)?
}

async fn judged_before(service: &Services, position: u64) -> Result<Vec<ForeignVerdict>, Problem> {
    match read_one(service, position).await? {
        Event::BatchJudged(judged) => Ok(judged.verdicts),
        _ => Err(Problem::Internal),
    }
}

/// Reads the event at a position. One that is erased has expired.
pub(super) async fn read_one(service: &Service, position: u64) -> Result<Event, Problem> {
    let log = service.log.clone();
    let read = web::block(move || read_events(&log, std::iter::once(position))).await;
    let (_, event) = read.map_err(|_| Problem::Internal)??.pop().ok_or(Problem::MessageExpired)?;
    Ok(event)
}

/// A batch or follow-up that counts no more.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct WithdrawalMessage {
    /// Always 1.
    version: u32,
    /// Number of the batch or follow-up.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// HAI of the sender.
    #[schema(example = "SG_OTC")]
    sender: String,
    /// HAI of the recipient.
    #[schema(example = "NZ_MOH")]
    recipient: String,
    /// Unix time, in seconds, at which what is withdrawn expires, or later.
    expires: u64,
}

/// That a message has come.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core writes it")]
struct ReceiptMessage {
    /// Always 1.
    version: u32,
    /// Number of the batch or follow-up.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// HAI of the authority that answers.
    #[schema(example = "NZ_MOH")]
    sender: String,
    /// HAI of the authority that asked.
    #[schema(example = "SG_OTC")]
    recipient: String,
    /// SHA-256 of the message's bytes.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    request: String,
}

/// Forget a batch or follow-up of another authority
///
/// For servers of other health authorities, signed as a batch is. It may come before what it withdraws, which is
/// refused then.
#[utoipa::path(
    operation_id = "receive_withdrawal",
    tag = "federation",
    params(("BlueTrace-Authority" = String, Header, description = "HAI of the sender"),
        ("BlueTrace-Signature" = String, Header, description = "Ed25519 over purpose, line feed and body, in base64")),
    request_body = WithdrawalMessage,
    responses(
        (status = 200, description = "A receipt, signed", body = ReceiptMessage),
        (status = 403, description = "sender_unknown, signature_invalid"),
        (status = 410, description = "message_expired"),
        (status = 413, description = "too_large: a message has at most 2 MiB"),
        (status = 422, description = "message_invalid, wrong_recipient"),
        (status = 429, description = "limit_reached: `Retry-After` says when to try again"),
        (status = 503, description = "storage_unavailable, clock_doubt, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[post("/bluetrace/v1/federation/withdrawals")]
async fn receive_withdrawal(
    request: HttpRequest,
    service: Services,
    payload: web::Payload,
) -> Answer {
    let received = Received::<Withdrawal>::of(&request, payload, &service).await?;
    let judged = received.to_judge(received.message.expires, 0);
    let judge = move |state: &_, context| judge::withdraw_message(state, context, &judged);
    service.node.act(judge).await?;
    Ok(received.receipt())
}

/// Users whom a tracer of another authority judged to be contacts.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct FollowUpMessage {
    /// Always 1.
    version: u32,
    /// Number of the follow-up, which no other of the sender has.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// HAI of the sender.
    #[schema(example = "SG_OTC")]
    sender: String,
    /// HAI of the recipient.
    #[schema(example = "NZ_MOH")]
    recipient: String,
    /// Unix time, in seconds, from which it is not accepted any more.
    expires: u64,
    /// 1 to 10,000 users.
    contacts: Vec<ContactMember>,
}

/// A contact.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct ContactMember {
    /// What the asking authority calls the user.
    #[schema(example = "GWZ92PM27AAwFsqbJz3G2Q")]
    pseudo_id: String,
    /// The UTC date of the last meeting.
    #[schema(example = "2026-01-05")]
    date: String,
}

/// Take over contacts of another authority
///
/// For servers of other health authorities, signed as a batch is. Tracers here see them, and call whom they still can.
/// The receipt does not say how many that are.
#[utoipa::path(
    operation_id = "receive_follow_up",
    tag = "federation",
    params(("BlueTrace-Authority" = String, Header, description = "HAI of the sender"),
        ("BlueTrace-Signature" = String, Header, description = "Ed25519 over purpose, line feed and body, in base64")),
    request_body = FollowUpMessage,
    responses(
        (status = 200, description = "A receipt, signed", body = ReceiptMessage),
        (status = 403, description = "sender_unknown, signature_invalid"),
        (status = 409, description = "message_changed"),
        (status = 410, description = "message_expired, message_withdrawn"),
        (status = 413, description = "too_large: a message has at most 2 MiB"),
        (status = 422, description = "message_invalid, wrong_recipient"),
        (status = 429, description = "limit_reached: `Retry-After` says when to try again"),
        (status = 503, description = "storage_unavailable, clock_doubt, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[post("/bluetrace/v1/federation/follow-ups")]
async fn receive_follow_up(
    request: HttpRequest,
    service: Services,
    payload: web::Payload,
) -> Answer {
    let received = Received::<FollowUp>::of(&request, payload, &service).await?;
    let judged = received.to_judge(received.message.expires, received.message.contacts.len());
    let contacts = to_contacts(&received.message);
    let judge =
        move |state: &_, context| judge::receive_follow_up(state, context, &judged, &contacts);
    service.node.act(judge).await?;
    Ok(received.receipt())
}
