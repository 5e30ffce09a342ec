//! The processes: the server, nginx, and what the system says about them.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use gcs_core::Digest;

use crate::Checked;
use crate::client::{Client, expect, get, post};

/// Sizes of the files, in bytes.
pub(crate) const SIZES: [(&str, usize); 4] =
    [("700 B", 700), ("20 KB", 20_000), ("1 MB", 1_000_000), ("20 MB", 20_000_000)];

/// Name of the key file in a data folder.
const KEYS: &str = "keys.json";

/// Files that are served: by the server as sets, and by nginx under the same paths.
pub(crate) struct Files {
    root: PathBuf,
    /// Paths, in the order of [`SIZES`].
    pub(crate) paths: Vec<String>,
}

impl Files {
    /// Writes them to where the server of a data folder will look for published files. A set ends with its name, the hash
    /// of what is before it.
    pub(crate) fn make(data: &Path) -> Checked<Files> {
        let root = data.join("public");
        let mut paths = Vec::new();
        for (_, size) in SIZES {
            let mut set: Vec<u8> = (0..size - 32).map(|at| (at * at % 251) as u8).collect();
            let identity = Digest::of(&set);
            set.extend(identity.0);
            let path = format!("/v1/sets/2026-01-05/{identity}");
            let place = root.join(&path[1..]);
            fs::create_dir_all(place.parent().ok_or("no folder")?)?;
            fs::write(place, set)?;
            paths.push(path);
        }
        Ok(Files { root, paths })
    }
}

/// A certificate for localhost that it signed itself, in files.
pub(crate) struct Certificate {
    certificate: String,
    key: String,
}

impl Certificate {
    pub(crate) fn make(folder: &Path) -> Checked<Certificate> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let folder = folder.canonicalize()?;
        let place = |name: &str| folder.join(name).display().to_string();
        let (certificate, key) = (place("certificate.pem"), place("key.pem"));
        fs::write(&certificate, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        Ok(Certificate { certificate, key })
    }

    /// The server's flags for it.
    pub(crate) fn flags(&self) -> [&str; 4] {
        ["--tls-cert", &self.certificate, "--tls-key", &self.key]
    }
}

/// A process that ends with this.
pub(crate) struct Process(Child);

impl Process {
    /// Processor time in seconds of it and its children.
    pub(crate) fn seconds(&self) -> Checked<f64> {
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
    pub(crate) fn resident(&self) -> Checked<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse::<u64>()? << 10)
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

/// The server, with a manifest.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) version: String,
    pub(crate) public: SocketAddr,
    pub(crate) private: SocketAddr,
    pub(crate) operator: String,
}

impl Server {
    /// Makes a deployment, puts files into it, and starts a server on it.
    pub(crate) fn start(program: &Path, data: &Path, flags: &[&str]) -> Checked<(Server, Files)> {
        let version = Command::new(program).arg("--version").output();
        let version = version.map_err(|error| {
            format!(
                "{}: {error}; build it with cargo build --release -p gcs-server",
                program.display()
            )
        })?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        // A server makes no deployment where there are files of one already.
        let (first, mut lines) = Server::launch(program, data, flags)?;
        let operator = lines.find_map(|line| {
            line.ok()?.strip_prefix("operator token:").map(|token| token.trim().to_owned())
        });
        let operator = operator.ok_or("the server has ended")?;
        drop(first);
        let files = Files::make(data)?;
        Ok((Server::serve(program, data, flags, operator, version)?, files))
    }

    /// Starts another node on the log of this server.
    pub(crate) fn join(
        &self,
        program: &Path,
        data: &Path,
        keys: &Path,
        flags: &[&str],
    ) -> Checked<Server> {
        fs::create_dir_all(data)?;
        fs::copy(keys.join(KEYS), data.join(KEYS))?;
        Server::serve(program, data, flags, self.operator.clone(), self.version.clone())
    }

    /// Starts the server of a deployment that has been made.
    fn serve(
        program: &Path,
        data: &Path,
        flags: &[&str],
        operator: String,
        version: String,
    ) -> Checked<Server> {
        let (process, mut lines) = Server::launch(program, data, flags)?;
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
        Ok(Server { process, version, public, private, operator })
    }

    /// Starts the program; what it shows comes line by line.
    fn launch(
        program: &Path,
        data: &Path,
        flags: &[&str],
    ) -> Checked<(Process, Lines<BufReader<ChildStdout>>)> {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GCS_SERVER_") {
                command.env_remove(name);
            }
        }
        command.arg("--data-dir").arg(data).stdout(Stdio::piped()).stderr(Stdio::null());
        command.args(["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"]);
        command.args(flags);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        Ok((Process(child), BufReader::new(output).lines()))
    }

    /// The token of backends, made anew.
    pub(crate) fn backend_token(&self) -> Checked<String> {
        let token = self.operate("/v1/admin/backend-token", "")?;
        Ok(token["token"].as_str().ok_or("no token")?.to_owned())
    }

    /// A request of the operator.
    pub(crate) fn operate(&self, path: &str, body: &str) -> Checked<serde_json::Value> {
        expect(Client::connect(self.private)?.send(&post(path, &self.operator, body))?)
    }
}

/// nginx, with the settings that its handbook advises for files.
pub(crate) struct Nginx {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// The address with TLS.
    pub(crate) secret: SocketAddr,
    /// The address where files are copied, as every program has to do that holds what it serves.
    pub(crate) copying: SocketAddr,
}

impl Nginx {
    /// `None` if it is not installed.
    pub(crate) fn start(folder: &Path, files: &Files, tls: &Certificate) -> Checked<Option<Nginx>> {
        // All at once, so that they differ.
        let free = || TcpListener::bind("127.0.0.1:0");
        let free = [free()?, free()?, free()?];
        let [address, secret, copying] =
            [free[0].local_addr()?, free[1].local_addr()?, free[2].local_addr()?];
        drop(free);
        let Certificate { certificate, key } = tls;
        let home = folder.canonicalize()?.join("nginx");
        fs::create_dir_all(&home)?;
        let (home, root) = (home.display().to_string(), files.root.canonicalize()?);
        let workers = std::thread::available_parallelism()?;
        let place = format!("{home}/nginx.conf");
        // As root it would serve as another user, who may not read the folder.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        fs::write(
            &place,
            format!(
                "{user} daemon off; worker_processes {workers}; pid {home}/pid; error_log stderr error;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{\n  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n  \
                 default_type application/octet-stream;\n  client_body_temp_path {home}/body;\n  \
                 proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;\n  \
                 uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;\n  \
                 server {{ listen {address} reuseport; listen {secret} ssl reuseport; \
                 ssl_certificate {certificate}; ssl_certificate_key {key}; root {}; \
                 add_header cache-control \"public, max-age=31536000, immutable\"; }}\n  \
                 server {{ listen {copying} reuseport; root {}; sendfile off; }}\n}}\n",
                root.display(),
                root.display()
            ),
        )?;
        let started = Command::new("nginx").args(["-c", &place]).stderr(Stdio::null()).spawn();
        let Ok(child) = started else { return Ok(None) };
        let process = Process(child);
        while Client::connect(address).is_err() {
            sleep(Duration::from_millis(20));
        }
        Ok(Some(Nginx { process, address, secret, copying }))
    }
}
