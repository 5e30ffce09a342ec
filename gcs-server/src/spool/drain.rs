//! What brings the reports of a spool to the log.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::load::{self, NotRead};
use super::sealed::Opened;
use super::{DRAINED, Shared, Spool};
use crate::domain::judge::{self, Judged};
use crate::domain::problem::Problem;
use crate::domain::spooled::SpooledReport;
use crate::metrics::Metrics;
use crate::node::Node;

/// Largest number of reports that are judged at once, if a file does not have more. Others have places
/// in the queue of the node beside them.
const AT_ONCE: usize = 256;

/// Shortest and longest pause until reports that could not be judged are tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];

/// How often it is logged that reports wait.
const LOG_AGAIN: Duration = Duration::from_secs(600);

/// What brings the reports of a spool to the log.
#[derive(Debug)]
pub struct Drain {
    /// The spool.
    pub spool: Spool,
    /// The node that judges.
    pub node: Node,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// How many reports were judged, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Reports that were accepted.
    pub accepted: u64,
    /// Reports that the log had already, from elsewhere.
    pub known: u64,
    /// Reports that were refused.
    pub refused: u64,
    /// Reports that had been judged before.
    pub before: u64,
}

impl Drained {
    fn count(&mut self, judged: Judged) {
        *match judged {
            Judged::Accepted => &mut self.accepted,
            Judged::Known => &mut self.known,
            Judged::Refused => &mut self.refused,
            Judged::Before => &mut self.before,
        } += 1;
    }
}

