//! What is written for a publication, and in which order.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{Debug, Display};

use thiserror::Error;

use super::{LastPublication, Publication, Publisher};
use crate::files::{Manifest, Path};
use crate::version::Version;

/// One step of writing a publication. [`Publication::steps`] gives them in their order:
///
/// 1. It is made sure that no other manifest has been published under this version.
/// 2. The files that it names are written.
/// 3. The publisher is saved, to go on from; it knows the steps that follow.
/// 4. The manifest is written under its own name, which must be new.
/// 5. `/v1/exports/index.txt` is replaced if exports have changed, then `/v1/manifest`: now clients
///    see the publication.
/// 6. Files whose time has come are deleted.
///
/// Begin a step when the one before it is on disk. If a step before the last fails, clients
/// still see the publication before. Then do all steps again from the first, with the same
/// bytes; doing a step twice does no harm.
#[derive(Clone, Copy, Debug)]
pub enum WriteStep<'p> {
    /// Go on only if there is no other manifest at this path ([`Manifest::is_another`]). Otherwise
    /// another publisher has published something else under this version: stop, and find out
    /// why.
    ExpectNoOther {
        /// Path of a kept manifest.
        path: Path,
        /// The bytes of the manifest that belongs there.
        bytes: &'p [u8],
    },
    /// Write or replace a file, whole or not at all, unless it is there with exactly these
    /// bytes, and read it back.
    Put {
        /// Where it is served.
        path: Path,
        /// Its content.
        bytes: &'p [u8],
    },
    /// Write a file that is not there yet. If there is one, it must be no other manifest, as in
    /// [`WriteStep::ExpectNoOther`]; a damaged one is replaced.
    Create {
        /// Path of a kept manifest.
        path: Path,
        /// Its content.
        bytes: &'p [u8],
    },
    /// Save the publisher, where clients cannot read it.
    Save(&'p Publisher),
    /// Delete a file. It is no error if there is none.
    Delete(Path),
}

/// Where a publication is written to: the I/O of a publisher.
///
/// Calls may block. A program that cannot block does the steps of [`Publication::steps`]
/// itself.
pub trait Place {
    /// The error of a call that failed.
    type Error: Display;

    /// Reads a published file: `Ok(None)` if there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read. A missing file is not an error.
    fn get(&mut self, path: &Path) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Writes or replaces a published file, whole or not at all; it is durable when the
    /// call returns.
    ///
    /// # Errors
    /// When the file may not have been written.
    fn put(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Writes a published file as [`Place::put`] does, unless there is one at this path:
    /// then it changes nothing and gives `false`.
    ///
    /// # Errors
    /// When the file may not have been written.
    fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<bool, Self::Error>;

    /// Makes a file durable that is there already. A crash may have come between the moment when a
    /// file got its name and the moment when that name was durable, and then it is not written again.
    /// Unless it is overridden, this reads the file and puts it again.
    ///
    /// # Errors
    /// When the file may not be durable.
    fn settle(&mut self, path: &Path) -> Result<(), Self::Error> {
        match self.get(path)? {
            Some(bytes) => self.put(path, &bytes),
            None => Ok(()),
        }
    }

    /// Deletes a published file. It is no error if there is none.
    ///
    /// # Errors
    /// When the file may still be there.
    fn delete(&mut self, path: &Path) -> Result<(), Self::Error>;

    /// Saves a publisher (see [`Publisher::to_bytes`]) in place of the one before, where
    /// clients cannot read it.
    ///
    /// # Errors
    /// When it may not have been saved.
    fn save(&mut self, publisher: &Publisher) -> Result<(), Self::Error>;
}

/// Why a publication could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError<E> {
    /// A call of the place failed. Write the publication again, or go on from the publisher
    /// that is saved, after [`Publisher::finish`].
    #[error("{0}")]
    Place(E),
    /// A file does not read back as it was written.
    #[error("{path} does not read back as it was written")]
    ReadBack {
        /// Its path.
        path: Path,
    },
    /// Another manifest has been published under this version. Clients that saw it would
    /// refuse this one, so it was not published. Look for a second publisher with the same
    /// keys, then go on with [`Publisher::next_series`].
    #[error("another manifest has been published as {path}")]
    Equivocation {
        /// Its path.
        path: Path,
    },
}

