//! The thread that writes reports to a spool.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use tokio::sync::{mpsc, oneshot};

use super::index::{Held, Listed, Tally};
use super::sealed::{self, OVERHEAD};
use super::{NEW, NotHeld, REPORTS, Shared};
use crate::domain::events::TrackingId;
use crate::domain::spooled::SpooledReport;
use crate::random::Random;

/// Largest number of reports in a file.
const FILE_REPORTS: usize = 256;

/// Bytes of reports after which a file counts as full: with one more report it is far from the longest.
const FILE_BYTES: usize = 1 << 20;

/// A report to hold.
pub(super) struct Request {
    pub(super) report: SpooledReport,
    pub(super) reply: oneshot::Sender<Result<TrackingId, NotHeld>>,
}

impl Request {
    fn answer(self, answer: Result<TrackingId, NotHeld>) {
        // Whoever has gone sends the same report again.
        let _gone = self.reply.send(answer);
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    random: Random,
    /// Number of files that were written since the start.
    written: u64,
}

/// Reports that are written together.
#[derive(Default)]
struct Group {
    /// The reports, sealed in this order.
    held: Vec<Held>,
    bytes: Vec<Vec<u8>>,
    tally: Tally,
    /// The tracking id of each report.
    tracking: HashMap<[u8; 32], TrackingId>,
    /// Everybody who waits, with the tracking id to answer.
    waiting: Vec<(Request, TrackingId)>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, random: Random) -> Writer {
        Writer { shared, random, written: 0 }
    }

    /// Works until every handle of the spool is dropped.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = Group::default();
            let mut next = Some(first);
            let mut bytes = 0;
            while let Some(request) = next {
                bytes += self.take(request, &mut group);
                let is_full = group.held.len() >= FILE_REPORTS || bytes >= FILE_BYTES;
                next = if is_full { None } else { queue.try_recv().ok() };
            }
            self.write(group);
        }
    }

    /// Takes a report into a group, or answers at once. Returns how many bytes it adds.
    fn take(&self, request: Request, group: &mut Group) -> usize {
        let bytes = request.report.encode();
        let length = bytes.len() + OVERHEAD;
        let held = Held::new(&request.report, length);
        let index = self.shared.index();
        if let Some(tracking) = index.tracking_of(&held.identity) {
            request.answer(Ok(tracking));
            return 0;
        }
        if let Some(tracking) = group.tracking.get(&held.identity) {
            group.waiting.push((request, *tracking));
            return 0;
        }
        if !index.tally.has_room(&group.tally, &held, self.shared.limits) {
            request.answer(Err(NotHeld::Full));
            return 0;
        }
        group.tally.add(&held);
        group.tracking.insert(held.identity, held.tracking);
        group.waiting.push((request, held.tracking));
        group.held.push(held);
        group.bytes.push(bytes);
        length
    }

    /// Writes a group to a file of its own, and answers everybody who waits for that.
    fn write(&mut self, group: Group) {
        let Some(first) = group.held.first() else { return };
        let written = self.write_file(first.arrived, &group.bytes);
        let failed = match written {
            Ok(name) => {
                let listed = Listed { reports: group.held, is_damaged: false };
                self.shared.change(|index| index.add(name, listed));
                false
            }
            Err(error) => {
                tracing::error!(%error, "the spool cannot be written: reports are answered with 503");
                true
            }
        };
        for (request, tracking) in group.waiting {
            request.answer(if failed { Err(NotHeld::Failed) } else { Ok(tracking) });
        }
    }

    /// Writes a file. It is on disk under the name that this returns.
    fn write_file(&mut self, arrived: u64, reports: &[Vec<u8>]) -> io::Result<String> {
        let salt: [u8; 32] = self.random.bytes().map_err(io::Error::from)?;
        self.written += 1;
        let stem = format!("{arrived:010}-{:06}-{}", self.written, HEXLOWER.encode(&salt[..8]));
        let (new, name) = (format!("{stem}{NEW}"), format!("{stem}{REPORTS}"));
        let disk = &self.shared.disk;
        disk.create(&new, &sealed::seal(&self.shared.keys, salt, reports))?;
        let named = disk.rename(&new, &name).and_then(|()| disk.sync_names());
        if let Err(error) = named {
            // Nobody is told of these reports. If they stay all the same, a later start has them judged.
            let _left = disk.destroy(&new).or_else(|_| disk.destroy(&name));
            return Err(error);
        }
        Ok(name)
    }
}
