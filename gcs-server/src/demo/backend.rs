//! The server as a process of its own, its clock, and what operator and providers ask of it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use gcs_core::exact::{Query, Request};
use gcs_core::{Date, PublicKey};
use serde_json::{Value, json};

use super::api::{self, Api, number};
use super::{Checked, ensure};

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often something that will come is looked for.
const PAUSE: Duration = Duration::from_millis(5);

/// Names of the files beside the server's data folder.
const CLOCK: &str = "clock";
const OUTPUT: &str = "server.out";
const LOG: &str = "server.log";

/// The server, which is stopped when this is dropped.
pub(super) struct Backend {
    folder: PathBuf,
    child: Option<Child>,
    pub(super) public: String,
    pub(super) private: String,
    pub(super) token: String,
    /// The key that apps would ship with.
    pub(super) root: PublicKey,
    /// What the server takes for the time.
    pub(super) now: u64,
    operator: Api,
    back_office: Api,
}

/// A healthcare provider.
pub(super) struct Provider {
    pub(super) number: u64,
    pub(super) name: &'static str,
    api: Api,
}

/// A publication, and how long it took.
#[derive(Clone, Copy)]
pub(super) struct Ticked {
    pub(super) tick: u64,
    pub(super) took: Duration,
}

impl Backend {
    /// Starts a server for the first time, in an empty folder, on ports that are free.
    pub(super) fn start(folder: &Path, now: u64) -> Checked<Backend> {
        let none = String::new;
        let mut backend = Backend {
            folder: folder.to_owned(),
            child: None,
            public: none(),
            private: none(),
            token: none(),
            root: PublicKey([0; 32]),
            now,
            operator: Api::new("", None),
            back_office: Api::new("", None),
        };
        backend.set_clock(now)?;
        backend.spawn("127.0.0.1:0", "127.0.0.1:0")?;
        backend.public = backend.printed("public:")?;
        backend.private = backend.printed("private:")?;
        let root = HEXLOWER.decode(backend.printed("root key:")?.as_bytes())?;
        backend.root = PublicKey(root.try_into().map_err(|_| "the root key is not 32 bytes")?);
        backend.token = backend.printed("operator token:")?;
        backend.operator = Api::new(&backend.private, Some(&backend.token));
        backend.wait_until("/healthz")?;
        let token = backend.operator.post("/v1/admin/backend-token", &())?.expect(200)?;
        backend.back_office = Api::new(&backend.private, Some(&api::text(&token, "token")?));
        Ok(backend)
    }

