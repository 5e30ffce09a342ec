//! A data folder, and servers on it whose clock stands still.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gcs_core::DAY_SECONDS;
use gcs_core::Version;
use gcs_core::report::Item;
use gcs_core::report::{Code, ReportAnswer};
use gcs_server::app::config::{Config, Options};
use gcs_server::app::{App, FolderError, StartError};
use gcs_server::clock::{Clock, Machine};
use gcs_server::domain::judge;
use gcs_server::domain::policy::Policy;
use gcs_server::domain::problem::Problem;
use gcs_server::random::Random;
use gcs_server::service::Service;
use tempfile::TempDir;

use super::api::Api;
use super::process::{alone, text};
use super::world::Files;
use super::{HOUR, START, policy, submission};

/// How long a folder may seem to be in use.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is gone when the test is over.
pub struct Home {
    pub folder: TempDir,
    pub time: Arc<AtomicU64>,
    /// Seconds since the machine booted, which count if the boot has a name.
    pub uptime: Arc<AtomicU64>,
    pub boot: Mutex<Option<String>>,
    /// Servers of this folder hold it too.
    users: Arc<()>,
    /// What servers here draw from, one after the other.
    pub random: Random,
}

impl Home {
    /// At noon of the fourth date.
    pub fn new() -> Home {
        Home::at(START + 3 * DAY_SECONDS + 12 * HOUR)
    }

    /// At a Unix time.
    pub fn at(now: u64) -> Home {
        Home::seeded(1, now)
    }

    /// At a Unix time; a deployment that is made here has other keys for each seed.
    pub fn seeded(seed: u64, now: u64) -> Home {
        let (folder, time) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(now)));
        let (uptime, boot) = (Arc::default(), Mutex::default());
        let (users, random) = (Arc::default(), Random::seeded(seed));
        Home { folder, time, uptime, boot, users, random }
    }

    /// The clock of servers here.
    pub fn clock(&self) -> Clock {
        let (now, uptime) = (Arc::clone(&self.time), Arc::clone(&self.uptime));
        match &*self.boot.lock().unwrap() {
            Some(boot) => Clock::Machine(Machine { now, uptime, boot: boot.clone() }),
            None => Clock::Manual(now),
        }
    }

    pub fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    pub fn set(&self, now: u64) {
        self.time.store(now, Ordering::SeqCst);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> Config {
        let anywhere = "127.0.0.1:0".parse().ok();
        let options = Options {
            data_dir: Some(self.folder.path().to_owned()),
            public_listen: anywhere,
            private_listen: anywhere,
            ..Options::default()
        };
        Config::load(&options).unwrap()
    }

    pub fn pass(&self, seconds: u64) {
        self.uptime.fetch_add(seconds, Ordering::SeqCst);
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    pub async fn try_start(&self) -> Result<Running, StartError> {
        self.start_with(&self.config()).await
    }

    pub async fn start_with(&self, config: &Config) -> Result<Running, StartError> {
        let began = Instant::now();
        loop {
            match Running::start(config, self.clock(), &self.random).await {
                // The processes that other tests begin have this folder's lock too, for a moment.
                Err(StartError::DataFolder(FolderError::InUse { .. })) if self.is_free(began) => {}
                Ok(running) => {
                    return Ok(Running { _user: Some(Arc::clone(&self.users)), ..running });
                }
                refused => return refused,
            }
        }
    }

    /// Whether no server of this process uses the folder, as far as is known.
    fn is_free(&self, since: Instant) -> bool {
        Arc::strong_count(&self.users) == 1 && since.elapsed() < PATIENCE
    }

    pub async fn start(&self) -> Running {
        self.try_start().await.unwrap()
    }

    /// A running server of a new deployment with 1,000 codes of provider 1.
    pub async fn begin(&self) -> Running {
        let running = self.start().await;
        running.set_policy(policy()).await;
        let node = &running.service().node;
        node.act(|state, now| judge::add_provider(state, now, "a clinic")).await.unwrap();
        node.act(|state, now| judge::open_range(state, now, 1, 1000, 365)).await.unwrap();
        running
    }

    /// Why a start was refused; the folder is as it was before.
    pub async fn refusal(&self) -> String {
        let before = self.contents();
        let refusal = match self.try_start().await {
            Ok(_) => panic!("the server started"),
            Err(error) => error.to_string(),
        };
        let difference = difference(&before, &self.contents());
        assert!(difference.is_empty(), "a refused start changed {difference:?}");
        refusal
    }

    /// Every file but the lock, which names the process and its addresses.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = files(self.folder.path());
        files.remove("lock");
        files
    }

    /// What phones can fetch, by name.
    pub fn public(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.path("public"))
    }

    /// What phones can fetch, by path.
    pub fn served(&self) -> Files {
        self.public().into_iter().map(|(name, bytes)| (format!("/{name}"), bytes)).collect()
    }

    pub fn manifest(&self) -> Vec<u8> {
        fs::read(self.path("public/v1/manifest")).unwrap()
    }

    /// Says that the log here is the newest there is: see `StartError::Elsewhere`.
    pub fn rebuild(&self) {
        let output = alone(self.folder.path(), &["rebuild", "--write"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// The same folder elsewhere, as a crash at this moment would leave it.
    pub fn copy(&self) -> Home {
        let copy = Home { random: self.random.clone(), ..Home::at(self.now()) };
        for (name, bytes) in files(self.folder.path()) {
            let path = copy.path(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        copy
    }
}

/// Names that are in one of two folders only, or with other bytes.
pub fn difference(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
    names.filter(|name| a.get(*name) != b.get(*name)).cloned().collect()
}

/// Every file below a folder, by its path from there. A file that a server renames or deletes meanwhile is left out.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                match fs::read(path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    bytes => drop(found.insert(name, bytes.unwrap())),
                }
            }
        }
    }
    found
}

