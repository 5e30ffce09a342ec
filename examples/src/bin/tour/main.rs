//! The whole protocol over a local folder: compress, publish, update, sync, match,
//! confirm, correct. Exits with an error if anything is not as it should be.

mod backend;
mod people;
mod phones;
mod report;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use gcs_core::files::Verdict;
use gcs_core::publish::PublisherSettings;
use gcs_core::sync::{Asked, ClientSettings, Contact, Outcome};
use gcs_core::{DAY_SECONDS, Date};

use backend::Backend;
use gcs_examples::Folder;
use people::{CONTAGIOUS_DAYS, EPOCHS_A_DAY, Patient, exposure_notification_day};
use phones::Phone;

/// Elements of the first tick.
const ELEMENTS: usize = 1_000_000;

/// Dates in the table.
const DATES: u64 = 14;

/// Seconds between ticks.
const INTERVAL: u64 = 900;

/// Ticks of a day.
const DAY_TICKS: u32 = 96;

type Checked<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match tour() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nNOT AS IT SHOULD BE: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Fails the tour unless `is` holds.
fn ensure(is: bool, otherwise: impl FnOnce() -> String) -> Checked<()> {
    if is { Ok(()) } else { Err(otherwise().into()) }
}

fn say(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

fn tour() -> Checked<()> {
    let begin = Instant::now();
    let folder = tempfile::tempdir()?;
    let mut story = Story::begin(folder.path())?;
    story.first_tick()?;
    story.a_day_of_ticks()?;
    story.everyone_ends_in_the_same_state()?;
    story.contacts_are_confirmed()?;
    story.forged_and_stale_records_are_unknown()?;
    story.coarse_filter()?;
    report::print(&story)?;
    say(format!("\nEverything was as it should be, in {:.1} s.", begin.elapsed().as_secs_f64()));
    Ok(())
}

/// Everyone who takes part.
pub(crate) struct Story<'f> {
    folder: &'f Path,
    backend: Backend,
    patients: Vec<Patient>,
    first: Date,
    /// Syncs at every tick of a day, with the default settings.
    steady: Phone,
    /// Syncs at the first tick and then 96 ticks later.
    sleeper: Phone,
    /// Meets the patient whose report will be retracted.
    relieved: Phone,
    added: usize,
    removed: usize,
    first_sets: u64,
    phones_confirmed: usize,
    heard: usize,
    false_positives: u32,
}

