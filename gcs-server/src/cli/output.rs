//! Writing answers to standard output or to a new file.
//!
//! All output of the program goes through here, because `println!` panics when the reader is gone
//! or the disk is full. A reader that stops early, as `head` does, is no error. A full disk is an
//! error.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use thiserror::Error;

use super::CommandResult;

/// The option that says where an answer is written.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct OutputArgs {
    /// Write the answer to this new file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner alone: it has codes, keys or tokens.
    Owner,
    /// Everyone whom the system's defaults for new files allow.
    Anyone,
}

/// An answer that cannot be written.
#[derive(Debug, Error)]
pub(super) enum OutputError {
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
    #[error("{path} is there already and is not overwritten; name another file")]
    Exists { path: PathBuf },
    #[error("cannot write {path}: {error}")]
    File { path: PathBuf, error: io::Error },
    /// The output was found unusable before anything was done.
    #[error("{0}\nNothing has been done.")]
    Before(Box<OutputError>),
    /// The answer could not be written after something was done.
    #[error("{error}\n{done}")]
    After { error: Box<OutputError>, done: String },
}

/// Standard output or a new file, which could be written to when it was opened.
#[derive(Debug)]
pub(super) struct Output(Option<NewFile>);

/// A new file that is deleted again unless the whole answer is written.
#[derive(Debug)]
struct NewFile {
    path: PathBuf,
    file: File,
    is_finished: bool,
}

impl OutputArgs {
    /// Makes the file, or makes sure that `room` bytes can be written to standard output. Call it
    /// before an action whose answer must not be lost.
    pub(super) fn open(&self, readers: Readers, room: usize) -> Result<Output, OutputError> {
        let opened = match &self.output {
            Some(path) => NewFile::create(path, readers, room).map(|file| Output(Some(file))),
            None => expect_room(room).map(|()| Output(None)).map_err(OutputError::Stdout),
        };
        opened.map_err(|error| OutputError::Before(error.into()))
    }

    /// Writes an answer of a command that changed nothing.
    pub(super) fn write(&self, readers: Readers, text: &str) -> CommandResult {
        match &self.output {
            Some(path) => {
                let file = NewFile::create(path, readers, 0)?;
                Output(Some(file)).write(text)?;
            }
            None => Output(None).write(text)?,
        }
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
            Some(mut new) => {
                let written = new.finish(text);
                let path = new.path.clone();
                written.map_err(|error| OutputError::File { path, error })
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

impl NewFile {
    fn create(path: &Path, readers: Readers, room: usize) -> Result<NewFile, OutputError> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if readers == Readers::Owner {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        #[cfg(not(unix))]
        let _ = readers;
        let path = path.to_owned();
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(OutputError::Exists { path });
            }
            Err(error) => return Err(OutputError::File { path, error }),
        };
        let mut new = NewFile { path, file, is_finished: false };
        // Spaces are written to take the room, so that a full disk is noticed now.
        let taken = new.file.write_all(&vec![b' '; room]).and_then(|()| new.file.sync_all());
        taken.map_err(|error| OutputError::File { path: new.path.clone(), error })?;
        if let Err(error) = new.sync_name() {
            let path = new.path.display();
            note(format_args!("a power cut soon after this may lose {path}: {error}"));
        }
        Ok(new)
    }

    /// Waits until the file's name is on disk. Not every file system can do that.
    fn sync_name(&self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(folder) = self.path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn finish(&mut self, text: &str) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)?;
        // From here on the answer is in the file, and nothing may delete it.
        self.is_finished = true;
        self.file.sync_all()?;
        note(format_args!("written to {}", self.path.display()));
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_finished {
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

/// Writes a line to standard output.
pub(super) fn say(line: impl Display) -> Result<(), OutputError> {
    to_stdout(&format!("{line}\n"))
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
    reserve(&stdout, room)
}

#[cfg(not(unix))]
fn expect_room(_: usize) -> io::Result<()> {
    Ok(())
}

/// Takes disk space after the end of a file without changing its content, where the system can.
#[cfg(target_os = "linux")]
fn reserve(file: &impl std::os::fd::AsFd, room: usize) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, FileType, fallocate, fstat};
    use rustix::io::Errno;

    let stat = fstat(file)?;
    if room == 0 || !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Ok(());
    }
    let end = u64::try_from(stat.st_size).unwrap_or(0);
    match fallocate(file, FallocateFlags::KEEP_SIZE, end, room as u64) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
        // Not every file system can do this.
        _ => Ok(()),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn reserve(_: &impl std::os::fd::AsFd, _: usize) -> io::Result<()> {
    Ok(())
}
