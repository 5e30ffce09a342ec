//! A log with damaged events, of which there is no copy, goes on with everything that is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::home::{Home, Running, difference};
use crate::common::process::{alone, text};
use crate::common::world::{Client, hasty, serve};
use crate::common::{ALL, HOUR, Ledger, START, begin, date, element, policy, raw, submission};
use gcs_core::DAY_SECONDS;
use gcs_core::report::Item;
use gcs_core::sync::ClientSettings;
use gcs_server::app::{CopyError, DamagedEvent, LogCopy, Salvage, SalvageError, key_file};
use gcs_server::domain::chain::{Chain, EventHeader, HEADER_LEN};
use gcs_server::domain::events::{
    Act, ClockResumed, CodeId, CodeRevoked, Correction, Deployment, Event, FirstSeriesStarted,
    KeyRenewed, LogRecovered, OperatorTokenSet, PolicySet, ProviderKeyRaised, ProviderStatus,
    ProviderStatusSet, ProviderTokenSet, Purge, RangeClosed, RangeOpened, ReportAccepted, TickMade,
};
use gcs_server::domain::judge::{self, Recovery};
use gcs_server::domain::mend::{Behind, Found, Stored, mend};
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use gcs_server::domain::state::State;
use gcs_server::random::Random;
use gcs_server::store::witness::{Seen, Witness};
use gcs_server::store::{Batch, MemoryStore, Page, SqliteStore, Store as _, StoredEvent};

/// A report of the log, by a code of provider 1.
struct Sent {
    serial: u32,
    position: u64,
    items: Vec<(u64, u64)>,
    is_purged: bool,
}

impl Sent {
    fn items(&self) -> Vec<Item> {
        self.items.iter().map(|(date, number)| raw(*date, *number)).collect()
    }
}

/// A folder whose log has nearly every kind of event, and what a model has to know of it.
struct Varied {
    home: Home,
    ledger: Ledger,
    sent: Vec<Sent>,
    /// Corrections by position.
    corrections: BTreeMap<u64, (Act, u64)>,
    events: Vec<StoredEvent>,
}

fn system_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

struct Writer {
    ledger: Ledger,
    sent: Vec<Sent>,
    corrections: BTreeMap<u64, (Act, u64)>,
}

impl Writer {
    fn report(&mut self, items: &[(u64, u64)]) -> u64 {
        let (serial, items) = (self.sent.len() as u32, items.to_vec());
        let mut sent = Sent { serial, position: 0, items, is_purged: false };
        sent.position = self.ledger.report(serial, &sent.items());
        let position = sent.position;
        self.sent.push(sent);
        position
    }

    fn correct(&mut self, act: Act, report: u64) {
        let correction = Correction { act, reports: vec![report], selection: "x".into() };
        self.ledger.append(&[correction.into()]);
        self.corrections.insert(self.ledger.state.position, (act, report));
    }

    fn resume(&mut self, now: u64) {
        self.ledger.now = now;
        self.ledger.act(|state, _, context| judge::resume_clock(state, context, true)).unwrap();
    }
}

/// A deployment with one provider, at a time.
fn begun(now: u64) -> Ledger {
    let random = Random::seeded(1);
    let keys = Arc::new(key_file::draw(&random).unwrap());
    let (state, store) = (State::new(keys.filler()), MemoryStore::new());
    let mut ledger = Ledger { keys, store, state, now, leap: None, random };
    ledger.append(&begin(&ledger.keys, &policy(), now));
    ledger.act(|state, _, now| judge::add_provider(state, now, "a clinic")).unwrap();
    ledger
}

