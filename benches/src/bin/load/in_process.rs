//! Reports without HTTP: what the store takes for one, and how many a node takes at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use actix_web::rt;
use gcs_core::Date;
use gcs_core::report::{Code, Item, ReceivedReport};
use gcs_server::app::config::{Config, Options as Settings};
use gcs_server::app::{DataFolder, Opened};
use gcs_server::clock::Clock;
use gcs_server::domain::judge::{self, Judgement, RequestContext};
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::domain::state::State;
use gcs_server::node::{Node, SealedBatch, replay, seal};
use gcs_server::random::Random;
use gcs_server::store::Store;
use tokio::sync::mpsc;

use crate::Options;
use crate::durable::{CLIENTS, overwrite};
use crate::machine::{Processor, processor_seconds};
use gcs_benches::server::Checked;
use gcs_benches::timing::Times;

/// Reports of one client.
const ALONE: usize = 600;

/// Reports of each of many clients.
const EACH: usize = 90;

/// How often raw writes and reports take turns.
const TURNS: usize = 6;

/// How long appends to a store, and reports to a node, take without HTTP.
pub(crate) struct InProcess {
    /// Overwriting as many bytes of a file as a report has in the log, and waiting for the disk.
    pub(crate) raw: Times,
    /// Appending one report to the log.
    pub(crate) append: Times,
    /// Bytes of it.
    pub(crate) bytes: usize,
    /// Reports of many clients at once, each from when it is given to the node until it is answered.
    pub(crate) crowd: Times,
    /// Such reports a second.
    pub(crate) rate: f64,
    /// Processor time in seconds for each of them: of the node, and of the clients.
    pub(crate) cpu: [f64; 2],
}

/// What many clients did.
struct Crowd {
    times: Vec<f64>,
    rate: f64,
    cpu: [f64; 2],
}

