//! Attacks 1 and 2: is a question real, and does a phone have contacts?
//!
//! The attacker is the server or its CDN. It links the requests of a phone, knows every patient's
//! elements and when each was published, and has learned from phones whose truth it knows.

use std::collections::BTreeMap;
use std::ops::Range;

use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Date};

use crate::classify::{Sample, Score, best};
use crate::deployment::{Deployment, START};
use crate::phone::Question;
use crate::population::Phone;

/// Names of the properties of one question that an attacker can compute.
const OF_A_QUESTION: [&str; 11] = [
    "age of the date",
    "time since the question before",
    "new elements in the record",
    "share of what is new in the record",
    "patients new in the record",
    "same date as before",
    "same record as before",
    "earlier questions about the date",
    "days since the date was asked for",
    "place of the record",
    "time of day",
];

/// Names of the properties of one phone that an attacker can compute from all of its questions.
const OF_A_PHONE: [&str; 11] = [
    "questions",
    "mean age of the dates",
    "greatest age",
    "least age",
    "spread of the ages",
    "dates asked for",
    "most questions about one date",
    "dates asked for twice in a row",
    "least share of what is new",
    "mean share of what is new",
    "mean time between questions",
];

/// The properties of a phone's question at a position. There is a question before it.
fn features(deployment: &Deployment, questions: &[Question], at: usize) -> Vec<f64> {
    let (now, before) = (&questions[at], &questions[at - 1]);
    let Question { tick, date, record, time, .. } = *now;
    let new = deployment.new_in_record(before.tick, tick, date, record);
    let elements = f64::from(new.iter().sum::<u32>());
    let share = elements / (deployment.added(before.tick, tick) as f64).max(1.0);
    let same = questions[..at].iter().filter(|other| other.date == date);
    let last = same.clone().next_back();
    let since = last.map_or(20.0, |last| (time - last.time) as f64 / DAY_SECONDS as f64);
    let records = deployment.row(tick, date).map_or(1, gcs_core::files::Row::records);
    let is_same = |same: bool| f64::from(u8::from(same));
    vec![
        age(deployment, now),
        (time - before.time) as f64,
        elements,
        share,
        new.len() as f64,
        is_same(before.date == date),
        is_same(before.date == date && before.record == record),
        same.count() as f64,
        since,
        f64::from(record) / f64::from(records),
        (time % DAY_SECONDS) as f64,
    ]
}

/// Days from the date that is asked for to the publication.
fn age(deployment: &Deployment, question: &Question) -> f64 {
    let today = Date::of_time(deployment.ticks[question.tick].issued);
    f64::from(today.days() - question.date.days())
}

/// The positions of the questions that are judged: not those of the first day, when everything
/// is new to a phone.
fn judged(questions: &[Question]) -> impl Iterator<Item = usize> {
    let is_judged = |at: &usize| questions[*at].time >= START + DAY_SECONDS;
    (1..questions.len()).filter(is_judged)
}

/// Which real questions are told from dummies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Real {
    /// All, from all dummies. A phone whose question follows many reports has met a patient more
    /// often than one whose question follows none. The publications alone tell that, to everybody
    /// and whatever the phone asks.
    All,
    /// Those that follow the report. Dummies count by the number of reports since the question
    /// before that phones have contacts by, so that only what the question itself tells is left.
    First,
    /// Those that come later, of candidates that had to wait. Dummies count so that each day has
    /// as many of them as real ones: what the days' reports looked like tells nothing then.
    Later,
}

/// How well real questions are told from dummies of the same phones.
pub(crate) fn questions(deployment: &Deployment, phones: &[Phone], which: Real) -> Option<Score> {
    let Range { start, end } = deployment.plan.contact_time();
    let time = start..end + DAY_SECONDS;
    let (mut samples, mut days) = (Vec::new(), Vec::new());
    for (number, Phone { log, reported }) in phones.iter().enumerate() {
        let questions = &log.questions;
        for at in judged(questions).filter(|at| time.contains(&questions[*at].time)) {
            let (before, is_real) = (questions[at - 1].tick, questions[at].real);
            let is_first =
                reported.is_none_or(|reported| deployment.ticks[before].issued < reported);
            let real = if is_first { Real::First } else { Real::Later };
            if is_real && which != Real::All && which != real {
                continue;
            }
            let reports = deployment.contact_reports(before, questions[at].tick) as f64;
            let weight = if which == Real::First && !is_real { reports } else { 1.0 };
            let features = features(deployment, questions, at);
            samples.push(Sample { features, is_real, weight, is_odd: !number.is_multiple_of(2) });
            days.push((questions[at].time - start) / DAY_SECONDS);
        }
    }
    if which == Real::Later {
        match_days(&mut samples, &days);
    }
    samples.retain(|sample| sample.weight > 0.0);
    best(&samples, &OF_A_QUESTION)
}

