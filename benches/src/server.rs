//! A server of a benchmark's own: the program of gcs-server, in a process that ends with it.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::client::{Client, expect, get, post};

/// The result of what can fail.
pub type Checked<T> = Result<T, Box<dyn Error>>;

/// Name of the key file in a data folder.
const KEYS: &str = "keys.json";

/// A process that ends with this.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// A process that was started.
    pub fn new(child: Child) -> Process {
        Process(child)
    }

    /// Processor time in seconds of it and its children.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn seconds(&self) -> Checked<f64> {
        let own = self.0.id();
        let mut ticks = 0;
        for process in fs::read_dir("/proc")?.filter_map(Result::ok) {
            let Ok(stat) = fs::read_to_string(process.path().join("stat")) else { continue };
            // The name, in parentheses, may have anything in it.
            let Some((number, rest)) = stat.split_once(' ') else { continue };
            let fields: Vec<&str> = rest.rsplit(") ").next().unwrap_or("").split(' ').collect();
            let [_, parent, ..] = fields[..] else { continue };
            if number == own.to_string() || parent == own.to_string() {
                ticks += fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
            }
        }
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn resident(&self) -> Checked<u64> {
        self.memory("VmRSS:")
    }

    /// Most resident memory up to now, in bytes.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn most_resident(&self) -> Checked<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> Checked<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find(|line| line.starts_with(name)).ok_or(name.to_owned())?;
        Ok(line.split_whitespace().nth(1).ok_or(name.to_owned())?.parse::<u64>()? << 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In good order: nginx ends its workers too.
        let ended = Command::new("kill").arg(self.0.id().to_string()).status();
        if ended.is_err() {
            let _gone = self.0.kill();
        }
        let _status = self.0.wait();
    }
}

/// A deployment that has been made, and how its server is started.
#[derive(Debug)]
pub struct Deployment {
    /// The server's program.
    pub program: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// Flags of the server.
    pub flags: Vec<String>,
    /// The operator's token.
    pub operator: String,
}

impl Deployment {
    /// Lets a server make a deployment, and ends it.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn make(program: &Path, data: &Path, flags: &[&str]) -> Checked<Deployment> {
        let mut deployment = Deployment {
            program: program.to_owned(),
            data: data.to_owned(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            operator: String::new(),
        };
        let (_first, mut lines) = deployment.launch()?;
        let operator = lines.find_map(|line| {
            line.ok()?.strip_prefix("operator token:").map(|token| token.trim().to_owned())
        });
        deployment.operator = operator.ok_or("the server has ended")?;
        Ok(deployment)
    }

    /// Starts the server, and waits until it is ready.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn serve(&self) -> Checked<Server> {
        let version = Command::new(&self.program).arg("--version").output()?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let (process, mut lines) = self.launch()?;
        let mut after = |label: &str| -> Checked<String> {
            let line = lines.next().ok_or("the server has ended")??;
            Ok(line.strip_prefix(label).ok_or(line.clone())?.trim().to_owned())
        };
        let public = after("public:")?.split("://").nth(1).ok_or("no address")?.parse()?;
        let private = after("private: http://")?.parse()?;
        // The rest of the greeting goes nowhere, but the pipe stays open.
        std::thread::spawn(move || lines.for_each(drop));
        while Client::connect(private)?.send(&get("/readyz", ""))?.0 != 200 {
            sleep(Duration::from_millis(20));
        }
        Ok(Server { process, version, public, private, operator: self.operator.clone() })
    }

    /// Starts the program; what it shows comes line by line.
    fn launch(&self) -> Checked<(Process, Lines<BufReader<ChildStdout>>)> {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GCS_SERVER_") {
                command.env_remove(name);
            }
        }
        command.arg("--data-dir").arg(&self.data).stdout(Stdio::piped()).stderr(Stdio::null());
        command.args(["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"]);
        let started = command.args(&self.flags).spawn();
        let mut child = started.map_err(|error| {
            let program = self.program.display();
            format!("{program}: {error}; build it with cargo build --release -p gcs-server")
        })?;
        let output = child.stdout.take().ok_or("no output")?;
        Ok((Process(child), BufReader::new(output).lines()))
    }
}

/// A server that is ready.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub process: Process,
    /// What it says of itself.
    pub version: String,
    /// Address of the public listener.
    pub public: SocketAddr,
    /// Address of the private listener.
    pub private: SocketAddr,
    /// The operator's token.
    pub operator: String,
}

impl Server {
    /// Starts another node on the log of this server, with the keys of a data folder.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn join(
        &self,
        program: &Path,
        data: &Path,
        keys: &Path,
        flags: &[&str],
    ) -> Checked<Server> {
        fs::create_dir_all(data)?;
        fs::copy(keys.join(KEYS), data.join(KEYS))?;
        let (program, data) = (program.to_owned(), data.to_owned());
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Deployment { program, data, flags, operator: self.operator.clone() }.serve()
    }

    /// The token of backends, made anew.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn backend_token(&self) -> Checked<String> {
        let token = self.operate("/v1/admin/backend-token", "")?;
        Ok(token["token"].as_str().ok_or("no token")?.to_owned())
    }

    /// The answer to a request of the operator.
    ///
    /// # Errors
    /// Whatever is not a success, as text.
    pub fn operate(&self, path: &str, body: &str) -> Checked<serde_json::Value> {
        expect(Client::connect(self.private)?.send(&post(path, &self.operator, body))?)
    }
}
