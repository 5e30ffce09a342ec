//! A PostgreSQL server of the tests' own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, thread};

use gcs_server::store::PostgresUrl;
use tempfile::TempDir;

use super::wait::until;

/// A running server, which ends with this program.
pub struct Postgres {
    folder: TempDir,
    process: u32,
}

/// The server that the tests of this program share; `None`, said aloud, where there is no PostgreSQL.
pub fn postgres() -> Option<&'static Postgres> {
    static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
    SHARED.get_or_init(|| programs().map(|programs| Postgres::start(&programs))).as_ref()
}

/// Where PostgreSQL's programs are.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    // The latest first.
    found.sort();
    found.reverse();
    let in_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>());
    found.extend(in_path.unwrap_or_default());
    let programs = found.into_iter().find(|folder| folder.join("pg_basebackup").exists());
    if programs.is_none() {
        assert!(
            env::var_os("TEST_POSTGRES").is_none(),
            "TEST_POSTGRES is set, and there is no pg_basebackup"
        );
        // Not captured, as what the macros print of a test that passes.
        let _heard = writeln!(
            std::io::stderr(),
            "NOT TESTED: PostgreSQL. To test it: apt-get install postgresql"
        );
    }
    programs
}

/// What a server of its own needs to be told.
const SETTINGS: [&str; 3] = ["listen_addresses=", "max_connections=200", "shared_buffers=32MB"];

impl Postgres {
    /// Starts a server that only this machine reaches, through a socket in a folder of its own.
    fn start(programs: &Path) -> Postgres {
        let folder = folder();
        let data = folder.path().join("data");
        run(command(programs, "initdb")
            .args(["--auth", "trust", "--username", "test", "--no-sync", "--pgdata"])
            .arg(&data));
        Postgres { process: serve(programs, folder.path(), &[]), folder }
    }

    /// Starts a server of a test's own, which may be killed.
    pub fn start_one() -> Option<Postgres> {
        programs().map(|programs| Postgres::start(&programs))
    }

    /// Starts it again on the same data, after it was killed.
    pub fn again(self) -> Postgres {
        let programs = programs().expect("it ran before");
        Postgres { process: serve(&programs, self.folder.path(), &[]), folder: self.folder }
    }

    /// Starts a server that has a standby, and that waits for it with every commit.
    pub fn start_pair() -> Option<[Postgres; 2]> {
        let programs = programs()?;
        let mut primary = Postgres::start(&programs);
        let folder = folder();
        run(command(&programs, "pg_basebackup")
            .args(["--checkpoint", "fast", "--no-sync", "--write-recovery-conf", "--pgdata"])
            .arg(folder.path().join("data"))
            .args(["--dbname", &primary.text("postgres")]));
        let standby = Postgres { process: serve(&programs, folder.path(), &[]), folder };
        // From now on a commit waits.
        primary.kill();
        primary.process = serve(&programs, primary.folder.path(), &["synchronous_standby_names=*"]);
        Some([primary, standby])
    }

    /// Starts a standby of this server, for which it waits with every commit from now on.
    pub fn add_standby(&self) -> Postgres {
        let programs = programs().expect("it runs");
        let folder = folder();
        run(command(&programs, "pg_basebackup")
            .args(["--checkpoint", "fast", "--no-sync", "--write-recovery-conf", "--pgdata"])
            .arg(folder.path().join("data"))
            .args(["--dbname", &self.text("postgres")]));
        let standby = Postgres { process: serve(&programs, folder.path(), &[]), folder };
        self.execute("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.execute("postgres", "SELECT pg_reload_conf()");
        // The setting counts only once all processes of the server have read it.
        let wait = "DO $$ BEGIN WHILE NOT EXISTS
            (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')
            LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$";
        self.execute("postgres", wait);
        standby
    }

    /// Lets the processes that carry the log to a standby, or write it there, stand still, or go on.
    pub fn signal_children(&self, signal: &str) {
        let children = ["-P", &self.process.to_string()];
        assert!(Command::new("pkill").arg(signal).args(children).status().unwrap().success());
    }

    /// The socket file on which it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// Kills the server and its children, as when the machine stops.
    pub fn kill(&self) {
        let process = self.process.to_string();
        // Stopped first, it notices nothing and starts no others.
        let signals = [["-STOP", &process], ["-KILL", &process]];
        let stopped = Command::new("kill").args(signals[0]).status().unwrap();
        let children = Command::new("pkill").args(["-KILL", "-P", &process]).status().unwrap();
        let killed = Command::new("kill").args(signals[1]).status().unwrap();
        assert!(stopped.success() && children.success() && killed.success());
        // Until it is gone, no other may use its data.
        until("the database server is gone", || !Path::new("/proc").join(&process).exists());
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        self.execute("postgres", "SELECT pg_promote()");
    }

    /// The folder with its socket, to connect to.
    pub fn host(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// Where a database of this server is.
    pub fn text(&self, database: &str) -> String {
        format!("host={} user=test dbname={database}", self.folder.path().display())
    }

    /// A new, empty database.
    pub fn database(&self) -> String {
        static DATABASES: AtomicU32 = AtomicU32::new(1);
        let name = format!("log{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"));
        self.text(&name)
    }

    /// Executes statements.
    pub fn execute(&self, database: &str, statements: &str) {
        execute(&self.text(database), statements);
    }
}

/// A folder that PostgreSQL may use.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        run(Command::new("chown").arg("postgres").arg(folder.path()));
    }
    folder
}

/// PostgreSQL refuses to run as root.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of PostgreSQL, which ends with the thread that starts it.
fn command(programs: &Path, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "INT", "--"]).arg(programs.join(name)).current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Starts a server on the data in a folder, and waits until it accepts connections.
fn serve(programs: &Path, folder: &Path, settings: &[&str]) -> u32 {
    let mut server = command(programs, "postgres");
    server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).stderr(Stdio::piped());
    SETTINGS.iter().chain(settings).for_each(|setting| {
        server.args(["-c", setting]);
    });
    let (ready, is_ready) = std::sync::mpsc::channel();
    // A thread that does not end before the server does.
    thread::spawn(move || {
        let mut child = server.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let is_up = |line: &String| {
            line.contains("ready to accept connections")
                || line.contains("ready to accept read-only connections")
        };
        while let Some(Ok(line)) = lines.next() {
            said.push(line);
            if said.last().is_some_and(is_up) {
                break;
            }
        }
        ready.send((said, child.id())).unwrap();
        // Whatever else it says must be read, or it stands still.
        lines.for_each(drop);
        child.wait()
    });
    let (said, process) = is_ready.recv().unwrap();
    let is_up = said.last().is_some_and(|line| line.contains("ready to accept"));
    assert!(is_up, "{}", said.join("\n"));
    process
}

/// Executes statements on a connection of their own.
pub fn execute(place: &str, statements: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(place, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        // Some wait, and not for ever.
        client.batch_execute("SET statement_timeout = '300s'").await.unwrap();
        client.batch_execute(statements).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
}

pub fn url(place: &str) -> PostgresUrl {
    place.parse().unwrap()
}
