//! Printing, and a line of progress when nothing else has been printed for long.

use std::io::{self, Write as _};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time without output after which a line of progress is printed.
const SILENCE: Duration = Duration::from_millis(1500);

/// Time between two looks at how long nothing was printed.
const GLANCE: Duration = Duration::from_millis(200);

struct Voice {
    /// Whether the last line has been printed: no progress comes behind it.
    is_over: bool,
    /// When something was printed last.
    spoke: Instant,
    /// What is being done, and since when.
    doing: String,
    since: Instant,
}

static VOICE: LazyLock<Mutex<Voice>> = LazyLock::new(|| {
    let now = Instant::now();
    Mutex::new(Voice { is_over: false, spoke: now, doing: "working".into(), since: now })
});

fn voice() -> MutexGuard<'static, Voice> {
    VOICE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn say(text: impl AsRef<str>) -> io::Result<()> {
    voice().print(text.as_ref())
}

/// Ends the lines of progress: what is printed now are the last lines.
pub(crate) fn end() {
    voice().is_over = true;
}

/// Sets what the line of progress says is being done.
pub(crate) fn doing(what: impl Into<String>) {
    let mut voice = voice();
    voice.doing = what.into();
    voice.since = Instant::now();
}

/// Changes the line of progress, without starting its time anew.
pub(crate) fn progress(what: impl Into<String>) {
    voice().doing = what.into();
}

/// Prints a line of progress from now on whenever nothing else is printed for long.
pub(crate) fn break_silences() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(GLANCE);
            let mut voice = voice();
            if voice.is_over {
                return;
            }
            if voice.spoke.elapsed() + GLANCE > SILENCE {
                let text = format!("  … {} ({} s)", voice.doing, voice.since.elapsed().as_secs());
                if voice.print(&text).is_err() {
                    return;
                }
            }
        }
    });
}

impl Voice {
    fn print(&mut self, text: &str) -> io::Result<()> {
        self.spoke = Instant::now();
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }
}
