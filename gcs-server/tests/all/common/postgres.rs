//! A PostgreSQL server of the tests' own.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, thread};

use gcs_server::store::PostgresUrl;
use tempfile::TempDir;

/// A running server, which ends with this program.
pub struct Postgres {
    folder: TempDir,
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
    found.sort();
    let in_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>());
    found.extend(in_path.unwrap_or_default());
    let programs = found.into_iter().rev().find(|folder| folder.join("initdb").exists());
    if programs.is_none() {
        assert!(
            env::var_os("TEST_POSTGRES").is_none(),
            "TEST_POSTGRES is set, and there is no initdb"
        );
        eprintln!("NOT TESTED: PostgreSQL. To test it: apt-get install postgresql");
    }
    programs
}

impl Postgres {
    /// Starts a server that only this machine reaches, through a socket in a folder of its own.
    fn start(programs: &Path) -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        let (data, path) = (folder.path().join("data"), folder.path().to_owned());
        // PostgreSQL refuses to run as root.
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            fs::create_dir(&data).unwrap();
            let owned =
                Command::new("chown").arg("postgres").args([&data, &path]).status().unwrap();
            assert!(owned.success(), "there is no user named postgres");
        }
        let command = |name: &str| {
            let program = programs.join(name);
            let mut command = Command::new("setpriv");
            if is_root {
                command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
            }
            // The server ends with the thread that starts it, which is one that never ends.
            command.args(["--pdeathsig", "INT", "--"]).arg(program).current_dir("/");
            command
        };
        let made = command("initdb")
            .args(["--auth", "trust", "--username", "test", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(&path).args(["-c", "listen_addresses="]);
        server.args(["-c", "max_connections=200", "-c", "shared_buffers=32MB"]);
        server.stderr(Stdio::piped());
        let (ready, is_ready) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut child = server.spawn().unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let mut said = Vec::new();
            while let Some(Ok(line)) = lines.next() {
                let is_up = line.contains("ready to accept connections");
                said.push(line);
                if is_up {
                    break;
                }
            }
            ready.send(said).unwrap();
            // Whatever else it says must be read, or it stands still.
            lines.for_each(drop);
            child.wait()
        });
        let said = is_ready.recv().unwrap();
        let is_up = said.last().is_some_and(|line| line.contains("ready to accept connections"));
        assert!(is_up, "{}", said.join("\n"));
        Postgres { folder }
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

/// Executes statements on a connection of their own.
pub fn execute(place: &str, statements: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(place, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(statements).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
}

pub fn url(place: &str) -> PostgresUrl {
    place.parse().unwrap()
}
