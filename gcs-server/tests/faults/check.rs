//! The comparison of a server with the books.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Dice;
use crate::books::{Entry, Fate, Findings, Report};
use crate::common::process::{alone, text};
use crate::rig::{Rig, retract, send};
use crate::server::{Server, agent};

/// Reports of earlier rounds that are compared after each round.
const OLDER: u64 = 50;

/// How long a tick may take to be published after a fault.
const PATIENCE: Duration = Duration::from_secs(100);

impl Rig {
    /// Compares a server with the books: the reports of this round, and some of those before it.
    /// Afterwards nothing is unknown.
    pub fn check(&mut self, server: &Server, dice: &Dice) -> Findings {
        let mut codes: Vec<String> = std::mem::take(&mut self.fresh).into_iter().collect();
        let all: Vec<&String> = self.books.codes.keys().collect();
        for _ in 0..OLDER.min(all.len() as u64) {
            codes.push(all[dice.below(all.len() as u64) as usize].clone());
        }
        self.check_codes(server, dice, codes)
    }

    /// Compares a server with everything in the books, stops it, and compares what it leaves.
    pub fn finish(&mut self, server: Server, dice: &Dice) -> Findings {
        let mut findings = self.check_codes(&server, dice, self.all());
        // No tick comes by itself between the digest and the stop.
        server.set("interval", json!(21_600));
        let digest = server.operate("GET", "/v1/admin/digest", Value::Null).ok();
        if let Err(error) = server.stop() {
            findings.wrong(format!("it does not stop in good order: {error}"));
        }
        let verified = alone(&self.folder, &["verify-log"]);
        if !verified.status.success() {
            findings.wrong(format!("verify-log: {}", text(&verified.stderr)));
        }
        let rebuilt = alone(&self.folder, &["rebuild"]);
        let said = text(&[rebuilt.stdout, rebuilt.stderr].concat());
        let digest = format!("digest {}", digest["digest"].as_str().unwrap());
        if !rebuilt.status.success() || !said.contains(&digest) {
            findings.wrong(format!("the server has {digest}, rebuild says: {said}"));
        }
        findings
    }

    fn all(&self) -> Vec<String> {
        self.books.codes.keys().cloned().collect()
    }

    fn check_codes(&mut self, server: &Server, dice: &Dice, codes: Vec<String>) -> Findings {
        let mut findings = Findings::default();
        self.count(server, &mut findings);
        let agent = agent();
        for code in codes {
            let of_other = self.draw_with(code.clone(), dice);
            let Some(uses) = self.books.codes.get_mut(&code) else { continue };
            if uses.is_open() {
                let first = (dice.below(2) == 0).then_some(of_other);
                resolve(&agent, server, &mut uses.entries, first, &mut findings);
            } else {
                let of_other = (dice.below(3) == 0).then_some(&of_other);
                confirm(&agent, server, &uses.entries, of_other, &mut findings);
            }
        }
        self.count(server, &mut findings);
        for (code, uses) in &mut self.books.codes {
            if uses.retracted.is_none() && retract(server, code) {
                uses.retracted = Some(true);
            }
        }
        self.compare_published(server, &mut findings);
        findings
    }

    /// Compares the number of reports.
    fn count(&self, server: &Server, findings: &mut Findings) {
        let reports = server.status()["reports"].as_u64().unwrap() as usize;
        let least = self.books.acknowledged();
        let most = least + self.books.unknown();
        if reports < least {
            findings.wrong(format!("{reports} reports, and {least} were acknowledged"));
        }
        findings.invented += reports.saturating_sub(most);
    }

    /// Publishes, and compares what a phone has then with the model.
    fn compare_published(&mut self, server: &Server, findings: &mut Findings) {
        let began = Instant::now();
        loop {
            let ticked = server.try_operate("POST", "/v1/admin/tick", &Value::Null);
            match ticked {
                Some(ticked) if ticked.status == 200 => break,
                Some(ticked) if ticked.status == 409 && !is_soon(&ticked.json()) => {
                    return findings.wrong(format!("no tick: {}", ticked.json()));
                }
                _ if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                ticked => return findings.wrong(format!("no tick: {ticked:?}")),
            }
        }
        match self.phone.sync(server.public) {
            Ok(_) => findings.wrong.extend(self.phone.differences(&self.books.model())),
            Err(error) => findings.wrong(error),
        }
    }
}

/// Whether a tick that was refused is made soon: the last one is being published, or another node has made it
/// by a clock that is a little ahead.
fn is_soon(refused: &Value) -> bool {
    let said = refused["detail"].as_str().unwrap_or_default();
    let seconds = said.split(' ').find_map(|word| word.parse::<u64>().ok());
    refused["code"] == "tick_pending"
        || refused["code"] == "clock_behind" && seconds.is_some_and(|seconds| seconds <= 5)
}

