//! A phone, and the mirror that it asks.

use std::collections::BTreeSet;

use gcs_core::files::Table;
use gcs_core::sync::{Answer, ClientSettings, Heard, Outcome, Session, Step, Wake};

use super::{Files, World, element, root_key};

/// What a static file server answers.
pub fn serve(files: &Files, path: &str, range: Option<(u64, u64)>) -> Answer {
    let Some(bytes) = files.get(path) else { return Answer::Missing };
    let part = match range {
        None => Some(&bytes[..]),
        Some((from, length)) => bytes.get(from as usize..from.saturating_add(length) as usize),
    };
    part.map_or(Answer::Missing, |part| Answer::Bytes(part.to_vec()))
}

/// A phone.
#[derive(Clone)]
pub struct Client {
    pub settings: ClientSettings,
    pub folder: Files,
    pub heard: Vec<Heard>,
    pub wakes: u8,
    /// Paths fetched in the last wake.
    pub fetched: Vec<String>,
    /// Bytes fetched in the last wake.
    pub bytes: u64,
}

impl Client {
    pub fn new() -> Client {
        Client {
            settings: ClientSettings::new(root_key().public()),
            folder: Files::new(),
            heard: Vec::new(),
            wakes: 0,
            fetched: Vec::new(),
            bytes: 0,
        }
    }

    pub fn hear(&mut self, time: u64, element_number: u64) {
        self.heard.push(Heard { time, element: element(element_number) });
    }

    pub fn session(&mut self, now: u64) -> Session {
        self.wakes = self.wakes.wrapping_add(1);
        self.fetched.clear();
        self.bytes = 0;
        let wake = Wake { now, entropy: [self.wakes; 32], heard: self.heard.clone() };
        Session::new(&self.settings, wake)
    }

    /// Does what a step asks of the folder.
    pub fn keep(&mut self, step: Step) -> Answer {
        match step {
            Step::Get { name } => {
                self.folder.get(&name).cloned().map_or(Answer::Missing, Answer::Bytes)
            }
            Step::Put { name, bytes } => {
                assert!(name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')));
                assert!(name != "state" || bytes.len() <= 4096);
                self.folder.insert(name, bytes);
                Answer::Done
            }
            Step::Delete { name } => {
                self.folder.remove(&name);
                Answer::Done
            }
            Step::Fetch { .. } | Step::Done(_) => Answer::Start,
        }
    }

    /// Answers one step from the folder or from `server`.
    pub fn answer(
        &mut self,
        step: Step,
        server: &mut impl FnMut(&str, Option<(u64, u64)>) -> Answer,
    ) -> Result<Answer, Box<Outcome>> {
        match step {
            Step::Fetch { path, range, limit } => {
                let mut answer = server(&path, range);
                if let Answer::Bytes(bytes) = &mut answer {
                    bytes.truncate(limit as usize + 1);
                    self.bytes += bytes.len() as u64;
                }
                self.fetched.push(path);
                Ok(answer)
            }
            Step::Done(outcome) => Err(outcome),
            step => Ok(self.keep(step)),
        }
    }

    /// One wake in which `intercept` may answer a step before the folder and the server do;
    /// the phone is switched off where it says so.
    pub fn wake_intercepted(
        &mut self,
        now: u64,
        mut intercept: impl FnMut(&Step) -> Intercepted,
        mut server: impl FnMut(&str, Option<(u64, u64)>) -> Answer,
    ) -> Option<Outcome> {
        let mut session = self.session(now);
        let mut answer = Answer::Start;
        loop {
            let step = session.resume(answer);
            match intercept(&step) {
                Intercepted::No => match self.answer(step, &mut server) {
                    Ok(next) => answer = next,
                    Err(outcome) => return Some(*outcome),
                },
                Intercepted::Answer(other) => answer = other,
                Intercepted::Off => return None,
            }
        }
    }

    /// One wake with any server.
    pub fn wake_with(
        &mut self,
        now: u64,
        server: impl FnMut(&str, Option<(u64, u64)>) -> Answer,
    ) -> Outcome {
        self.wake_intercepted(now, |_| Intercepted::No, server).unwrap()
    }

    /// One wake with an honest server.
    pub fn wake(&mut self, world: &World, now: u64) -> Outcome {
        self.wake_with(now, |path, range| world.serve(path, range))
    }

    /// A wake that is cut off after `steps` steps.
    pub fn wake_cut_off(&mut self, world: &World, now: u64, steps: usize) {
        let mut left = steps;
        let intercept = |_: &Step| {
            if left == 0 {
                return Intercepted::Off;
            }
            left -= 1;
            Intercepted::No
        };
        self.wake_intercepted(now, intercept, |path, range| world.serve(path, range));
    }

    /// Every set of the table is in the folder, and nothing besides.
    pub fn assert_clean(&self, expected: &Table) {
        let mut names: BTreeSet<String> =
            expected.rows().iter().map(|row| format!("set-{}", row.identity)).collect();
        names.insert(format!("table-{}", expected.state()));
        names.insert("state".into());
        let found: BTreeSet<String> =
            self.folder.keys().filter(|name| *name != "queue").cloned().collect();
        assert_eq!(found, names);
    }
}

/// What becomes of a step.
pub enum Intercepted {
    /// It is answered by the folder or the server.
    No,
    /// It is answered so.
    Answer(Answer),
    /// It is not answered: the phone is switched off.
    Off,
}
