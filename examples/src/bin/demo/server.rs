//! The server as a process of its own, its clock, and the requests of operator and providers.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use gcs_core::exact::{Query, Request};
use gcs_core::report::Code;
use gcs_core::{Date, PublicKey};
use gcs_examples::{Checked, ensure};
use serde_json::{Value, json};

use crate::api::{self, Api, number};
use crate::belongings::Belongings;

/// The first argument with which this program runs as the server.
pub(crate) const AS_SERVER: &str = "as-gcs-server";

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// Names of the files beside the server's data folder.
const CLOCK: &str = "clock";
const OUTPUT: &str = "server.out";
const LOG: &str = "server.log";

/// The server.
pub(crate) struct Server {
    folder: PathBuf,
    belongings: Belongings,
    pub(crate) public: String,
    pub(crate) private: String,
    pub(crate) token: String,
    /// The public key that apps pin.
    pub(crate) root: PublicKey,
    /// Unix time of the server's clock.
    pub(crate) now: u64,
    operator: Api,
    back_office: Api,
}

/// A healthcare provider.
pub(crate) struct Provider {
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    api: Api,
}

/// A publication, and how long it took.
#[derive(Clone, Copy)]
pub(crate) struct Ticked {
    pub(crate) tick: u64,
    pub(crate) took: Duration,
}

impl Server {
    /// Starts a server for the first time, in an empty folder, on ports that are free.
    pub(crate) fn start(belongings: &Belongings, now: u64) -> Checked<Server> {
        let none = String::new;
        let mut server = Server {
            folder: belongings.folder(),
            belongings: belongings.clone(),
            public: none(),
            private: none(),
            token: none(),
            root: PublicKey([0; 32]),
            now,
            operator: Api::new("", None),
            back_office: Api::new("", None),
        };
        server.set_clock(now)?;
        server.spawn("127.0.0.1:0", "127.0.0.1:0")?;
        server.public = server.printed("public:")?;
        server.private = server.printed("private:")?;
        let root = HEXLOWER.decode(server.printed("root key:")?.as_bytes())?;
        server.root = PublicKey(root.try_into().map_err(|_| "the root key is not 32 bytes")?);
        server.token = server.printed("operator token:")?;
        server.operator = Api::new(&server.private, Some(&server.token));
        server.wait_until("/healthz")?;
        let token = server.operator.post("/v1/admin/backend-token", &())?.expect(200)?;
        server.back_office = Api::new(&server.private, Some(&api::text(&token, "token")?));
        Ok(server)
    }