/// Weighs dummies so that each day has as many as real questions.
fn match_days(samples: &mut [Sample], days: &[u64]) {
    let mut counts: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
    for (sample, day) in samples.iter().zip(days) {
        counts.entry(*day).or_default()[usize::from(sample.is_real)] += 1.0;
    }
    for (sample, day) in samples.iter_mut().zip(days).filter(|(sample, _)| !sample.is_real) {
        let [dummies, real] = counts[day];
        sample.weight = real / dummies;
    }
}

fn features_of_phone(deployment: &Deployment, questions: &[Question]) -> Vec<f64> {
    let seen: Vec<Vec<f64>> =
        judged(questions).map(|at| features(deployment, questions, at)).collect();
    let column = |at: usize| seen.iter().map(move |features| features[at]);
    let count = (seen.len() as f64).max(1.0);
    let mean = |at| column(at).sum::<f64>() / count;
    let (greatest, least) = (column(0).fold(0.0, f64::max), column(0).fold(99.0, f64::min));
    let age = mean(0);
    let spread = column(0).map(|x| (x - age).powi(2)).sum::<f64>() / count;
    let mut dates: Vec<Date> = judged(questions).map(|at| questions[at].date).collect();
    dates.sort_unstable();
    let of_one = dates.chunk_by(|a, b| a == b).map(<[Date]>::len).max().unwrap_or(0);
    dates.dedup();
    vec![
        seen.len() as f64,
        age,
        greatest,
        least,
        spread,
        dates.len() as f64,
        of_one as f64,
        column(5).sum(),
        column(3).fold(1.0, f64::min),
        mean(3),
        mean(1),
    ]
}

/// How well phones of one population are told from those of another by all of their questions.
pub(crate) fn phones(deployment: &Deployment, none: &[Phone], some: &[Phone]) -> Option<Score> {
    let sample = |phones: &[Phone], is_real: bool| -> Vec<Sample> {
        let sample = |(number, phone): (usize, &Phone)| Sample {
            features: features_of_phone(deployment, &phone.log.questions),
            is_real,
            weight: 1.0,
            is_odd: !number.is_multiple_of(2),
        };
        phones.iter().enumerate().map(sample).collect()
    };
    best(&[sample(none, false), sample(some, true)].concat(), &OF_A_PHONE)
}

/// How many patients each question leaves: those with an element in the record that is new since
/// the question before.
pub(crate) fn patients_left(deployment: &Deployment, phones: &[Phone]) -> Vec<f64> {
    let mut left = Vec::new();
    for Phone { log, .. } in phones {
        for at in judged(&log.questions) {
            let Question { tick, date, record, .. } = log.questions[at];
            let before = log.questions[at - 1].tick;
            left.push(deployment.new_in_record(before, tick, date, record).len() as f64);
        }
    }
    left
}

/// How many questions were asked while too little was new: fewer elements than the crowd, and
/// less time than the phone waits for it. A repetition is no new question.
pub(crate) fn hasty(deployment: &Deployment, phones: &[Phone], settings: &ClientSettings) -> usize {
    let is_hasty = |pair: &&[Question]| {
        let (before, now) = (pair[0].tick, pair[1].tick);
        let span = deployment.ticks[now].issued - deployment.ticks[before].issued;
        let is_crowded = deployment.added(before, now) >= settings.crowd;
        !pair[0].refused
            && span < settings.crowd_wait
            && !(is_crowded && span >= settings.confirm_every / 2)
    };
    phones.iter().map(|phone| phone.log.questions.windows(2).filter(is_hasty).count()).sum()
}
