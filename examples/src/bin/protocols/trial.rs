//! One protocol for four days: the three of the meetings, and the next, on which its bytes are
//! counted.

use std::collections::BTreeSet;

use gcs_core::DAY_SECONDS;
use gcs_core::sync::Heard;
use gcs_examples::traffic::Traffic;
use gcs_examples::{Checked, ensure};

use crate::handset::{Handset, Spans};
use crate::health::{Authority, INTERVAL};
use crate::random::Random;
use crate::reports::{Inbox, Report};
use crate::town::{DAYS, Town};
use crate::{checks, truth};

/// Longest time by which a phone's poll comes after a tick, in seconds.
const JITTER: u64 = 300;

/// One phone in so many syncs at every tick; the others seldom have the chance to.
const EAGER: usize = 10;

/// How often the others sync, in seconds.
const SELDOM: u64 = 6 * 3600;

/// A protocol, what its phones heard and sent, and what they should find.
pub(crate) struct Trial<'t> {
    pub(crate) name: &'static str,
    pub(crate) town: &'t Town,
    /// Of each phone.
    pub(crate) heard: Vec<Vec<Heard>>,
    pub(crate) reports: Vec<Report>,
    /// When each phone heard what it should find, by its clock.
    pub(crate) expected: Vec<BTreeSet<u64>>,
    /// An identifier of a patient that somebody replays, each time later.
    pub(crate) replays: Vec<Replay>,
}

/// A replayed identifier.
pub(crate) struct Replay {
    /// What a phone keeps of it.
    pub(crate) heard: Vec<Heard>,
    /// Whether a phone should take it for a contact.
    pub(crate) is_found: bool,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// Bytes that a patient of the town sends, on average.
    pub(crate) sent: u64,
    /// Bytes that all patients sent on the last day.
    pub(crate) sent_by_all: u64,
    /// Elements published at the end.
    pub(crate) elements: u64,
    /// What a phone fetches on the last day if it syncs at every tick, on average.
    pub(crate) eager: Traffic,
    /// The same for a phone that syncs seldom.
    pub(crate) seldom: Traffic,
    /// Contacts, as the phones tell them.
    pub(crate) contacts: Vec<Spans>,
    /// Phones that take an identifier for a contact that is replayed half an hour later, of those
    /// that met no patient.
    pub(crate) replayed: (usize, usize),
    /// False hits of phones that met no patient at a rate of 2^-8, and how many are expected.
    pub(crate) coarse: (u64, f64),
}

impl<'t> Trial<'t> {
    /// Lives through it all.
    ///
    /// # Errors
    /// If a phone finds anything else than it should, or anything else is not as it should be.
    pub(crate) fn run(&self) -> Checked<Figures> {
        let begin = self.town.first.end();
        let counted = self.town.first.start() + DAYS * DAY_SECONDS;
        let end = counted + DAY_SECONDS;
        let mut authority = Authority::new(begin);
        let mut inbox = Inbox::new(self.town, &self.reports);
        let mut phones = self.phones(&authority, begin);
        for now in (begin..end).step_by(INTERVAL as usize) {
            inbox.deliver(now, &mut authority)?;
            authority.tick(now)?;
            if now == counted {
                phones.iter_mut().for_each(|phone| phone.traffic = Traffic::default());
            }
            for (number, phone) in phones.iter_mut().enumerate() {
                self.wake_until(number, phone, now + INTERVAL, &authority)?;
            }
        }
        let (eager, seldom): (Vec<_>, Vec<_>) = phones
            .iter()
            .enumerate()
            .map(|(number, phone)| (number.is_multiple_of(EAGER), phone.traffic))
            .partition(|(is_eager, _)| *is_eager);
        inbox.deliver(end, &mut authority)?;
        authority.tick(end)?;
        // Some missed the last tick, some the last six; by now all of them want to sync.
        let (behind, end) = (phones[..2].to_vec(), end + 2 * JITTER);
        let contacts = self.decide(&mut phones, end, &authority)?;
        checks::every_sighting(self, &authority)?;
        checks::same_state(&phones, &behind, &authority, end)?;
        checks::wrong_files_are_refused(&behind, &authority, end)?;
        Ok(Figures {
            name: self.name,
            sent: self.mean_sent(),
            sent_by_all: self.sent_since(counted),
            elements: authority.days().iter().map(|day| day.len() as u64).sum(),
            eager: mean(&eager),
            seldom: mean(&seldom),
            replayed: checks::replayed(self, &phones, &authority, end)?,
            coarse: checks::coarse(self, &authority)?,
            contacts,
        })
    }

    /// New phones, the first of which wake when the first date is published.
    fn phones<'a>(&'a self, authority: &Authority, begin: u64) -> Vec<Handset<'a>> {
        let settings = authority.client_settings();
        let phone = |(number, person)| {
            let wait = if usize::is_multiple_of(number, EAGER) { 3600 } else { SELDOM };
            let wait = Random::of("first wake", &[number as u64]).below(wait);
            let heard = &self.heard[number];
            Handset::new(number as u64, person, settings, heard, begin + 7200 + wait)
        };
        self.town.people.iter().enumerate().map(phone).collect()
    }

    /// Wakes a phone whenever it wants to and can, until a time.
    fn wake_until(
        &self,
        number: usize,
        phone: &mut Handset<'_>,
        until: u64,
        authority: &Authority,
    ) -> Checked<()> {
        let person = &self.town.people[number];
        loop {
            let now = person.online_from(phone.next_wake);
            if now >= until {
                return Ok(());
            }
            phone.wake(now, &authority.files)?;
            if !number.is_multiple_of(EAGER) {
                phone.next_wake = phone.next_wake.max(now + SELDOM);
            }
        }
    }

    /// The contacts of all phones, which must be those that they should find.
    fn decide(
        &self,
        phones: &mut [Handset<'_>],
        end: u64,
        authority: &Authority,
    ) -> Checked<Vec<Spans>> {
        let mut contacts = Vec::new();
        for (number, (phone, expected)) in phones.iter_mut().zip(&self.expected).enumerate() {
            let found = phone.decide(end, &authority.files)?;
            let expected = truth::episodes(expected);
            ensure(found == expected, || {
                format!("phone {number} found {found:?}, not {expected:?}")
            })?;
            contacts.push(found);
        }
        Ok(contacts)
    }

    fn mean_sent(&self) -> u64 {
        let sent = self.reports.iter().filter(|report| report.person.is_some());
        let sent: Vec<u64> = sent.map(|report| report.bytes).collect();
        sent.iter().sum::<u64>() / sent.len() as u64
    }

    fn sent_since(&self, time: u64) -> u64 {
        let sent = self.reports.iter().filter(|report| report.time >= time);
        sent.map(|report| report.bytes).sum()
    }
}

/// The mean of what some phones fetched.
fn mean(of: &[(bool, Traffic)]) -> Traffic {
    let mean = |part: fn(&Traffic) -> u64| {
        of.iter().map(|(_, traffic)| part(traffic)).sum::<u64>() / of.len() as u64
    };
    Traffic {
        requests: mean(|traffic| traffic.requests),
        manifests: mean(|traffic| traffic.manifests),
        bundles: mean(|traffic| traffic.bundles),
        sets: mean(|traffic| traffic.sets),
        confirmations: mean(|traffic| traffic.confirmations),
    }
}
