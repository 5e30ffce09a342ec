//! A deployment, and load on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gcs_core::Date;
use gcs_core::identifiers::dp3t;
use serde_json::{Value, json};

use crate::Dice;
use crate::books::{Books, Fate, Report, Uses};
use crate::common::api::{Answer, Api, bearer, try_ask};
use crate::phone::Phone;
use crate::server::{Server, agent, now, try_operate};
use crate::watch::Watch;

/// Clients that report at the same time.
const CLIENTS: usize = 8;

/// Reports that are ready for one round.
const READY: usize = 700;

/// A deployment on a folder, its tokens and the books of its clients.
pub struct Rig {
    pub folder: PathBuf,
    pub books: Books,
    pub operator: String,
    pub phone: Phone,
    /// Codes of this round, all of which are compared after it.
    pub fresh: BTreeSet<String>,
    /// The oldest date of items, where it matters that a wrong clock would refuse them.
    pub oldest: Option<Date>,
    provider: String,
    /// Codes that were never sent.
    spare: Vec<String>,
    /// Items of earlier reports, which others report too.
    known: Vec<(u32, [u8; 32])>,
}

/// What goes on beside the reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// Ticks, one after the other.
    pub ticks: bool,
    /// Number of earlier reports that the operator takes back.
    pub retractions: u64,
}

impl Rig {
    /// A new deployment on a folder, with these variables in the server's environment.
    ///
    /// # Errors
    /// What the server says that does not start.
    pub fn begin(folder: &Path, settings: &[(&str, String)]) -> Result<(Rig, Server), String> {
        let server = Server::start(folder, "", settings)?;
        Ok((Rig::on(&server, folder), server))
    }

