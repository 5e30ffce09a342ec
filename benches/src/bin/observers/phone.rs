//! Phones with the real engine, and servers of several kinds.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use gcs_core::Date;
use gcs_core::files::Path;
use gcs_core::sync::{Asked, ClientSettings, Driver, Heard, Session, Wake};

use crate::deployment::{DATES, Deployment, START};
use crate::random::Random;
use gcs_core::DAY_SECONDS;

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// It serves the newest publication.
    Honest,
    /// It refuses records from one time to another.
    Refusing { from: u64, until: u64 },
    /// It hands over as few publications as make the phone ask, to have it hide among as few
    /// patients as possible. Manifests that have expired do not serve it.
    Dripping,
}

/// A question, as the server sees it, and the truth about it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) time: u64,
    /// The publication that was served.
    pub(crate) tick: usize,
    pub(crate) date: Date,
    pub(crate) record: u32,
    pub(crate) range: Range<u64>,
    pub(crate) path: String,
    pub(crate) refused: bool,
    /// Whether it was for a candidate. The server does not see that.
    pub(crate) real: bool,
}

/// What a phone did.
pub(crate) struct Log {
    pub(crate) questions: Vec<Question>,
    /// When the first contact was confirmed.
    pub(crate) confirmed: Option<u64>,
    /// Bytes fetched, and when.
    pub(crate) fetched: Vec<(u64, u64)>,
}

/// A phone and its line to a server.
struct Line<'d> {
    deployment: &'d Deployment,
    server: Server,
    settings: ClientSettings,
    folder: BTreeMap<String, Vec<u8>>,
    now: u64,
    /// The publication that was served last.
    tick: usize,
    questions: Vec<Question>,
    fetched: Vec<(u64, u64)>,
}

/// A phone that heard this, from the first publication to the end of all.
pub(crate) fn live(
    deployment: &Deployment,
    settings: ClientSettings,
    server: Server,
    heard: &[Heard],
    mut random: Random,
) -> Log {
    let now = START + random.below(3600);
    let (folder, questions, fetched) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut line = Line { deployment, server, settings, folder, now, tick: 0, questions, fetched };
    let mut confirmed = None;
    while line.now < deployment.plan.end() {
        let (now, before) = (line.now, line.questions.len());
        let from = now - (DATES + 2) * DAY_SECONDS;
        let recent = heard.iter().filter(|heard| (from..now).contains(&heard.time));
        let wake = Wake { now, entropy: random.entropy(), heard: recent.cloned().collect() };
        let outcome = Session::new(&settings, wake).run(&mut line);
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        if let Some(Asked::Candidate(_)) = outcome.asked {
            line.questions[before..].iter_mut().for_each(|question| question.real = true);
        }
        if outcome.contacts.is_some_and(|contacts| !contacts.is_empty()) {
            confirmed = confirmed.or(Some(now));
        }
        line.now = outcome.next_wake;
    }
    Log { questions: line.questions, confirmed, fetched: line.fetched }
}

impl Line<'_> {
    /// The publication to serve now.
    fn choose(&self) -> usize {
        let newest = self.deployment.newest(self.now);
        if self.server != Server::Dripping || self.folder.is_empty() {
            return newest;
        }
        let ticks = &self.deployment.ticks;
        // Whoever serves a manifest wants it to last until the phone wakes next.
        let is_alive = |tick: &usize| ticks[*tick].issued + DAY_SECONDS > self.now;
        let least = (self.tick..=newest).find(is_alive).unwrap_or(newest);
        let asked = self.questions.last().map_or(0, |question| question.tick);
        let ClientSettings { crowd, crowd_wait, confirm_every, .. } = self.settings;
        let is_wide = |tick: &usize| {
            let span = ticks[*tick].issued - ticks[asked].issued;
            let is_crowded = self.deployment.added(asked, *tick) >= crowd;
            (is_crowded && span >= confirm_every / 2) || span >= crowd_wait
        };
        (least..=newest).find(is_wide).unwrap_or(least)
    }

    fn record(&mut self, path: &str, range: Range<u64>) -> bool {
        let refused = match self.server {
            Server::Refusing { from, until } => (from..until).contains(&self.now),
            _ => false,
        };
        if let Ok(Path::Checks { date, .. }) = path.parse() {
            let record = (range.start / (range.end - range.start)) as u32;
            let (time, tick, path) = (self.now, self.tick, path.to_owned());
            let real = false;
            self.questions.push(Question { time, tick, date, record, range, path, refused, real });
        }
        refused
    }
}

impl Driver for Line<'_> {
    type Error = Infallible;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        _limit: u64,
    ) -> Result<Option<Vec<u8>>, Infallible> {
        let mut path = path.to_owned();
        if path == "/v1/manifest" {
            self.tick = self.choose();
            path = format!("/v1/manifests/1-{}", self.tick + 1);
        }
        let Some(file) = self.deployment.files.get(&path) else { return Ok(None) };
        let bytes = match byte_range {
            None => file.clone(),
            Some(part) if self.record(&path, part.clone()) => return Ok(None),
            Some(part) => file[part.start as usize..part.end as usize].to_vec(),
        };
        self.fetched.push((self.now, bytes.len() as u64));
        Ok(Some(bytes))
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.folder.get(name).cloned())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Infallible> {
        self.folder.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), Infallible> {
        self.folder.remove(name);
        Ok(())
    }
}
