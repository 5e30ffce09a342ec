//! A client, a mirror that cannot be trusted, and a folder that fails.

use std::collections::BTreeMap;
use std::ops::Range;

use gcs_core::files::Path;
use gcs_core::sync::{Answer, Heard, Outcome, Session, Step};
use gcs_core::{Digest, Set, Version};

use crate::history::{History, Tick};
use crate::naive::resealed;
use crate::reader::Reader;
use crate::world::{Client, date, element, serve};

/// Most wakes of one script before the faults end.
const MAX_WAKES: u8 = 12;

/// More steps than any wake takes: files are few, and no detour is taken twice.
const MAX_STEPS: usize = 2000;

/// The input is a script: when the client wakes, by a clock that may be wrong, and how each of
/// its steps is answered.
/// The mirror answers as it should, or with other bytes, another tick's file, another
/// file, nothing, an error; the folder answers as it should, or as if it were damaged or
/// full; and every now and then the phone is switched off.
///
/// Whatever happens: a wake ends; every file in the folder that is named by a hash is the one that
/// was published with it; a version that is held is there whole, and never goes back; a contact
/// is confirmed only if it was published; a wake asks for one check record at most, and for none
/// before the next slot. Once there are no more faults, one wake brings the client up to date.
pub fn sync(data: &[u8]) {
    let history = History::get();
    let mut script = Reader::new(data);
    let mut client = Watched::new(history, script.u8());
    let (mut at, mut wakes) = (0, 0);
    while !script.is_empty() && wakes < MAX_WAKES {
        wakes += 1;
        let (steps, when) = (script.u8(), script.u8());
        at = (at + usize::from(steps >> 4)).min(history.last_hostile());
        // Some wakes are early, some late; none so late that the last manifest expires.
        let late = [60, 400, 1200, 5 * 3600][usize::from(when & 3)];
        let now = (history.ticks[at].issued + late).max(if when & 4 == 0 { client.due } else { 0 });
        let last = history.last().issued - 26 * 3600;
        let own_faults = when & 0x30 == 0x10;
        let due = client.due;
        if when & 0xc8 == 0x48 {
            // The phone's clock is wrong this time.
            let wrong = [0, u64::MAX, now + (1 << 28), now - (1 << 28)];
            client.wake(at, wrong[script.position(4)], &mut script, own_faults);
            client.due = due;
        } else {
            client.wake(at, now.min(last), &mut script, own_faults);
        }
    }
    client.recover();
}

/// A phone whose files are watched. Files are never damaged in the folder, only when they are read,
/// so that the folder can be compared with what was published.
struct Watched {
    history: &'static History,
    client: Client,
    /// What was written under each name before.
    written: BTreeMap<String, Vec<Vec<u8>>>,
    due: u64,
    /// When it last woke.
    now: u64,
    /// When it last asked for a check record, as far as its own files and clock tell.
    asked: Option<u64>,
    /// The client must not go back below this version, which its own files have recorded.
    floor: Option<Version>,
    /// Whether a file that is not named by a hash was changed, and its trailer made right again.
    /// Then only the files named by hashes can be relied on.
    is_forged: bool,
    /// Whether the folder ever failed, so that files may be left over.
    has_failed: bool,
}

/// The faults of one wake.
#[derive(Default)]
struct Faults {
    /// The client read another state than the one in its folder.
    lost_state: bool,
    /// Some step was not answered as it should be.
    any: bool,
}

impl Watched {
    fn new(history: &'static History, settings: u8) -> Watched {
        let hear = |(at, number): (u64, u64)| Heard {
            time: date(number % 5).start() + number * 7001 % 86_400,
            element: element(number % 5 * 1000 + at * 3),
        };
        let mut client = Client::new();
        client.heard = (0..40).zip(3..).map(hear).collect();
        let odd = [0, 15, 65, 300].map(|length| Heard { time: 0, element: vec![1; length] });
        client.heard.extend(odd);
        if settings & 1 == 1 {
            client.settings.confirm_every = u64::from(settings >> 1) * 100;
        }
        Watched {
            history,
            client,
            written: BTreeMap::new(),
            due: 0,
            now: 0,
            asked: None,
            floor: None,
            is_forged: false,
            has_failed: false,
        }
    }

    fn session(&mut self, now: u64) -> Session {
        self.asked = self.asked.filter(|_| self.now <= now);
        self.now = now;
        self.client.session(now)
    }

