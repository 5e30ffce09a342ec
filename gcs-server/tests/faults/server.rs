//! The program in a process of its own, which may refuse to start and is killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::common::api::{Answer, Api, bearer, try_ask};
use crate::common::process::{program, text};

/// Unix time in seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A running server.
pub struct Server {
    pub child: Child,
    pub root: String,
    log: File,
    api: Api,
}

impl Deref for Server {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// The command that starts a server.
pub fn command(folder: &Path, settings: &[(&str, String)]) -> Command {
    command_as(&[], Ipv4Addr::LOCALHOST, folder, settings)
}

/// The command that starts a server by another program, which is given its name and arguments. It listens at
/// an address.
pub fn command_as(
    starter: &[String],
    address: Ipv4Addr,
    folder: &Path,
    settings: &[(&str, String)],
) -> Command {
    let mut command = program();
    if let [starter, arguments @ ..] = starter {
        let mut started = Command::new(starter);
        started.args(arguments).arg(command.get_program());
        for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
            started.env_remove(name);
        }
        command = started;
    }
    let listen = format!("{address}:0");
    command.args(["--public-listen", &listen, "--private-listen", &listen]);
    command.arg("--data-dir").arg(folder);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

impl Server {
    /// Starts a server, with these variables in its environment. The token is that of a deployment
    /// that is there already.
    ///
    /// # Errors
    /// What a server says that does not start, or not with its log.
    pub fn start(
        folder: &Path,
        token: &str,
        settings: &[(&str, String)],
    ) -> Result<Server, String> {
        let server = Server::launch(command(folder, settings), token)?;
        server.refusal().map_or(Ok(server), Err)
    }

    /// As [`Server::start`], but with or without its log, and by a command.
    ///
    /// # Errors
    /// What a server says that does not start.
    pub fn launch(mut command: Command, token: &str) -> Result<Server, String> {
        let log = tempfile::tempfile().unwrap();
        let command = command.stdout(Stdio::piped()).stderr(log.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let mut line = |name: &str| -> Option<String> {
            let line = lines.next()?.ok()?;
            Some(line.strip_prefix(name).unwrap_or_else(|| panic!("{line}")).trim().to_owned())
        };
        let shown = (|| {
            let (public, private) = (line("public:")?, line("private:")?);
            let root = line("root key:")?;
            let operator = if token.is_empty() { line("operator token:")? } else { token.into() };
            let (public, private) = (address(&public), address(&private));
            Some((root, Api { public, private, operator, backend: String::new() }))
        })();
        match shown {
            Some((root, api)) => Ok(Server { child, root, log, api }),
            None => {
                let status = child.wait().unwrap();
                Err(format!("{status}: {}", read(&log)))
            }
        }
    }

    /// Why the server serves the published files alone, if it does.
    fn refusal(&self) -> Option<String> {
        let ask = |address, path| try_ask(&agent(), address, "GET", path, &[], "").ok();
        let unknown = ask(self.public, "/v1/reports/00000000000000000000000000000000")?;
        let ready = ask(self.private, "/readyz")?;
        (unknown.json()["code"] == "log_unusable")
            .then(|| format!("serves files alone: {}", text(&ready.body)))
    }

    /// What was logged so far.
    pub fn logged(&self) -> String {
        read(&self.log)
    }

    pub fn kill(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Stops in good order.
    ///
    /// # Errors
    /// What it logged, if that did not go well.
    pub fn stop(mut self) -> Result<(), String> {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        if status.success() { Ok(()) } else { Err(format!("{status}: {}", self.logged())) }
    }

    /// An operator's request; `None` if there was no answer.
    pub fn try_operate(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        try_operate(self, method, path, body)
    }
}

/// An operator's request; `None` if there was no answer.
pub fn try_operate(api: &Api, method: &str, path: &str, body: &Value) -> Option<Answer> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    try_ask(&agent(), api.private, method, path, &[bearer(&api.operator)], &body).ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

fn read(log: &File) -> String {
    let mut logged = vec![0; log.metadata().unwrap().len() as usize];
    // The server writes at the same place of the file, which reading must not move.
    log.read_exact_at(&mut logged, 0).unwrap();
    text(&logged)
}

/// Ends a process that somebody else waits for.
pub fn kill_process(process: u32) {
    signal(process, "-KILL");
}

pub fn signal(process: u32, name: &str) {
    let signalled = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(signalled.unwrap().success());
}

/// Connections that a dead machine does not hold for ever.
pub fn agent() -> ureq::Agent {
    agent_for(Duration::from_secs(100))
}

/// Connections on which so long is waited for an answer.
pub fn agent_for(patience: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    config.timeout_global(Some(patience)).build().into()
}
