//! A primary of PostgreSQL with a standby for which it waits.

use std::path::PathBuf;
use std::time::Duration;

use crate::common::postgres::Postgres;

/// The database of the log.
const LOG: &str = "log";

/// A database server, which is killed with this.
struct Base {
    server: Postgres,
    is_alive: bool,
}

impl Base {
    fn new(server: Postgres) -> Base {
        Base { server, is_alive: true }
    }

    fn kill(&mut self) {
        if std::mem::take(&mut self.is_alive) {
            self.server.kill();
        }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The primary, its standby if there is one, and at which of two addresses the primary is.
pub struct Pair {
    primary: Base,
    standby: Option<Base>,
    at: usize,
}

impl Pair {
    /// A primary without a standby; `None`, said aloud, where there is no PostgreSQL.
    pub fn begin() -> Option<Pair> {
        let primary = Postgres::start_one()?;
        primary.execute("postgres", &format!("CREATE DATABASE {LOG}"));
        Some(Pair { primary: Base::new(primary), standby: None, at: 0 })
    }

    /// The socket file of the primary.
    pub fn socket(&self) -> PathBuf {
        self.primary.server.socket()
    }

    /// The log's database, as a client on this machine names it.
    pub fn log(&self) -> String {
        self.primary.server.text(LOG)
    }

    /// Gives the primary a standby, if it has none. Says at which address it is, and its socket file.
    pub fn add_standby(&mut self) -> Option<(usize, PathBuf)> {
        if self.standby.is_some() {
            return None;
        }
        let standby = self.primary.server.add_standby();
        let socket = standby.socket();
        self.standby = Some(Base::new(standby));
        Some((1 - self.at, socket))
    }

    /// Kills the primary, and some time later makes the standby the primary.
    pub fn lose_primary(&mut self, pause: Duration) {
        let standby = self.standby.take().expect("there is a standby");
        self.primary.kill();
        std::thread::sleep(pause);
        standby.server.promote();
        self.primary = standby;
        self.at = 1 - self.at;
    }

    /// Lets the standby stand still for a time: no commit is durable meanwhile.
    pub fn stop_standby(&self, pause: Duration) {
        let Some(standby) = &self.standby else { return };
        standby.server.signal_children("-STOP");
        std::thread::sleep(pause);
        standby.server.signal_children("-CONT");
    }

    /// From now on the primary does not wait for its standby, which gets nothing.
    pub fn let_standby_lag(&self) {
        let standby = &self.standby.as_ref().expect("there is a standby").server;
        let primary = &self.primary.server;
        for (server, setting) in
            [(standby, "primary_conninfo"), (primary, "synchronous_standby_names")]
        {
            server.execute("postgres", &format!("ALTER SYSTEM SET {setting} = ''"));
            server.execute("postgres", "SELECT pg_reload_conf()");
        }
        let wait = "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_replication)
            LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$";
        primary.execute("postgres", wait);
    }

    /// Executes statements on the log's database.
    pub fn execute(&self, statements: &str) {
        self.primary.server.execute(LOG, statements);
    }

    /// Another database with what is in the log's now, as a client on this machine names it.
    pub fn fork(&self) -> String {
        let server = &self.primary.server;
        for statement in [
            &format!("ALTER DATABASE {LOG} ALLOW_CONNECTIONS false"),
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{LOG}'"
            ),
            &format!("CREATE DATABASE fork TEMPLATE {LOG}"),
            &format!("ALTER DATABASE {LOG} ALLOW_CONNECTIONS true"),
        ] {
            server.execute("postgres", statement);
        }
        server.text("fork")
    }
}