fn varied() -> Varied {
    let now = system_now();
    let today = (now - START) / DAY_SECONDS;
    let ledger = begun(now - 5 * DAY_SECONDS);
    let mut writer = Writer { ledger, sent: Vec::new(), corrections: BTreeMap::new() };
    writer.resume(now - 3 * DAY_SECONDS);
    writer.ledger.open(20, 365);
    writer.ledger.act(|_, _, context| judge::replace_backend_token(context)).unwrap();
    let purged = writer.report(&[(today - 16, 100)]);
    let first = writer.report(&[(today - 4, 1), (today - 4, 2)]);
    let second = writer.report(&[(today - 4, 2), (today - 4, 3), (today - 5, 4)]);
    writer.ledger.tick();
    writer.correct(Act::Retract, first);
    writer.resume(now - 2 * HOUR);
    writer.ledger.tick();
    let used = vec![CodeId { provider: 1, generation: 1, serial: 0 }];
    writer.ledger.append(&[Purge { reports: vec![purged], used }.into()]);
    writer.ledger.store.erase(&[purged]).unwrap();
    writer.sent[0].is_purged = true;
    another_provider(&mut writer.ledger);
    let ledger = &mut writer.ledger;
    ledger.act(|_, _, context| judge::replace_operator_token(context)).unwrap();
    ledger.act(|state, _, context| judge::start_series(state, context, false)).unwrap();
    writer.report(&[(today - 4, 5)]);
    writer.ledger.tick();
    let longer = Policy { max_hold: 60, ..policy() };
    let ledger = &mut writer.ledger;
    ledger.act(|state, _, context| judge::set_policy(state, context, &longer, false)).unwrap();
    ledger.append(&[FirstSeriesStarted { series: 3 }.into()]);
    let allow = Recovery::default();
    ledger.act(|state, _, context| judge::recover(state, context, 3, allow)).unwrap();
    writer.report(&[(today - 4, 6)]);
    writer.correct(Act::Retract, second);
    writer.correct(Act::Reinstate, second);
    writer.ledger.now = now - HOUR;
    // Yesterday's date would enter the sets at two o'clock today only.
    writer.report(&[(today - 2, 7)]);
    writer.ledger.tick();
    let Writer { ledger, sent, corrections } = writer;
    let home = settled(&ledger, now);
    let events = ledger.batches().into_iter().flat_map(|batch| batch.events).collect();
    Varied { home, ledger, sent, corrections, events }
}

/// All that can happen to a provider and its codes, to provider 2 for the most part.
fn another_provider(ledger: &mut Ledger) {
    ledger.act(|state, _, now| judge::add_provider(state, now, "a laboratory")).unwrap();
    ledger.act(|state, _, now| judge::set_provider_token(state, now, 2)).unwrap();
    let open = |ledger: &mut Ledger| {
        ledger.act(|state, _, now| judge::open_range(state, now, 2, 5, 30)).unwrap().first
    };
    open(ledger);
    ledger.act(|state, _, _| judge::raise_key(state, 2)).unwrap();
    let (first, _) = (open(ledger), open(ledger));
    ledger.act(|state, _, _| judge::close_range(state, 2, None, first)).unwrap();
    let code = ledger.code(19);
    ledger.act(|state, keys, now| judge::revoke_code(state, keys, now, &code)).unwrap();
    ledger.append(&[KeyRenewed { provider: 2, generation: 9 }.into()]);
    let suspended = ProviderStatus::Suspended;
    ledger.act(|state, _, _| judge::set_status(state, 2, suspended)).unwrap();
}

/// The log of a ledger, with its witness, in a folder of its own.
fn settled(ledger: &Ledger, now: u64) -> Home {
    let home = Home::new();
    key_file::create(&ledger.keys, &home.path("keys.json")).unwrap();
    let mut store = SqliteStore::open(&home.path("log.sqlite")).unwrap();
    ledger.batches().iter().for_each(|batch| store.append(batch).unwrap());
    drop(store);
    let seen = Seen { position: ledger.state.position, head: ledger.state.head };
    Witness::open(&home.path("witness")).unwrap().note(seen).unwrap();
    home.set(now);
    home.rebuild();
    home
}

/// Changes an event of the log in a folder.
fn damage(home: &Home, position: u64, change: impl FnOnce(&mut StoredEvent)) {
    let mut store = SqliteStore::open(&home.path("log.sqlite")).unwrap();
    let mut batch = store.read(position, 1).unwrap().remove(0);
    change(&mut batch.events[(position - batch.first) as usize]);
    store.replace(&batch).unwrap();
}

