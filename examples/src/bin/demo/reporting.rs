//! Sending a thousand reports from many threads, with a server that is killed in the middle.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gcs_core::report::{Code, Item, ReportAnswer, ReportBody};
use gcs_examples::{Checked, ensure};

use crate::api::{Api, Reply, number};
use crate::server::Server;
use crate::voice::{progress, say};

/// Number of threads that report, each over its own connection.
pub(crate) const THREADS: usize = 8;

/// How long a report may take to be accepted, a restart of the server included.
const PATIENCE: Duration = Duration::from_secs(60);

/// A report to make: a body, and how many of its items are good.
pub(crate) struct Report {
    pub(crate) body: Vec<u8>,
    pub(crate) good: u64,
}

impl Report {
    /// A report all of whose items are good.
    pub(crate) fn new(code: Code, items: Vec<Item>) -> Report {
        let good = items.len() as u64;
        Report { body: ReportBody { code, items }.to_json(), good }
    }

    /// Sends it once and gives the answer.
    pub(crate) fn send(&self, apps: &Api) -> Checked<ReportAnswer> {
        self.answer(apps.post_bytes("/v1/reports", &self.body)?)
    }

    /// Sends it once, expects that it is accepted whole, and gives its tracking id.
    pub(crate) fn accepted(&self, apps: &Api) -> Checked<String> {
        Ok(self.send(apps)?.tracking_id)
    }

    /// The answer, if all good items were accepted.
    fn answer(&self, reply: Reply) -> Checked<ReportAnswer> {
        let answer: ReportAnswer = serde_json::from_value(reply.expect(201)?)?;
        let accepted = u64::from(answer.accepted);
        ensure(accepted == self.good, || format!("{accepted} items of {}", self.good))?;
        Ok(answer)
    }
}

/// The result of all reports.
pub(crate) struct Reported {
    /// Every tracking id.
    pub(crate) tracking: Vec<String>,
    /// Reports a second, while the server was running.
    pub(crate) rate: f64,
    /// How many were acknowledged before the kill.
    pub(crate) acknowledged: usize,
    /// How many more had been stored before the kill, and lost their answers.
    pub(crate) stored_unheard: usize,
    /// How many were sent again.
    pub(crate) retried: usize,
    /// Time from the start of the new process until it was ready.
    pub(crate) restart: Duration,
}

/// What the threads share.
struct Crowd<'r> {
    reports: &'r [Report],
    next: AtomicUsize,
    acknowledged: Mutex<Vec<String>>,
    retried: AtomicUsize,
    /// Whether the server has been killed, and has not been looked at since.
    down: AtomicBool,
    given_up: AtomicBool,
}