impl<'f> Story<'f> {
    fn begin(folder: &'f Path) -> Checked<Story<'f>> {
        let broadcast = exposure_notification_day()?;
        let first = Date::of_time(broadcast[0].0 - 4 * DAY_SECONDS);
        let now = first.start() + DATES * DAY_SECONDS + 2 * 3600;
        let policy = PublisherSettings { interval: INTERVAL, ..PublisherSettings::default() };
        let mut backend = Backend::new(below(folder, "server"), policy, DAY_TICKS, now)?;
        say(format!("Patients report what their phones broadcast from {first} on."));
        for (time, element) in &broadcast {
            backend.days.entry(Date::of_time(*time)).or_default().push(*element);
        }
        say(format!(
            "  {} identifiers of one day of a phone with Exposure Notification (official vectors)",
            broadcast.len()
        ));
        let patients = patients(first, ELEMENTS - broadcast.len());
        patients.iter().for_each(|patient| backend.report(*patient));
        say(format!(
            "  {} identifiers of {} patients, derived as DP-3T unlinkable does",
            backend.elements() - broadcast.len(),
            patients.len()
        ));
        ensure(backend.elements() == ELEMENTS, || "expected a million elements".into())?;

        let settings = ClientSettings::new(backend.root());
        let often = ClientSettings { confirm_every: INTERVAL, ..settings };
        let phone = |name, settings| Phone::new(below(folder, name), &backend.folder, settings);
        let (mut steady, mut sleeper) = (phone("steady", settings), phone("sleeper", settings));
        let mut relieved = phone("relieved", often);
        steady.meet_for_an_hour(patients[705], 100);
        for (time, element) in broadcast.iter().skip(60).take(6) {
            sleeper.meet(*time + 30, *element);
        }
        relieved.meet_for_an_hour(patients[1], 50);
        relieved.meet_for_an_hour(patients[303], 50);
        for (seed, phone) in (1..).zip([&mut steady, &mut sleeper, &mut relieved]) {
            phone.hear_strangers(seed, first, DATES);
        }
        Ok(Story {
            folder,
            backend,
            patients,
            first,
            steady,
            sleeper,
            relieved,
            added: 0,
            removed: 0,
            first_sets: 0,
            phones_confirmed: 0,
            heard: 0,
            false_positives: 0,
        })
    }

    fn first_tick(&mut self) -> Checked<()> {
        let publication = self.backend.publish()?;
        let table = self.backend.table()?;
        self.first_sets = table.rows().iter().map(|row| row.bytes).sum();
        say(format!(
            "\nTick {}: {} dates, {} elements in {} bytes of sets, signed, in {} files.",
            publication.manifest.tick,
            table.rows().len(),
            self.backend.elements(),
            self.first_sets,
            publication.files.len()
        ));
        ensure(table.rows().len() as u64 == DATES, || "expected 14 dates".into())?;
        let now = self.backend.now + 60;
        let steady = self.steady.wake(now);
        ensure(steady.up_to_date, || format!("first sync: {steady:?}"))?;
        say(format!(
            "A client syncs from nothing: {} requests, {} bytes.",
            self.steady.client.traffic.requests,
            self.steady.client.traffic.total()
        ));
        ensure(self.sleeper.wake(now).up_to_date, || "the sleeper could not sync".into())?;
        let outcome = self.relieved.confirm_all(now)?;
        self.relieved.check(&contacts_of(&outcome)?)?;
        say(format!(
            "A phone that was near two patients confirms {} contacts.",
            contacts_of(&outcome)?.len()
        ));
        Ok(())
    }

    /// 96 ticks, each of which changes every date; one retraction; a date that expires.
    fn a_day_of_ticks(&mut self) -> Checked<()> {
        say("\nA day of ticks, each with new patients on every date:");
        self.steady.client.traffic = Default::default();
        let mut number = self.patients.len() as u32;
        for tick in 1..=DAY_TICKS {
            self.backend.now += INTERVAL;
            for offset in [0, 5, 10] {
                let first = Date::of_time(self.first.start() + offset * DAY_SECONDS);
                let patient = Patient { number, first, epochs: CONTAGIOUS_DAYS * EPOCHS_A_DAY };
                self.backend.report(patient);
                self.added += patient.epochs as usize;
                number += 1;
            }
            if tick == 50 {
                self.backend.retract(self.patients[1]);
                self.removed += self.patients[1].epochs as usize;
                say("  50 of 96: one report is retracted");
            }
            let before = self.dates_by_identity()?;
            if tick == DAY_TICKS {
                self.backend.days.remove(&self.first);
            }
            self.backend.publish()?;
            let after = self.dates_by_identity()?;
            let unchanged = before.intersection(&after).count();
            ensure(unchanged == 0, || format!("tick {tick}: {unchanged} dates unchanged"))?;
            let due = self.steady.next_wake;
            if due < self.backend.now + INTERVAL {
                let outcome = self.steady.wake(due.max(self.backend.now));
                ensure(outcome.up_to_date, || format!("tick {tick}: {outcome:?}"))?;
            }
            if tick % 24 == 0 {
                say(format!("  {tick} of {DAY_TICKS}"));
            }
        }
        let table = self.backend.table()?;
        ensure(table.row(self.first).is_none(), || "the first date should be gone".into())?;
        ensure(table.rows().len() as u64 == DATES, || "expected 14 dates again".into())?;
        say(format!(
            "  the last one dropped {} and let in the date that had just ended",
            self.first
        ));
        Ok(())
    }

    fn dates_by_identity(&self) -> Checked<BTreeSet<(Date, String)>> {
        let rows = self.backend.table()?.rows().iter();
        Ok(rows.map(|row| (row.date, row.identity.to_string())).collect())
    }

    /// One tick behind, 96 ticks behind, and from nothing: the same files in the end.
    fn everyone_ends_in_the_same_state(&mut self) -> Checked<()> {
        let now = self.backend.now + 400;
        self.sleeper.client.traffic = Default::default();
        let outcome = self.sleeper.wake(now);
        ensure(outcome.up_to_date, || format!("96 ticks behind: {outcome:?}"))?;
        let traffic = self.sleeper.client.traffic;
        ensure(traffic.sets == 0, || "96 ticks behind: expected bundles, not sets".into())?;
        say(format!(
            "\nA client 96 ticks behind catches up with {} bytes; the sets would be {}.",
            traffic.bundles + traffic.manifests,
            self.backend.table()?.rows().iter().map(|row| row.bytes).sum::<u64>()
        ));
        let settings = self.sleeper.client.settings;
        let mut fresh = Phone::new(below(self.folder, "fresh"), &self.backend.folder, settings);
        fresh.hear_strangers(9, self.first, DATES);
        ensure(fresh.wake(now).up_to_date, || "the fresh client could not sync".into())?;
        for phone in [&self.steady, &self.sleeper] {
            compare(&phone.client.own.place(""), &fresh.client.own.place(""))?;
        }
        say("A client 1 tick behind, one 96 ticks behind and a fresh one hold the same files.");
        let outcome = self.relieved.confirm_all(now)?;
        let near = &self.patients[1].reports().map(|report| report.1).collect::<BTreeSet<_>>();
        self.relieved.true_hits.retain(|(_, element)| {
            !near.iter().any(|retracted| retracted.as_ref() == &element[..])
        });
        self.relieved.check(&contacts_of(&outcome)?)?;
        say("The contact with the patient whose report was retracted is withdrawn.");
        Ok(())
    }

    /// Phones that heard 10,000 identifiers each.
    fn contacts_are_confirmed(&mut self) -> Checked<()> {
        let settings = ClientSettings { confirm_every: INTERVAL, ..self.steady.client.settings };
        let (mut contacts, mut requests) = (0, 0);
        for number in 0..20u32 {
            let name = format!("phone-{number}");
            let mut phone = Phone::new(below(self.folder, &name), &self.backend.folder, settings);
            self.hear_a_fortnight(&mut phone, number);
            let outcome = phone.confirm_all(self.backend.now + 500)?;
            phone.check(&contacts_of(&outcome)?)?;
            contacts += contacts_of(&outcome)?.len();
            requests += phone.client.traffic.requests;
            self.phones_confirmed += 1;
            self.heard += phone.heard.len();
        }
        say(format!(
            "\n20 phones that heard {} identifiers: all {contacts} contacts confirmed, nothing else ({requests} requests).",
            self.heard
        ));
        Ok(())
    }

    /// Two hours with patients, one midnight, and strangers.
    fn hear_a_fortnight(&self, phone: &mut Phone, number: u32) {
        // Patients 1, 11, 21, … begin on the second date, and so on: none on the first,
        // which has expired.
        let patient = |at: u32| self.patients[(401 + 10 * number + at) as usize];
        phone.meet_for_an_hour(patient(0), 20 + u64::from(number));
        phone.meet_for_an_hour(patient(1), 300);
        phone.meet_at_midnight(patient(2));
        phone.hear_strangers(100 + u64::from(number), self.first, DATES);
    }

    /// A mirror that forges records, or hands out the ones of an earlier table.
    fn forged_and_stale_records_are_unknown(&mut self) -> Checked<()> {
        let settings = ClientSettings { confirm_every: INTERVAL, ..self.steady.client.settings };
        let mut phone = Phone::new(below(self.folder, "deceived"), &self.backend.folder, settings);
        self.hear_a_fortnight(&mut phone, 3);
        let expected = phone.episodes();
        let mut now = self.backend.now + 500;
        // The records of the tick before are still served; the mirror passes them off.
        let stale = self.stale_checks()?;
        let (mut forged, mut stale_asked) = (0, 0);
        while forged < 3 || stale_asked < 3 {
            let forge = forged < 3;
            let outcome = phone.wake_with(now, |path, mut bytes| {
                if path.starts_with("/v1/checks/") {
                    if forge {
                        let at = 60 + (now as usize % 1000) * 8;
                        bytes[at] ^= 1;
                    } else if let Some(old) = stale.get(path.split('/').nth(3).unwrap_or_default())
                    {
                        bytes = old[..bytes.len().min(old.len())].to_vec();
                    }
                }
                bytes
            });
            if let Some(asked) = outcome.asked {
                let unknown = asked == Asked::Candidate(Verdict::Unknown);
                ensure(unknown && contacts_of(&outcome)?.is_empty(), || {
                    format!("deceived: {asked:?}")
                })?;
                if forge { forged += 1 } else { stale_asked += 1 }
            }
            now = outcome.next_wake;
        }
        let outcome = phone.confirm_all(now)?;
        phone.check(&contacts_of(&outcome)?)?;
        say(format!(
            "{forged} forged and {stale_asked} stale check records end as Unknown; then {expected} contacts are confirmed after all."
        ));
        Ok(())
    }

    /// First records of the check files that the present manifest does not name any more.
    fn stale_checks(&self) -> Checked<std::collections::BTreeMap<String, Vec<u8>>> {
        let mut stale = std::collections::BTreeMap::new();
        for row in self.backend.table()?.rows() {
            let dir = self.backend.folder.place(&format!("v1/checks/{}", row.date));
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy() != row.check_root.to_string() {
                    stale.insert(row.date.to_string(), fs::read(entry.path())?);
                }
            }
        }
        ensure(!stale.is_empty(), || "expected check files of the previous manifest".into())?;
        Ok(stale)
    }