/// A server that runs.
pub struct Running {
    service: Option<Service>,
    api: Api,
    pub handles: [actix_web::dev::ServerHandle; 2],
    _user: Option<Arc<()>>,
    task: actix_web::rt::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Starts a server in this thread's runtime, with this clock and this randomness.
    pub async fn start(
        config: &Config,
        clock: Clock,
        random: &Random,
    ) -> Result<Running, StartError> {
        let app = App::build(config, clock, random.clone()).await?.whole()?;
        let (service, handles) = (app.service().clone(), app.handles());
        let operator = app.new_token().map(ToString::to_string).unwrap_or_default();
        app.token_is_shown().unwrap();
        let (public, private) = (app.public(), app.private());
        let api = Api { public, private, operator, backend: String::new() };
        let task = actix_web::rt::spawn(app.run());
        Ok(Running { service: Some(service), api, handles, _user: None, task })
    }

    /// The way to ask it over HTTP; of a deployment that is not new, with this operator's token.
    pub fn api(&self, operator: &str) -> Api {
        let mut api = self.api.clone();
        if api.operator.is_empty() {
            operator.clone_into(&mut api.operator);
        }
        api
    }

    pub fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    pub async fn stop(self) {
        for handle in &self.handles {
            handle.stop(true).await;
        }
        self.until_stopped().await;
    }

    /// Lets go of the service, without which a server does not end, and waits for the end.
    pub async fn until_stopped(mut self) {
        self.service = None;
        self.task.await.unwrap().unwrap();
    }

    pub async fn set_policy(&self, policy: Policy) {
        let node = &self.service().node;
        node.act(move |state, now| judge::set_policy(state, now, &policy, true)).await.unwrap();
    }

    pub fn code(&self, serial: u32) -> Code {
        Code::issue(&self.service().keys.provider(1, 1), 1, serial).unwrap()
    }

    /// A report by a code of provider 1.
    pub async fn report(&self, serial: u32, items: &[Item]) -> Result<ReportAnswer, Problem> {
        let (keys, submission) =
            (Arc::clone(&self.service().keys), submission(self.code(serial), items));
        let node = &self.service().node;
        node.act_on_code(1, serial, move |state, now| judge::report(state, &keys, now, &submission))
            .await
    }

    pub async fn tick(&self) -> Version {
        self.service().tick().await.unwrap()
    }

    /// Waits until what the log says is out.
    pub async fn settle(&self) {
        let last = self.service().node.state().last_tick.map(|last| last.version);
        let mut published = self.service().published.clone();
        let is_out = |published: &Option<gcs_server::publishing::Published>| {
            published.as_ref().map(|published| published.position.version) >= last
        };
        published.wait_for(is_out).await.unwrap();
    }

    pub fn digest(&self) -> gcs_core::Digest {
        self.service().node.state().digest()
    }
}
