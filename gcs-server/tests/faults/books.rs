//! What clients sent and what they were told.
//!
//! A report that was answered with 201 is *acknowledged*: it must be there whatever happens. One
//! that was answered with another final status is *refused*: it must not be there. Of one without
//! an answer, or with one that allows a retry, nothing is known: it may be there or not, but not in
//! part and not twice. Where the clock is in doubt, a report is *postponed*: it must not be there, and its
//! code must not be used up.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use gcs_core::Date;
use gcs_core::identifiers::dp3t;
use serde_json::{Value, json};

use crate::common::api::Answer;
use crate::phone::Days;

/// A report as a client sends it.
#[derive(Clone, Debug)]
pub struct Report {
    pub code: String,
    /// Epochs and seeds.
    pub items: Vec<(u32, [u8; 32])>,
}

impl Report {
    pub fn body(&self) -> String {
        let item = |(epoch, seed): &(u32, [u8; 32])| json!({ "kind": "dp3t-unlinkable", "epoch": epoch, "seed": BASE64.encode(seed) });
        let items: Vec<Value> = self.items.iter().map(item).collect();
        json!({ "code": self.code, "items": items }).to_string()
    }

    /// The elements that phones would test, with their dates.
    fn elements(&self) -> impl Iterator<Item = (Date, [u8; 32])> {
        self.items.iter().map(|(epoch, seed)| {
            let time = u64::from(*epoch) * dp3t::EPOCH_SECONDS;
            (Date::of_time(time), dp3t::unlinkable_element(seed, *epoch))
        })
    }
}

/// What a client knows of its report.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It is there; the answer.
    Acknowledged(Value),
    Unknown,
    /// It is not there, and may be sent again.
    Postponed,
    /// It is not there; the code of the problem.
    Refused(String),
}

impl Fate {
    /// What an answer says, if one came.
    pub fn of(answer: Option<&Answer>) -> Fate {
        match answer {
            Some(answer) if answer.status == 201 => Fate::Acknowledged(answer.json()),
            Some(answer) if (400..500).contains(&answer.status) => {
                Fate::Refused(answer.json()["code"].as_str().unwrap_or_default().to_owned())
            }
            Some(answer) if answer.json()["code"] == "clock_doubt" => Fate::Postponed,
            _ => Fate::Unknown,
        }
    }
}

/// A report and what its client knows.
#[derive(Clone, Debug)]
pub struct Entry {
    pub report: Report,
    pub fate: Fate,
}

/// Everything that was sent by one code. Some codes are used for two reports at once, of which only
/// one may be accepted.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    pub entries: Vec<Entry>,
    /// Whether the operator has taken the report back; `None` if that is not known.
    pub retracted: Option<bool>,
}

impl Uses {
    pub fn accepted(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| matches!(entry.fate, Fate::Acknowledged(_)))
    }

    pub fn has_unknown(&self) -> bool {
        self.entries.iter().any(|entry| entry.fate == Fate::Unknown)
    }

    /// Whether something has to be sent again.
    pub fn is_open(&self) -> bool {
        self.has_unknown() || self.entries.iter().any(|entry| entry.fate == Fate::Postponed)
    }
}

/// The books of one deployment, by code.
#[derive(Debug, Default)]
pub struct Books {
    pub codes: BTreeMap<String, Uses>,
}

impl Books {
    pub fn note(&mut self, report: Report, fate: Fate) {
        let new = || Uses { entries: Vec::new(), retracted: Some(false) };
        let uses = self.codes.entry(report.code.clone()).or_insert_with(new);
        uses.entries.push(Entry { report, fate });
    }

    /// Number of codes with an acknowledged report.
    pub fn acknowledged(&self) -> usize {
        self.codes.values().filter(|uses| uses.accepted().next().is_some()).count()
    }

    /// Number of codes of which it is not known whether a report was made with them.
    pub fn unknown(&self) -> usize {
        let is_unknown = |uses: &&Uses| uses.accepted().next().is_none() && uses.has_unknown();
        self.codes.values().filter(is_unknown).count()
    }

    /// The elements that must be published, when nothing is unknown.
    pub fn model(&self) -> Days {
        let mut days = Days::new();
        for uses in self.codes.values().filter(|uses| uses.retracted == Some(false)) {
            for (date, element) in uses.accepted().flat_map(|entry| entry.report.elements()) {
                days.entry(date).or_default().insert(element);
            }
        }
        days
    }
}

/// Faults that are shown.
const SHOWN: usize = 8;

/// What a comparison of a server with the books found. All but the first three are faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub acknowledged: usize,
    /// Reports of which nothing was known, and which were there.
    pub found: usize,
    /// Reports of which nothing was known, and which were not there.
    pub absent: usize,
    /// Acknowledged reports that are not there, or have another answer.
    pub lost: usize,
    /// Reports that are there and that nobody sent, or that were refused.
    pub invented: usize,
    /// Codes that brought two reports.
    pub doubled: usize,
    /// Everything else that is wrong.
    pub wrong: Vec<String>,
}

impl Findings {
    pub fn is_well(&self) -> bool {
        self.lost + self.invented + self.doubled + self.wrong.len() == 0
    }

    pub fn add(&mut self, other: &Findings) {
        self.acknowledged += other.acknowledged;
        self.found += other.found;
        self.absent += other.absent;
        self.lost += other.lost;
        self.invented += other.invented;
        self.doubled += other.doubled;
        self.wrong.extend_from_slice(&other.wrong);
    }

    pub fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { acknowledged, found, absent, lost, invented, doubled, wrong } = self;
        write!(
            f,
            "{acknowledged} acknowledged, {lost} lost, {invented} invented, {doubled} doubled; of \
             those without an answer {found} there, {absent} not"
        )?;
        wrong.iter().take(SHOWN).try_for_each(|wrong| write!(f, "\n  {wrong}"))?;
        let more = wrong.len().saturating_sub(SHOWN);
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
}
