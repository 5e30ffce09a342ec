//! The people and programs of the demo, and its story until the phones have confirmed their
//! contacts.

use std::time::Duration;

use gcs_core::report::{Code, CodeError, ItemProblem, ProblemItem, ProviderKey};
use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::http::HttpFetch;
use gcs_examples::people::{Patient, exposure_notification_day, exposure_notification_key};
use gcs_examples::phone::{self, hurried};
use gcs_examples::traffic::Traffic;
use gcs_examples::{Checked, ensure};
use serde_json::{Value, json};

use crate::api;
use crate::belongings::Belongings;
use crate::observer::Observer;
use crate::reporting::{self, Report};
use crate::server::{Provider, Server, Ticked};
use crate::voice::{doing, progress, say};

/// A phone over real HTTP.
pub(crate) type Phone = phone::Phone<HttpFetch>;

/// Number of dates that can be published when the story begins. The last ended two hours before.
pub(crate) const DATES: u64 = 14;

/// Number of codes of the provider whose reports will be retracted.
const TEST_CENTRE_CODES: usize = 100;

/// How many phones, the first ones, also met a patient of the test centre.
const DECEIVED_PHONES: u64 = 6;

/// The size of the demo.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// Reports before the first tick, and their elements.
    pub(crate) reports: usize,
    pub(crate) elements: u64,
    /// Number of acknowledged reports after which the server is killed.
    pub(crate) kill_after: usize,
    /// Number of phones that confirm their contacts.
    pub(crate) phones: u64,
    /// Number of ticks in a day.
    pub(crate) ticks: u64,
    /// Number of phones that try the coarse filter.
    pub(crate) coarse_phones: u64,
}

impl Scale {
    pub(crate) const WHOLE: Scale = Scale {
        reports: 1000,
        elements: 1_000_000,
        kill_after: 400,
        phones: 20,
        ticks: 96,
        coarse_phones: 4,
    };

    pub(crate) const SMALL: Scale = Scale {
        reports: 60,
        elements: 60_000,
        kill_after: 12,
        phones: 3,
        ticks: 8,
        coarse_phones: 2,
    };

    /// Seconds from one tick to the next.
    pub(crate) fn interval(&self) -> u64 {
        DAY_SECONDS / self.ticks
    }

    /// Number of contacts whose reports will be retracted.
    pub(crate) fn deceived(&self) -> u64 {
        self.phones.min(DECEIVED_PHONES)
    }
}

/// A provider with codes to hand out.
pub(crate) struct Desk {
    pub(crate) provider: Provider,
    codes: std::vec::IntoIter<Code>,
}

impl Desk {
    fn code(&mut self) -> Checked<Code> {
        let number = self.provider.number;
        self.codes.next().ok_or_else(|| format!("provider {number} is out of codes").into())
    }
}

/// The figures of the closing table.
#[derive(Default)]
pub(crate) struct Figures {
    /// Reports a second.
    pub(crate) rate: f64,
    pub(crate) acknowledged: usize,
    pub(crate) stored_unheard: usize,
    pub(crate) retried: usize,
    /// The time of each restart, and the number of reports in the log.
    pub(crate) restarts: Vec<(Duration, usize)>,
    pub(crate) first_tick: Duration,
    pub(crate) ticks: Vec<Duration>,
    pub(crate) confirmed: usize,
    pub(crate) added: u64,
    /// Reports and elements.
    pub(crate) retracted: (u64, u64),
    pub(crate) withdrawn: usize,
    pub(crate) expired: usize,
    pub(crate) retraction_bytes: u64,
    /// Bytes that a phone fetched to catch up after it had slept for the day.
    pub(crate) catch_up: u64,
    pub(crate) forged: u32,
    pub(crate) stale: u32,
    pub(crate) false_positives: u64,
    pub(crate) false_positives_expected: f64,
    /// Size of sets at rate 2^-32 beside that at rate 2^-20.
    pub(crate) fine_size: f64,
    /// Contacts that phones found at rate 2^-32, without a question.
    pub(crate) unasked: usize,
}

