//! One protocol for four days: the three of the meetings, and the next, on which its bytes are
//! counted.

use gcs_core::sync::Heard;
use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::traffic::Traffic;
use gcs_examples::{Checked, ensure};

use crate::design::{Dated, Design, at};
use crate::handset::{Handset, Spans};
use crate::health::{Authority, INTERVAL};
use crate::radio::Reception;
use crate::random::Random;
use crate::town::{DAYS, Town};
use crate::{checks, truth};

/// Patients a day who live elsewhere and report to the same authority.
pub(crate) const ELSEWHERE: u64 = 100;

/// Longest time by which a phone's poll comes after a tick, in seconds.
const JITTER: u64 = 300;

/// One phone in so many syncs at every tick; the others seldom have the chance to.
const EAGER: usize = 10;

/// How often the others sync, in seconds.
const SELDOM: u64 = 6 * 3600;

/// Who is recorded, and who replays how much later what was broadcast 36 hours after the first
/// midnight.
const RECORDED: usize = 24;
const RECORDED_AT: u64 = 36 * 3600 + 600;
pub(crate) const LATER: u64 = 1800;

/// A report and what follows from it.
#[derive(Clone)]
pub(crate) struct Report {
    pub(crate) time: u64,
    /// Bytes that the phone sent.
    pub(crate) bytes: u64,
    pub(crate) elements: Dated,
    /// Who reported, if it was somebody of the town.
    pub(crate) person: Option<usize>,
}

/// A protocol, what its phones heard and sent, and what they should find.
pub(crate) struct Trial<'t> {
    pub(crate) name: &'static str,
    pub(crate) town: &'t Town,
    /// Of each phone.
    pub(crate) heard: Vec<Vec<Heard>>,
    pub(crate) reports: Vec<Report>,
    /// The contacts that each phone should find.
    pub(crate) expected: Vec<Spans>,
    /// What a phone keeps of an identifier of a patient that somebody replays.
    pub(crate) replayed: Vec<Heard>,
    /// Whether a phone should take it for a contact.
    pub(crate) replay_is_found: bool,
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
    /// Phones that take a replayed identifier for a contact, of those that met no patient.
    pub(crate) replayed: (usize, usize),
    /// False hits of phones that met no patient at a rate of 2^-8, and how many are expected.
    pub(crate) coarse: (u64, f64),
}

/// When each patient elsewhere reports, and which number the person has.
pub(crate) fn elsewhere(town: &Town) -> impl Iterator<Item = (u64, u64)> {
    let first = town.first.end();
    let step = DAY_SECONDS / ELSEWHERE;
    (0..DAYS * ELSEWHERE).map(move |number| (1000 + number, first + number * step))
}

/// When each person of the town reports who does.
pub(crate) fn in_town(town: &Town) -> impl Iterator<Item = (usize, u64)> {
    let reports = |(number, person): (usize, &crate::town::Person)| {
        Some((number, person.online_from(person.reports?)))
    };
    town.people.iter().enumerate().filter_map(reports)
}

/// When the identifier that is replayed was broadcast, and by whom.
pub(crate) fn recorded(town: &Town) -> (usize, u64) {
    (RECORDED, town.first.start() + RECORDED_AT)
}

