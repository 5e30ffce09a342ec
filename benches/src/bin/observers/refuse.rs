//! Attack 4: a mirror refuses records, to learn a second question.
//!
//! The attacker is a mirror that serves everything else. It sees which record is asked for,
//! again and again, and knows all publications.

use std::ops::Range;

use gcs_core::DAY_SECONDS;
use gcs_core::sync::ClientSettings;

use crate::deployment::{Deployment, START};
use crate::phone::{Question, Server};
use crate::population::{Phone, Population};
use crate::stats::{mean, quantile};

/// What the mirror has learned of one population.
pub(crate) struct Refusal {
    pub(crate) phones: usize,
    /// Phones that asked about a second date.
    pub(crate) other_date: usize,
    /// Phones that asked about a second date although the first was still published.
    pub(crate) without_cause: usize,
    /// Mean and 5th percentile of the share of the first record that is left when the records of
    /// all repetitions are laid over each other.
    pub(crate) mean_left: f64,
    pub(crate) least_left: f64,
}

pub(crate) fn refuse(
    deployment: &Deployment,
    settings: ClientSettings,
    population: Population,
    hours: u64,
    count: usize,
) -> Refusal {
    // It begins when half of the phones have met their patient's report.
    let from = START + deployment.plan.days / 3 * DAY_SECONDS;
    let server = Server::Refusing { from, until: from + hours * 3600 };
    let phones = population.phones(deployment, settings, server, count);
    let refused = |phone: &Phone| -> Vec<Question> {
        let questions = phone.log.questions.iter();
        questions.filter(|question| question.refused).cloned().collect()
    };
    let asked: Vec<Vec<Question>> = phones.iter().map(refused).collect();
    let left: Vec<f64> = asked.iter().filter_map(|asked| share_left(deployment, asked)).collect();
    let changes = asked.iter().filter_map(|asked| {
        let changed = asked.iter().position(|question| question.date != asked[0].date)?;
        Some(deployment.row(asked[changed].tick, asked[0].date).is_some())
    });
    let changes: Vec<bool> = changes.collect();
    Refusal {
        phones: asked.iter().filter(|asked| !asked.is_empty()).count(),
        other_date: changes.len(),
        without_cause: changes.iter().filter(|has_no_cause| **has_no_cause).count(),
        mean_left: mean(&left),
        least_left: quantile(&left, 0.05),
    }
}

/// The share of the first record's elements that lie in the records of all repetitions.
fn share_left(deployment: &Deployment, asked: &[Question]) -> Option<f64> {
    let first = asked.first()?;
    let interval =
        |question: &Question| deployment.interval(question.tick, question.date, question.record);
    let same = asked.iter().filter(|question| question.date == first.date);
    let all = same.map(interval).reduce(|a, b| a.start.max(b.start)..a.end.min(b.end))?;
    let first_interval = interval(first);
    let count =
        |interval: Range<u64>| deployment.published_within(first.tick, first.date, &interval);
    Some(count(all) as f64 / count(first_interval).max(1) as f64)
}