/// Damages salt and body in more than one bit.
fn damage_body(home: &Home, position: u64) {
    damage(home, position, |event| {
        let body = event.body.as_mut().unwrap();
        body.salt[3] ^= 0x5a;
        if let Some(byte) = body.bytes.last_mut() {
            *byte ^= 0x77;
        }
    });
}

fn salvage(home: &Home, options: &[&str]) -> (bool, String) {
    let output = alone(home.folder.path(), &[&["recover", "--salvage"], options].concat());
    let said = text(&[output.stdout, output.stderr].concat());
    assert!(!said.contains("panicked"), "{said}");
    (output.status.success(), said)
}

fn said(home: &Home, command: &str) -> String {
    let output = alone(home.folder.path(), &[command]);
    let said = text(&[output.stdout, output.stderr].concat());
    assert!(output.status.success(), "{command}: {said}");
    said
}

fn batches(home: &Home) -> Vec<Batch> {
    SqliteStore::open_read_only(&home.path("log.sqlite")).unwrap().read(1, ALL).unwrap()
}

impl Varied {
    fn kind(&self, position: u64) -> u16 {
        EventHeader::from_bytes(&self.events[position as usize - 1].header).unwrap().kind
    }

    fn last(&self) -> u64 {
        self.events.len() as u64
    }

    /// Every event whose body has not been erased.
    fn with_body(&self) -> Vec<u64> {
        let has_body = |position: &u64| self.events[*position as usize - 1].body.is_some();
        (1..=self.last()).filter(has_body).collect()
    }

    /// What phones find without these events, and what not any more.
    fn model(&self, lost: &BTreeSet<u64>) -> BTreeMap<(u64, u64), bool> {
        let mut retracted = BTreeSet::new();
        for (_, (act, report)) in self.corrections.iter().filter(|(at, _)| !lost.contains(at)) {
            match act {
                Act::Retract => retracted.insert(*report),
                Act::Reinstate => retracted.remove(report),
            };
        }
        let mut model = BTreeMap::new();
        for sent in &self.sent {
            let is_there = !lost.contains(&sent.position)
                && !sent.is_purged
                && !retracted.contains(&sent.position);
            for item in &sent.items {
                *model.entry(*item).or_insert(false) |= is_there;
            }
        }
        model
    }

    /// A phone that has the last publication of the log.
    fn phone(&self) -> Client {
        let settings = hasty(ClientSettings::new(self.ledger.keys.root()));
        let mut phone = Client { settings, ..Client::new() };
        let outcome =
            phone.wake_with(self.home.now(), |path, part| serve(&self.home.served(), path, part));
        assert!(outcome.up_to_date && outcome.error.is_none(), "{outcome:?}");
        phone
    }
}

/// Events whose loss makes codes void.
fn needs_void_codes(kind: u16) -> bool {
    [ProviderKeyRaised::KIND, RangeClosed::KIND, CodeRevoked::KIND, Purge::KIND, LogRecovered::KIND]
        .contains(&kind)
}

#[actix_web::test]
async fn a_log_goes_on_without_any_one_of_its_events_or_says_why_not() {
    let varied = varied();
    let phone = varied.phone();
    let (mut went_on, mut refused, mut kinds) = (0, 0, BTreeSet::new());
    for position in varied.with_body() {
        let kind = varied.kind(position);
        let name = Event::name_of(kind).unwrap();
        let home = varied.home.copy();
        damage_body(&home, position);
        let before = home.contents();
        let named = format!("event {position}");
        let (succeeded, said) = salvage(&home, &[]);
        assert!(!succeeded && said.contains(&named), "{name}: {said}");
        assert_eq!(difference(&before, &home.contents()), Vec::<String>::new(), "{name}");
        kinds.insert(kind);
        let is_needed = [Deployment::KIND, PolicySet::KIND].contains(&kind);
        let needs_void = needs_void_codes(kind);
        if is_needed || needs_void {
            assert!(said.contains("is lost, and"), "{said}");
            assert_eq!(said.contains("--void-codes"), needs_void, "{said}");
            let (succeeded, said) = salvage(&home, &["--yes"]);
            assert!(!succeeded, "{name}: {said}");
            assert_eq!(difference(&before, &home.contents()), Vec::<String>::new(), "{name}");
        }
        let (succeeded, said) =
            salvage(&home, &["--yes", "--void-codes"][..1 + usize::from(needs_void)]);
        assert_eq!(succeeded, !is_needed, "{name}: {said}");
        if is_needed {
            assert_eq!(difference(&before, &home.contents()), Vec::<String>::new(), "{name}");
            refused += 1;
            continue;
        }
        went_on += 1;
        goes_on(&varied, home, &[position], needs_void, phone.clone()).await;
    }
    assert!(went_on > 25 && refused >= 3, "{went_on} went on, {refused} refused");
    assert!(kinds.len() >= 20, "{kinds:?}");
}

