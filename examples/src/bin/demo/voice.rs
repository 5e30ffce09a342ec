//! What the demo prints, and a line when it would be silent for long.

use std::io::{self, Write as _};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After how much silence a line says what is being done.
const SILENCE: Duration = Duration::from_millis(1500);

/// How often the silence is looked at.
const GLANCE: Duration = Duration::from_millis(200);

struct Voice {
    /// When something was printed last.
    spoke: Instant,
    /// What is being done, and since when.
    doing: String,
    since: Instant,
}

static VOICE: LazyLock<Mutex<Voice>> = LazyLock::new(|| {
    let now = Instant::now();
    Mutex::new(Voice { spoke: now, doing: "working".into(), since: now })
});

fn voice() -> MutexGuard<'static, Voice> {
    VOICE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line.
///
/// # Errors
/// If nobody reads any more.
pub(crate) fn say(text: impl AsRef<str>) -> io::Result<()> {
    voice().print(text.as_ref())
}

/// Sets what is printed if nothing else is for a while.
pub(crate) fn doing(what: impl Into<String>) {
    let mut voice = voice();
    voice.doing = what.into();
    voice.since = Instant::now();
}

/// How far it is with what is being done.
pub(crate) fn progress(what: impl Into<String>) {
    voice().doing = what.into();
}

/// From now on there is a line every two seconds at least.
pub(crate) fn break_silences() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(GLANCE);
            let mut voice = voice();
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
