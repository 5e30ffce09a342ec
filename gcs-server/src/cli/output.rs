//! Writing answers to standard output or to a new file.
//!
//! All output of the program goes through here, because `println!` panics when the reader is gone
//! or the disk is full. A reader that stops early, as `head` does, is no error. A full disk is an
//! error.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use thiserror::Error;

use super::CommandResult;
pub(super) use crate::new_file::Readers;
use crate::new_file::{NewFile, reserve};

/// The option that says where an answer is written.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct OutputArgs {
    /// Write the answer to this new file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// An answer that cannot be written.
#[derive(Debug, Error)]
pub(super) enum OutputError {
    #[error("cannot write to standard output: {0}{advice}", advice = advice(.0))]
    Stdout(io::Error),
    #[error("{path} is there already and is not overwritten; name another file")]
    Exists { path: PathBuf },
    #[error("cannot write {path}: {error}{advice}", advice = advice(.error))]
    File { path: PathBuf, error: io::Error },
    /// The output was found unusable before anything was done.
    #[error("{0}\nNothing has been done.")]
    Before(Box<OutputError>),
    /// The answer could not be written after something was done.
    #[error("{error}\n{done}")]
    After { error: Box<OutputError>, done: String },
}

/// What to do about a full disk.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "\nMake room there, or have the answer written to another disk."
        }
        io::ErrorKind::FileTooLarge => "\nRaise the limit on the size of a file (ulimit -f).",
        _ => "",
    }
}

/// Standard output or a new file, which could be written to when it was opened.
#[derive(Debug)]
pub(super) struct Output(Option<NewFile>);

impl OutputArgs {
    /// Makes the file, or makes sure that `room` bytes can be written to standard output. Call it
    /// before an action whose answer must not be lost.
    pub(super) fn open(&self, readers: Readers, room: usize) -> Result<Output, OutputError> {
        let opened = match &self.output {
            Some(path) => create(path, readers, room).map(|file| Output(Some(file))),
            None => expect_room(room).map(|()| Output(None)).map_err(OutputError::Stdout),
        };
        opened.map_err(|error| OutputError::Before(error.into()))
    }

    /// Writes an answer of a command that changed nothing.
    pub(super) fn write(&self, readers: Readers, text: &str) -> CommandResult {
        let file =
            self.output.as_ref().map(|path| create(path, readers, text.len())).transpose()?;
        Output(file).write(text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Output {
    /// Standard output, if `room` bytes can be written to it.
    pub(super) fn stdout(room: usize) -> Result<Output, OutputError> {
        OutputArgs::default().open(Readers::Anyone, room)
    }

    /// Standard output, without a test whether it can be written to.
    pub(super) fn unchecked() -> Output {
        Output(None)
    }

    /// Writes the whole answer; a file is on disk afterwards.
    pub(super) fn write(self, text: &str) -> Result<(), OutputError> {
        match self.0 {
            None => to_stdout(text),
            Some(file) => {
                let path = file.path().to_owned();
                to_file(file, text).map_err(|error| OutputError::File { path, error })
            }
        }
    }

    /// As [`Output::write`]. If that fails, the error contains `done`, which says what has been done
    /// and how to see the answer again.
    pub(super) fn write_after(self, text: &str, done: impl Display) -> Result<(), OutputError> {
        self.write(text)
            .map_err(|error| OutputError::After { error: error.into(), done: done.to_string() })
    }
}

/// Makes a new file with space for `room` bytes.
fn create(path: &Path, readers: Readers, room: usize) -> Result<NewFile, OutputError> {
    let file = NewFile::create(path, readers).and_then(|mut file| {
        file.reserve(room)?;
        Ok(file)
    });
    let file = file.map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::AlreadyExists => OutputError::Exists { path },
            _ => OutputError::File { path, error },
        }
    })?;
    if let Err(error) = file.sync_name() {
        let path = path.display();
        note(format_args!("a power cut soon after this may lose {path}: {error}"));
    }
    Ok(file)
}

fn to_file(mut file: NewFile, text: &str) -> io::Result<()> {
    file.write(text.as_bytes())?;
    // The answer is in the file: it stays, even if it may not be on disk.
    file.keep();
    file.sync()?;
    note(format_args!("written to {}", file.path().display()));
    Ok(())
}

/// Writes a line to standard output.
pub(super) fn say(line: impl Display) -> Result<(), OutputError> {
    to_stdout(&format!("{line}\n"))
}

/// Writes a line that says what has been done. If that fails, the error contains the line.
pub(super) fn say_done(line: &str) -> Result<(), OutputError> {
    Output::unchecked().write_after(&format!("{line}\n"), line)
}

/// Writes a line to standard error, if that is possible.
pub(super) fn note(line: impl Display) {
    let _unseen = writeln!(io::stderr(), "{line}");
}

fn to_stdout(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    unless_closed(written).map_err(OutputError::Stdout)
}

/// The result of writing, without the error that the reader has closed the pipe.
pub(super) fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Makes sure that standard output can be written to: its reader is there, and the disk has room.
#[cfg(unix)]
fn expect_room(room: usize) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::OUT)];
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    if polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
        return Err(io::Error::new(io::ErrorKind::BrokenPipe, "its reader is gone"));
    }
    // Devices such as /dev/full give an error even for zero bytes.
    rustix::io::write(&stdout, &[])?;
    reserve(&stdout, room).map(drop)
}

#[cfg(not(unix))]
fn expect_room(_: usize) -> io::Result<()> {
    Ok(())
}