    /// The same elements at rate 2^-8, where every phone meets false positives.
    fn coarse_filter(&mut self) -> Checked<()> {
        let policy =
            PublisherSettings { rate_bits: 8, interval: INTERVAL, ..PublisherSettings::default() };
        let server = below(self.folder, "coarse");
        let mut coarse = Backend::new(server, policy, 1, self.backend.now)?;
        coarse.days = self.backend.days.clone();
        coarse.publish()?;
        let settings =
            ClientSettings { confirm_every: INTERVAL, ..ClientSettings::new(coarse.root()) };
        for number in 0..4u32 {
            let name = format!("coarse-phone-{number}");
            let mut phone = Phone::new(below(self.folder, &name), &coarse.folder, settings);
            self.hear_a_fortnight(&mut phone, number);
            let outcome = phone.confirm_all(coarse.now + 500)?;
            phone.check(&contacts_of(&outcome)?)?;
            ensure(phone.false_positives > 5, || {
                format!("only {} false positives at rate 2^-8", phone.false_positives)
            })?;
            self.false_positives += phone.false_positives;
        }
        say(format!(
            "At rate 2^-8, 4 phones meet and reject {} false positives; their contacts are confirmed.",
            self.false_positives
        ));
        Ok(())
    }
}

/// A folder of the tour, which goes when the tour ends.
fn below(folder: &Path, name: &str) -> Folder {
    Folder::temporary(folder.join(name))
}