impl Crowd<'_> {
    fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One thread: makes reports until there are none left.
    fn report(&self, apps: &Api) -> Checked<()> {
        while !self.given_up.load(Ordering::SeqCst) {
            let Some(report) = self.reports.get(self.next.fetch_add(1, Ordering::SeqCst)) else {
                break;
            };
            let tracking = self.insist(apps, report)?;
            let mut all = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(tracking);
            progress(format!("{} of {} reports", all.len(), self.reports.len()));
        }
        Ok(())
    }

    /// Makes a report: sends the same bytes again until they are answered, as any app should.
    fn insist(&self, apps: &Api, report: &Report) -> Checked<String> {
        let begin = Instant::now();
        let mut tries = 0;
        loop {
            match apps.post_bytes("/v1/reports", &report.body) {
                Ok(reply) if reply.status == 503 => {}
                Ok(reply) => return Ok(report.answer(reply)?.tracking_id),
                Err(error) if begin.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => {}
            }
            if tries == 0 {
                self.retried.fetch_add(1, Ordering::SeqCst);
            }
            tries += 1;
            std::thread::sleep(Duration::from_millis(10));
            while self.down.load(Ordering::SeqCst) && !self.given_up.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(2));
            }
            ensure(!self.given_up.load(Ordering::SeqCst), || "given up".into())?;
        }
    }

    /// Waits until this many reports have been acknowledged.
    fn wait_for(&self, count: usize) -> Checked<()> {
        let begin = Instant::now();
        while self.acknowledged().len() < count {
            let waiting = begin.elapsed() < PATIENCE;
            ensure(waiting, || format!("{count} reports took more than {PATIENCE:?}"))?;
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// Makes all reports; when `kill_after` are acknowledged, kills the server and starts it
/// again. `before` were made earlier.
pub(crate) fn run(
    server: &Server,
    reports: &[Report],
    kill_after: usize,
    before: &[String],
) -> Checked<Reported> {
    let crowd = Crowd {
        reports,
        next: AtomicUsize::new(0),
        acknowledged: Mutex::default(),
        retried: AtomicUsize::new(0),
        down: AtomicBool::new(false),
        given_up: AtomicBool::new(false),
    };
    let apps = server.apps();
    let begin = Instant::now();
    let mut reported = std::thread::scope(|scope| {
        let crowd = &crowd;
        let report = |_| {
            let apps = apps.apart();
            scope.spawn(move || crowd.report(&apps))
        };
        let threads: Vec<_> = (0..THREADS).map(report).collect();
        let watched = watch(server, crowd, kill_after, before);
        if watched.is_err() {
            crowd.given_up.store(true, Ordering::SeqCst);
        }
        let ended: Checked<Vec<()>> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread has ended".into())))
            .collect();
        // If both failed, the error of the watch is the cause.
        let reported = watched?;
        ended.map(|_| reported)
    })?;
    let (took, away) = (begin.elapsed(), reported.1);
    reported.0.rate = reports.len() as f64 / (took - away).as_secs_f64();
    reported.0.retried = crowd.retried.load(Ordering::SeqCst);
    reported.0.tracking = crowd.acknowledged();
    Ok(reported.0)
}

/// Kills the server in the middle, restarts it, and looks at what it has stored. Also returns for
/// how long the server could not accept reports.
fn watch(
    server: &Server,
    crowd: &Crowd<'_>,
    kill_after: usize,
    before: &[String],
) -> Checked<(Reported, Duration)> {
    crowd.wait_for(kill_after)?;
    crowd.down.store(true, Ordering::SeqCst);
    let killed = Instant::now();
    server.kill()?;
    // Answers that the server sent before it was killed may still arrive for a moment.
    std::thread::sleep(Duration::from_millis(50));
    let acknowledged = [before, &crowd.acknowledged()].concat();
    say(format!("  kill -9 after {} acknowledged reports …", acknowledged.len()))?;
    let restart = server.restart()?;
    let apps = server.apps();
    for tracking in &acknowledged {
        apps.get(&format!("/v1/reports/{tracking}"))?.expect(200)?;
    }
    let stored = number(&server.status()?, "reports")? as usize;
    let unheard = stored.checked_sub(acknowledged.len()).filter(|unheard| *unheard <= THREADS);
    let unheard = unheard
        .ok_or_else(|| format!("{stored} reports stored, {} acknowledged", acknowledged.len()))?;
    say(format!(
        "  … ready again after {} ms: all {} are there, and {unheard} whose answer was lost",
        restart.as_millis(),
        acknowledged.len()
    ))?;
    crowd.down.store(false, Ordering::SeqCst);
    let reported = Reported {
        tracking: Vec::new(),
        rate: 0.0,
        acknowledged: acknowledged.len(),
        stored_unheard: unheard,
        retried: 0,
        restart,
    };
    Ok((reported, killed.elapsed()))
}

/// Fails unless all ids are different.
pub(crate) fn all_different(tracking: &[String]) -> Checked<()> {
    let different: BTreeSet<&String> = tracking.iter().collect();
    let (got, of) = (different.len(), tracking.len());
    ensure(got == of, || format!("{got} different tracking ids of {of}"))
}