/// The people and programs of the demo.
pub(crate) struct Story {
    pub(crate) scale: Scale,
    pub(crate) server: Server,
    /// Reads every publication, for the sizes.
    pub(crate) observer: Observer,
    /// The hospital and the test centre, whose reports will be retracted.
    pub(crate) desks: [Desk; 2],
    pub(crate) first: Date,
    pub(crate) patients: Vec<Patient>,
    pub(crate) broadcast: Vec<(u64, [u8; 16])>,
    pub(crate) tracking: Vec<String>,
    /// Syncs at every tick of a day, with the default settings.
    pub(crate) steady: Phone,
    /// Bytes that the phone `steady` fetched on that day, by kind of file.
    pub(crate) day: Traffic,
    pub(crate) phones: Vec<Phone>,
    pub(crate) figures: Figures,
}

impl Story {
    pub(crate) fn begin(scale: Scale, belongings: &Belongings) -> Checked<Story> {
        doing("starting a server");
        let broadcast = exposure_notification_day()?;
        let first = Date::of_time(broadcast[0].0 - 4 * DAY_SECONDS);
        let now = first.start() + DATES * DAY_SECONDS + 2 * 3600;
        let server = Server::start(belongings, now)?;
        say(format!("A server in a fresh folder, its date set to {}:", Date::of_time(now)))?;
        say(format!("  public {}, private {}", server.public, server.private))?;
        let ticked = server.tick()?;
        say(format!("  tick {} is out: nothing yet, but signed", ticked.tick))?;
        let interval = scale.interval();
        server.change_policy(
            &json!({ "kinds": ["dp3t-unlinkable", "gaen"], "interval": interval, "min_reports": 1 }),
        )?;
        let desk = |name, counts: &[usize]| -> Checked<Desk> {
            let provider = server.add_provider(name)?;
            let codes: Checked<Vec<_>> =
                counts.iter().map(|count| provider.codes(*count)).collect();
            let codes: Vec<Code> = codes?.concat();
            say(format!("  provider {}, {name}: {} codes", provider.number, codes.len()))?;
            Ok(Desk { provider, codes: codes.into_iter() })
        };
        let more_codes = 3 * scale.ticks as usize + 100;
        let desks = [
            desk("City hospital", &[scale.reports, more_codes])?,
            desk("Test centre North", &[TEST_CENTRE_CODES])?,
        ];
        let observer = Observer::new(&server.public, server.root);
        let settings = ClientSettings::new(server.root);
        let steady = Phone::new(0, settings, HttpFetch::new(&server.public));
        let patients = patients(&scale, first, scale.elements - broadcast.len() as u64);
        let (tracking, phones, figures) = Default::default();
        let mut story = Story {
            scale,
            server,
            observer,
            desks,
            first,
            patients,
            broadcast,
            tracking,
            steady,
            day: Traffic::default(),
            phones,
            figures,
        };
        story.steady.meet_for_an_hour(story.met(scale.phones, 5), 100);
        story.steady.meet_for_an_hour(story.met(scale.phones, 9), 500);
        story.steady.hear_strangers(first, DATES);
        Ok(story)
    }

    /// The provider of a patient.
    fn desk(&mut self, patient: u32) -> &mut Desk {
        &mut self.desks[usize::from(is_at_the_test_centre(patient))]
    }

    /// A patient's report, authorised by the patient's provider.
    pub(crate) fn report_of(&mut self, patient: Patient) -> Checked<Report> {
        let code = self.desk(patient.number).code()?;
        Ok(Report::new(code, patient.items()))
    }

    /// Shows what happens after everyday mistakes. Patients 0 and 1 report in this scene.
    pub(crate) fn mistakes_are_told_apart(&mut self) -> Checked<()> {
        say("\nMistakes:")?;
        let apps = self.server.apps();
        let code = self.desks[0].code()?;
        mistyped(code)?;
        say("  a mistyped code is recognised on the phone, before anything is sent")?;
        let items = self.patients[0].items();
        let forged = Code::issue(&ProviderKey::from_bytes([0; 32]), 1, 0).ok_or("no code")?;
        let forged = Report::new(forged, items.clone());
        apps.post_bytes("/v1/reports", &forged.body)?.expect_problem("code_invalid")?;
        say("  a forged code: code_invalid")?;

        let report = Report::new(code, items);
        let tracking = report.accepted(&apps)?;
        let again = report.accepted(&apps)?;
        ensure(tracking == again, || format!("a retry of {tracking} got {again}"))?;
        say("  a report sent twice is one report, with one tracking id")?;
        let other = Report::new(code, self.patients[1].items());
        apps.post_bytes("/v1/reports", &other.body)?.expect_problem("code_used")?;
        say("  another report with a code that was used: code_used")?;

        let mut report = Report::new(self.desks[0].code()?, self.patients[1].items());
        report.body = with_a_bad_item(&report.body)?;
        let answer = report.send(&apps)?;
        let problems = [ProblemItem { index: 3, code: ItemProblem::SeedLength }];
        ensure(answer.problems == problems, || format!("one bad item: {answer:?}"))?;
        self.tracking = vec![tracking, report.accepted(&apps)?];
        say("  one bad item of many is named (seed_length); the others are kept")?;
        Ok(())
    }