    /// Runs one wake of the script.
    fn wake(&mut self, at: usize, now: u64, script: &mut Reader<'_>, own_faults: bool) {
        let mut session = self.session(now);
        let mut answer = Answer::Start;
        let mut faults = Faults::default();
        let mut asked = 0;
        for _ in 0..MAX_STEPS {
            let step = session.resume(answer);
            let answered = match step {
                Step::Done(outcome) => {
                    self.expect_outcome(&outcome, now, &faults);
                    return;
                }
                Step::Fetch { path, byte_range: part, limit } => {
                    self.expect_fetch(&path, part.as_ref(), limit, &mut asked);
                    self.fetch(at, &path, part, script)
                }
                step if own_faults => self.fail(step, script, &mut faults),
                step => Some(self.keep(step)),
            };
            match answered {
                Some(next) => answer = next,
                None => {
                    self.expect_folder();
                    self.floor = self.floor.filter(|_| !faults.lost_state);
                    return;
                }
            }
        }
        unreachable!("a wake of more than {MAX_STEPS} steps");
    }

    /// The answer of the mirror; `None` if the phone is switched off.
    fn fetch(
        &self,
        at: usize,
        path: &str,
        part: Option<Range<u64>>,
        script: &mut Reader<'_>,
    ) -> Option<Answer> {
        let ticks = &self.history.ticks;
        let honest = serve(&ticks[at].files, path, part.clone());
        let kind = script.u8();
        Some(match kind % 12 {
            0..=2 => honest,
            3..=6 => change(honest, kind % 12, script),
            7 => serve(&ticks[script.position(ticks.len())].files, path, part),
            8 => {
                let files = &ticks[at].files;
                let other = files.values().nth(script.position(files.len()));
                other.map_or(Answer::Missing, |bytes| Answer::Bytes(bytes.clone()))
            }
            9 => Answer::Failed("offline".into()),
            10 => Answer::Done,
            _ => return None,
        })
    }

    /// The answer of a folder without faults.
    fn keep(&mut self, step: Step) -> Answer {
        if let Step::Put { name, bytes } = &step {
            self.written.entry(name.clone()).or_default().push(bytes.clone());
        }
        self.client.keep(step)
    }

    /// The answer of a folder with faults; `None` if the phone is switched off.
    fn fail(&mut self, step: Step, script: &mut Reader<'_>, faults: &mut Faults) -> Option<Answer> {
        let kind = script.u8() % 16;
        if kind < 6 {
            return Some(self.keep(step));
        }
        (self.has_failed, faults.any) = (true, true);
        let Step::Get { name } = &step else {
            return match kind {
                // Not done, and reported so; done, but reported as failed; switched off before and after.
                6 | 7 => Some(Answer::Failed("disk full".into())),
                8 | 9 => {
                    self.keep(step);
                    Some(Answer::Failed("timed out".into()))
                }
                10 => Some(Answer::Missing).filter(|_| matches!(step, Step::Delete { .. })),
                11 => None,
                12 => {
                    self.keep(step);
                    None
                }
                _ => Some(self.keep(step)),
            };
        };
        let name = name.clone();
        faults.lost_state |= name == "state";
        let honest = self.keep(step);
        Some(match kind {
            6..=9 => change(honest, kind - 3, script),
            10 => {
                // What is deleted does not come back.
                let is_there = self.client.folder.contains_key(&name);
                let old = self.written.get(&name).filter(|_| is_there).map_or(&[][..], |old| old);
                let old = old.get(script.position(old.len())).cloned();
                old.map_or(Answer::Missing, Answer::Bytes)
            }
            11 => {
                let other =
                    self.client.folder.values().nth(script.position(self.client.folder.len()));
                other.cloned().map_or(Answer::Missing, Answer::Bytes)
            }
            12 => Answer::Failed("not now".into()),
            13 => Answer::Done,
            14 => return None,
            _ => {
                let Answer::Bytes(bytes) = change(honest, 3, script) else { return None };
                self.is_forged |= matches!(&name[..], "state" | "queue");
                Answer::Bytes(resealed(&bytes))
            }
        })
    }

    fn expect_fetch(&mut self, path: &str, part: Option<&Range<u64>>, limit: u64, asked: &mut u32) {
        let parsed: Result<Path, _> = path.parse();
        let parsed = parsed.expect("the path of a request");
        let is_check = matches!(parsed, Path::Checks { .. });
        assert_eq!(part.map(|part| part.end - part.start), is_check.then_some(limit));
        if is_check {
            *asked += 1;
            assert!(*asked <= 1, "one check record a wake");
            let asked = self.asked.filter(|_| !self.has_failed);
            let soonest =
                asked.map(|asked| asked.saturating_add(self.client.settings.confirm_every / 2));
            assert!(soonest.is_none_or(|soonest| soonest <= self.now), "{soonest:?}");
            self.asked = Some(self.now);
        }
        if parsed != Path::Manifest {
            let was_published = self.history.ticks.iter().any(|tick| tick.files.contains_key(path));
            assert!(was_published || self.is_forged, "{path}");
        }
    }

