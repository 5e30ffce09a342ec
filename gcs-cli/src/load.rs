//! Reading sets and indexes in pieces, and sets and deltas whole; always validated.

use std::fs::{File, Metadata};
use std::io::{self, Cursor, IsTerminal as _, Read, Seek, Write as _};
use std::path::{Path, PathBuf};

use gcs_core::set::{IndexError, ReadAt, ReadError, SetInfo, SetReader};
use gcs_core::{Delta, IndexedFile, IndexedSet};

use crate::cli::Context;
use crate::error::Error;
use crate::input::{self, is_dash};
use crate::kind::{HEAD_LEN, Kind};
use crate::progress::{self, Progress};

/// A set's file that is open.
#[derive(Debug)]
pub(crate) struct SetFile {
    path: PathBuf,
    bytes: Bytes,
}

/// Where the bytes of a file are.
#[derive(Debug)]
enum Bytes {
    /// In the file, of this length.
    OnDisk(File, u64),
    /// Here, since the file can be read only once.
    Memory(Vec<u8>),
}

/// What a [`SetReader`] reads here.
pub(crate) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// Bytes of a set's file.
pub(crate) type Tracked<'a> = progress::Tracked<'a, Box<dyn ReadSeek + 'a>>;

impl SetFile {
    /// Opens a file, which begins as a set does.
    pub(crate) fn open(path: &Path) -> Result<SetFile, Error> {
        match AnyFile::open(path)? {
            AnyFile { kind: Kind::Set, bytes } => Ok(SetFile { path: path.to_owned(), bytes }),
            AnyFile { kind, .. } => Err(Error::wrong_kind(path, Kind::Set, kind)),
        }
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.bytes.length()
    }

    /// All its bytes, from the first.
    pub(crate) fn tracked<'a>(&'a self, progress: &'a Progress) -> Result<Tracked<'a>, Error> {
        self.bytes.tracked(progress).map_err(|error| Error::read(&self.path, error))
    }

    /// A reader at the first fingerprint.
    pub(crate) fn reader<'a>(
        &'a self,
        progress: &'a Progress,
    ) -> Result<SetReader<Tracked<'a>>, Error> {
        SetReader::open(self.tracked(progress)?).map_err(|error| self.failed(error))
    }

    /// Validates the whole file.
    pub(crate) fn verify(&self, context: Context) -> Result<SetInfo, Error> {
        let progress = Progress::new(context, "verifying", Some(self.length()));
        self.reader(&progress)?.finish().map_err(|error| self.failed(error))
    }

    /// Reads the whole set into memory, with an index.
    pub(crate) fn into_indexed(self, context: Context) -> Result<IndexedSet, Error> {
        let bytes = self.bytes.read(context, &self.path)?;
        IndexedSet::parse(bytes).map_err(|error| Error::damaged(&self.path, error))
    }

    /// An error of reading it.
    pub(crate) fn failed(&self, error: ReadError) -> Error {
        Error::of_read(&self.path, error)
    }
}

/// An index file that is open.
#[derive(Debug)]
pub(crate) struct IndexFile(Bytes);

impl IndexFile {
    /// The index file that belongs to a set's file by its name.
    pub(crate) fn beside(set: &Path) -> PathBuf {
        let mut name = set.as_os_str().to_owned();
        name.push(".index");
        PathBuf::from(name)
    }

    /// Opens a file, which begins as an index does.
    pub(crate) fn open(path: &Path) -> Result<IndexFile, Error> {
        match AnyFile::open(path)? {
            AnyFile { kind: Kind::Index, bytes } => Ok(IndexFile(bytes)),
            AnyFile { kind, .. } => Err(Error::wrong_kind(path, Kind::Index, kind)),
        }
    }

    /// Validates the whole file, and its set, whose file has the same name without ".index".
    fn verify(self, context: Context, path: &Path) -> Result<IndexInfo, Error> {
        let set = path.with_extension("");
        if IndexFile::beside(&set) != path || !set.exists() {
            return Err(Error::Alone { index: path.to_owned(), set });
        }
        let file = SetFile::open(&set)?;
        let bytes = self.0.length();
        let progress = Progress::new(context, "verifying", Some(2 * file.length()));
        let verified = IndexedFile::open(TrackedAt::new(&file, &progress), self)
            .and_then(|files| files.verify());
        let set = verified.map_err(|error| match damage_behind(context, &set, &error) {
            Some(damage) => damage,
            None => Error::of_index(&set, path, error),
        })?;
        Ok(IndexInfo { bytes, set })
    }
}

/// The damage of a set that makes an index seem not to fit it; none if the set is whole, so that
/// it is the index that does not serve.
pub(crate) fn damage_behind(context: Context, set: &Path, error: &IndexError) -> Option<Error> {
    let may_be_damage = matches!(
        error,
        IndexError::OtherSet { .. } | IndexError::Header | IndexError::Block { .. }
    );
    // What came through a pipe cannot be read again.
    if !may_be_damage || is_dash(set) || !set.is_file() {
        return None;
    }
    SetFile::open(set).and_then(|file| file.verify(context)).err()
}

/// What is told about an index.
#[derive(Debug)]
pub(crate) struct IndexInfo {
    /// Length of the index file.
    pub(crate) bytes: u64,
    /// The set that is indexed.
    pub(crate) set: SetInfo,
}

impl ReadAt for Bytes {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Bytes::OnDisk(file, _) => file.read_exact_at(buffer, offset),
            Bytes::Memory(bytes) => bytes.read_exact_at(buffer, offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.length())
    }
}

impl ReadAt for SetFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }
}

impl ReadAt for IndexFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

