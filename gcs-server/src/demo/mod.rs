//! `gcs-server demo`: the main job over real HTTP, on a folder that goes when it ends.
//!
//! A server in a process of its own; providers, a thousand reports, phones, corrections, and
//! a `kill -9` where it hurts most. Everything that is claimed is checked.

mod api;
mod backend;
mod client;
mod day;
mod keep;
mod people;
mod phones;
mod report;
mod reporting;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Date};
use serde_json::json;

use self::backend::{Backend, Provider, Ticked};
use self::people::{Item, Patient, exposure_notification_day, raw_items};
use self::phones::{Phone, confirm_all};
use self::reporting::Report;
use gcs_core::report::{Code, CodeError, ProviderKey};

/// Reports before the first tick, and their elements.
const REPORTS: usize = 1000;
const ELEMENTS: u64 = 1_000_000;

/// Dates that have ended and been quiet for two hours when the demonstration begins.
const DATES: u64 = 13;

/// Seconds from one tick to the next.
const INTERVAL: u64 = 900;

/// Phones that confirm their contacts.
const PHONES: u64 = 20;

/// Acknowledged reports after which the server is killed.
const KILL_AFTER: usize = 400;

/// Codes for the reports of the day of ticks.
const MORE_CODES: usize = 400;

type Checked<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs the demonstration. With `keep` the server lives on.
pub fn run(keep: bool) -> ExitCode {
    match demonstrate(keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nNOT AS IT SHOULD BE: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Fails the demonstration unless `is` holds.
fn ensure(is: bool, otherwise: impl FnOnce() -> String) -> Checked<()> {
    if is { Ok(()) } else { Err(otherwise().into()) }
}

fn say(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

fn demonstrate(keep: bool) -> Checked<()> {
    let begin = Instant::now();
    let folder = tempfile::Builder::new().prefix("gcs-demo-").tempdir()?;
    let story = live_through(folder.path());
    let story = story.map_err(|error| format!("{error}{}", backend::troubles(folder.path())))?;
    report::print(&story)?;
    say(format!("\nEverything was as it should be, in {:.1} s.", begin.elapsed().as_secs_f64()));
    if keep {
        return keep::leave(story, folder);
    }
    // The server is stopped before its folder goes.
    drop(story);
    Ok(folder.close()?)
}

fn live_through(folder: &Path) -> Checked<Story> {
    let mut story = Story::begin(folder)?;
    story.mistakes_are_told_apart()?;
    story.a_thousand_reports()?;
    story.first_tick()?;
    story.contacts_are_confirmed()?;
    story.a_day_of_ticks()?;
    story.everyone_ends_in_the_same_state()?;
    story.a_lone_report_is_held()?;
    story.a_date_expires()?;
    story.killed_with_everything_in_it()?;
    story.the_next_tick_goes_on()?;
    Ok(story)
}

/// A provider with codes to hand out.
struct Desk {
    provider: Provider,
    codes: std::vec::IntoIter<String>,
}

impl Desk {
    fn code(&mut self) -> Checked<String> {
        let number = self.provider.number;
        self.codes.next().ok_or_else(|| format!("provider {number} is out of codes").into())
    }
}

/// What the closing table shows.
#[derive(Default)]
struct Figures {
    rate: f64,
    acknowledged: usize,
    stored_unheard: usize,
    retried: usize,
    /// How long each took, with how many reports in the log.
    restarts: Vec<(Duration, usize)>,
    first_tick: Duration,
    first_sets: u64,
    confirmed: usize,
    phone_requests: u64,
    added: u64,
    retracted: (u64, u64),
    withdrawn: usize,
    retraction_bytes: u64,
    ticks: Vec<Duration>,
    catch_up: u64,
    last_sets: u64,
    last_elements: u64,
    filler: u64,
}

/// Everyone who takes part.
struct Story {
    backend: Backend,
    /// The hospital and the test centre, whose reports will be retracted.
    desks: [Desk; 2],
    first: Date,
    patients: Vec<Patient>,
    broadcast: Vec<(u64, [u8; 16])>,
    tracking: Vec<String>,
    /// Syncs at every tick of a day, with the default settings.
    steady: Phone,
    phones: Vec<Phone>,
    figures: Figures,
}

impl Story {
    fn begin(folder: &Path) -> Checked<Story> {
        let broadcast = exposure_notification_day()?;
        let first = Date::of_time(broadcast[0].0 - 3 * DAY_SECONDS);
        let now = first.start() + DATES * DAY_SECONDS + 2 * 3600;
        let backend = Backend::start(folder, now)?;
        say(format!("A server in a fresh folder, its date set to {}:", Date::of_time(now)));
        say(format!("  public {}, private {}", backend.public, backend.private));
        let ticked = backend.tick()?;
        say(format!("  tick {} is out: nothing yet, but signed", ticked.tick));
        backend.change_policy(&json!({ "raw": true, "interval": INTERVAL, "min_reports": 1 }))?;
        let desk = |name, counts: &[usize]| -> Checked<Desk> {
            let provider = backend.add_provider(name)?;
            let codes: Checked<Vec<_>> =
                counts.iter().map(|count| provider.codes(*count)).collect();
            let codes: Vec<String> = codes?.concat();
            say(format!("  provider {}, {name}: {} codes", provider.number, codes.len()));
            Ok(Desk { provider, codes: codes.into_iter() })
        };
        let desks =
            [desk("City hospital", &[REPORTS, MORE_CODES])?, desk("Test centre North", &[100])?];
        let settings = ClientSettings::new(backend.root);
        let mut steady = Phone::new(0, &backend.public, settings);
        let patients = patients(first, ELEMENTS - broadcast.len() as u64);
        steady.meet_for_an_hour(patients[705], 100);
        steady.meet_for_an_hour(patients[709], 500);
        steady.hear_strangers(first, DATES);
        let (tracking, phones, figures) = Default::default();
        Ok(Story { backend, desks, first, patients, broadcast, tracking, steady, phones, figures })
    }

    /// The desk that a patient went to.
    fn desk(&mut self, patient: u32) -> &mut Desk {
        &mut self.desks[usize::from(is_at_the_test_centre(patient))]
    }

    /// A patient's report, authorised by the patient's provider.
    fn report_of(&mut self, patient: Patient) -> Checked<Report> {
        let code = self.desk(patient.number).code()?;
        Report::new(&code, &patient.items(), patient.epochs)
    }

    /// What goes wrong every day. Patients 0 and 1 report on the way.
    fn mistakes_are_told_apart(&mut self) -> Checked<()> {
        say("\nMistakes:");
        let apps = self.backend.apps();
        let code = self.desks[0].code()?;
        mistyped(&code)?;
        say("  a mistyped code is told apart on the phone, before anything is sent");
        let items = self.patients[0].items();
        let forged = Code::issue(&ProviderKey::from_bytes([0; 32]), 1, 0).ok_or("no code")?;
        let forged = Report::new(&forged.to_string(), &items, 0)?;
        apps.post_bytes("/v1/reports", &forged.body)?.refused("code_invalid")?;

        let report = Report::new(&code, &items, self.patients[0].epochs)?;
        let tracking = report.accepted(&apps)?;
        let again = report.accepted(&apps)?;
        ensure(tracking == again, || format!("a retry of {tracking} got {again}"))?;
        say("  a report sent twice is one report, with one tracking id");
        let other = Report::new(&code, &self.patients[1].items(), 0)?;
        apps.post_bytes("/v1/reports", &other.body)?.refused("code_used")?;
        say("  another report with a code that was used: code_used");

        let mut items = self.patients[1].items();
        items.insert(3, Item::Seed { epoch: 0, seed: "c2hvcnQ=".into() });
        let report = Report::new(&self.desks[0].code()?, &items, self.patients[1].epochs)?;
        let answer = report.send(&apps)?;
        let problems = json!([{ "index": 3, "code": "seed_length" }]);
        ensure(answer["problems"] == problems, || format!("one bad item: {answer}"))?;
        self.tracking = vec![tracking, report.accepted(&apps)?];
        say("  one bad item of many is named (seed_length); the others are kept");
        Ok(())
    }

    /// All other reports, the last of them as it was broadcast.
    fn a_thousand_reports(&mut self) -> Checked<()> {
        say(format!("\n{REPORTS} reports, over {} connections:", reporting::THREADS));
        let patients = self.patients[2..].to_vec();
        let reports: Checked<Vec<Report>> =
            patients.into_iter().map(|patient| self.report_of(patient)).collect();
        let mut reports = reports?;
        let items = raw_items(&self.broadcast);
        reports.push(Report::new(&self.desks[0].code()?, &items, items.len() as u64)?);

        let reported = reporting::run(&mut self.backend, &reports, KILL_AFTER, &self.tracking)?;
        self.tracking.extend(reported.tracking);
        reporting::all_different(&self.tracking)?;
        let status = self.backend.status()?;
        let stored = api::number(&status, "reports")? as usize;
        ensure(stored == REPORTS && self.tracking.len() == REPORTS, || {
            format!("{stored} reports stored, {} acknowledged", self.tracking.len())
        })?;
        say(format!("  {} were tried again with the same bytes; nothing lost, none twice", {
            reported.retried
        }));
        say(format!("  {:.0} reports a second, the restart left out", reported.rate));
        let Figures { rate, acknowledged, stored_unheard, retried, .. } = &mut self.figures;
        *rate = reported.rate;
        *acknowledged = reported.acknowledged;
        *stored_unheard = reported.stored_unheard;
        *retried = reported.retried;
        let stored = reported.acknowledged + reported.stored_unheard;
        self.figures.restarts.push((reported.restart, stored));
        Ok(())
    }

    fn first_tick(&mut self) -> Checked<()> {
        self.backend.set_clock(self.backend.now + INTERVAL)?;
        let Ticked { tick, took } = self.backend.tick()?;
        let elements = self.backend.elements()?;
        ensure(elements == ELEMENTS, || format!("{elements} elements are published"))?;
        for tracking in [&self.tracking[0], &self.tracking[REPORTS - 1]] {
            let status =
                self.backend.apps().get(&format!("/v1/reports/{tracking}"))?.expect(200)?;
            let since = &status["dates"][0]["since"];
            let is_out = status["status"] == "published" && since["tick"] == tick;
            ensure(is_out, || format!("the status of a report: {status}"))?;
        }
        self.figures.first_tick = took;
        let outcome = self.steady.wake(self.backend.now + 60);
        ensure(outcome.up_to_date, || format!("the first sync: {outcome:?}"))?;
        self.figures.first_sets = self.steady.client.sets();
        let traffic = self.steady.client.traffic;
        say(format!("\nTick {tick} is out after {} ms: {elements} elements.", took.as_millis()));
        say(format!(
            "A phone syncs from nothing: {} requests, {} bytes.",
            traffic.requests,
            traffic.total()
        ));
        Ok(())
    }

    /// Phones that heard 10,000 identifiers each.
    fn contacts_are_confirmed(&mut self) -> Checked<()> {
        let often =
            ClientSettings { confirm_every: INTERVAL, ..ClientSettings::new(self.backend.root) };
        self.phones = (0..PHONES).map(|number| self.phone(number, often)).collect();
        let confirmed = confirm_all(&mut self.phones, self.backend.now + 60)?;
        let requests = self.phones.iter().map(|phone| phone.client.traffic.requests).sum();
        say(format!(
            "{PHONES} phones that heard {} identifiers: all {confirmed} contacts found and \
             confirmed, nothing else ({requests} requests).",
            self.phones.iter().map(|phone| phone.heard.len()).sum::<usize>()
        ));
        self.figures.confirmed = confirmed;
        self.figures.phone_requests = requests;
        Ok(())
    }

    /// Two hours with patients, one midnight, and strangers. The first six also met someone
    /// who was tested at the test centre, the first one a phone of another protocol.
    fn phone(&self, number: u64, settings: ClientSettings) -> Phone {
        let patient = |at: u64| self.patients[(40 * number + at) as usize];
        let mut phone = Phone::new(1 + number, &self.backend.public, settings);
        phone.meet_for_an_hour(patient(1), 20 + number);
        phone.meet_for_an_hour(patient(2), 300);
        phone.meet_at_midnight(patient(3));
        if number < 6 {
            phone.meet_for_an_hour(patient(9), 500);
        }
        if number == 0 {
            phone.meet_exposure_notification(&self.broadcast[60..66]);
        }
        phone.hear_strangers(self.first, DATES);
        phone
    }
}

/// Whose reports will turn out to be mistakes.
fn is_at_the_test_centre(patient: u32) -> bool {
    patient % 10 == 9
}

/// All patients but the one with Exposure Notification, with exactly `elements` in all, on
/// eleven dates each.
fn patients(first: Date, elements: u64) -> Vec<Patient> {
    let count = REPORTS as u64 - 1;
    let (each, more) = (elements / count, elements % count);
    let patient = |number: u64| {
        let first = Date::of_time(first.start() + number % 3 * DAY_SECONDS);
        Patient { number: number as u32, first, epochs: each + u64::from(number < more) }
    };
    (0..count).map(patient).collect()
}

/// Swaps two symbols of a code, as fingers do.
fn mistyped(code: &str) -> Checked<()> {
    let mut symbols: Vec<char> = code.chars().collect();
    let is_pair = |at: &usize| {
        let (one, other) = (symbols[*at], symbols[at + 1]);
        one != other && one != '-' && other != '-'
    };
    let at = (0..symbols.len() - 1).find(is_pair).ok_or("a code of equal symbols")?;
    symbols.swap(at, at + 1);
    let read = symbols.iter().collect::<String>().parse::<Code>();
    ensure(read == Err(CodeError::Check), || format!("a mistyped code was read as {read:?}"))
}