    /// Asserts what must hold after a wake that ended.
    fn expect_outcome(&mut self, outcome: &Outcome, now: u64, faults: &Faults) {
        self.expect_folder();
        self.due = outcome.next_wake;
        if self.is_forged {
            return;
        }
        assert!(outcome.next_wake > now || now == u64::MAX);
        if faults.lost_state {
            self.floor = None;
        }
        if let Some(held) = outcome.held {
            let tick = self.history.with_version(held).expect("a version that was published");
            self.expect_held(tick);
            assert!(self.floor.is_none_or(|floor| floor <= held), "{:?}, {held}", self.floor);
        }
        assert!(outcome.contacts.is_some() || self.has_failed);
        if outcome.up_to_date {
            let held = outcome.held.and_then(|held| self.history.with_version(held));
            assert!(held.is_some_and(|tick| now < tick.manifest.expires), "{outcome:?}");
            if !faults.any && outcome.error.is_none() {
                self.floor = outcome.held;
            }
        } else if !self.has_failed {
            assert!(outcome.held.is_some() || self.floor.is_none(), "{outcome:?}");
        }
        for contact in outcome.contacts.iter().flatten() {
            let published = (contact.date, contact.element.clone());
            assert!(self.history.elements.contains(&published), "{contact:?}");
            assert!(contact.first <= contact.last);
        }
    }

    /// Asserts that every file named by a hash is the one that was published with it.
    fn expect_folder(&self) {
        for (name, bytes) in &self.client.folder {
            if let Some(state) = name.strip_prefix("table-") {
                let state = state.parse().expect("a digest");
                assert_eq!(Digest::of(bytes), state);
                assert!(self.history.with_state(state).is_some(), "{name}");
            } else if let Some(identity) = name.strip_prefix("set-") {
                let set = self.history.sets.get(&identity.parse().expect("a digest"));
                assert_eq!(set.map(Set::as_bytes), Some(&bytes[..]), "{name}");
            } else {
                assert!(name == "state" || name == "queue", "{name}");
            }
        }
    }

    /// The table of a tick and all its sets are there (with [`Watched::expect_folder`]: right).
    fn expect_held(&self, tick: &Tick) {
        assert!(self.client.folder.contains_key(&format!("table-{}", tick.manifest.state)));
        for row in tick.table.rows() {
            assert!(
                self.client.folder.contains_key(&format!("set-{}", row.identity)),
                "{}",
                row.date
            );
        }
    }

    /// Wakes the client without faults.
    fn recover(&mut self) {
        let last = self.history.last();
        let until = last.issued + 23 * 3600;
        let mut now = last.issued + 60;
        for _ in 0..3 {
            let honest = &mut Reader::new(&[]);
            let at = self.history.ticks.len() - 1;
            let mut session = self.session(now);
            let mut answer = Answer::Start;
            let outcome = loop {
                match session.resume(answer) {
                    Step::Done(outcome) => break outcome,
                    Step::Fetch { path, byte_range: part, .. } => {
                        let served = self.fetch(at, &path, part, honest);
                        answer = served.unwrap_or(Answer::Missing);
                    }
                    step => answer = self.keep(step),
                }
            };
            self.expect_outcome(&outcome, now, &Faults::default());
            if !self.is_forged {
                assert!(outcome.error.is_none(), "{outcome:?}");
                assert_eq!(outcome.held, Some(last.version));
                assert!(outcome.up_to_date, "{outcome:?}");
                if !self.has_failed {
                    let mut left = self.client.folder.keys().filter(|name| name.contains('-'));
                    let named = |name: &&String| {
                        **name == format!("table-{}", last.manifest.state)
                            || last
                                .table
                                .rows()
                                .iter()
                                .any(|r| **name == format!("set-{}", r.identity))
                    };
                    assert_eq!(left.find(|name| !named(name)), None);
                }
            }
            now = outcome.next_wake.clamp(now, until);
        }
    }
}

/// Changed bytes: one other byte, fewer, more, or none at all.
fn change(answer: Answer, kind: u8, script: &mut Reader<'_>) -> Answer {
    let Answer::Bytes(mut bytes) = answer else { return answer };
    match kind {
        3 => {
            let at = script.position(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= script.u8().max(1);
            }
        }
        4 => bytes.truncate(script.position(bytes.len())),
        5 => bytes.extend_from_slice(&[script.u8(); 9]),
        _ => return Answer::Missing,
    }
    Answer::Bytes(bytes)
}