impl WriteStep<'_> {
    /// Does the step.
    ///
    /// # Errors
    /// A [`WriteError`]; [`WriteStep`] says how to go on.
    pub fn execute<P: Place + ?Sized>(&self, place: &mut P) -> Result<(), WriteError<P::Error>> {
        match *self {
            WriteStep::ExpectNoOther { path, bytes } => match get(place, path)? {
                Some(present) if is_another(&present, bytes) => {
                    Err(WriteError::Equivocation { path })
                }
                _ => Ok(()),
            },
            WriteStep::Put { path, bytes } => {
                if get(place, path)?.is_some_and(|present| present == bytes) {
                    return place.settle(&path).map_err(WriteError::Place);
                }
                put(place, path, bytes)
            }
            WriteStep::Create { path, bytes } => {
                let is_new = place.create(&path, bytes).map_err(WriteError::Place)?;
                match get(place, path)? {
                    Some(present) if present == bytes && is_new => Ok(()),
                    Some(present) if present == bytes => {
                        place.settle(&path).map_err(WriteError::Place)
                    }
                    _ if is_new => Err(WriteError::ReadBack { path }),
                    Some(present) if is_another(&present, bytes) => {
                        Err(WriteError::Equivocation { path })
                    }
                    _ => put(place, path, bytes),
                }
            }
            WriteStep::Save(publisher) => place.save(publisher).map_err(WriteError::Place),
            WriteStep::Delete(path) => place.delete(&path).map_err(WriteError::Place),
        }
    }
}

fn get<P: Place + ?Sized>(
    place: &mut P,
    path: Path,
) -> Result<Option<Vec<u8>>, WriteError<P::Error>> {
    place.get(&path).map_err(WriteError::Place)
}

/// Writes a file and reads it back.
fn put<P: Place + ?Sized>(
    place: &mut P,
    path: Path,
    bytes: &[u8],
) -> Result<(), WriteError<P::Error>> {
    place.put(&path, bytes).map_err(WriteError::Place)?;
    let is_there = get(place, path)?.is_some_and(|present| present == bytes);
    if is_there { Ok(()) } else { Err(WriteError::ReadBack { path }) }
}

fn is_another(present: &[u8], ours: &[u8]) -> bool {
    present != ours && Manifest::is_another(present, ours)
}

impl Publication {
    /// The steps that write it, in their order.
    pub fn steps(&self) -> impl Iterator<Item = WriteStep<'_>> {
        let files = self.files.iter().map(|file| (file.path, &file.bytes[..]));
        steps(files, Some(&self.publisher), self.delete.iter())
    }

    /// Writes it. It can be written again, whether or not that succeeded.
    ///
    /// # Errors
    /// The error of the first step that fails. Clients see the publication before, until all
    /// steps but deletions are done.
    pub fn write<P: Place + ?Sized>(&self, place: &mut P) -> Result<(), WriteError<P::Error>> {
        self.steps().try_for_each(|step| step.execute(place))
    }
}

impl Publisher {
    /// Does the steps of the last publication that come after [`WriteStep::Save`]: a crash or
    /// an error may have cut them short. To be called on a publisher that was read from where
    /// it is saved, before its next publication. Steps that were done already are done again,
    /// which changes nothing.
    ///
    /// # Errors
    /// A [`WriteError`], also if a later manifest than this publisher's has been published:
    /// then what was saved is an old copy.
    pub fn finish<P: Place + ?Sized>(&self, place: &mut P) -> Result<(), WriteError<P::Error>> {
        let Some(last) = &self.last else { return Ok(()) };
        let Version { series, tick } = last.version;
        let later = tick.checked_add(1).map(|tick| Path::KeptManifest { series, tick });
        if let Some(path) = later
            && get(place, path)?.is_some()
        {
            return Err(WriteError::Equivocation { path });
        }
        let plan = WritePlan::resume(self.clone());
        let mut steps = plan.steps().filter(|step| !matches!(step, WriteStep::Save(_)));
        steps.try_for_each(|step| step.execute(place))
    }
}

