//! Brings to other authorities what waits for them, and their answers into the log.
//!
//! What waits is known from the log, and each message is the same bytes whenever it is sent. So it is sent until the
//! answer is in the log, after a restart too, and by several nodes at once; the other side answers each copy as the
//! first. To each authority one message is on its way at a time.

use std::sync::Arc;
use std::time::Duration;

use gcs_core::identifiers::bluetrace::{
    BatchAnswer, Hai, MAX_MESSAGE_BYTES, Message, MessageHead, Receipt, SignedMessage,
};
use gcs_core::{Digest, PublicKey};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::task::{JoinSet, spawn_blocking};

use super::deliveries::Failure;
use super::log_events::read_events;
use super::messages::{AUTHORITY_HEADER, SIGNATURE_HEADER, path, to_event};
use super::{Authority, keeper};
use crate::clock::WatchedClock;
use crate::domain::events::{BatchAnswered, Event, MessageNumber};
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::domain::state::bluetrace::{Federation, OutgoingFollowUp, expiry, of_authority};
use crate::domain::state::{self, State};
use crate::node::Node;
use crate::random::Random;
use crate::store::LogReader;

/// How long it waits before it looks again.
const LOOK: Duration = Duration::from_secs(1);

/// How long an authority may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// Most bytes of an answer that is no success which are looked at.
const MOST_PROBLEM: usize = 4 << 10;

/// What waits for an authority, in the order in which it is sent: withdrawals go first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// What was withdrawn.
    Withdrawal(MessageNumber),
    /// A follow-up, by its case and position.
    FollowUp(u64, u64),
    /// The records in a piece of an upload, by the position of the piece.
    Batch(u64),
}

/// A kind of message that waits for an authority, of which it may take no more for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ItemKind {
    /// A withdrawal.
    Withdrawal,
    /// A follow-up.
    FollowUp,
    /// A batch.
    Batch,
}

impl Item {
    /// Its kind.
    pub(super) fn kind(&self) -> ItemKind {
        match self {
            Item::Withdrawal(_) => ItemKind::Withdrawal,
            Item::FollowUp(..) => ItemKind::FollowUp,
            Item::Batch(_) => ItemKind::Batch,
        }
    }
}

/// Unix time from which a batch or follow-up is not sent any more: it would be refused.
fn last_time(expires: u64) -> u64 {
    expires.saturating_sub(judge::LEAST_LIFETIME)
}

/// What waits for an authority, in order, each with the Unix time since which it does. It looks at nothing that waits for
/// another one but follow-ups.
fn waiting_for(known: &Federation, hai: &str, now: u64) -> impl Iterator<Item = (Item, u64)> {
    let withdrawals = known.withdrawals.range(of_authority(hai));
    let withdrawals =
        withdrawals.map(|((_, id), time)| (Item::Withdrawal(*id), *time, expiry(*time)));
    let is_for = move |made: &OutgoingFollowUp| made.hai == hai && !made.is_delivered;
    let follow_ups = known.follow_ups.iter().filter(move |(_, made)| is_for(made));
    let follow_ups = follow_ups.map(|((case, position), made)| {
        (Item::FollowUp(*case, *position), made.time, last_time(made.expires))
    });
    let batches = known.waiting.of_authority(hai);
    let batches =
        batches.map(|(piece, batch)| (Item::Batch(piece), batch.time, last_time(batch.expires)));
    let all = withdrawals.chain(follow_ups).chain(batches);
    all.filter(move |(.., expires)| now < *expires).map(|(item, time, _)| (item, time))
}

/// How many messages wait for an authority, and the Unix time since which the oldest does.
pub fn waits_since(known: &Federation, hai: &str, now: u64) -> (u64, Option<u64>) {
    waiting_for(known, hai, now).fold((0, None), |(count, since), (_, time)| {
        (count + 1, Some(since.map_or(time, |since: u64| since.min(time))))
    })
}

/// Sends what waits, as long as it runs.
#[derive(Clone, Debug)]
pub struct Courier {
    authority: Arc<Authority>,
    node: Node,
    log: LogReader,
    clock: WatchedClock,
    random: Random,
    client: Client,
}

/// One message to send, and where.
struct Letter {
    hai: Hai,
    to: state::bluetrace::Authority,
    item: Item,
}

impl Letter {
    /// The key that answers are signed with.
    fn key(&self) -> PublicKey {
        PublicKey(self.to.key)
    }
}