/// A set's file whose reading at any offset shows as progress.
#[derive(Debug)]
pub(crate) struct TrackedAt<'a> {
    file: &'a SetFile,
    progress: &'a Progress,
}

impl<'a> TrackedAt<'a> {
    /// A file as it is.
    pub(crate) fn new(file: &'a SetFile, progress: &'a Progress) -> TrackedAt<'a> {
        TrackedAt { file, progress }
    }
}

impl ReadAt for TrackedAt<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)?;
        self.progress.advance(buffer.len() as u64);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}

/// Standard input as a file, which it may be if it was redirected.
fn open_stdin() -> Result<File, Error> {
    let stdin = input::take_stdin()?;
    if stdin.is_terminal() {
        let why = "it is a terminal, where no set can be typed";
        return Err(Error::usage("standard input (-)", why, "name a file, or pipe one in"));
    }
    #[cfg(unix)]
    let handle = std::os::fd::AsFd::as_fd(&stdin).try_clone_to_owned();
    #[cfg(windows)]
    let handle = std::os::windows::io::AsHandle::as_handle(&stdin).try_clone_to_owned();
    handle.map(File::from).map_err(|error| Error::read(Path::new("-"), error))
}

/// A file of any kind.
struct AnyFile {
    kind: Kind,
    bytes: Bytes,
}

impl AnyFile {
    fn open(path: &Path) -> Result<AnyFile, Error> {
        let failed = |error| Error::read(path, error);
        let mut file = if is_dash(path) { open_stdin()? } else { input::open(path)? };
        let length = file.metadata().ok().filter(Metadata::is_file).map(|about| about.len());
        // A script may have read some of its standard input: what is left has another start.
        let length = length.filter(|_| file.stream_position().is_ok_and(|at| at == 0));
        let mut head = Vec::new();
        (&file).take(HEAD_LEN as u64).read_to_end(&mut head).map_err(failed)?;
        let kind = Kind::of(&head);
        let bytes = match length {
            Some(length) => Bytes::OnDisk(file, length),
            None if matches!(kind, Kind::Set | Kind::Delta | Kind::Index) => {
                (&file).take(MOST_IN_MEMORY).read_to_end(&mut head).map_err(failed)?;
                Bytes::kept(head, file).map_err(failed)?
            }
            None => Bytes::Memory(head),
        };
        Ok(AnyFile { kind, bytes })
    }
}

/// Of what can be read only once, so much is kept in memory; if there is more, all is on disk.
const MOST_IN_MEMORY: u64 = 1 << 20;

impl Bytes {
    /// Keeps what can be read only once: its beginning, which was read, and the rest.
    fn kept(beginning: Vec<u8>, mut rest: File) -> io::Result<Bytes> {
        if (beginning.len() as u64) < MOST_IN_MEMORY {
            return Ok(Bytes::Memory(beginning));
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&beginning)?;
        let length = beginning.len() as u64 + io::copy(&mut rest, &mut file)?;
        Ok(Bytes::OnDisk(file, length))
    }

    fn length(&self) -> u64 {
        match self {
            Bytes::OnDisk(_, length) => *length,
            Bytes::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// All bytes, from the first.
    fn tracked<'a>(&'a self, progress: &'a Progress) -> io::Result<Tracked<'a>> {
        let bytes: Box<dyn ReadSeek> = match self {
            Bytes::OnDisk(file, _) => {
                let mut file = file;
                file.rewind()?;
                Box::new(file)
            }
            Bytes::Memory(bytes) => Box::new(Cursor::new(&bytes[..])),
        };
        Ok(Tracked::new(bytes, progress))
    }

    /// Reads everything into memory.
    fn read(self, context: Context, path: &Path) -> Result<Vec<u8>, Error> {
        if let Bytes::Memory(bytes) = self {
            return Ok(bytes);
        }
        let failed = |error| Error::read(path, error);
        let progress = Progress::new(context, "reading", Some(self.length()));
        // The length is that of the file on disk, not what the file declares.
        let mut bytes = Vec::with_capacity(usize::try_from(self.length()).unwrap_or(0));
        self.tracked(&progress).and_then(|mut all| all.read_to_end(&mut bytes)).map_err(failed)?;
        Ok(bytes)
    }
}

/// Reads a delta into memory.
pub(crate) fn delta(context: Context, path: &Path) -> Result<Delta, Error> {
    match AnyFile::open(path)? {
        AnyFile { kind: Kind::Delta, bytes } => parse_delta(context, path, bytes),
        AnyFile { kind, .. } => Err(Error::wrong_kind(path, Kind::Delta, kind)),
    }
}

fn parse_delta(context: Context, path: &Path, bytes: Bytes) -> Result<Delta, Error> {
    let bytes = bytes.read(context, path)?;
    Delta::parse(bytes).map_err(|error| Error::damaged(path, error))
}

/// A file of one of the kinds that commands show, validated.
pub(crate) enum Loaded {
    Set(SetInfo),
    Delta(Delta),
    Index(IndexInfo),
}

/// Validates a set, a delta, or an index with its set.
pub(crate) fn any(context: Context, path: &Path) -> Result<Loaded, Error> {
    match AnyFile::open(path)? {
        AnyFile { kind: Kind::Set, bytes } => {
            let set = SetFile { path: path.to_owned(), bytes };
            set.verify(context).map(Loaded::Set)
        }
        AnyFile { kind: Kind::Delta, bytes } => {
            parse_delta(context, path, bytes).map(Loaded::Delta)
        }
        AnyFile { kind: Kind::Index, bytes } => {
            IndexFile(bytes).verify(context, path).map(Loaded::Index)
        }
        AnyFile { kind: got, .. } => {
            let path = path.to_owned();
            Err(Error::UnknownKind { path, got, expected: "a set, a delta or an index" })
        }
    }
}
