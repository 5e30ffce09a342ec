//! When phones ask and learn: how often, how soon after a report, and whether polls matter.

use gcs_core::DAY_SECONDS;
use gcs_core::sync::ClientSettings;

use crate::deployment::{DATES, Deployment, Plan};
use crate::guess;
use crate::phone::Server;
use crate::population::{Phone, Population};
use crate::stats::{mean, quantile};

/// Hours from the publication of a report to the confirmed contact.
pub(crate) fn delays(phones: &[Phone]) -> Vec<f64> {
    let delay = |phone: &Phone| {
        let (confirmed, reported) = (phone.log.confirmed?, phone.reported?);
        Some(confirmed.saturating_sub(reported) as f64 / 3600.0)
    };
    phones.iter().filter_map(delay).collect()
}

/// The share of contacts that were never confirmed: their date expired before its question.
pub(crate) fn missed(phones: &[Phone]) -> f64 {
    let met = phones.iter().filter(|phone| phone.reported.is_some());
    let missed = met.clone().filter(|phone| phone.log.confirmed.is_none()).count();
    missed as f64 / met.count().max(1) as f64
}

/// Questions a phone and day.
pub(crate) fn questions(deployment: &Deployment, phones: &[Phone]) -> f64 {
    let count: usize = phones.iter().map(|phone| phone.log.questions.len()).sum();
    count as f64 / phones.len() as f64 / deployment.plan.days as f64
}

/// How a schedule of publications and polls looks to the server.
pub(crate) struct Polling {
    pub(crate) name: &'static str,
    pub(crate) questions: f64,
    pub(crate) lag: f64,
    pub(crate) patients: f64,
    pub(crate) delay: f64,
}

/// Phones that wake for every publication, one each quarter of an hour, and phones that wake only
/// to ask, with a publication each four hours as elsewhere here.
pub(crate) fn polling(per_date: u32, days: u64, count: usize) -> Vec<Polling> {
    let all = [
        ("every 15 minutes, each of them taken", 900, 900),
        ("every 4 hours, taken when a question is due", 4 * 3600, DAY_SECONDS),
    ];
    let measure = |(name, tick, next)| {
        let plan = Plan { seed: 9, per_date, reported: DATES, tick, next, days, rate_bits: 12 };
        let deployment = Deployment::new(plan);
        let settings = ClientSettings::new(deployment.root);
        let phones = Population::Hour.phones(&deployment, settings, Server::Honest, count);
        let lag = |phone: &Phone| -> Vec<f64> {
            let pairs = phone.log.questions.windows(2);
            pairs.map(|pair| (pair[1].time - pair[0].time) as f64 / 3600.0).collect()
        };
        Polling {
            name,
            questions: questions(&deployment, &phones),
            lag: mean(&phones.iter().flat_map(lag).collect::<Vec<_>>()),
            patients: mean(&guess::patients_left(&deployment, &phones)),
            delay: quantile(&delays(&phones), 0.5),
        }
    };
    all.into_iter().map(measure).collect()
}
