//! Progress of long work on standard error.

use std::io::{self, IsTerminal as _, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gcs_core::set::SetOutput;
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Context;
use crate::output;

/// Work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two lines where standard error is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows how many bytes of some work are done: on a terminal as a line that changes, elsewhere, if asked for, as
/// lines.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    mode: Mode,
    /// When something is shown next.
    next: Mutex<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Silent,
    Terminal,
    Lines,
}

impl Progress {
    /// Progress of work that may have a known end.
    pub(crate) fn new(context: Context, what: &'static str, total: Option<u64>) -> Progress {
        let mode = match io::stderr().is_terminal() {
            _ if context.no_progress => Mode::Silent,
            true => Mode::Terminal,
            false if context.progress => Mode::Lines,
            false => Mode::Silent,
        };
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        Progress { bar, what, mode, next: Mutex::new(Instant::now() + PATIENCE) }
    }

    /// Progress that is never shown.
    pub(crate) fn silent() -> Progress {
        let context = Context { json: false, progress: false, no_progress: true };
        Progress::new(context, "", None)
    }

    /// So much more is done.
    pub(crate) fn advance(&self, by: u64) {
        self.bar.inc(by);
        if self.mode == Mode::Silent {
            return;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now < *next {
            return;
        }
        *next = now + BETWEEN_LINES;
        match self.mode {
            Mode::Lines => output::note(self.line()),
            _ => self.draw(),
        }
    }

    /// From here on the bar draws itself.
    fn draw(&self) {
        if !self.bar.is_hidden() {
            return;
        }
        let template = match self.bar.length() {
            Some(_) => "{msg}: {percent} %, {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{msg}: {bytes}, {bytes_per_sec}, {elapsed} so far",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(self.what);
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }

    /// One line about where the work is.
    fn line(&self) -> String {
        let (done, rate) = (HumanBytes(self.bar.position()), HumanBytes(self.bar.per_sec() as u64));
        let what = self.what;
        match self.bar.length() {
            Some(total) => format!(
                "gcs: {what}: {done} of {}, {rate} a second, {} left",
                HumanBytes(total),
                HumanDuration(self.bar.eta())
            ),
            None => format!("gcs: {what}: {done}, {rate} a second"),
        }
    }
}

/// A file of which the bytes that are read and written show as progress.
#[derive(Debug)]
pub(crate) struct Tracked<'a, F> {
    file: F,
    progress: &'a Progress,
}

impl<'a, F> Tracked<'a, F> {
    /// A file as it is.
    pub(crate) fn new(file: F, progress: &'a Progress) -> Tracked<'a, F> {
        Tracked { file, progress }
    }
}

impl<F: Read> Read for Tracked<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}

impl<F: Write> Write for Tracked<'_, F> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.progress.advance(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: Seek> Seek for Tracked<'_, F> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl<F: SetOutput> SetOutput for Tracked<'_, F> {
    fn cut(&mut self, length: u64) -> io::Result<bool> {
        self.file.cut(length)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
