//! A phone, and the mirror that it asks.

use std::collections::BTreeSet;
use std::ops::Range;

use gcs_core::files::Table;
use gcs_core::sync::{Answer, ClientSettings, Driver, Heard, Outcome, Session, Step, Wake};

use super::{Files, World, element, root_key};

/// What a static file server answers.
pub fn serve(files: &Files, path: &str, part: Option<Range<u64>>) -> Answer {
    let Some(bytes) = files.get(path) else { return Answer::Missing };
    let part = match part {
        None => Some(&bytes[..]),
        Some(part) => bytes.get(part.start as usize..part.end as usize),
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

/// Settings of a client that asks in every slot, for every candidate.
pub fn hasty(settings: ClientSettings) -> ClientSettings {
    ClientSettings { crowd: 0, crowd_wait: 0, false_alarm_one_in: 0, ..settings }
}

impl Client {
    pub fn new() -> Client {
        Client {
            settings: hasty(ClientSettings::new(root_key().public())),
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

    fn get(&self, name: &str) -> Answer {
        self.folder.get(name).cloned().map_or(Answer::Missing, Answer::Bytes)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Answer {
        assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')));
        assert!(name != "state" || bytes.len() <= 4096);
        self.folder.insert(name.to_owned(), bytes.to_vec());
        Answer::Done
    }

    fn delete(&mut self, name: &str) -> Answer {
        self.folder.remove(name);
        Answer::Done
    }

    /// Counts what is fetched, and reads no more of it than just behind the limit.
    fn fetch(&mut self, path: &str, mut answer: Answer, limit: u64) -> Answer {
        if let Answer::Bytes(bytes) = &mut answer {
            bytes.truncate(limit as usize + 1);
            self.bytes += bytes.len() as u64;
        }
        self.fetched.push(path.to_owned());
        answer
    }

    /// Does what a step asks of the folder.
    pub fn keep(&mut self, step: Step) -> Answer {
        match step {
            Step::Get { name } => self.get(&name),
            Step::Put { name, bytes } => self.put(&name, &bytes),
            Step::Delete { name } => self.delete(&name),
            Step::Fetch { .. } | Step::Done(_) => Answer::Start,
        }
    }

    /// One wake, step by step, with an honest server. `intercept` may answer a step before the
    /// folder and the server do; there is no outcome if it switches the phone off.
    pub fn wake_intercepted(
        &mut self,
        now: u64,
        mut intercept: impl FnMut(&Step) -> Intercepted,
        files: &Files,
    ) -> Option<Outcome> {
        let mut session = self.session(now);
        let mut answer = Answer::Start;
        loop {
            let step = session.resume(answer);
            answer = match (intercept(&step), step) {
                (Intercepted::Off, _) => return None,
                (Intercepted::Answer(other), _) => other,
                (Intercepted::No, Step::Done(outcome)) => return Some(*outcome),
                (Intercepted::No, Step::Fetch { path, byte_range, limit }) => {
                    self.fetch(&path, serve(files, &path, byte_range), limit)
                }
                (Intercepted::No, step) => self.keep(step),
            };
        }
    }

    /// One wake with any server.
    pub fn wake_with(
        &mut self,
        now: u64,
        server: impl FnMut(&str, Option<Range<u64>>) -> Answer,
    ) -> Outcome {
        self.session(now).run(&mut Wire { client: self, server })
    }

    /// One wake with an honest server.
    pub fn wake(&mut self, world: &World, now: u64) -> Outcome {
        self.wake_with(now, |path, part| world.serve(path, part))
    }

    /// A wake that is cut off after `steps` steps.
    pub fn wake_cut_off(&mut self, world: &World, now: u64, steps: usize) {
        let mut left = steps;
        let cut = |_: &Step| {
            if left == 0 {
                return Intercepted::Off;
            }
            left -= 1;
            Intercepted::No
        };
        self.wake_intercepted(now, cut, &world.files);
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

/// A phone's folder and a server.
struct Wire<'a, F> {
    client: &'a mut Client,
    server: F,
}

impl<F: FnMut(&str, Option<Range<u64>>) -> Answer> Driver for Wire<'_, F> {
    type Error = String;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, String> {
        found(self.client.fetch(path, (self.server)(path, byte_range), limit))
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        found(self.client.get(name))
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.client.put(name, bytes);
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), String> {
        self.client.delete(name);
        Ok(())
    }
}

/// An answer as a driver gives it.
fn found(answer: Answer) -> Result<Option<Vec<u8>>, String> {
    match answer {
        Answer::Bytes(bytes) => Ok(Some(bytes)),
        Answer::Failed(error) => Err(error),
        Answer::Missing | Answer::Done | Answer::Start => Ok(None),
    }
}
