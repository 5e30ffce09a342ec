//! Reading sets in pieces, and sets and deltas whole; always validated.

use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use gcs_core::set::{ReadError, SetInfo, SetReader};
use gcs_core::{Delta, IndexedSet};

use crate::cli::Context;
use crate::error::Error;
use crate::input;
use crate::kind::{Kind, MAGIC_LEN};
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

/// A file of any kind.
struct AnyFile {
    kind: Kind,
    bytes: Bytes,
}

impl AnyFile {
    fn open(path: &Path) -> Result<AnyFile, Error> {
        let failed = |error| Error::read(path, error);
        let mut file = input::open(path)?;
        let length = file.metadata().ok().filter(Metadata::is_file).map(|about| about.len());
        let mut head = Vec::new();
        file.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut head).map_err(failed)?;
        let kind = Kind::of(&head);
        let bytes = match length {
            Some(length) => Bytes::OnDisk(file, length),
            None if matches!(kind, Kind::Set | Kind::Delta) => {
                file.read_to_end(&mut head).map_err(failed)?;
                Bytes::Memory(head)
            }
            None => Bytes::Memory(head),
        };
        Ok(AnyFile { kind, bytes })
    }
}

impl Bytes {
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
        AnyFile { kind: Kind::Delta, bytes } => {
            let bytes = bytes.read(context, path)?;
            Delta::parse(bytes).map_err(|error| Error::damaged(path, error))
        }
        AnyFile { kind, .. } => Err(Error::wrong_kind(path, Kind::Delta, kind)),
    }
}

/// A file of one of the kinds that commands show, validated.
pub(crate) enum Loaded {
    Set(SetInfo),
    Delta(Delta),
}

/// Validates a set or a delta.
pub(crate) fn any(context: Context, path: &Path) -> Result<Loaded, Error> {
    match AnyFile::open(path)? {
        AnyFile { kind: Kind::Set, bytes } => {
            let set = SetFile { path: path.to_owned(), bytes };
            set.verify(context).map(Loaded::Set)
        }
        AnyFile { kind: Kind::Delta, .. } => delta(context, path).map(Loaded::Delta),
        AnyFile { kind: got, .. } => {
            let path = path.to_owned();
            Err(Error::UnknownKind { path, got, expected: "a set or a delta" })
        }
    }
}