/// Several events of different kinds at once.
#[actix_web::test]
async fn a_log_goes_on_without_many_events() {
    let varied = varied();
    let of = |kinds: &[u16]| -> Vec<u64> {
        varied.with_body().into_iter().filter(|at| kinds.contains(&varied.kind(*at))).collect()
    };
    let kinds = [ReportAccepted::KIND, TickMade::KIND, ClockResumed::KIND, OperatorTokenSet::KIND];
    let mut lost = of(&kinds);
    // One report is whole.
    lost.retain(|position| *position != varied.sent[3].position);
    let home = varied.home.copy();
    lost.iter().for_each(|position| damage_body(&home, *position));
    let (succeeded, said) = salvage(&home, &["--yes"]);
    assert!(succeeded && said.contains("reset-token"), "{said}");
    let (succeeded, said) = salvage(&home, &[]);
    assert!(succeeded && said.contains("no event is damaged"), "{said}");
    goes_on(&varied, home, &lost, false, varied.phone()).await;
}

/// A server starts on what is left, which is what the model says, and phones go on.
async fn goes_on(varied: &Varied, home: Home, lost: &[u64], is_void: bool, mut phone: Client) {
    let name = Event::name_of(varied.kind(lost[0])).unwrap();
    let lost: BTreeSet<u64> = lost.iter().copied().collect();
    // The headers are as they were, and the bodies of all others.
    let now = batches(&home).into_iter().flat_map(|batch| batch.events);
    for (position, (now, before)) in (1..).zip(now.zip(&varied.events)) {
        assert_eq!(now.header, before.header, "{name}");
        assert_eq!(now.body.is_none(), before.body.is_none() || lost.contains(&position));
        assert!(now.body.is_none() || now.body == before.body);
    }
    said(&home, "verify-log");
    let rebuilt = said(&home, "rebuild");
    home.set(system_now());
    let running = home.start().await;
    assert!(rebuilt.contains(&format!("digest {}", running.digest())), "{name}: {rebuilt}");
    voided(varied, &running, &lost);
    running.tick().await;
    running.settle().await;
    {
        let state = running.service().node.state();
        for ((at, number), is_there) in varied.model(&lost) {
            let is_published = state.live.is_published(date(at), &element(number));
            assert_eq!(is_published, is_there, "{name}: element {number} of date {at}");
        }
    }
    for sent in &varied.sent {
        let again = running.report(sent.serial, &sent.items()).await;
        let code = again.as_ref().err().map(Problem::code);
        let is_lost = lost.contains(&sent.position);
        let lacks_range = lost.iter().any(|position| varied.kind(*position) == RangeOpened::KIND);
        match code {
            _ if sent.is_purged => assert!(code.is_some(), "{name}: a purged report counts again"),
            None => assert!(!is_lost || !is_void, "{name}: report {}", sent.serial),
            Some("code_revoked") if is_lost && is_void => {}
            // Nobody knows its key any more.
            Some("code_invalid") if lacks_range => {}
            Some(code) => panic!("{name}: report {}: {code}", sent.serial),
        }
    }
    let version = running.tick().await;
    running.stop().await;
    // What is served would be computed again.
    if lost.len() > 1 || lost.first().is_some_and(|position| position % 4 == 0) {
        let rebuilt = said(&home, "rebuild");
        assert!(rebuilt.contains("0 missing, 0 different"), "{name}: {rebuilt}");
        home.start().await.stop().await;
    }
    let files = home.served();
    let outcome = phone.wake_with(home.now() + 1300, |path, part| serve(&files, path, part));
    assert!(outcome.up_to_date && outcome.error.is_none(), "{name}: {outcome:?}");
    assert_eq!(outcome.held.map(|held| held.series), Some(version.series), "{name}");
}