    fn spawn(&mut self, public: &str, private: &str) -> Checked<()> {
        let append = |name| OpenOptions::new().create(true).append(true).open(self.place(name));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--data-dir").arg(self.place("data"));
        command.args(["--public-listen", public, "--private-listen", private]);
        command.arg("--clock-file").arg(self.place(CLOCK));
        // Settings of this machine are none of the demonstration's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GCS_SERVER_") {
                command.env_remove(name);
            }
        }
        // Files, not pipes: with --keep the server outlives us.
        let (output, log): (File, File) = (append(OUTPUT)?, append(LOG)?);
        command.stdin(Stdio::null()).stdout(output).stderr(log);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Waits for a line that the server prints, and gives what follows its label.
    fn printed(&mut self, label: &str) -> Checked<String> {
        self.wait_for(label, |backend| {
            let text = fs::read_to_string(backend.place(OUTPUT)).unwrap_or_default();
            // A line that is not ended may not be whole.
            let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            lines.find_map(|line| line.strip_prefix(label)).map(|rest| rest.trim().to_owned())
        })
    }

    fn wait_until(&mut self, probe: &str) -> Checked<()> {
        let api = Api::new(&self.private, None);
        let is_fine = |_: &Backend| api.get(probe).ok().filter(|reply| reply.status == 200);
        self.wait_for(probe, is_fine).map(drop)
    }

    fn wait_for<T>(&mut self, what: &str, look: impl Fn(&Backend) -> Option<T>) -> Checked<T> {
        let begin = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            ensure(ended.is_none(), || format!("the server has ended: {ended:?}"))?;
            let waiting = begin.elapsed() < PATIENCE;
            ensure(waiting, || format!("waited {PATIENCE:?} for {what} of the server"))?;
            std::thread::sleep(PAUSE);
        }
    }

    /// Kills the server as a power cut would: SIGKILL, where there are signals.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().and_then(|()| child.wait().map(drop)),
            None => Ok(()),
        }
    }

    /// Starts the server again, at the same addresses; how long until it was ready.
    pub(super) fn restart(&mut self) -> Checked<Duration> {
        let begin = Instant::now();
        let address = |url: &str| url.trim_start_matches("http://").to_owned();
        self.spawn(&address(&self.public), &address(&self.private))?;
        self.wait_until("/readyz")?;
        Ok(begin.elapsed())
    }

    /// Lets the server live on without us; its process id.
    pub(super) fn leave(mut self) -> Option<u32> {
        self.child.take().map(|child| child.id())
    }

    /// Moves the server's time.
    pub(super) fn set_clock(&mut self, now: u64) -> io::Result<()> {
        let partial = self.place("clock.partial");
        fs::write(&partial, now.to_string())?;
        fs::rename(partial, self.place(CLOCK))?;
        self.now = now;
        Ok(())
    }

    /// The public listener.
    pub(super) fn apps(&self) -> Api {
        Api::new(&self.public, None)
    }

    pub(super) fn status(&self) -> Checked<Value> {
        self.operator.get("/v1/admin/status")?.expect(200)
    }

    /// Changes some settings of the policy.
    pub(super) fn change_policy(&self, changes: &Value) -> Checked<()> {
        let mut policy = self.operator.get("/v1/admin/policy")?.expect(200)?;
        for (setting, value) in changes.as_object().into_iter().flatten() {
            policy[setting] = value.clone();
        }
        self.operator.put("/v1/admin/policy", &policy)?.expect(200)?;
        let now = self.operator.get("/v1/admin/policy")?.expect(200)?;
        ensure(now == policy, || format!("the policy is {now}, expected {policy}"))
    }

    /// Publishes, and waits until it is out.
    pub(super) fn tick(&self) -> Checked<Ticked> {
        let begin = Instant::now();
        let ticked = self.operator.post("/v1/admin/tick", &json!({}))?.expect(200)?;
        Ok(Ticked { tick: number(&ticked, "tick")?, took: begin.elapsed() })
    }

    pub(super) fn add_provider(&self, name: &'static str) -> Checked<Provider> {
        let added = self.operator.post("/v1/admin/providers", &json!({ "name": name }))?;
        let added = added.expect(201)?;
        let api = Api::new(&self.private, Some(&api::text(&added, "token")?));
        Ok(Provider { number: number(&added, "provider")?, name, api })
    }

    /// What is published of one date, and how much of that is filler.
    pub(super) fn date(&self, date: Date) -> Checked<Option<(u64, u64)>> {
        let status = self.status()?;
        let dates = status["dates"].as_array().ok_or("no dates in the status")?;
        let entry = dates.iter().find(|entry| entry["date"] == json!(date));
        entry.map(|entry| Ok((number(entry, "elements")?, number(entry, "filler")?))).transpose()
    }

    /// Everything that is published.
    pub(super) fn elements(&self) -> Checked<u64> {
        let status = self.status()?;
        let dates = status["dates"].as_array().ok_or("no dates in the status")?;
        dates.iter().map(|entry| number(entry, "elements")).sum()
    }

    /// Whether this very element is published.
    pub(super) fn exact(&self, date: Date, element: &[u8]) -> Checked<bool> {
        let queries = vec![Query { date, element: element.to_vec() }];
        let answer = self.back_office.post("/v1/exact", &Request { queries })?.expect(200)?;
        answer["present"][0].as_bool().ok_or_else(|| format!("exact match: {answer}").into())
    }

    /// Shows what a retraction would do, then does just that.
    pub(super) fn retract(&self, select: &Value) -> Checked<Value> {
        let mut act = json!({ "act": "retract", "select": select });
        let preview = self.operator.post("/v1/admin/corrections/preview", &act)?.expect(200)?;
        act["position"] = preview["position"].clone();
        let done = self.operator.post("/v1/admin/corrections", &act)?.expect(200)?;
        ensure(done == preview, || format!("previewed {preview}, done {done}"))?;
        Ok(done)
    }
}

/// The last things that went wrong in the server, for whoever wonders.
pub(super) fn troubles(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let is_trouble = |line: &&str| ![" INFO ", " WARN "].iter().any(|level| line.contains(level));
    let mut troubles: Vec<&str> = log.lines().filter(is_trouble).collect();
    let last = troubles.split_off(troubles.len().saturating_sub(10));
    if last.is_empty() { String::new() } else { format!("\nThe server said:\n{}", last.join("\n")) }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // Nothing to do about a process that cannot be killed.
        let _killed = self.kill();
    }
}

impl Provider {
    /// Opens a range and fetches its codes, as they are printed.
    pub(super) fn codes(&self, count: usize) -> Checked<Vec<String>> {
        let range = json!({ "count": count, "valid_days": 30 });
        let range = self.api.post("/v1/provider/ranges", &range)?.expect(201)?;
        let first = number(&range, "first")?;
        let sheet = self.api.text(&format!("/v1/provider/ranges/{first}/codes"))?;
        let codes = sheet.lines().filter(|line| !line.starts_with('#'));
        let codes: Vec<String> = codes.map(str::to_owned).collect();
        ensure(codes.len() == count, || format!("{} codes instead of {count}", codes.len()))?;
        Ok(codes)
    }
}