/// The answers to a code of which everything is known are the first ones again, and another report
/// by it is refused.
fn confirm(
    agent: &ureq::Agent,
    server: &Server,
    entries: &[Entry],
    of_other: Option<&Report>,
    findings: &mut Findings,
) {
    let mut accepted = 0;
    for Entry { report, fate } in entries {
        match fate {
            Fate::Acknowledged(first) => {
                accepted += 1;
                findings.acknowledged += 1;
                expect_whole(first, findings);
                let again = Fate::of(send(agent, server, report).as_ref());
                if again != *fate {
                    findings.lost += 1;
                    findings.wrong(format!("{first} was acknowledged; now {again:?}"));
                }
            }
            // Of two reports by one code the other one was first.
            Fate::Refused(problem) if problem == "code_used" && entries.len() > 1 => {}
            told => findings.wrong(format!("{}: {told:?}", report.code)),
        }
    }
    if let Some(of_other) = of_other.filter(|_| accepted == 1) {
        match Fate::of(send(agent, server, of_other).as_ref()) {
            Fate::Refused(problem) if problem == "code_used" => {}
            Fate::Acknowledged(_) => findings.doubled += 1,
            told => findings.wrong(format!("another report by a used code: {told:?}")),
        }
    }
    findings.doubled += usize::from(accepted > 1);
}

/// All items are good, so none was refused by a wrong date.
fn expect_whole(answer: &Value, findings: &mut Findings) {
    if answer["problems"].as_array().is_none_or(|problems| !problems.is_empty()) {
        findings.wrong(format!("good items were refused: {answer}"));
    }
}

/// Sends everything by a code again, another report perhaps first: one of them is there afterwards,
/// and the others are refused.
fn resolve(
    agent: &ureq::Agent,
    server: &Server,
    entries: &mut Vec<Entry>,
    of_other: Option<Report>,
    findings: &mut Findings,
) {
    let asks_first = of_other.is_some();
    let is_unspent = entries.iter().all(|entry| entry.fate == Fate::Postponed);
    // Whoever was told so was told of a report that is there.
    let was_used = entries.iter().any(|entry| entry.fate == Fate::Refused("code_used".into()));
    if let Some(report) = of_other {
        entries.insert(0, Entry { report, fate: Fate::Unknown });
    }
    for (at, entry) in entries.iter_mut().enumerate() {
        let now = Fate::of(send(agent, server, &entry.report).as_ref());
        let is_other = asks_first && at == 0;
        match (&entry.fate, &now) {
            (Fate::Acknowledged(first), now) if *now != entry.fate => {
                findings.lost += 1;
                findings.wrong(format!("{first} was acknowledged; now {now:?}"));
            }
            (Fate::Refused(_), Fate::Acknowledged(_)) => findings.invented += 1,
            (Fate::Unknown, Fate::Acknowledged(_)) if is_other && was_used => {
                findings.lost += 1;
                findings.wrong(format!("{} was used, and is not", entry.report.code));
            }
            (Fate::Unknown, Fate::Acknowledged(_)) if is_other => findings.absent += 1,
            (Fate::Unknown, Fate::Refused(_)) if is_other && is_unspent => {
                findings.wrong(format!("{} was used up by a postponed report", entry.report.code));
            }
            (Fate::Unknown, Fate::Refused(_)) if is_other => findings.found += 1,
            (_, Fate::Unknown) => findings.wrong("no answer after a restart"),
            _ => {}
        }
        if let Fate::Acknowledged(answer) = &now {
            expect_whole(answer, findings);
        }
        entry.fate = now;
    }
    let count = |is: fn(&Fate) -> bool| entries.iter().filter(|entry| is(&entry.fate)).count();
    let accepted = count(|fate| matches!(fate, Fate::Acknowledged(_)));
    let used = count(|fate| *fate == Fate::Refused("code_used".into()));
    if accepted + used != entries.len() || accepted == 0 {
        let fates: Vec<&Fate> = entries.iter().map(|entry| &entry.fate).collect();
        findings.wrong(format!("{}: {fates:?}", entries[0].report.code));
    }
    findings.doubled += accepted.saturating_sub(1);
}

/// What the offline commands say of a folder as a fault left it, on a copy: the position and the
/// digest.
///
/// # Errors
/// What one of them complains of.
pub fn look_offline(folder: &Path) -> Result<(u64, String), String> {
    let copy = tempfile::tempdir().unwrap();
    for name in ["log.sqlite", "log.sqlite-wal", "witness", "keys.json"] {
        if folder.join(name).exists() {
            fs::copy(folder.join(name), copy.path().join(name)).unwrap();
        }
    }
    let verified = alone(copy.path(), &["verify-log"]);
    if !verified.status.success() {
        return Err(format!("verify-log: {}", text(&verified.stderr)));
    }
    let rebuilt = alone(copy.path(), &["rebuild"]);
    let said = text(&rebuilt.stdout);
    let words: BTreeMap<&str, &str> =
        said.lines().filter_map(|line| line.split_once(' ')).collect();
    let position = words.get("position").and_then(|position| position.parse().ok());
    let found = position.zip(words.get("digest").map(|digest| (*digest).to_owned()));
    found.ok_or_else(|| format!("rebuild: {said}{}", text(&rebuilt.stderr)))
}

/// Compares a server that has just started with what the offline commands said. False if it has
/// gone on already.
pub fn compare_offline(server: &Server, offline: &(u64, String), findings: &mut Findings) -> bool {
    let digest = server.operate("GET", "/v1/admin/digest", Value::Null).ok();
    if digest["position"] != offline.0 {
        return false;
    }
    if digest["digest"] != offline.1 {
        findings.wrong("the digest after the start is not that of a rebuild");
    }
    true
}
