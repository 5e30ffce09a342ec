//! A PostgreSQL server of a benchmark's own, with a standby if it is asked for.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

type Checked<T> = Result<T, Box<dyn Error>>;

/// The user and the first database of a server.
const NAME: &str = "postgres";

/// A running server, reached through a socket in a folder of its own. It ends with this.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    process: Child,
}

impl Postgres {
    /// Starts a server with PostgreSQL's own defaults, its data in a new folder below `place`; `None` if it is not
    /// installed.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn start(place: &Path) -> Checked<Option<Postgres>> {
        let Some(programs) = programs() else { return Ok(None) };
        let folder = folder(place)?;
        run(command(&programs, "initdb")
            .args(["--auth", "trust", "--username", NAME, "--pgdata"])
            .arg(folder.path().join("data")))?;
        Postgres::serve(programs, folder).map(Some)
    }

    /// Starts a standby of this server, for which it waits with every commit from now on.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn add_standby(&self, place: &Path) -> Checked<Postgres> {
        let folder = folder(place)?;
        run(command(&self.programs, "pg_basebackup")
            .args(["--checkpoint", "fast", "--write-recovery-conf", "--pgdata"])
            .arg(folder.path().join("data"))
            .args(["--dbname", &self.place(NAME)]))?;
        let standby = Postgres::serve(self.programs.clone(), folder)?;
        self.query("ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        self.query("SELECT pg_reload_conf()")?;
        // The setting counts only once all processes of the server have read it.
        while self.query("SELECT sync_state FROM pg_stat_replication")?.trim() != "sync" {
            sleep(Duration::from_millis(20));
        }
        Ok(standby)
    }

    /// Makes a database, and says by which URL the server finds it.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn database(&self, name: &str) -> Checked<String> {
        self.query(&format!("CREATE DATABASE {name}"))?;
        let host = self.folder.path().display().to_string().replace('/', "%2F");
        Ok(format!("postgres://{NAME}@{host}/{name}"))
    }

    /// Version of the server.
    ///
    /// # Errors
    /// An error as text, if a file, a process or the network fails.
    pub fn version(&self) -> Checked<String> {
        Ok(format!("PostgreSQL {}", self.query("SHOW server_version")?.trim()))
    }

    fn serve(programs: PathBuf, folder: TempDir) -> Checked<Postgres> {
        let mut server = command(&programs, "postgres");
        server.arg("-D").arg(folder.path().join("data")).arg("-k").arg(folder.path());
        server.args(["-c", "listen_addresses="]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = server.spawn()?;
        let mut server = Postgres { programs, folder, process };
        while server.query("SELECT 1").is_err() {
            if let Some(status) = server.process.try_wait()? {
                return Err(format!("PostgreSQL has ended: {status}").into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn place(&self, database: &str) -> String {
        format!("host={} user={NAME} dbname={database}", self.folder.path().display())
    }

    fn query(&self, statement: &str) -> Checked<String> {
        let mut query = command(&self.programs, "psql");
        run(query.args(["-qtAX", "-c", statement, &self.place(NAME)]))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once: its data goes too.
        let _ended = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _status = self.process.wait();
    }
}

/// Where PostgreSQL's programs are, the latest first.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> =
        versions.flatten().map(|version| version.path().join("bin")).collect();
    found.sort();
    found.into_iter().rev().find(|folder| folder.join("pg_basebackup").exists())
}

/// A folder that PostgreSQL may use.
fn folder(place: &Path) -> Checked<TempDir> {
    // Its programs run in another folder.
    let folder = tempfile::Builder::new().prefix("postgres-").tempdir_in(place.canonicalize()?)?;
    if is_root() {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        run(Command::new("chown").arg(NAME).arg(folder.path()))?;
    }
    Ok(folder)
}

/// PostgreSQL refuses to run as root.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of PostgreSQL.
fn command(programs: &Path, name: &str) -> Command {
    let program = programs.join(name);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NAME, "--regid", NAME, "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

fn run(command: &mut Command) -> Checked<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