/// What lost events may have made void is void.
fn voided(varied: &Varied, running: &Running, lost: &BTreeSet<u64>) {
    let state = running.service().node.state();
    let kinds: BTreeSet<u16> = lost.iter().map(|position| varied.kind(*position)).collect();
    let before = &varied.ledger.state;
    let is_lost = |kind: u16| kinds.contains(&kind);
    assert_eq!(state.operator != before.operator, is_lost(OperatorTokenSet::KIND));
    for (number, provider) in &state.providers {
        assert!(provider.generation > before.providers[number].generation);
        // Provider 2 got another token later.
        let kept = !is_lost(ProviderTokenSet::KIND)
            && (*number == 2 || provider.name == before.providers[number].name);
        assert_eq!(provider.token == before.providers[number].token, kept, "{number}");
        let suspended = is_lost(ProviderStatusSet::KIND) || *number == 2;
        assert_eq!(provider.status == ProviderStatus::Suspended, suspended, "{number}");
    }
}

fn as_stored(event: &StoredEvent) -> Stored<'_> {
    let body = event.body.as_ref().map(|body| (&body.salt, body.bytes.as_slice()));
    Stored { header: &event.header, body }
}

/// What becomes of two events beside each other, of which one is damaged.
fn mended(varied: &Varied, position: u64, damaged: &StoredEvent) -> Result<Found, String> {
    let at = position as usize - 1;
    let stored = |at: usize| varied.events.get(at).map(as_stored);
    let header = |at: usize| EventHeader::from_bytes(&varied.events[at].header).unwrap();
    let mut chain = Chain { position: position - 1, head: header(at).previous };
    let since = at.checked_sub(1).map_or(0, |before| header(before).time);
    // The one before it is whole, whatever is behind it.
    if let Some(before) = at.checked_sub(1) {
        let mut chain = Chain { position: position - 2, head: header(before).previous };
        let since = before.checked_sub(1).map_or(0, |before| header(before).time);
        let behind = Behind::Event(as_stored(damaged));
        let before = mend(&mut chain, since, stored(before).unwrap(), behind);
        let is_erased = varied.events[at - 1].body.is_none();
        assert!(is_erased || before.is_ok_and(|before| before.found == Found::Whole));
    }
    let behind = stored(at + 1).map_or(Behind::End(Some(varied.ledger.state.head)), Behind::Event);
    let mended = mend(&mut chain, since, as_stored(damaged), behind);
    let mended = mended.map_err(|error| error.to_string())?;
    assert_eq!(mended.header, header(at));
    assert_eq!(chain, Chain { position, head: header(at).hash() });
    let body = varied.events[at].body.as_ref().map(|body| (body.salt, body.bytes.clone()));
    assert!(mended.body == body || mended.found == Found::BodyLost);
    Ok(mended.found)
}