/// Patients with exactly `elements` elements in all, spread over the dates from `first`.
fn patients(first: Date, elements: usize) -> Vec<Patient> {
    let whole = CONTAGIOUS_DAYS * EPOCHS_A_DAY;
    let mut left = elements as u64;
    let mut patients = Vec::new();
    while left > 0 {
        let number = patients.len() as u32;
        let offset = u64::from(number) % (DATES - CONTAGIOUS_DAYS + 1);
        let first = Date::of_time(first.start() + offset * DAY_SECONDS);
        let epochs = left.min(whole);
        patients.push(Patient { number, first, epochs });
        left -= epochs;
    }
    patients
}

/// The contacts of a wake that could read its folder.
fn contacts_of(outcome: &Outcome) -> Checked<Vec<Contact>> {
    outcome
        .contacts
        .clone()
        .ok_or_else(|| format!("the folder could not be read: {outcome:?}").into())
}

/// Fails unless two clients have the same tables and sets.
fn compare(one: &Path, other: &Path) -> Checked<()> {
    let files = |folder: &Path| -> Checked<BTreeSet<(String, Vec<u8>)>> {
        let mut files = BTreeSet::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("set-") || name.starts_with("table-") {
                files.insert((name, fs::read(entry.path())?));
            }
        }
        Ok(files)
    };
    let (one, other) = (files(one)?, files(other)?);
    ensure(one.len() as u64 == DATES + 1, || format!("{} files instead of 15", one.len()))?;
    ensure(one == other, || "two clients ended in different states".into())
}