/// What to write for several publications in a row, as if they were one. It is for a publisher
/// that computes its publications anew from a log of inputs, to bring its files up to date.
///
/// Files of the earlier publications that the later ones delete again are not written.
/// Every manifest is kept under its own name.
#[derive(Clone, Debug, Default)]
pub struct WritePlan {
    files: BTreeMap<Path, Arc<Vec<u8>>>,
    deletions: BTreeSet<Path>,
    publisher: Option<Publisher>,
}

impl WritePlan {
    /// What a crash may have left to do of the last publication of a publisher that was saved:
    /// everything after [`WriteStep::Save`]. Later publications can be added to it.
    pub fn resume(publisher: Publisher) -> WritePlan {
        let mut plan = WritePlan::default();
        if let Some(LastPublication { version, manifest, deletions }) = &publisher.last {
            let kept = Path::KeptManifest { series: version.series, tick: version.tick };
            let manifest = Arc::new(manifest.clone());
            plan.files.insert(kept, Arc::clone(&manifest));
            plan.files.insert(Path::Manifest, manifest);
            plan.deletions.extend(deletions);
            let index = publisher.export_index().map(|index| (Path::ExportIndex, Arc::new(index)));
            plan.files.extend(index);
        }
        plan.publisher = Some(publisher);
        plan
    }

    /// Adds the next publication.
    pub fn add(&mut self, publication: Publication) {
        for file in publication.files {
            self.deletions.remove(&file.path);
            self.files.insert(file.path, Arc::new(file.bytes));
        }
        for path in publication.delete {
            self.files.remove(&path);
            self.deletions.insert(path);
        }
        self.publisher = Some(publication.publisher);
    }

    /// All files to write, the manifests among them, by path.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path, &bytes[..]))
    }

    /// As [`WritePlan::files`], in memory that whoever serves the files can share.
    pub fn shared_files(&self) -> impl Iterator<Item = (&Path, &Arc<Vec<u8>>)> {
        self.files.iter()
    }

    /// Paths to delete.
    pub fn deletions(&self) -> impl Iterator<Item = &Path> {
        self.deletions.iter()
    }

    /// The last publication's manifest; `None` before the first one.
    pub fn manifest(&self) -> Option<&[u8]> {
        self.files.get(&Path::Manifest).map(|manifest| &manifest[..])
    }

    /// The publisher after the last publication; `None` before the first one.
    pub fn publisher(&self) -> Option<&Publisher> {
        self.publisher.as_ref()
    }

    /// Leaves out the kept manifests of all publications but the last. This is for a publisher
    /// that cannot compute the earlier manifests any more as they were published; the last one
    /// does not depend on them.
    pub fn forget_history(&mut self) {
        let last = self.publisher().and_then(Publisher::version);
        self.files.retain(|path, _| match *path {
            Path::KeptManifest { series, tick } => last == Some(Version { series, tick }),
            _ => true,
        });
    }

    /// The steps that write it, in their order; none before the first publication.
    pub fn steps(&self) -> impl Iterator<Item = WriteStep<'_>> {
        let files = self.files.iter().map(|(path, bytes)| (*path, &bytes[..]));
        steps(files, self.publisher(), self.deletions.iter())
    }

    /// Writes it. It can be written again, whether or not that succeeded.
    ///
    /// # Errors
    /// The error of the first step that fails, as for [`Publication::write`].
    pub fn write<P: Place + ?Sized>(&self, place: &mut P) -> Result<(), WriteError<P::Error>> {
        self.steps().try_for_each(|step| step.execute(place))
    }
}