impl Drain {
    /// Brings whatever is in the spool to the log, now and later, until the task is aborted.
    pub async fn run(self) {
        let [shortest, longest] = PAUSES;
        let mut held = self.spool.shared.held.subscribe();
        let mut pause = shortest;
        let mut said: Option<Instant> = None;
        while held.wait_for(|held| *held > 0).await.is_ok() {
            let (drained, problem) = self.round().await;
            if drained != Drained::default() {
                let Drained { accepted, known, refused, before } = drained;
                tracing::warn!(
                    accepted,
                    known,
                    refused,
                    before,
                    "reports of the spool are judged, and in the log"
                );
                pause = shortest;
            }
            match problem {
                None => said = None,
                Some(problem) => {
                    if said.is_none_or(|said| said.elapsed() >= LOG_AGAIN) {
                        self.say(&problem);
                        said = Some(Instant::now());
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    fn say(&self, problem: &Problem) {
        let status = self.spool.status();
        tracing::error!(
            reports = status.reports,
            since = status.since,
            "reports wait in the spool, and cannot be judged: {problem}"
        );
    }

    /// Has every report judged that is in the spool, file by file, in the order of their arrival. Returns how
    /// many were, and the problem that kept the others.
    pub async fn round(&self) -> (Drained, Option<Problem>) {
        let mut drained = Drained::default();
        let mut names: Vec<String> = self.spool.shared.index().files.keys().cloned().collect();
        names.reverse();
        let mut failed = None;
        while !names.is_empty() {
            let batch = self.next(&mut names);
            let files = self.read(batch).await;
            let finished = match self.judge_files(files, &mut drained).await {
                (finished, None) => finished,
                (finished, problem) => {
                    failed = problem;
                    names.clear();
                    finished
                }
            };
            if !self.finish(finished).await {
                failed = failed.or(Some(Problem::StorageUnavailable));
            }
        }
        (drained, failed)
    }

    /// The next files, which have about as many reports as are judged at once.
    fn next(&self, names: &mut Vec<String>) -> Vec<String> {
        let index = self.spool.shared.index();
        let mut reports = 0;
        let mut batch = Vec::new();
        while let Some(name) = names.pop() {
            reports += index.files.get(&name).map_or(0, |listed| listed.reports.len());
            if !batch.is_empty() && reports > AT_ONCE {
                names.push(name);
                break;
            }
            batch.push(name);
        }
        batch
    }

    /// Reads files. One that cannot be read any more is kept aside.
    async fn read(&self, names: Vec<String>) -> Vec<(String, Opened)> {
        let shared = Arc::clone(&self.spool.shared);
        let read = spawn_blocking(move || {
            let read = |name: String| match load::read(&*shared.disk, &shared.keys, &name) {
                Ok(opened) => Some((name, opened)),
                Err(error) => {
                    shared.give_up(&name, &error);
                    None
                }
            };
            names.into_iter().filter_map(read).collect()
        });
        read.await.unwrap_or_default()
    }

    /// Judges the reports of files. Returns the files of which every report is judged, and whether each is
    /// damaged; and the problem that kept other reports.
    async fn judge_files(
        &self,
        files: Vec<(String, Opened)>,
        drained: &mut Drained,
    ) -> (Vec<(String, bool)>, Option<Problem>) {
        let mut finished = Vec::new();
        let mut judged = Vec::new();
        for (name, opened) in files {
            let is_damaged = opened.is_damaged;
            let mut reports = Vec::new();
            for report in load::reports(opened) {
                // While the log is away, one report is enough to find out.
                if judged.is_empty() && reports.is_empty() && !self.node.is_writable() {
                    match self.judge(report).await {
                        Ok(judged) => self.count(drained, judged),
                        Err(problem) => return (finished, Some(problem)),
                    }
                } else {
                    reports.push(self.judge(report));
                }
            }
            judged.push(async move { (name, is_damaged, join_all(reports).await) });
        }
        let mut failed = None;
        for (name, is_damaged, judged) in join_all(judged).await {
            let mut is_finished = true;
            for judged in judged {
                match judged {
                    Ok(judged) => self.count(drained, judged),
                    Err(problem) => {
                        is_finished = false;
                        failed = failed.or(Some(problem));
                    }
                }
            }
            if is_finished {
                finished.push((name, is_damaged));
            }
        }
        (finished, failed)
    }

    fn count(&self, drained: &mut Drained, judged: Judged) {
        drained.count(judged);
        self.metrics.count_spooled(match judged {
            Judged::Accepted => "accepted",
            Judged::Known => "known",
            Judged::Refused => "refused",
            Judged::Before => return,
        });
    }

    async fn judge(&self, report: SpooledReport) -> Result<Judged, Problem> {
        let keys = Arc::clone(&self.spool.shared.keys);
        let (provider, serial) = (report.code.provider, report.code.serial);
        let judge = move |state: &_, context| judge::spooled_report(state, &keys, context, &report);
        self.node.act_on_code(provider, serial, judge).await
    }

    /// Deletes files whose reports are judged, and keeps damaged ones aside. Whether that could be done.
    async fn finish(&self, files: Vec<(String, bool)>) -> bool {
        let shared = Arc::clone(&self.spool.shared);
        spawn_blocking(move || shared.finish(files)).await.unwrap_or(false)
    }
}

impl Shared {
    /// Keeps a file aside that cannot be read any more.
    fn give_up(&self, name: &str, error: &NotRead) {
        let mut is_gone = false;
        match error {
            NotRead::Content(_) => load::set_aside(&*self.disk, name),
            NotRead::Disk(error) => {
                is_gone = error.kind() == ErrorKind::NotFound;
                tracing::error!(%error, name, "a file of the spool cannot be read; the next start tries again");
            }
        }
        self.change(|index| {
            index.remove(name);
            index.damaged += u64::from(!is_gone);
        });
    }

    fn finish(&self, files: Vec<(String, bool)>) -> bool {
        let mut is_done = true;
        let mut drained = Vec::new();
        for (name, is_damaged) in files {
            if is_damaged {
                load::set_aside(&*self.disk, &name);
                self.change(|index| {
                    index.remove(&name);
                    index.damaged += 1;
                });
                continue;
            }
            let over = format!("{name}{DRAINED}");
            match self.disk.rename(&name, &over) {
                Ok(()) => {
                    self.change(|index| index.remove(&name));
                    drained.push(over);
                }
                Err(error) => {
                    tracing::error!(%error, name, "a file of the spool is judged, and cannot be renamed");
                    is_done = false;
                }
            }
        }
        if !drained.is_empty()
            && let Err(error) = self.destroy(&drained)
        {
            // They are judged. The next start tries again.
            tracing::warn!(%error, "files of the spool are judged, and still on disk");
        }
        is_done
    }

    /// Overwritten only when the new names are on disk: under an old one it would look damaged.
    fn destroy(&self, names: &[String]) -> std::io::Result<()> {
        self.disk.sync_names()?;
        names.iter().try_for_each(|name| self.disk.destroy(name))?;
        self.disk.sync_names()
    }
}
