//! Drivers: all the I/O that a publisher and a client need, over local folders, and over
//! HTTP for a client.
//!
//! A real app does the same with its own storage; the library does not care.

pub mod http;

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use gcs_core::publish::{File, Publication};
use gcs_core::sync::{Answer, ClientSettings, Outcome, Session, Step, Wake};

/// A folder of files by name or by path below it.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    durable: bool,
}

impl Folder {
    /// A folder whose files outlive a power cut from the moment they are written.
    pub fn durable(path: PathBuf) -> Folder {
        Folder { path, durable: true }
    }

    /// A folder that nobody will miss: written several times as fast.
    pub fn temporary(path: PathBuf) -> Folder {
        Folder { path, durable: false }
    }

    /// Where a file is.
    pub fn place(&self, name: &str) -> PathBuf {
        self.path.join(name.trim_start_matches('/'))
    }

    /// Writes a file whole or not at all: under another name first, then renamed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let place = self.place(name);
        let partial = place.with_extension("partial");
        let parent = place.parent().unwrap_or(&self.path);
        fs::create_dir_all(parent)?;
        let mut file = fs::File::create(&partial)?;
        file.write_all(bytes)?;
        if self.durable {
            file.sync_all()?;
        }
        fs::rename(partial, &place)?;
        // The new name is in the folder's own data.
        if self.durable && cfg!(unix) { fs::File::open(parent)?.sync_all() } else { Ok(()) }
    }

    /// Deletes a file; that there is none is fine.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.place(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.place(name))
    }

    /// Reads a file or a range of it, but never more than one byte above the limit.
    fn serve(&self, path: &str, range: Option<(u64, u64)>, limit: u64) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(self.place(path))?;
        let mut most = limit.saturating_add(1);
        if let Some((from, length)) = range {
            file.seek(SeekFrom::Start(from))?;
            most = length;
        }
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a publication: the files, then whatever `save` does to save the publisher,
    /// then the manifest, then deletions.
    pub fn publish(
        &self,
        publication: &Publication,
        save: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let write = |file: &File| self.write(&file.path.to_string(), &file.bytes);
        if let Some((manifest, others)) = publication.files.split_last() {
            others.iter().try_for_each(write)?;
            save()?;
            write(manifest)?;
        }
        publication.delete.iter().try_for_each(|path| self.delete(&path.to_string()))
    }
}

/// What a client fetched, by kind of file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Number of requests.
    pub requests: u64,
    /// Manifests.
    pub manifests: u64,
    /// Bundles and the indexes that list them.
    pub bundles: u64,
    /// Whole sets.
    pub sets: u64,
    /// Check records.
    pub confirmations: u64,
}

impl Traffic {
    /// All bytes.
    pub fn total(&self) -> u64 {
        self.manifests + self.bundles + self.sets + self.confirmations
    }

    fn count(&mut self, path: &str, bytes: u64) {
        self.requests += 1;
        *(match path.split('/').nth(2) {
            Some("sets") => &mut self.sets,
            Some("checks") => &mut self.confirmations,
            Some("bundles" | "index") => &mut self.bundles,
            _ => &mut self.manifests,
        }) += bytes;
    }
}

/// A client whose storage is a folder, and whose server is another one.
#[derive(Debug)]
pub struct FolderClient {
    /// The client's own folder.
    pub own: Folder,
    /// The published files.
    pub server: Folder,
    /// What the app has decided.
    pub settings: ClientSettings,
    /// What was fetched so far.
    pub traffic: Traffic,
}

impl FolderClient {
    /// A client that keeps its files in `own` and fetches from `server`.
    pub fn new(own: Folder, server: Folder, settings: ClientSettings) -> FolderClient {
        FolderClient { own, server, settings, traffic: Traffic::default() }
    }

    /// One wake, from beginning to end.
    pub fn wake(&mut self, wake: Wake) -> Outcome {
        self.wake_with(wake, |_path, bytes| bytes)
    }

    /// One wake through a mirror that may change what it hands over.
    pub fn wake_with(&mut self, wake: Wake, mirror: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Outcome {
        let mut session = Session::new(&self.settings, wake);
        let mut answer = Answer::Start;
        loop {
            answer = match session.resume(answer) {
                Step::Fetch { path, byte_range, limit } => {
                    let range = byte_range.map(|part| (part.start, part.end - part.start));
                    let fetched = self.server.serve(&path, range, limit);
                    let fetched = fetched.map(|bytes| mirror(&path, bytes));
                    if let Ok(bytes) = &fetched {
                        self.traffic.count(&path, bytes.len() as u64);
                    }
                    answer_of(fetched)
                }
                Step::Get { name } => answer_of(self.own.read(&name)),
                Step::Put { name, bytes } => done(self.own.write(&name, &bytes)),
                Step::Delete { name } => done(self.own.delete(&name)),
                Step::Done(outcome) => return *outcome,
            };
        }
    }
}

fn answer_of(read: io::Result<Vec<u8>>) -> Answer {
    match read {
        Ok(bytes) => Answer::Bytes(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::Missing,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn done(result: io::Result<()>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(error.to_string()),
    }
}