    /// Makes all other reports. The last is one key of Exposure Notification; what its phone broadcast, the
    /// server computes.
    pub(crate) fn a_thousand_reports(&mut self) -> Checked<()> {
        let count = self.scale.reports;
        doing("writing reports");
        say(format!("\n{count} reports, over {} connections:", reporting::THREADS))?;
        let patients = self.patients[2..].to_vec();
        let reports: Checked<Vec<Report>> =
            patients.into_iter().map(|patient| self.report_of(patient)).collect();
        let mut reports = reports?;
        reports.push(Report::new(self.desks[0].code()?, vec![exposure_notification_key()?]));

        doing("reporting");
        let kill_after = self.scale.kill_after;
        let reported = reporting::run(&self.server, &reports, kill_after, &self.tracking)?;
        self.tracking.extend(reported.tracking);
        reporting::all_different(&self.tracking)?;
        let stored = api::number(&self.server.status()?, "reports")? as usize;
        ensure(stored == count && self.tracking.len() == count, || {
            format!("{stored} reports stored, {} acknowledged", self.tracking.len())
        })?;
        say(format!(
            "  {} were sent again with the same bytes; none is lost, none is there twice",
            reported.retried
        ))?;
        say(format!(
            "  the last is one key of Exposure Notification, of which the server makes the {} identifiers of a day",
            self.broadcast.len()
        ))?;
        say(format!(
            "  {:.0} reports a second, the time of the restart not counted",
            reported.rate
        ))?;
        let Figures { rate, acknowledged, stored_unheard, retried, .. } = &mut self.figures;
        *rate = reported.rate;
        *acknowledged = reported.acknowledged;
        *stored_unheard = reported.stored_unheard;
        *retried = reported.retried;
        let stored = reported.acknowledged + reported.stored_unheard;
        self.figures.restarts.push((reported.restart, stored));
        Ok(())
    }

    pub(crate) fn first_tick(&mut self) -> Checked<()> {
        doing("the first tick");
        self.server.set_clock(self.server.now + self.scale.interval())?;
        let Ticked { tick, took } = self.server.tick()?;
        self.observer.look(self.server.now)?;
        let (elements, dates) = (self.server.elements()?, self.observer.rows()?.len());
        let expected = (self.scale.elements, DATES as usize);
        ensure((elements, dates) == expected, || {
            format!("{elements} elements of {dates} dates are published")
        })?;
        for tracking in [&self.tracking[0], &self.tracking[self.scale.reports - 1]] {
            let status = self.server.report_status(tracking)?;
            let since = &status["dates"][0]["since"];
            let is_out = status["status"] == "published" && since["tick"] == tick;
            ensure(is_out, || format!("the status of a report: {status}"))?;
        }
        self.figures.first_tick = took;
        say(format!("\nTick {tick} is out after {} ms: {elements} elements of {dates} dates.", {
            took.as_millis()
        }))?;
        self.observer.expect_parts(&self.server.apps())?;
        self.steady.sync(self.server.now + 60)?;
        let traffic = self.steady.traffic();
        say(format!(
            "A phone syncs from nothing: {} requests, {} bytes.",
            traffic.requests,
            traffic.total()
        ))?;
        Ok(())
    }

    /// Lets phones that heard 10,000 identifiers each confirm their contacts.
    pub(crate) fn contacts_are_confirmed(&mut self) -> Checked<()> {
        let count = self.scale.phones;
        doing(format!("{count} phones sync, match and confirm"));
        let often = hurried(ClientSettings::new(self.server.root));
        self.phones = (0..count).map(|number| self.phone(number, often)).collect();
        let confirmed = confirm_all(&mut self.phones, self.server.now + 60)?;
        let requests = self.phones.iter().map(|phone| phone.traffic().requests).sum::<u64>();
        say(format!(
            "{count} phones that heard {} identifiers: all {confirmed} contacts are found and \
             confirmed, and nothing else ({requests} requests).",
            self.phones.iter().map(|phone| phone.heard.len()).sum::<usize>()
        ))?;
        self.figures.confirmed = confirmed;
        Ok(())
    }