/// The steps in their order.
fn steps<'p>(
    files: impl Iterator<Item = (Path, &'p [u8])> + Clone,
    publisher: Option<&'p Publisher>,
    deletions: impl Iterator<Item = &'p Path>,
) -> impl Iterator<Item = WriteStep<'p>> {
    let is_kept = |path: &Path| matches!(path, Path::KeptManifest { .. });
    let kept = files.clone().filter(move |(path, _)| is_kept(path));
    let changing = |which: Path| files.clone().filter(move |(path, _)| *path == which);
    let (index, manifest) = (changing(Path::ExportIndex), changing(Path::Manifest));
    let others = files.filter(move |(path, _)| !is_kept(path) && path.is_immutable());
    let put = |(path, bytes)| WriteStep::Put { path, bytes };

    let expect = kept.clone().map(|(path, bytes)| WriteStep::ExpectNoOther { path, bytes });
    let create = kept.map(|(path, bytes)| WriteStep::Create { path, bytes });
    expect
        .chain(others.map(put))
        .chain(publisher.map(WriteStep::Save))
        .chain(create)
        .chain(index.map(put))
        .chain(manifest.map(put))
        .chain(deletions.copied().map(WriteStep::Delete))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::date::{DAY_SECONDS, Date};
    use crate::publish::{Day, Keys, PublisherSettings};
    use alloc::format;
    use alloc::string::{String, ToString};

    /// A place in memory that fails at one of its calls.
    #[derive(Default)]
    struct MemoryPlace {
        files: BTreeMap<String, Vec<u8>>,
        saved: Option<Vec<u8>>,
        /// What was changed, in order.
        changes: Vec<String>,
        calls: usize,
        fails_at: Option<usize>,
    }

    impl MemoryPlace {
        fn call(&mut self) -> Result<(), String> {
            self.calls += 1;
            if self.fails_at == Some(self.calls) { Err("broken".into()) } else { Ok(()) }
        }

        fn manifest(&self) -> Option<&Vec<u8>> {
            self.files.get("/v1/manifest")
        }
    }

    impl Place for MemoryPlace {
        type Error = String;

        fn get(&mut self, path: &Path) -> Result<Option<Vec<u8>>, String> {
            self.call()?;
            Ok(self.files.get(&path.to_string()).cloned())
        }

        fn put(&mut self, path: &Path, bytes: &[u8]) -> Result<(), String> {
            self.call()?;
            self.changes.push(format!("put {path}"));
            self.files.insert(path.to_string(), bytes.to_vec());
            Ok(())
        }

        fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<bool, String> {
            self.call()?;
            if self.files.contains_key(&path.to_string()) {
                return Ok(false);
            }
            self.changes.push(format!("create {path}"));
            self.files.insert(path.to_string(), bytes.to_vec());
            Ok(true)
        }

        fn delete(&mut self, path: &Path) -> Result<(), String> {
            self.call()?;
            self.changes.push(format!("delete {path}"));
            self.files.remove(&path.to_string());
            Ok(())
        }

        fn save(&mut self, publisher: &Publisher) -> Result<(), String> {
            self.call()?;
            self.changes.push("save".into());
            self.saved = Some(publisher.to_bytes());
            Ok(())
        }
    }

    /// The first `count` publications. Each is a day later than the one before and has one more
    /// element, so that later ones delete files.
    fn publications(count: u64) -> Vec<Publication> {
        let first = Date::from_days(20_000).unwrap();
        let keys = Keys::from_secret([1; 32], first.start() + 400 * DAY_SECONDS);
        let mut publisher = Publisher::new(PublisherSettings::default(), 1);
        let mut publications = Vec::new();
        for number in 0..count {
            let date = Date::from_days(20_000 + number as u32 / 2).unwrap();
            let elements = (0..=number).map(|element| [element as u8; 16]).collect();
            let now = date.entry() + number * DAY_SECONDS;
            let publication =
                publisher.publish_next(now, &[Day { date, elements }], &keys).unwrap();
            publisher = publication.publisher.clone();
            publications.push(publication);
        }
        publications
    }

    #[test]
    fn the_manifest_comes_after_all_that_it_names_and_deletions_after_the_manifest() {
        let mut place = MemoryPlace::default();
        for publication in publications(6) {
            place.changes.clear();
            publication.write(&mut place).unwrap();
            let kinds: Vec<&str> = place.changes.iter().map(|change| &change[..4]).collect();
            let [names @ .., manifest] = &publication.files[..] else { panic!("no manifest") };
            let puts = names.len() - 1;
            assert!(kinds[..puts].iter().all(|kind| *kind == "put "), "{:?}", place.changes);
            assert_eq!(kinds[puts..puts + 3], ["save", "crea", "put "]);
            assert_eq!(place.changes[puts + 2], "put /v1/manifest");
            assert!(kinds[puts + 3..].iter().all(|kind| *kind == "dele"));
            assert_eq!(kinds.len(), puts + 3 + publication.delete.len());
            assert_eq!(place.manifest(), Some(&manifest.bytes));
            assert_eq!(place.saved, Some(publication.publisher.to_bytes()));
        }
    }

    #[test]
    fn writing_again_after_any_failed_step_succeeds_and_clients_see_one_publication() {
        let publications = publications(6);
        let (last, earlier) = publications.split_last().unwrap();
        assert!(!last.delete.is_empty());
        for fails_at in 1.. {
            let mut place = MemoryPlace::default();
            earlier.iter().for_each(|publication| publication.write(&mut place).unwrap());
            let before = place.files.clone();
            (place.calls, place.fails_at) = (0, Some(fails_at));
            let written = last.write(&mut place);
            if place.manifest() == before.get("/v1/manifest") {
                assert_eq!(written, Err(WriteError::Place("broken".into())));
                // All files that the manifest before names are there unchanged.
                assert!(before.iter().all(|(path, bytes)| place.files.get(path) == Some(bytes)));
            } else {
                assert_eq!(place.saved, Some(last.publisher.to_bytes()));
            }
            let is_over = written.is_ok();
            place.fails_at = None;
            last.write(&mut place).unwrap();
            let paths = last.publisher.live_files();
            assert!(paths.into_iter().all(|path| place.files.contains_key(&path.to_string())));
            assert!(last.delete.iter().all(|path| !place.files.contains_key(&path.to_string())));
            assert_eq!(place.manifest(), Some(&last.files.last().unwrap().bytes));
            if is_over {
                assert!(fails_at > 10);
                return;
            }
        }
    }

    /// Wherever a publisher is stopped, it goes on from what it saved, at a later time.
    #[test]
    fn after_a_stop_at_any_step_the_saved_publisher_goes_on() {
        let first = Date::from_days(20_000).unwrap();
        let keys = Keys::from_secret([1; 32], first.start() + 400 * DAY_SECONDS);
        let publications = publications(6);
        let (last, earlier) = publications.split_last().unwrap();
        for fails_at in 1.. {
            let mut place = MemoryPlace::default();
            earlier.iter().for_each(|publication| publication.write(&mut place).unwrap());
            (place.calls, place.fails_at) = (0, Some(fails_at));
            let is_over = last.write(&mut place).is_ok();
            place.fails_at = None;
            for later in 1..=2 {
                let saved = Publisher::from_bytes(place.saved.as_ref().unwrap()).unwrap();
                saved.finish(&mut place).unwrap();
                let now = last.manifest.issued + later * 900;
                let day = Day {
                    date: Date::of_time(now).previous().unwrap(),
                    elements: Vec::from([[9; 16]]),
                };
                let next = saved.publish_next(now, &[day], &keys).unwrap();
                next.write(&mut place).unwrap();
                assert_eq!(place.manifest(), Some(&next.files.last().unwrap().bytes));
                assert!(
                    next.publisher
                        .live_files()
                        .all(|path| place.files.contains_key(&path.to_string()))
                );
            }
            let saved = Publisher::from_bytes(place.saved.as_ref().unwrap()).unwrap();
            assert!(last.delete.iter().all(|path| !place.files.contains_key(&path.to_string())));
            // A copy of an earlier time is noticed before it publishes anything.
            let old = Publisher::from_bytes(&earlier[2].publisher.to_bytes()).unwrap();
            assert!(matches!(old.finish(&mut place), Err(WriteError::Equivocation { .. })));
            saved.finish(&mut place).unwrap();
            if is_over {
                assert!(fails_at > 10);
                return;
            }
        }
    }

    /// A place that loses in a power cut what is not durable, and whose calls end between the moment
    /// when a file has its name and the moment when that is durable.
    #[derive(Default)]
    struct Disk {
        seen: BTreeMap<String, Vec<u8>>,
        durable: BTreeMap<String, Vec<u8>>,
        saved: Option<Vec<u8>>,
        calls: usize,
        ends_at: Option<usize>,
    }

    impl Disk {
        fn finish(&mut self, path: &Path) -> Result<(), String> {
            self.calls += 1;
            if self.ends_at == Some(self.calls) {
                return Err("killed".into());
            }
            let (name, bytes) = (path.to_string(), self.seen[&path.to_string()].clone());
            self.durable.insert(name, bytes);
            Ok(())
        }
    }

    impl Place for Disk {
        type Error = String;

        fn get(&mut self, path: &Path) -> Result<Option<Vec<u8>>, String> {
            Ok(self.seen.get(&path.to_string()).cloned())
        }

        fn put(&mut self, path: &Path, bytes: &[u8]) -> Result<(), String> {
            self.seen.insert(path.to_string(), bytes.to_vec());
            self.finish(path)
        }

        fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<bool, String> {
            if self.seen.contains_key(&path.to_string()) {
                return Ok(false);
            }
            self.put(path, bytes).map(|()| true)
        }

        fn delete(&mut self, path: &Path) -> Result<(), String> {
            self.seen.remove(&path.to_string());
            self.durable.remove(&path.to_string());
            Ok(())
        }

        fn save(&mut self, publisher: &Publisher) -> Result<(), String> {
            self.saved = Some(publisher.to_bytes());
            Ok(())
        }
    }

    /// A file that has its name already when it is written again may not be durable yet.
    #[test]
    fn what_is_written_again_is_durable_whenever_the_first_try_ended() {
        let publications = publications(3);
        let (last, earlier) = publications.split_last().unwrap();
        for ends_at in 1.. {
            let mut disk = Disk::default();
            earlier.iter().for_each(|publication| publication.write(&mut disk).unwrap());
            (disk.calls, disk.ends_at) = (0, Some(ends_at));
            let is_over = last.write(&mut disk).is_ok();
            disk.ends_at = None;
            last.write(&mut disk).unwrap();
            assert_eq!(disk.durable, disk.seen, "{ends_at}");
            let saved = Publisher::from_bytes(disk.saved.as_ref().unwrap()).unwrap();
            saved.finish(&mut disk).unwrap();
            assert_eq!(disk.durable, disk.seen, "{ends_at}");
            if is_over {
                assert!(ends_at > 4, "{ends_at}");
                return;
            }
        }
    }

    #[test]
    fn another_manifest_of_the_same_version_stops_everything() {
        let publications = publications(2);
        let mut place = MemoryPlace::default();
        publications[0].write(&mut place).unwrap();
        let another = another_manifest();
        place.files.insert("/v1/manifests/1-2".into(), another.clone());
        let before = place.files.clone();
        for _ in 0..2 {
            let path = Path::KeptManifest { series: 1, tick: 2 };
            let written = publications[1].write(&mut place);
            assert_eq!(written, Err(WriteError::Equivocation { path }));
            assert_eq!(place.files, before);
        }
        // A manifest that is published meanwhile is found when this one is created.
        let mut steps = publications[1].steps();
        place.files.remove("/v1/manifests/1-2");
        steps.next().unwrap().execute(&mut place).unwrap();
        place.files.insert("/v1/manifests/1-2".into(), another);
        let rest: Result<(), _> = steps.try_for_each(|step| step.execute(&mut place));
        assert!(matches!(rest, Err(WriteError::Equivocation { .. })));
        assert_eq!(place.manifest(), before.get("/v1/manifest"));
    }

    /// What a second publisher with the same keys makes of other elements in its second tick.
    fn another_manifest() -> Vec<u8> {
        let date = Date::from_days(20_000).unwrap();
        let keys = Keys::from_secret([1; 32], date.start() + 400 * DAY_SECONDS);
        let mut publisher = Publisher::new(PublisherSettings::default(), 1);
        for number in 0..2 {
            let days = [Day { date, elements: vec![[200; 16]] }];
            let now = date.entry() + number * DAY_SECONDS;
            publisher = publisher.publish_next(now, &days, &keys).unwrap().publisher;
        }
        publisher.last.unwrap().manifest
    }

    /// Nobody's clients have seen bytes that nobody signed, so they stop nothing.
    #[test]
    fn a_kept_manifest_that_is_damaged_is_written_again() {
        let publications = publications(2);
        let mut place = MemoryPlace::default();
        publications.iter().for_each(|publication| publication.write(&mut place).unwrap());
        let whole = place.files.clone();
        let kept = whole["/v1/manifests/1-2"].clone();
        let mut damages = vec![Vec::new(), kept[..kept.len() - 1].to_vec(), vec![0; kept.len()]];
        for at in 0..kept.len() {
            let mut flipped = kept.clone();
            flipped[at] ^= 1;
            damages.push(flipped);
        }
        for damaged in damages {
            place.files.insert("/v1/manifests/1-2".into(), damaged.clone());
            publications[1].write(&mut place).unwrap();
            assert_eq!(place.files, whole);
            place.files.insert("/v1/manifests/1-2".into(), damaged);
            publications[1].publisher.finish(&mut place).unwrap();
            assert_eq!(place.files, whole);
        }
    }

    /// A later release of a second publisher, perhaps.
    #[test]
    fn a_manifest_of_another_format_is_no_damage() {
        let bytes = String::from_utf8(another_manifest()).unwrap();
        let envelope: serde_json::Value = serde_json::from_str(&bytes).unwrap();
        let payload = envelope["payload"].as_str().unwrap();
        let payload = data_encoding::BASE64.decode(payload.as_bytes()).unwrap();
        let payload = String::from_utf8(payload).unwrap().replace("\"format\":1", "\"format\":2");
        let mut envelope = envelope;
        envelope["payload"] = data_encoding::BASE64.encode(payload.as_bytes()).into();
        let newer = serde_json::to_vec(&envelope).unwrap();
        let ours = &publications(2)[1].publisher.last.clone().unwrap().manifest;
        assert!(Manifest::is_another(&newer, ours));
    }

    #[test]
    fn several_publications_are_written_as_one() {
        let publications = publications(6);
        let (mut one_by_one, mut at_once) = (MemoryPlace::default(), MemoryPlace::default());
        let mut plan = WritePlan::default();
        assert_eq!((plan.steps().count(), plan.manifest()), (0, None));
        for publication in publications {
            publication.write(&mut one_by_one).unwrap();
            plan.add(publication);
        }
        plan.write(&mut at_once).unwrap();
        assert_eq!(at_once.files, one_by_one.files);
        assert_eq!(at_once.saved, one_by_one.saved);
        assert_eq!(plan.manifest(), one_by_one.manifest().map(Vec::as_slice));

        plan.forget_history();
        let is_kept = |path: &&Path| matches!(path, Path::KeptManifest { .. });
        let kept: Vec<&Path> = plan.files().map(|file| file.0).filter(is_kept).collect();
        assert_eq!(kept, [&Path::KeptManifest { series: 1, tick: 6 }]);
    }

    /// The files of the last publication but its manifest are there, and its deletions are not done.
    #[test]
    fn what_was_cut_short_is_written_with_what_comes_later() {
        let publications = publications(6);
        let (mut stopped, mut whole) = (MemoryPlace::default(), MemoryPlace::default());
        publications.iter().for_each(|publication| publication.write(&mut whole).unwrap());
        publications[..3].iter().for_each(|publication| publication.write(&mut stopped).unwrap());
        let cut =
            publications[3].steps().take_while(|step| !matches!(step, WriteStep::Create { .. }));
        cut.for_each(|step| step.execute(&mut stopped).unwrap());
        let saved = Publisher::from_bytes(stopped.saved.as_ref().unwrap()).unwrap();
        let mut plan = WritePlan::resume(saved);
        assert_eq!(plan.manifest(), publications[3].files.last().map(|file| &file.bytes[..]));
        assert!(!plan.deletions.is_empty());
        publications[4..].iter().for_each(|publication| plan.add(publication.clone()));
        plan.write(&mut stopped).unwrap();
        assert_eq!(stopped.files, whole.files);
        assert_eq!(stopped.saved, whole.saved);
    }

    #[test]
    fn a_later_series_is_begun_at_once_or_one_by_one() {
        let publisher = &publications(3)[2].publisher;
        let one_by_one = publisher.next_series().next_series();
        assert_eq!(publisher.begin_series(3).to_bytes(), one_by_one.to_bytes());
        assert_eq!(publisher.begin_series(1).to_bytes(), publisher.to_bytes());
        assert_eq!(one_by_one.begin_series(2).to_bytes(), one_by_one.to_bytes());
    }
}