pub(crate) fn measure(options: &Options, folder: &Path) -> Checked<Option<InProcess>> {
    if !"reports in process".contains(&options.only) {
        return Ok(None);
    }
    eprintln!("reports in process");
    let mut log = Log::open(&folder.join("in-process"))?;
    let mut serials = log.codes((ALONE + CLIENTS * EACH) as u32)?;
    let place = folder.join("raw");
    let (mut raw, mut append, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TURNS {
        for _ in 0..ALONE / TURNS {
            let sealed = log.report(serials.next().ok_or("no code")?)?;
            bytes = sealed.batch.size();
            let began = Instant::now();
            log.store.append(&sealed.batch)?;
            append.push(began.elapsed().as_secs_f64());
            log.apply(&sealed)?;
        }
        raw.extend(overwrite(&place, ALONE / TURNS, bytes)?);
    }
    let Crowd { times, rate, cpu } = log.crowd(serials)?;
    raw.extend(overwrite(&place, ALONE / TURNS, bytes)?);
    let (raw, append, crowd) = (Times::new(raw), Times::new(append), Times::new(times));
    Ok(Some(InProcess { raw, append, bytes, crowd, rate, cpu }))
}

/// A log of a new deployment, with everything that is needed to judge.
struct Log {
    store: Box<dyn Store>,
    keys: DeploymentKeys,
    state: State,
    now: u64,
    random: Random,
    _folder: DataFolder,
}

impl Log {
    fn open(folder: &Path) -> Checked<Log> {
        let anywhere = "127.0.0.1:0".parse().ok();
        let settings = Settings {
            data_dir: Some(folder.to_owned()),
            public_listen: anywhere,
            private_listen: anywhere,
            ..Settings::default()
        };
        let (random, now) = (Random::System, Clock::System.now());
        let opened = DataFolder::open(&Config::load(&settings)?, now, &random)?;
        let Opened { folder, mut store, keys, .. } = opened;
        let state = replay(&mut *store, Some(&keys), |_, _| Ok(()))?.whole()?;
        // As a start does.
        store.settle();
        Ok(Log { store, keys, state, now, random, _folder: folder })
    }

    /// Seals what comes of a judgement.
    fn judge<T>(
        &self,
        judge: impl FnOnce(&State, RequestContext) -> Judgement<T>,
    ) -> Checked<(SealedBatch, T)> {
        let context = RequestContext { now: self.now, leap: None, random: self.random.bytes()? };
        let decision = judge(&self.state, context)?;
        let sealed = seal(self.state.chain(), &decision.events, self.now, &self.random)?;
        Ok((sealed.ok_or("nothing to append")?, decision.answer))
    }

    fn apply(&mut self, sealed: &SealedBatch) -> Checked<()> {
        sealed.logged.iter().try_for_each(|logged| self.state.apply(logged))?;
        Ok(())
    }

    /// Opens a range of codes, and gives their serial numbers.
    fn codes(&mut self, count: u32) -> Checked<std::ops::Range<u32>> {
        let (sealed, _) =
            self.judge(|state, context| judge::add_provider(state, context, "load"))?;
        self.store.append(&sealed.batch)?;
        self.apply(&sealed)?;
        let (sealed, opened) =
            self.judge(|state, context| judge::open_range(state, context, 1, count, 7))?;
        self.store.append(&sealed.batch)?;
        self.apply(&sealed)?;
        Ok(opened.first..opened.first + count)
    }

    /// A report of 10 items, judged and sealed.
    fn report(&self, serial: u32) -> Checked<SealedBatch> {
        let received = received(&self.keys, serial, self.now)?;
        let judge = |state: &State, context| judge::report(state, &self.keys, context, &received);
        Ok(self.judge(judge)?.0)
    }

    /// Reports of many clients at once to a node. The clients share this thread.
    fn crowd(self, serials: std::ops::Range<u32>) -> Checked<Crowd> {
        let Log { store, keys, state, now, random, _folder: folder } = self;
        let clock = Clock::Manual(Arc::new(AtomicU64::new(now)));
        let (inputs, _no_ticks) = mpsc::channel(1);
        let (node, thread) = Node::start(store, state, clock, random, inputs)?;
        let keys = Arc::new(keys);
        let mut reports = serials
            .map(|serial| Ok((serial, received(&keys, serial, now)?)))
            .collect::<Checked<Vec<_>>>()?;
        let seconds = || [Processor::Process, Processor::Thread].map(processor_seconds);
        let (began, before) = (Instant::now(), seconds());
        let times = rt::System::new().block_on(async {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let own = reports.split_off(reports.len() - EACH);
                    rt::spawn(client(node.clone(), Arc::clone(&keys), own))
                })
                .collect();
            let mut times = Vec::new();
            for client in clients {
                times.extend(client.await.map_err(|error| error.to_string())??);
            }
            Ok::<_, String>(times)
        })?;
        let count = times.len() as f64;
        let (rate, after) = (count / began.elapsed().as_secs_f64(), seconds());
        let [all, clients] = [0, 1].map(|of| (after[of] - before[of]) / count);
        drop(node);
        thread.join().map_err(|_| "the node has failed")?;
        drop(folder);
        Ok(Crowd { times, rate, cpu: [all - clients, clients] })
    }
}

/// Gives reports to a node, one after the other.
async fn client(
    node: Node,
    keys: Arc<DeploymentKeys>,
    reports: Vec<(u32, ReceivedReport)>,
) -> Result<Vec<f64>, String> {
    let mut times = Vec::new();
    for (serial, received) in reports {
        let keys = Arc::clone(&keys);
        let judge = move |state: &_, context| judge::report(state, &keys, context, &received);
        let began = Instant::now();
        let answer = node.act_on_code(1, serial, judge).await;
        times.push(began.elapsed().as_secs_f64());
        answer.map_err(|problem| problem.to_string())?;
    }
    Ok(times)
}

/// A report of 10 items as it was received.
fn received(keys: &DeploymentKeys, serial: u32, now: u64) -> Checked<ReceivedReport> {
    let code = Code::issue(&keys.provider(1, 1), 1, serial).ok_or("no such code")?;
    let epoch = u32::try_from(Date::of_time(now - 3 * 86_400).start() / 900)?;
    let item = |at: u32| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&serial.to_le_bytes());
        seed[4..8].copy_from_slice(&at.to_le_bytes());
        Ok(Item::Dp3tUnlinkable { epoch: epoch + at, seed })
    };
    Ok(ReceivedReport::new(code, (0..10).map(item).collect()))
}