/// Whatever is changed in a header, or one bit of a body, is put right.
#[test]
fn what_can_be_proven_is_put_right() {
    let varied = varied();
    for (position, whole) in (1..).zip(&varied.events) {
        assert_eq!(mended(&varied, position, whole), Ok(Found::Whole));
        let expect = |damaged: &StoredEvent, what: &str, found| {
            assert_eq!(mended(&varied, position, damaged), Ok(found), "{position}, {what}");
        };
        // One bit of each field, which is another one for each event.
        for byte in (position as usize % 3..HEADER_LEN).step_by(3) {
            let mut damaged = whole.clone();
            damaged.header[byte] ^= 1 << ((position as usize + byte) % 8);
            if whole.body.is_some() || byte < 53 {
                expect(&damaged, &format!("byte {byte} of the header"), Found::Mended);
            } else if byte < 56 {
                // The commitment to a body that is erased is nowhere else.
                assert!(mended(&varied, position, &damaged).is_err());
            }
        }
        for field in [0..8, 8..40, 40..48, 48..50, 50..51, 51..53, 53..85] {
            let mut damaged = whole.clone();
            damaged.header[field.clone()].iter_mut().for_each(|byte| *byte ^= 0xa5);
            if whole.body.is_some() || field.start < 53 {
                expect(&damaged, &format!("{field:?} of the header"), Found::Mended);
            }
        }
        let Some(body) = &whole.body else { continue };
        for bit in (0..8 * body.bytes.len()).step_by(13) {
            let mut damaged = whole.clone();
            damaged.body.as_mut().unwrap().bytes[bit / 8] ^= 1 << (bit % 8);
            expect(&damaged, &format!("bit {bit} of the body"), Found::Mended);
        }
        let mut damaged = whole.clone();
        damaged.body.as_mut().unwrap().salt[9] ^= 2;
        expect(&damaged, "a bit of the salt", Found::Mended);
        damaged.body.as_mut().unwrap().salt[31] ^= 1;
        expect(&damaged, "two bits of the salt", Found::BodyLost);
        damaged.header[44] ^= 1;
        expect(&damaged, "two bits of the salt, and the time", Found::BodyLost);
        // Everything is tried for such a header, which takes its time.
        if position == 10 {
            damaged.header[60] ^= 1;
            assert!(mended(&varied, position, &damaged).is_err());
        }
    }
    let (succeeded, said) = salvage(&varied.home, &["--yes"]);
    assert!(succeeded && said.contains("no event is damaged"), "{said}");
}

/// Nothing is lost, so nothing begins anew.
#[actix_web::test]
async fn a_log_that_is_put_right_goes_on_in_its_series() {
    let varied = varied();
    let home = varied.home.copy();
    let (public, whole) = (home.public(), batches(&home));
    damage(&home, 9, |event| event.header[41] ^= 3);
    let last = varied.last();
    damage(&home, last, |event| event.header[HEADER_LEN - 1] ^= 3);
    let refusal = home.refusal().await;
    assert!(refusal.contains("not the one that was acknowledged"), "{refusal}");
    let (succeeded, said) = salvage(&home, &[]);
    assert!(!succeeded && said.contains("proves what it was"), "{said}");
    let (succeeded, said) = salvage(&home, &["--yes"]);
    assert!(succeeded && !said.contains("eries"), "{said}");
    assert_eq!(batches(&home), whole);
    let running = home.start().await;
    running.settle().await;
    assert_eq!(running.digest(), varied.ledger.state.digest());
    running.stop().await;
    assert_eq!(difference(&public, &home.public()), Vec::<String>::new());
}

/// The last events of a server that was killed are in the write-ahead log alone.
#[actix_web::test]
async fn what_a_kill_left_is_in_the_log_that_was_put_right() {
    let varied = varied();
    let home = varied.home.copy();
    let running = home.start().await;
    for _ in 0..3 {
        home.pass(HOUR);
        running.tick().await;
    }
    let killed = home.copy();
    running.stop().await;
    assert!(std::fs::metadata(killed.path("log.sqlite-wal")).unwrap().len() > 0);
    let whole = batches(&home);
    assert!(whole.last().unwrap().first > varied.last());
    damage(&killed, 9, |event| event.header[41] ^= 3);
    let (succeeded, said) = salvage(&killed, &["--yes"]);
    assert!(succeeded, "{said}");
    assert_eq!(batches(&killed), whole);
}

#[test]
fn an_event_whose_header_nothing_proves_is_not_left_out() {
    let varied = varied();
    let home = varied.home.copy();
    let position = varied.sent[2].position;
    damage_body(&home, position);
    damage(&home, position, |event| event.header[HEADER_LEN - 1] ^= 3);
    let before = home.contents();
    let error = Salvage::look(&home.config()).unwrap_err();
    assert!(matches!(error, SalvageError::Hopeless(_)), "{error}");
    assert!(error.to_string().contains(&format!("event {position}: its header")), "{error}");
    let (succeeded, said) = salvage(&home, &["--yes"]);
    assert!(!succeeded && said.contains("Nothing has been changed"), "{said}");
    assert_eq!(difference(&before, &home.contents()), Vec::<String>::new());
    // Its time may be damaged too, as long as the commitment is not.
    damage(&home, position, |event| {
        event.header[HEADER_LEN - 1] ^= 3;
        event.header[40] ^= 0x18;
    });
    let salvage = Salvage::look(&home.config()).unwrap();
    let (kind, time) = (ReportAccepted::KIND, salvage.damaged[0].time);
    assert_eq!(salvage.damaged, [DamagedEvent { position, kind, time, is_mended: false }]);
    assert_eq!(salvage.lost.len(), 1);
}

