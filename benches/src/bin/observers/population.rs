//! Who heard whom.

use gcs_core::identifiers::dp3t::EPOCH_SECONDS;
use gcs_core::sync::{ClientSettings, Heard};
use gcs_core::{DAY_SECONDS, Date};

use crate::deployment::{DATES, Deployment, Patient, START};
use crate::phone::{Log, Server, live};
use crate::random::Random;

/// How a phone met a patient, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Population {
    /// It met none.
    None,
    /// It met none either: what scores look like where there is nothing to tell.
    Control,
    /// For one hour of one of the reported dates.
    Hour,
    /// For one hour, two to five days before the report.
    RecentHour,
    /// For an hour of each of three dates.
    ThreeDates,
    /// For six hours of every date.
    Household,
}

pub(crate) const POPULATIONS: [Population; 6] = [
    Population::None,
    Population::Control,
    Population::Hour,
    Population::RecentHour,
    Population::ThreeDates,
    Population::Household,
];

/// Strangers' identifiers that a phone hears a date. The false alarms that they give at 2^-12 are
/// those of 10,000 a date at 2^-20.
const STRANGERS: u64 = 39;

/// A phone of a population, and what it did.
pub(crate) struct Phone {
    pub(crate) log: Log,
    /// When the report of the patient that it met was published.
    pub(crate) reported: Option<u64>,
}

impl Population {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Population::None => "no contact",
            Population::Control => "no contact either, as a control",
            Population::Hour => "one hour",
            Population::RecentHour => "one hour, 2 to 5 days before the report",
            Population::ThreeDates => "three dates",
            Population::Household => "household",
        }
    }

    /// The dates of a report on which a phone met the patient, and for how many epochs each.
    fn met(self, dates: &[Date], random: &mut Random) -> (Vec<Date>, u64) {
        let mut left = dates.to_vec();
        if self == Population::RecentHour {
            left = dates[dates.len().saturating_sub(5)..dates.len() - 1].to_vec();
        }
        let (count, epochs) = match self {
            Population::None | Population::Control => (0, 0),
            Population::Hour | Population::RecentHour => (1, 4),
            Population::ThreeDates => (3, 4),
            Population::Household => (left.len(), 24),
        };
        let draw = |_| left.swap_remove(random.below(left.len() as u64) as usize);
        ((0..count).map(draw).collect(), epochs)
    }

    /// What a phone heard, by time, and when its patient's report was published.
    fn heard(self, deployment: &Deployment, random: &mut Random) -> (Vec<Heard>, Option<u64>) {
        let first = START / DAY_SECONDS - DATES;
        let mut heard = Vec::new();
        for day in first..first + DATES + deployment.plan.days {
            for _ in 0..STRANGERS {
                let time = day * DAY_SECONDS + random.below(DAY_SECONDS);
                heard.push(Heard { time, element: random.entropy()[..16].to_vec() });
            }
        }
        let mut reported = None;
        if !matches!(self, Population::None | Population::Control) {
            let issued = |patient: &Patient| deployment.ticks[patient.tick].issued;
            let time = deployment.plan.contact_time();
            let is_within = |patient: &&Patient| time.contains(&issued(patient));
            let within: Vec<&Patient> = deployment.patients.iter().filter(is_within).collect();
            let patient = within[random.below(within.len() as u64) as usize];
            let dates: Vec<Date> = patient.dates.iter().map(|entry| entry.0).collect();
            let (met, epochs) = self.met(&dates, random);
            for date in met {
                let from = 12 + random.below(90 - 12 - epochs);
                for epoch in from..from + epochs {
                    let time = date.start() + epoch * EPOCH_SECONDS + random.below(EPOCH_SECONDS);
                    let element = patient.elements(date)[epoch as usize].to_vec();
                    heard.push(Heard { time, element });
                }
            }
            reported = Some(issued(patient));
        }
        heard.sort_by_key(|heard| heard.time);
        (heard, reported)
    }

    fn phone(
        self,
        deployment: &Deployment,
        settings: ClientSettings,
        server: Server,
        number: usize,
    ) -> Phone {
        let mut random = Random::of(&[deployment.plan.seed, 2, self as u64, number as u64]);
        let (heard, reported) = self.heard(deployment, &mut random);
        Phone { log: live(deployment, settings, server, &heard, random), reported }
    }

    /// So many phones of this population, each with a whole life, on all cores.
    pub(crate) fn phones(
        self,
        deployment: &Deployment,
        settings: ClientSettings,
        server: Server,
        count: usize,
    ) -> Vec<Phone> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = count.div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let part = |from: usize| {
                let numbers = from..(from + share).min(count);
                scope.spawn(move || {
                    let phone = |number| self.phone(deployment, settings, server, number);
                    numbers.map(phone).collect::<Vec<_>>()
                })
            };
            let parts: Vec<_> = (0..count).step_by(share).map(part).collect();
            parts.into_iter().flat_map(|part| part.join().expect("a phone runs")).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::Plan;

    fn deployment() -> Deployment {
        let (tick, next) = (4 * 3600, DAY_SECONDS);
        let (per_date, reported) = (1500, DATES);
        Deployment::new(Plan { seed: 5, per_date, reported, tick, next, days: 9, rate_bits: 12 })
    }

    #[test]
    fn contacts_are_confirmed_and_nobody_elses() {
        let deployment = deployment();
        let settings = ClientSettings::new(deployment.root);
        let phones =
            |population: Population| population.phones(&deployment, settings, Server::Honest, 4);
        for phone in phones(Population::Household) {
            assert!(phone.log.confirmed > phone.reported);
            assert!(phone.log.questions.iter().any(|question| question.real));
        }
        for phone in phones(Population::None) {
            assert!(phone.log.confirmed.is_none() && phone.log.questions.len() > 5);
        }
    }

    #[test]
    fn a_mirror_that_refuses_confirms_nothing() {
        let deployment = deployment();
        let settings = ClientSettings::new(deployment.root);
        let server = Server::Refusing { from: 0, until: u64::MAX };
        for phone in Population::Household.phones(&deployment, settings, server, 2) {
            assert!(phone.log.confirmed.is_none());
            assert!(phone.log.questions.iter().all(|question| question.refused));
        }
    }
}
