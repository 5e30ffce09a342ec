//! The server's process and the demo's folder, which are removed when the demo ends.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

/// Exit code of a program that SIGINT has ended, as shells give it.
const INTERRUPTED: i32 = 130;

/// The server's process and the folder, shared with whoever handles signals.
#[derive(Clone)]
pub(crate) struct Belongings(Arc<Mutex<Held>>);

struct Held {
    /// Where the folder is, or was.
    path: PathBuf,
    folder: Option<TempDir>,
    server: Option<Child>,
    /// Whether the demo was told by a signal to stop. Then it starts nothing more.
    interrupted: bool,
}

impl Belongings {
    /// Makes a fresh folder, which is removed at SIGINT, SIGTERM and SIGHUP.
    pub(crate) fn new() -> Result<Belongings, Box<dyn std::error::Error>> {
        let folder = tempfile::Builder::new().prefix("gcs-demo-").tempdir()?;
        let (path, folder) = (folder.path().to_owned(), Some(folder));
        let held = Held { path, folder, server: None, interrupted: false };
        let belongings = Belongings(Arc::new(Mutex::new(held)));
        let shared = belongings.clone();
        ctrlc::set_handler(move || shared.end())?;
        Ok(belongings)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.held().path.clone()
    }

    /// Starts the server.
    pub(crate) fn start(&self, command: &mut Command) -> io::Result<()> {
        let mut held = self.held();
        if held.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        // A process group of its own: Ctrl-C reaches only the demo, which then ends the server.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        held.server = Some(command.spawn()?);
        Ok(())
    }

    /// How the server has ended, if it has.
    pub(crate) fn has_ended(&self) -> io::Result<Option<ExitStatus>> {
        self.held().server.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// Kills the server as a power cut would: SIGKILL, where there are signals.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.held().kill()
    }

    /// Gives server and folder up, so that both stay.
    pub(crate) fn leave(&self) {
        let mut held = self.held();
        held.server = None;
        if let Some(folder) = held.folder.take() {
            let _kept = folder.keep();
        }
    }

    /// The server's process id.
    pub(crate) fn server(&self) -> Option<u32> {
        self.held().server.as_ref().map(Child::id)
    }

    /// After a signal: removes everything and ends the process.
    fn end(&self) {
        {
            let mut held = self.held();
            held.interrupted = true;
            held.clear();
        }
        // Standard error may be closed, but the process must still end.
        let text = "\ninterrupted; the server is stopped and its folder removed\n";
        let _said = io::stderr().write_all(text.as_bytes());
        std::process::exit(INTERRUPTED);
    }

    /// After a signal the process is about to end: waits for that, so that errors which the
    /// signal causes are not printed.
    pub(crate) fn wait_if_interrupted(&self) {
        while self.held().interrupted {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Held {
    fn kill(&mut self) -> io::Result<()> {
        match self.server.take() {
            Some(mut server) => server.kill().and_then(|()| server.wait().map(drop)),
            None => Ok(()),
        }
    }

    /// Ends the server and removes the folder.
    fn clear(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        let _killed = self.kill();
        if let Some(folder) = self.folder.take()
            && folder.close().is_err()
        {
            remove(&self.path);
        }
    }
}

/// Removes a folder into which somebody may have written a file meanwhile.
fn remove(folder: &Path) {
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(20));
        if std::fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
    }
    let text = format!("demo: could not remove {}\n", folder.display());
    let _said = io::stderr().write_all(text.as_bytes());
}

/// Removes everything when it is dropped, unless [`Belongings::leave`] was called.
pub(crate) struct Guard(pub(crate) Belongings);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.held().clear();
    }
}