    /// The rig of a new deployment, whose first server has started.
    pub fn on(server: &Server, folder: &Path) -> Rig {
        server.until_ready();
        // At this rate no two elements of a test are taken for one another.
        server.set("rate_bits", json!(32));
        let (_, provider) = server.provider("City hospital");
        Rig {
            folder: folder.to_owned(),
            books: Books::default(),
            operator: server.operator.clone(),
            phone: Phone::new(&server.root),
            fresh: BTreeSet::new(),
            oldest: None,
            provider,
            spare: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Starts the server again.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start(&self, settings: &[(&str, String)]) -> Result<Server, String> {
        Server::start(&self.folder, &self.operator, settings)
    }

    /// Makes sure that there are so many codes that were never sent.
    pub fn open(&mut self, server: &Server, count: usize) {
        while self.spare.len() < count {
            self.spare.extend(server.codes(&self.provider, 1000));
        }
    }

    /// A report by a code that was never sent.
    pub fn draw(&mut self, dice: &Dice) -> Report {
        let code = self.spare.pop().unwrap();
        self.draw_with(code, dice)
    }

    /// Another report by a code.
    pub fn draw_with(&mut self, code: String, dice: &Dice) -> Report {
        let items = (0..1 + dice.below(6)).map(|_| {
            if !self.known.is_empty() && dice.below(8) == 0 {
                return self.known[dice.below(self.known.len() as u64) as usize];
            }
            // These dates have ended, so that they are published at once.
            let ago = (2 + dice.below(8)) * 86_400 + dice.below(86_400);
            let oldest = self.oldest.filter(|_| dice.below(4) == 0);
            let time = oldest.map_or(now() - ago, |date| date.start() + dice.below(86_400));
            (dp3t::epoch_of(time).unwrap(), dice.bytes())
        });
        let items: Vec<(u32, [u8; 32])> = items.collect();
        self.known.extend_from_slice(&items);
        Report { code, items }
    }

    /// Reports of one round. Some codes are used for two reports at once.
    pub fn ready(&mut self, dice: &Dice, count: usize) -> Vec<Report> {
        let mut ready = Vec::new();
        while ready.len() < count {
            let report = self.draw(dice);
            if dice.below(16) == 0 {
                ready.push(self.draw_with(report.code.clone(), dice));
            }
            ready.push(report);
        }
        ready
    }

    /// Puts load on a server, and does something to it meanwhile. What the load was told is in the
    /// books afterwards. Returns how many reports were acknowledged in time.
    pub fn load(
        &mut self,
        server: &Server,
        dice: &Dice,
        beside: Beside,
        fault: impl FnOnce(&Watch) + Send,
    ) -> usize {
        self.open(server, READY);
        let retractions = self.choose(dice, beside.retractions);
        let watch = Watch::default();
        let queue = Mutex::new(self.ready(dice, READY));
        let told = Mutex::new(Vec::new());
        let retracted = std::thread::scope(|scope| {
            let client = || client(server, &watch, &queue, &told);
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            if beside.ticks {
                scope.spawn(|| tick(server, &watch));
            }
            let retracting = scope.spawn(|| retract_all(server, &watch, retractions));
            scope.spawn(|| {
                fault(&watch);
                watch.end();
            });
            clients.into_iter().for_each(|client| client.join().unwrap());
            watch.end();
            retracting.join().unwrap()
        });
        self.note_all(told.into_inner().unwrap(), retracted, queue.into_inner().unwrap());
        watch.acknowledged()
    }

    /// Notes what became of the reports of a round, of those that were to be taken back, and of
    /// those that were not sent.
    pub fn note_all(
        &mut self,
        told: Vec<(Report, Fate)>,
        retracted: BTreeMap<String, Option<bool>>,
        unsent: Vec<Report>,
    ) {
        for (report, fate) in told {
            self.note(report, fate);
        }
        for (code, is_retracted) in retracted {
            if let Some(uses) = self.books.codes.get_mut(&code) {
                uses.retracted = is_retracted;
            }
        }
        let unsent = unsent.into_iter().map(|report| report.code);
        let unsent: BTreeSet<String> = unsent.filter(|code| !self.fresh.contains(code)).collect();
        self.spare.extend(unsent);
    }

    /// Notes what the client of a report was told.
    pub fn note(&mut self, report: Report, fate: Fate) {
        self.fresh.insert(report.code.clone());
        self.books.note(report, fate);
    }

    /// Number of codes of this round that brought only postponed reports.
    pub fn postponed(&self) -> usize {
        let of = self.fresh.iter().filter_map(|code| self.books.codes.get(code));
        let is_postponed =
            |uses: &&Uses| uses.entries.iter().all(|entry| entry.fate == Fate::Postponed);
        of.filter(is_postponed).count()
    }

    /// Codes of some reports that are there.
    pub fn choose(&self, dice: &Dice, count: u64) -> Vec<String> {
        let there =
            self.books.codes.iter().filter(|(_, uses)| {
                uses.accepted().next().is_some() && uses.retracted == Some(false)
            });
        let there: Vec<&String> = there.map(|(code, _)| code).collect();
        if there.is_empty() {
            return Vec::new();
        }
        (0..count).map(|_| there[dice.below(there.len() as u64) as usize].clone()).collect()
    }
}

/// Sends a report; `None` if no answer comes.
pub fn send(agent: &ureq::Agent, server: &Api, report: &Report) -> Option<Answer> {
    try_ask(agent, server.public, "POST", "/v1/reports", &[], &report.body()).ok()
}

/// A tick that is not waited for much longer than one takes that works; its status.
pub fn tick_briefly(server: &Api) -> Option<u16> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let brief = config.timeout_global(Some(Duration::from_secs(1))).build().into();
    let headers = [bearer(&server.operator)];
    let ticked = try_ask(&brief, server.private, "POST", "/v1/admin/tick", &headers, "");
    ticked.ok().map(|ticked| ticked.status)
}

fn client(
    server: &Server,
    watch: &Watch,
    queue: &Mutex<Vec<Report>>,
    told: &Mutex<Vec<(Report, Fate)>>,
) {
    let agent = agent();
    while !watch.is_over() {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(report) = next else { return };
        let answer = send(&agent, server, &report);
        let mut fate = Fate::of(answer.as_ref());
        if fate == Fate::Postponed {
            watch.count_postponed();
        }
        // While a disk goes, a sync may succeed that did nothing; that a code is used is then as uncertain as
        // that a report is there.
        if watch.is_cut() {
            fate = Fate::Unknown;
        } else if let Fate::Acknowledged(_) = &fate {
            watch.count_acknowledged();
        }
        told.lock().unwrap_or_else(PoisonError::into_inner).push((report, fate));
        if answer.is_none() {
            return;
        }
    }
}

fn tick(server: &Server, watch: &Watch) {
    while !watch.is_over() {
        if server.try_operate("POST", "/v1/admin/tick", &Value::Null).is_none() {
            return;
        }
    }
}

/// Takes reports back until the fault. Returns what is known of each: `None` if nothing is.
fn retract_all(
    server: &Server,
    watch: &Watch,
    codes: Vec<String>,
) -> BTreeMap<String, Option<bool>> {
    let mut retracted = BTreeMap::new();
    for code in codes {
        if watch.is_over() {
            break;
        }
        let is_done = retract(server, &code) && !watch.is_cut();
        retracted.insert(code, is_done.then_some(true));
    }
    retracted
}

/// Takes the report of a code back; false if that is not certain.
pub fn retract(server: &Api, code: &str) -> bool {
    let mut correction = json!({ "act": "retract", "select": { "code": code } });
    let preview = try_operate(server, "POST", "/v1/admin/corrections/preview", &correction);
    let Some(preview) = preview.filter(|preview| preview.status == 200) else { return false };
    correction["position"] = preview.json()["position"].clone();
    let corrected = try_operate(server, "POST", "/v1/admin/corrections", &correction);
    corrected.is_some_and(|corrected| (200..300).contains(&corrected.status))
}
