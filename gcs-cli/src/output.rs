//! Writing answers to standard output, notes to standard error, and sets to new files.
//!
//! All output goes through here, because `println!` panics when the reader is gone or the disk is
//! full.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal as _, Read as _, Seek as _, StdoutLock, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tempfile::{Builder, NamedTempFile};

use crate::error::Error;
use crate::input::is_dash;
use crate::interrupt::Guard;

/// Writes a line to standard error, if that is possible.
pub(crate) fn note(line: impl Display) {
    let _unseen = writeln!(io::stderr(), "{line}");
}

/// Invites the user to type.
pub(crate) fn prompt() {
    let _unseen = io::stderr().write_all(b"> ");
}

/// Standard output, with a buffer.
pub(crate) struct Stdout(BufWriter<StdoutLock<'static>>);

impl Stdout {
    /// Standard output of this process.
    pub(crate) fn new() -> Stdout {
        Stdout(BufWriter::with_capacity(1 << 16, io::stdout().lock()))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Error> {
        writeln!(self.0, "{line}").map_err(Error::stdout)
    }

    /// Writes bytes, and nothing behind them.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all(bytes).map_err(Error::stdout)
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(&mut self.0, value).map_err(|error| Error::stdout(error.into()))?;
        self.bytes(b"\n")
    }

    /// Writes out what is in the buffer. Without this call it may be lost.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.0.flush().map_err(Error::stdout)
    }
}

/// Writes an answer: as JSON, or as text.
pub(crate) fn answer(json: bool, value: &impl Serialize, text: impl Display) -> Result<(), Error> {
    let mut stdout = Stdout::new();
    match json {
        true => stdout.json(value)?,
        false => stdout.line(text)?,
    }
    stdout.flush()
}

/// Writes an answer about a file that was made, or, if the file went to standard output, a note.
pub(crate) fn answer_about(
    file: &Path,
    json: bool,
    value: &impl Serialize,
    text: impl Display,
) -> Result<(), Error> {
    if !is_dash(file) {
        return answer(json, value, text);
    }
    match serde_json::to_string(value).ok().filter(|_| json) {
        Some(value) => note(value),
        None => note(text),
    }
    Ok(())
}

/// The options that name the file that a command makes.
#[derive(Args, Clone, Debug)]
pub(crate) struct OutputArgs {
    /// The file to make; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file if it is there already
    #[arg(long)]
    force: bool,
}

impl OutputArgs {
    /// Begins the file, under a temporary name in the same folder.
    pub(crate) fn create(&self) -> Result<NewFile, Error> {
        NewFile::create(&self.output, self.force)
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.output
    }
}

/// A file that has its final name only once it is whole and on disk. When this is dropped earlier,
/// and when the program is interrupted, nothing is left.
#[derive(Debug)]
pub(crate) struct NewFile {
    /// What errors name: the file, or the folder in which what goes to standard output waits.
    path: PathBuf,
    place: Place,
}

/// Where a file waits until it is whole.
#[derive(Debug)]
enum Place {
    /// Under a temporary name in its own folder.
    Beside { temporary: NamedTempFile, is_forced: bool, guard: Option<Guard> },
    /// Without a name, until it is copied to standard output: what is made needs to be read back.
    Nameless(File),
}

impl NewFile {
    /// Begins a file, under a temporary name in the same folder.
    pub(crate) fn create(path: &Path, is_forced: bool) -> Result<NewFile, Error> {
        if is_dash(path) {
            return NewFile::nameless();
        }
        // With a symbolic link, the file that it leads to is replaced.
        let path = match path.metadata() {
            Ok(about) if !about.is_file() => return Err(Error::NoFile(path.to_owned())),
            Ok(_) if !is_forced => return Err(Error::Exists(path.to_owned())),
            Ok(_) => fs::canonicalize(path).map_err(|error| Error::write(path, error))?,
            Err(_) => path.to_owned(),
        };
        let mut guard = None;
        let create = |temporary: &Path| {
            // Before the file is there, so that an interruption in between leaves nothing.
            guard = Some(Guard::file(temporary));
            File::options().read(true).write(true).create_new(true).open(temporary)
        };
        let temporary = Builder::new()
            .prefix(".gcs-")
            .suffix(".part")
            .make_in(folder_of(&path), create)
            .map_err(|error| Error::write(&path, error))?;
        Ok(NewFile { path, place: Place::Beside { temporary, is_forced, guard } })
    }

    /// Begins a file for standard output.
    fn nameless() -> Result<NewFile, Error> {
        if io::stdout().is_terminal() {
            let why = "standard output is a terminal, and what is made is no text";
            return Err(Error::usage("-o -", why, "redirect it, or name a file"));
        }
        let folder = std::env::temp_dir();
        let file = tempfile::tempfile().map_err(|error| Error::write(&folder, error))?;
        Ok(NewFile { path: folder, place: Place::Nameless(file) })
    }

    /// The file that is being made.
    pub(crate) fn file(&mut self) -> &mut File {
        match &mut self.place {
            Place::Beside { temporary, .. } => temporary.as_file_mut(),
            Place::Nameless(file) => file,
        }
    }

    /// How many bytes it has so far.
    pub(crate) fn length(&mut self) -> Result<u64, Error> {
        let about = self.file().metadata();
        about.map(|about| about.len()).map_err(|error| self.failed(error))
    }

    /// An error of writing to it.
    pub(crate) fn failed(&self, error: io::Error) -> Error {
        Error::write(&self.path, error)
    }

    /// Writes the whole content, and gives the file its name.
    pub(crate) fn write(mut self, bytes: &[u8]) -> Result<(), Error> {
        match self.file().write_all(bytes) {
            Ok(()) => self.finish(),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Waits until the content is on disk, and gives the file its name; or copies it to standard
    /// output.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let NewFile { path, place } = self;
        match place {
            Place::Nameless(file) => copy_to_stdout(&path, file),
            Place::Beside { temporary, is_forced, guard } => {
                name(&path, temporary, is_forced, guard)
            }
        }
    }
}

fn copy_to_stdout(folder: &Path, mut file: File) -> Result<(), Error> {
    let failed = |error| Error::read(folder, error);
    file.rewind().map_err(failed)?;
    let mut stdout = Stdout::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return stdout.flush(),
            Ok(length) => stdout.bytes(&piece[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

fn name(
    path: &Path,
    temporary: NamedTempFile,
    is_forced: bool,
    guard: Option<Guard>,
) -> Result<(), Error> {
    temporary.as_file().sync_all().map_err(|error| Error::write(path, error))?;
    let named = match is_forced {
        true => temporary.persist(path),
        false => temporary.persist_noclobber(path),
    };
    drop(guard);
    named.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        _ => Error::write(path, error.error),
    })?;
    // Not every file system can wait for a name.
    if cfg!(unix)
        && let Ok(folder) = File::open(folder_of(path))
    {
        let _may_be_lost_in_a_power_cut = folder.sync_all();
    }
    Ok(())
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