/// A page of the database that cannot be read.
#[test]
fn a_damaged_database_is_no_damaged_event() {
    let home = varied().home;
    let log = home.path("log.sqlite");
    let mut bytes = std::fs::read(&log).unwrap();
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 4096].fill(0);
    std::fs::write(&log, bytes).unwrap();
    let before = home.contents();
    let (succeeded, said) = salvage(&home, &["--yes"]);
    assert!(!succeeded && said.contains("Nothing has been changed"), "{said}");
    assert_eq!(difference(&before, &home.contents()), Vec::<String>::new());
}

/// What a copy has is not erased because the server has lost it.
#[test]
fn a_copy_that_has_what_the_server_lost_is_kept() {
    let varied = varied();
    let page = |home: &Home| {
        let path = home.path("log.sqlite");
        move |from: u64| -> Result<Page, CopyError> {
            let mut store = SqliteStore::open_read_only(&path).unwrap();
            let batches = store.read(from, ALL).unwrap();
            Ok(Page { last: store.last().unwrap(), batches })
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| LogCopy::open(&folder.path().join(name)).unwrap();
    open("before").follow(page(&varied.home)).unwrap();
    let home = varied.home.copy();
    let position = varied.sent[2].position;
    damage_body(&home, position);
    assert!(salvage(&home, &["--yes"]).0);
    let mut before = open("before");
    let error = before.follow(page(&home)).unwrap_err();
    assert!(matches!(error, CopyError::HasMore { position: at } if at == position), "{error}");
    assert_eq!(before.position(), varied.last());
    // A copy of what the server has now is one of the whole log.
    open("after").follow(page(&home)).unwrap();
    let after = folder.path().join("after/log.sqlite");
    let verified = alone(home.folder.path(), &["verify-log", after.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
}

/// A report that is sent again, after its event was lost, is published. Whoever repaired the log, its owner has it.
#[cfg(unix)]
#[actix_web::test]
async fn a_lost_report_can_be_sent_again() {
    let varied = varied();
    let home = varied.home.copy();
    let sent = &varied.sent[3];
    damage_body(&home, sent.position);
    let owner = |home: &Home| {
        use std::os::unix::fs::MetadataExt as _;
        let log = std::fs::metadata(home.path("log.sqlite")).unwrap();
        (log.uid(), log.gid())
    };
    // Only root may give a file away.
    let _given = std::os::unix::fs::chown(home.path("log.sqlite"), Some(12_345), Some(54_321));
    let before = owner(&home);
    let (succeeded, said) = salvage(&home, &[]);
    assert!(!succeeded && said.contains("has to be sent again"), "{said}");
    let (succeeded, said) = salvage(&home, &["--yes"]);
    assert!(succeeded && said.contains("keep it"), "{said}");
    assert_eq!(owner(&home), before);
    home.set(system_now());
    let running = home.start().await;
    let code = varied.ledger.code(sent.serial);
    assert_eq!(submission(code, &sent.items()).code.to_string(), code.to_string());
    running.report(sent.serial, &sent.items()).await.unwrap();
    let other = running.report(sent.serial, &[raw(1, 1)]).await.unwrap_err();
    assert_eq!(other.code(), "code_used");
    running.tick().await;
    let (at, number) = sent.items[0];
    let is_published =
        |number: u64| running.service().node.state().live.is_published(date(at), &element(number));
    assert!(is_published(number));
    running.stop().await;
    // And so on: what was lost before is not lost again.
    let next = &varied.sent[4];
    damage_body(&home, next.position);
    let (succeeded, said) = salvage(&home, &["--yes"]);
    assert!(succeeded && said.contains(&format!("event {}, a report", next.position)), "{said}");
    assert!(!said.contains(&format!("event {}, a report", sent.position)), "{said}");
    self::said(&home, "verify-log");
}
