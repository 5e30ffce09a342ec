//! The files and processes of a comparison: gcs-server, nginx, and what both serve.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use gcs_benches::client::Client;
use gcs_benches::server::{Checked, Deployment, Process, Server};
use gcs_core::Digest;

/// Sizes of the files, in bytes.
pub(crate) const SIZES: [(&str, usize); 4] =
    [("700 B", 700), ("20 KB", 20_000), ("1 MB", 1_000_000), ("20 MB", 20_000_000)];

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

/// Makes a deployment, puts files into it, and starts a server on it.
pub(crate) fn start(program: &Path, data: &Path, flags: &[&str]) -> Checked<(Server, Files)> {
    // A server makes no deployment where there are files of one already.
    let deployment = Deployment::make(program, data, flags)?;
    let files = Files::make(data)?;
    Ok((deployment.serve()?, files))
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
        let process = Process::new(child);
        while Client::connect(address).is_err() {
            sleep(Duration::from_millis(20));
        }
        Ok(Some(Nginx { process, address, secret, copying }))
    }
}