    fn spawn(&self, public: &str, private: &str) -> Checked<()> {
        let append = |name| OpenOptions::new().create(true).append(true).open(self.place(name));
        let mut command = Command::new(std::env::current_exe()?);
        command.args([AS_SERVER, "serve", "--data-dir"]).arg(self.place("data"));
        command.args(["--public-listen", public, "--private-listen", private]);
        command.arg("--clock-file").arg(self.place(CLOCK));
        // Settings in this machine's environment must not change the demo.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GCS_SERVER_") {
                command.env_remove(name);
            }
        }
        // Files, not pipes: with --keep the server runs longer than the demo.
        let (output, log): (File, File) = (append(OUTPUT)?, append(LOG)?);
        command.stdin(Stdio::null()).stdout(output).stderr(log);
        Ok(self.belongings.start(&mut command)?)
    }

    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Waits for a line that the server prints, and gives what follows its label.
    fn printed(&self, label: &str) -> Checked<String> {
        self.wait_for(label, |server| {
            let text = fs::read_to_string(server.place(OUTPUT)).unwrap_or_default();
            // A line without its end may not be whole.
            let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            lines.find_map(|line| line.strip_prefix(label)).map(|rest| rest.trim().to_owned())
        })
    }

    fn wait_until(&self, probe: &str) -> Checked<()> {
        let api = Api::new(&self.private, None);
        let is_fine = |_: &Server| api.get(probe).ok().filter(|reply| reply.status == 200);
        self.wait_for(probe, is_fine).map(drop)
    }

    fn wait_for<T>(&self, what: &str, look: impl Fn(&Server) -> Option<T>) -> Checked<T> {
        let begin = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            let ended = self.belongings.has_ended()?;
            ensure(ended.is_none(), || format!("the server has ended: {ended:?}"))?;
            let waiting = begin.elapsed() < PATIENCE;
            ensure(waiting, || format!("waited {PATIENCE:?} for {what} of the server"))?;
            std::thread::sleep(PAUSE);
        }
    }

    /// Kills the server as a power cut would.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.belongings.kill()
    }

    /// Starts the server again, at the same addresses. Returns how long it took until ready.
    pub(crate) fn restart(&self) -> Checked<Duration> {
        let begin = Instant::now();
        let address = |url: &str| url.trim_start_matches("http://").to_owned();
        self.spawn(&address(&self.public), &address(&self.private))?;
        self.wait_until("/readyz")?;
        Ok(begin.elapsed())
    }

    /// Moves the server's time.
    pub(crate) fn set_clock(&mut self, now: u64) -> io::Result<()> {
        let partial = self.place("clock.partial");
        fs::write(&partial, now.to_string())?;
        fs::rename(partial, self.place(CLOCK))?;
        self.now = now;
        Ok(())
    }

    /// The public listener.
    pub(crate) fn apps(&self) -> Api {
        Api::new(&self.public, None)
    }

    pub(crate) fn status(&self) -> Checked<Value> {
        self.operator.get("/v1/admin/status")?.expect(200)
    }

    /// The status of a report.
    pub(crate) fn report_status(&self, tracking: &str) -> Checked<Value> {
        self.apps().get(&format!("/v1/reports/{tracking}"))?.expect(200)
    }

    /// Changes some settings of the policy.
    pub(crate) fn change_policy(&self, changes: &Value) -> Checked<()> {
        let mut policy = self.operator.get("/v1/admin/policy")?.expect(200)?;
        for (setting, value) in changes.as_object().into_iter().flatten() {
            policy[setting] = value.clone();
        }
        self.operator.put("/v1/admin/policy", &policy)?.expect(200)?;
        let now = self.operator.get("/v1/admin/policy")?.expect(200)?;
        ensure(now == policy, || format!("the policy is {now}, expected {policy}"))
    }

    /// Publishes, and waits until it is done.
    pub(crate) fn tick(&self) -> Checked<Ticked> {
        let begin = Instant::now();
        let ticked = self.operator.post("/v1/admin/tick", &json!({}))?.expect(200)?;
        Ok(Ticked { tick: number(&ticked, "tick")?, took: begin.elapsed() })
    }

    pub(crate) fn add_provider(&self, name: &'static str) -> Checked<Provider> {
        let added = self.operator.post("/v1/admin/providers", &json!({ "name": name }))?;
        let added = added.expect(201)?;
        let api = Api::new(&self.private, Some(&api::text(&added, "token")?));
        Ok(Provider { number: number(&added, "provider")?, name, api })
    }

    /// The number of elements published for a date, and how many of them are filler.
    pub(crate) fn date(&self, date: Date) -> Checked<Option<(u64, u64)>> {
        let status = self.status()?;
        let dates = status["dates"].as_array().ok_or("no dates in the status")?;
        let entry = dates.iter().find(|entry| entry["date"] == json!(date));
        entry.map(|entry| Ok((number(entry, "elements")?, number(entry, "filler")?))).transpose()
    }

    /// The number of elements published for all dates.
    pub(crate) fn elements(&self) -> Checked<u64> {
        let status = self.status()?;
        let dates = status["dates"].as_array().ok_or("no dates in the status")?;
        dates.iter().map(|entry| number(entry, "elements")).sum()
    }

    /// Asks the server, by exact match, whether an element is published.
    pub(crate) fn exact(&self, date: Date, element: &[u8]) -> Checked<bool> {
        let queries = vec![Query { date, element: element.to_vec() }];
        let answer = self.back_office.post("/v1/exact", &Request { queries })?.expect(200)?;
        answer["present"][0].as_bool().ok_or_else(|| format!("exact match: {answer}").into())
    }

    /// Previews a retraction, then makes it, and makes sure that both agree.
    pub(crate) fn retract(&self, select: &Value) -> Checked<Value> {
        let mut act = json!({ "act": "retract", "select": select });
        let preview = self.operator.post("/v1/admin/corrections/preview", &act)?.expect(200)?;
        act["position"] = preview["position"].clone();
        let done = self.operator.post("/v1/admin/corrections", &act)?.expect(200)?;
        ensure(done == preview, || format!("previewed {preview}, done {done}"))?;
        Ok(done)
    }
}

/// The last errors in the server's log, as a text to print.
pub(crate) fn troubles(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let is_trouble = |line: &&str| ![" INFO ", " WARN "].iter().any(|level| line.contains(level));
    let mut troubles: Vec<&str> = log.lines().filter(is_trouble).collect();
    let last = troubles.split_off(troubles.len().saturating_sub(10));
    if last.is_empty() { String::new() } else { format!("\nThe server said:\n{}", last.join("\n")) }
}

impl Provider {
    /// Opens a range of serial numbers and fetches its codes.
    pub(crate) fn codes(&self, count: usize) -> Checked<Vec<Code>> {
        let range = json!({ "count": count, "valid_days": 30 });
        let range = self.api.post("/v1/provider/ranges", &range)?.expect(201)?;
        let first = number(&range, "first")?;
        let sheet = self.api.text(&format!("/v1/provider/ranges/{first}/codes"))?;
        let codes = sheet.lines().filter(|line| !line.starts_with('#'));
        let codes = codes.map(str::parse).collect::<Result<Vec<Code>, _>>()?;
        ensure(codes.len() == count, || format!("{} codes instead of {count}", codes.len()))?;
        Ok(codes)
    }
}