/// A message, ready to be sent.
struct Prepared {
    path: &'static str,
    head: MessageHead,
    signed: SignedMessage,
    /// Number of records.
    records: usize,
}

impl Courier {
    /// The courier of an authority, which trusts the same certificates as the rest of the server.
    ///
    /// # Errors
    /// When TLS cannot be used.
    pub fn new(
        authority: Arc<Authority>,
        node: Node,
        log: LogReader,
        clock: WatchedClock,
        random: Random,
    ) -> Result<Courier, reqwest::Error> {
        Ok(Courier { authority, node, log, clock, random, client: client(PATIENCE)? })
    }

    /// Sends what waits again and again, until it is dropped.
    pub async fn run(self) {
        let mut on_their_way = JoinSet::new();
        loop {
            for letter in self.due() {
                let courier = self.clone();
                on_their_way.spawn(async move { courier.deliver(letter).await });
            }
            tokio::select! {
                // What comes next for this authority is sent at once.
                Some(ended) = on_their_way.join_next() => if ended.is_err() {
                    self.authority.deliveries.forget();
                },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// What is to be sent now: one message at most to each authority.
    fn due(&self) -> Vec<Letter> {
        if self.node.expect_current().is_err() {
            return Vec::new();
        }
        let now = self.clock.now();
        let state = self.node.state();
        if keeper::fault(Some(&self.authority), &state).is_some() {
            return Vec::new();
        }
        let Some(bluetrace) = &state.bluetrace else { return Vec::new() };
        let known = &bluetrace.federation;
        let letter = |(hai, to): (&String, &state::bluetrace::Authority)| {
            let (hai, to): (Hai, _) = (hai.parse().ok()?, to.clone());
            let waits = |item: &Item| number_and_expiry(known, &hai, item).is_some();
            let items = waiting_for(known, hai.as_str(), now).map(|(item, _)| item);
            let place = (hai.as_str(), &to);
            let item = self.authority.deliveries.begin(place, items, waits, now)?;
            Some(Letter { hai, to, item })
        };
        known.authorities.iter().filter_map(letter).collect()
    }

    async fn deliver(&self, letter: Letter) {
        let outcome = self.try_deliver(&letter).await;
        let (hai, deliveries) = (letter.hai.as_str(), &self.authority.deliveries);
        if let Err(failure) = &outcome
            && deliveries.of(hai, &letter.to).pause().is_none()
        {
            let error = failure.error();
            tracing::warn!(authority = hai, %error, "a message cannot be delivered; it is tried again");
        }
        let [random] = self.random.bytes().unwrap_or_default();
        let now = self.clock.now();
        deliveries.end((hai, &letter.to), &letter.item, &outcome, now, random);
    }

    async fn try_deliver(&self, letter: &Letter) -> Result<(), Failure> {
        let of = |problem: Problem| Failure::Failed(problem.to_string());
        let Some(prepared) = self.prepare(letter).await.map_err(of)? else { return Ok(()) };
        let (signature, body) = self.send(letter, &prepared).await?;
        let received = self.received(letter, &prepared, &signature, &body);
        match received.map_err(Failure::Refused)? {
            Received::Verdicts(answered) => {
                let key = letter.key();
                let judge = move |state: &State, _| judge::batch_answered(state, &key, &answered);
                self.node.act(judge).await.map_err(of)
            }
            Received::Receipt => self.note_receipt(letter).await.map_err(of),
        }
    }

    /// The message; `None` if it is not needed any more.
    async fn prepare(
        &self,
        Letter { hai, item, .. }: &Letter,
    ) -> Result<Option<Prepared>, Problem> {
        let waiting = {
            let state = self.node.state();
            let bluetrace = state.bluetrace.as_ref().ok_or(Problem::BluetraceKeys)?;
            number_and_expiry(&bluetrace.federation, hai, item)
        };
        let Some((id, expires)) = waiting else { return Ok(None) };
        let of = |path, head, signed, records| Some(Prepared { path, head, signed, records });
        let position = match item {
            Item::Withdrawal(_) => {
                let withdrawal = self.authority.withdrawal_of(id, *hai, expires);
                let signed = self.authority.sign(&withdrawal);
                return Ok(of(path::WITHDRAWALS, withdrawal.head(), signed, 0));
            }
            Item::Batch(position) | Item::FollowUp(_, position) => *position,
        };
        let log = self.log.clone();
        let read = spawn_blocking(move || read_events(&log, std::iter::once(position))).await;
        let event = read.map_err(|_| Problem::Internal)??.pop().map(|(_, event)| event);
        Ok(match event {
            Some(Event::UploadAccepted(piece)) => {
                let batch = self.authority.batch_of((id, expires), *hai, &piece);
                let (head, records) = (batch.head(), batch.records.len());
                of(path::BATCHES, head, self.authority.sign(&batch), records)
            }
            Some(Event::FollowUpMade(made)) => {
                let follow_up = self.authority.follow_up_of((id, expires), *hai, &made.contacts);
                of(path::FOLLOW_UPS, follow_up.head(), self.authority.sign(&follow_up), 0)
            }
            Some(_) => return Err(Problem::Internal),
            // Erased meanwhile.
            None => None,
        })
    }

    /// Sends a message. Returns signature and body of the answer, which nothing is known of yet.
    async fn send(
        &self,
        Letter { to, .. }: &Letter,
        Prepared { path, signed, .. }: &Prepared,
    ) -> Result<(String, Vec<u8>), Failure> {
        let sent = self
            .client
            .post(format!("{}{path}", to.url))
            .header("content-type", "application/json")
            .header(AUTHORITY_HEADER, self.authority.hai().as_str())
            .header(SIGNATURE_HEADER, &signed.signature)
            .body(signed.body.clone())
            .send();
        let answer = sent.await.map_err(|error| not_answered(&error))?;
        let status = answer.status().as_u16();
        if status != 200 {
            let retry_after = answer.headers().get("retry-after");
            let retry_after = retry_after.and_then(|text| text.to_str().ok()?.parse().ok());
            let body = read(answer, MOST_PROBLEM).await.unwrap_or_default();
            return Err(answered(status, problem_code(&body), retry_after));
        }
        let signature = answer.headers().get(SIGNATURE_HEADER);
        let signature =
            signature.and_then(|text| text.to_str().ok()).unwrap_or_default().to_owned();
        let body = read(answer, MAX_MESSAGE_BYTES).await.map_err(Failure::Failed)?;
        Ok((signature, body))
    }

    /// What an answer says, if it is one of this authority to this very message.
    fn received(
        &self,
        letter: &Letter,
        Prepared { head, signed, records, .. }: &Prepared,
        signature: &str,
        body: &[u8],
    ) -> Result<Received, String> {
        let request = Digest::of(signed.body.as_bytes());
        let expected = MessageHead { id: head.id, sender: letter.hai, recipient: head.sender };
        let is_ours = |head: MessageHead, of: Digest| {
            let is_ours = head == expected && of == request;
            if is_ours { Ok(()) } else { Err("its answer is to another message".to_owned()) }
        };
        let Item::Batch(piece) = letter.item else {
            let receipt = Receipt::verify(body, signature, &letter.key());
            let receipt = receipt.map_err(|error| format!("its receipt: {error}"))?;
            return is_ours(receipt.head(), receipt.request).map(|()| Received::Receipt);
        };
        let answer = BatchAnswer::verify(body, signature, &letter.key());
        let answer = answer.map_err(|error| format!("its answer: {error}"))?;
        is_ours(answer.head(), answer.request)?;
        let got = answer.verdicts.len();
        if got != *records {
            return Err(format!("its answer has {got} verdicts on {records} records"));
        }
        let (hai, verdicts) = (letter.hai.to_string(), answer.verdicts.into_iter());
        let verdicts = verdicts.map(to_event).collect();
        Ok(Received::Verdicts(BatchAnswered { piece, hai, verdicts }))
    }

    async fn note_receipt(&self, letter: &Letter) -> Result<(), Problem> {
        let by = letter.key();
        match letter.item {
            Item::Withdrawal(id) => {
                let key = (letter.hai.to_string(), id);
                let judge = move |state: &State, _| judge::withdrawal_delivered(state, &by, &key);
                self.node.act(judge).await
            }
            Item::FollowUp(case, position) => {
                let judge =
                    move |state: &State, _| judge::follow_up_delivered(state, &by, case, position);
                self.node.act(judge).await
            }
            Item::Batch(_) => Ok(()),
        }
    }
}

/// What an answer brings.
enum Received {
    Verdicts(BatchAnswered),
    Receipt,
}

/// What it means that there is no answer.
fn not_answered(error: &reqwest::Error) -> Failure {
    let shown = failure(error);
    if error.is_connect() { Failure::Away(shown) } else { Failure::Failed(shown) }
}

/// What it means that the answer is no success.
fn answered(status: u16, code: Option<String>, retry_after: Option<u64>) -> Failure {
    let is_about_us = code.as_deref() == Some("sender_unknown");
    let shown = match code {
        Some(code) => format!("it answered {status} {code}"),
        None => format!("it answered {status}"),
    };
    match status {
        429 => Failure::Limited(shown, retry_after),
        400..500 if is_about_us => Failure::Away(shown),
        400..500 => Failure::Refused(shown),
        _ => Failure::Failed(shown),
    }
}

/// Number of what waits, and the Unix time at which it expires; `None` if it waits no more.
fn number_and_expiry(known: &Federation, hai: &Hai, item: &Item) -> Option<(MessageNumber, u64)> {
    let hai = hai.to_string();
    match *item {
        Item::Withdrawal(id) => known.withdrawals.get(&(hai, id)).map(|time| (id, expiry(*time))),
        Item::Batch(piece) => known.waiting.get(piece, &hai).map(|batch| (batch.id, batch.expires)),
        Item::FollowUp(case, position) => {
            let made = known.follow_ups.get(&(case, position)).filter(|made| !made.is_delivered);
            made.map(|made| (made.id, made.expires))
        }
    }
}

/// A client that follows no redirects, and trusts what `SSL_CERT_FILE` or the system has.
fn client(patience: Duration) -> Result<Client, reqwest::Error> {
    // The client takes the process's own, and there is none otherwise.
    let _is_there_already = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().redirect(Policy::none()).connect_timeout(CONNECT);
    client.timeout(patience).pool_max_idle_per_host(1).build()
}

/// Reads at most so many bytes of an answer.
async fn read(mut answer: Response, max: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + bytes.len() > max {
            return Err(format!("its answer has more than {max} bytes"));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

/// Why nothing was answered, with the causes below it. The URL is known.
fn failure(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    format!("it cannot be reached: {cause}")
}

/// The code of a problem, if it looks like one: others may write anything.
fn problem_code(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Problem {
        code: String,
    }
    let Problem { code } = serde_json::from_slice(body).ok()?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (code.len() <= 40 && code.bytes().all(is_plain)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// An authority that answers with these bytes, and then keeps the connection open.
    fn answering(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let _request = connection.read(&mut [0; 4096]);
                let _gone = connection.write_all(&answer);
                open.push(connection);
            }
        });
        url
    }

    async fn outcome_within(patience: Duration, answer: &[u8]) -> Result<Vec<u8>, String> {
        let client = client(patience).unwrap();
        let answer = client.post(answering(answer.to_vec())).body("{}").send().await;
        read(answer.map_err(|error| failure(&error))?, 100).await
    }

    /// What comes of an answer that is whole enough to end the attempt.
    async fn outcome(answer: &[u8]) -> Result<Vec<u8>, String> {
        outcome_within(Duration::from_secs(60), answer).await
    }

    /// Whatever an authority answers, or does not, the attempt ends.
    #[tokio::test]
    async fn an_attempt_ends_whatever_the_other_side_does() {
        let late = Err("it does not answer in time".to_owned());
        for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"] {
            let outcome = outcome_within(Duration::from_millis(300), part.as_bytes()).await;
            assert_eq!(outcome, late, "{part}");
        }
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 5000]].concat();
        assert_eq!(outcome(&endless).await, Err("its answer has more than 100 bytes".to_owned()));
        assert!(outcome(b"garbage\r\n\r\n").await.unwrap_err().contains("cannot be reached"));
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(outcome(whole).await, Ok(b"abc".to_vec()));
        // A redirect is an answer like any other, and is not followed.
        let client = client(Duration::from_secs(60)).unwrap();
        let moved =
            b"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let answer = client.post(answering(moved.to_vec())).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 307);
    }

    #[test]
    fn a_problem_is_shown_if_it_looks_like_one() {
        let shown = |body: &str| problem_code(body.as_bytes());
        assert_eq!(shown(r#"{"code":"sender_unknown"}"#).as_deref(), Some("sender_unknown"));
        for other in ["", "{}", r#"{"code":7}"#, r#"{"code":"<b>"}"#, r#"{"code":"A\u001b[2J"}"#] {
            assert_eq!(shown(other), None, "{other}");
        }
        assert_eq!(shown(&format!(r#"{{"code":"{}"}}"#, "a".repeat(41))), None);
    }
}