    /// One of the ten patients whom a phone may have met.
    pub(crate) fn met(&self, phone: u64, at: u64) -> Patient {
        self.patients[(10 * phone + at) as usize]
    }

    fn phone(&self, number: u64, settings: ClientSettings) -> Phone {
        let mut phone = Phone::new(1 + number, settings, HttpFetch::new(&self.server.public));
        if number < self.scale.deceived() {
            phone.meet_for_an_hour(self.met(number, 9), 500);
        }
        if number == 0 {
            phone.meet_exposure_notification(&self.broadcast[60..66]);
        }
        self.live_a_fortnight(&mut phone, number);
        phone
    }

    /// Two hours with patients, the first of them on the first date, one midnight, and
    /// strangers.
    pub(crate) fn live_a_fortnight<F>(&self, phone: &mut phone::Phone<F>, number: u64)
    where
        F: gcs_core::sync::Fetch + std::fmt::Debug,
    {
        phone.meet_for_an_hour(self.met(number, 0), 20 + number);
        phone.meet_for_an_hour(self.met(number, 2), 300);
        phone.meet_at_midnight(self.met(number, 3));
        phone.hear_strangers(self.first, DATES);
    }
}

/// Lets all phones wake until nothing is undecided, half of them in a second thread. Makes sure
/// that all contacts are true, and returns how many there are.
pub(crate) fn confirm_all(phones: &mut [Phone], now: u64) -> Checked<usize> {
    let (of, half) = (phones.len(), phones.len().div_ceil(2).max(1));
    let ready = std::sync::atomic::AtomicUsize::new(0);
    let confirm = |phones: &mut [Phone]| -> Checked<usize> {
        let confirm = |phone: &mut Phone| {
            let contacts = phone.confirm_all(now);
            let ready = 1 + ready.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress(format!("{ready} of {of} phones are ready"));
            contacts
        };
        phones.iter_mut().map(confirm).sum()
    };
    std::thread::scope(|scope| {
        let confirm = &confirm;
        let threads: Vec<_> =
            phones.chunks_mut(half).map(|phones| scope.spawn(move || confirm(phones))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Checked<usize>>| {
            thread.join().unwrap_or_else(|_| Err("a phone's thread has ended".into()))
        };
        threads.into_iter().map(join).sum()
    })
}

/// Whether a patient was tested at the test centre, whose reports turn out to be mistakes.
pub(crate) fn is_at_the_test_centre(patient: u32) -> bool {
    patient % 10 == 9
}

/// All patients but the one with Exposure Notification, with exactly `elements` in all, on
/// eleven dates each.
fn patients(scale: &Scale, first: Date, elements: u64) -> Vec<Patient> {
    let count = scale.reports as u64 - 1;
    let (each, more) = (elements / count, elements % count);
    let patient = |number: u64| {
        let first = Date::of_time(first.start() + number % 10 % 4 * DAY_SECONDS);
        Patient { number: number as u32, first, epochs: each + u64::from(number < more) }
    };
    (0..count).map(patient).collect()
}

/// Swaps two neighbouring symbols of a code, as people do when they type.
fn mistyped(code: Code) -> Checked<()> {
    let mut symbols: Vec<char> = code.to_string().chars().collect();
    let is_pair = |at: &usize| {
        let (one, other) = (symbols[*at], symbols[at + 1]);
        one != other && one != '-' && other != '-'
    };
    let at = (0..symbols.len() - 1).find(is_pair).ok_or("a code of equal symbols")?;
    symbols.swap(at, at + 1);
    let read = symbols.iter().collect::<String>().parse::<Code>();
    ensure(read == Err(CodeError::Check), || format!("a mistyped code was read as {read:?}"))
}

/// The body of a report with one more item, whose seed is too short.
fn with_a_bad_item(body: &[u8]) -> Checked<Vec<u8>> {
    let mut body: Value = serde_json::from_slice(body)?;
    let items = body["items"].as_array_mut().ok_or("no items")?;
    items.insert(3, json!({ "kind": "dp3t-unlinkable", "epoch": 0, "seed": "c2hvcnQ=" }));
    Ok(serde_json::to_vec(&body)?)
}