impl<'t> Trial<'t> {
    /// The trial of a protocol whose identifiers count for spans of so many seconds.
    pub(crate) fn of_design(
        town: &'t Town,
        receptions: &[Reception],
        design: &dyn Design,
        span: u64,
    ) -> Checked<Trial<'t>> {
        let day = |person: usize, day| {
            let date = Date::from_days(town.first.days() + day)?;
            Ok(design.identifiers(person as u64, date))
        };
        let days = |person| (0..DAYS as u32).map(|number| day(person, number)).collect();
        let ids = (0..town.people.len()).map(days).collect::<Checked<Vec<Vec<_>>>>()?;
        let broadcast = |person: usize, time| {
            let clock = town.people[person].clock(time);
            at(&ids[person][((clock - town.first.start()) / DAY_SECONDS) as usize], clock)
        };
        let sighting = |identifier: &[u8; 16], clock| {
            let elements = design.sighting(identifier, clock).into_iter();
            elements.map(move |element| Heard { time: clock, element })
        };
        let mut heard = vec![Vec::new(); town.people.len()];
        for Reception { time, from, to } in receptions.iter().copied() {
            let clock = town.people[to].clock(time);
            heard[to].extend(sighting(&broadcast(from, time), clock));
        }
        let report = |person: u64, time: u64, clock: u64, who: Option<usize>| {
            let messages = design.messages(person, town.first, clock)?;
            let bytes = messages.iter().map(|message| message.len() as u64).sum();
            let expand = |message: &Vec<u8>| design.expand(message, Date::of_time(time));
            let elements = messages.iter().map(expand).collect::<Checked<Vec<_>>>()?.concat();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Report {
                time,
                bytes,
                elements,
                person: who,
            })
        };
        let mut reports = Vec::new();
        for (person, time) in in_town(town) {
            let clock = town.people[person].clock(time);
            reports.push(report(person as u64, time, clock, Some(person))?);
        }
        for (person, time) in elsewhere(town) {
            reports.push(report(person, time, time, None)?);
        }
        let expected = truth::beacons(town, receptions).iter().map(truth::episodes).collect();
        let (who, time) = recorded(town);
        let replayed = sighting(&broadcast(who, time), time + LATER).collect();
        let replay_is_found = truth::replay_is_found(span, time, LATER);
        Ok(Trial { name: design.name(), town, heard, reports, expected, replayed, replay_is_found })
    }

    /// Lives through it all.
    ///
    /// # Errors
    /// If a phone finds anything else than it should, or anything else is not as it should be.
    pub(crate) fn run(mut self) -> Checked<Figures> {
        self.reports.sort_by_key(|report| report.time);
        let town = self.town;
        let begin = town.first.end();
        let counted = town.first.start() + DAYS * DAY_SECONDS;
        let end = counted + DAY_SECONDS;
        let mut authority = Authority::new(begin);
        let mut phones = self.phones(&authority, begin);
        let mut behind = Vec::new();
        let (mut received, mut mistaken) = (0, None);
        for now in (begin..=end).step_by(INTERVAL as usize) {
            for report in self.reports[received..].iter().take_while(|report| report.time <= now) {
                let number = authority.receive(report.time, report.elements.clone())?;
                if report.person.is_some_and(|person| town.people[person].is_mistaken) {
                    mistaken = Some(number);
                }
                received += 1;
            }
            if let Some(number) = mistaken.filter(|_| now >= town.corrected()) {
                authority.retract(number);
                mistaken = None;
            }
            if now + 5 * INTERVAL == end || now == end {
                // One that misses some ticks, and one that misses the last.
                behind.push(phones[0].clone());
            }
            authority.tick(now)?;
            if now == counted {
                phones.iter_mut().for_each(|phone| phone.traffic = Traffic::default());
            }
            if now < end {
                for (number, phone) in phones.iter_mut().enumerate() {
                    self.wake_until(number, phone, now + INTERVAL, &authority)?;
                }
            }
        }
        let (eager, seldom): (Vec<_>, Vec<_>) = phones
            .iter()
            .enumerate()
            .map(|(number, phone)| (number.is_multiple_of(EAGER), phone.traffic))
            .partition(|(is_eager, _)| *is_eager);
        // By now every phone's next poll is due.
        let end = end + 2 * JITTER;
        let contacts = self.decide(&mut phones, end, &authority)?;
        checks::same_state(&phones, &behind, &authority, end)?;
        checks::wrong_files_are_refused(&self, &phones[0], &behind, &authority, end)?;
        Ok(Figures {
            name: self.name,
            sent: self.mean_sent(),
            sent_by_all: self.sent_since(counted),
            elements: authority.days().iter().map(|day| day.len() as u64).sum(),
            eager: mean(&eager),
            seldom: mean(&seldom),
            replayed: checks::replayed(&self, &phones, &authority, end)?,
            coarse: checks::coarse(&self, &authority)?,
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
            ensure(found == *expected, || {
                format!("{}: phone {number} found {found:?}, not {expected:?}", self.name)
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
