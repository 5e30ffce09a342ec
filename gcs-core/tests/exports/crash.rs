//! A publisher that stops between any two steps.

use std::collections::BTreeMap;

use gcs_core::files::{ExportList, Manifest, Path};
use gcs_core::publish::{
    Day, Place, Publication, Publisher, PublisherSettings, WritePlan, WriteStep,
};

use crate::publication::keys;
use crate::{date, list_of, settings};

/// A place that stops at one of its calls.
#[derive(Default)]
struct Disk {
    files: BTreeMap<Path, Vec<u8>>,
    saved: Option<Vec<u8>>,
    calls: usize,
    ends_at: Option<usize>,
}

impl Disk {
    fn call(&mut self) -> Result<(), &'static str> {
        self.calls += 1;
        if self.ends_at == Some(self.calls) { Err("power cut") } else { Ok(()) }
    }

    /// Whatever was written, clients find all that is named.
    fn expect_whole(&self) {
        let Some(manifest) = self.files.get(&Path::Manifest) else { return };
        let manifest = Manifest::verify_file(manifest, &keys().root).unwrap();
        let mut lists = Vec::new();
        lists.extend(manifest.exports.map(|named| &self.files[&Path::ExportList(named.sha256)]));
        lists.extend(self.files.get(&Path::ExportIndex));
        for list in lists {
            let list = ExportList::parse(list).unwrap();
            assert!(list.paths().all(|path| self.files.contains_key(&path)));
        }
    }
}

impl Place for Disk {
    type Error = &'static str;

    fn get(&mut self, path: &Path) -> Result<Option<Vec<u8>>, &'static str> {
        self.call()?;
        Ok(self.files.get(path).cloned())
    }

    fn put(&mut self, path: &Path, bytes: &[u8]) -> Result<(), &'static str> {
        self.call()?;
        self.files.insert(*path, bytes.to_vec());
        Ok(())
    }

    fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<bool, &'static str> {
        self.call()?;
        let is_new = !self.files.contains_key(path);
        self.files.entry(*path).or_insert_with(|| bytes.to_vec());
        Ok(is_new)
    }

    fn delete(&mut self, path: &Path) -> Result<(), &'static str> {
        self.call()?;
        self.files.remove(path);
        Ok(())
    }

    fn save(&mut self, publisher: &Publisher) -> Result<(), &'static str> {
        self.call()?;
        self.saved = Some(publisher.to_bytes());
        Ok(())
    }
}

/// Publications that export, correct, export nothing any more, and drop what they had.
fn publications() -> Vec<Publication> {
    let lists = [Some(vec![1]), Some(vec![1, 2]), Some(vec![2]), None, None, Some(vec![2])];
    let mut publisher = Publisher::new(PublisherSettings::default(), 1);
    let mut now = date(0).entry();
    let mut publications = Vec::new();
    for secrets in lists {
        if let Some(secrets) = secrets {
            publisher = publisher.with_exports(settings(14_400), vec![list_of(0, &secrets)]);
        }
        let days = [Day { date: date(0), elements: vec![[7; 16]] }];
        let made = publisher.publish_next(now, &days, &keys()).unwrap();
        publisher = made.publisher.clone();
        publications.push(made);
        now += 86_400;
    }
    publications
}

#[test]
fn after_a_crash_anywhere_the_list_under_both_names_is_the_same() {
    let publications = publications();
    let mut whole = Disk::default();
    for (number, made) in publications.iter().enumerate() {
        for ends_at in 1.. {
            let mut disk = Disk::default();
            publications[..number].iter().for_each(|made| made.write(&mut disk).unwrap());
            (disk.calls, disk.ends_at) = (0, Some(ends_at));
            let is_over = made.write(&mut disk).is_ok();
            disk.ends_at = None;
            disk.expect_whole();
            // Who sees the new manifest sees the new list too.
            let bytes =
                |path| made.files.iter().find(|file| file.path == path).map(|file| &file.bytes);
            if disk.files.get(&Path::Manifest) == bytes(Path::Manifest)
                && let Some(index) = bytes(Path::ExportIndex)
            {
                assert_eq!(disk.files.get(&Path::ExportIndex), Some(index));
            }
            // What was saved is finished; if nothing was, the publication is written again.
            if let Some(saved) = &disk.saved {
                let saved = Publisher::from_bytes(&saved.clone()).unwrap();
                saved.finish(&mut disk).unwrap();
                disk.expect_whole();
            }
            made.write(&mut disk).unwrap();
            disk.expect_whole();
            if is_over {
                whole.files = disk.files;
                break;
            }
            // A try that was cut short has left nothing else.
            let mut once = Disk::default();
            publications[..=number].iter().for_each(|made| made.write(&mut once).unwrap());
            assert_eq!(disk.files, once.files, "{number} {ends_at}");
        }
    }
    assert!(whole.files.contains_key(&Path::ExportIndex));
}

/// Saved, and nothing after that.
#[test]
fn what_is_saved_finishes_the_list_that_changes() {
    let publications = publications();
    for (number, made) in publications.iter().enumerate() {
        let (mut cut, mut whole) = (Disk::default(), Disk::default());
        publications[..=number].iter().for_each(|made| made.write(&mut whole).unwrap());
        publications[..number].iter().for_each(|made| made.write(&mut cut).unwrap());
        let is_create = |step: &WriteStep<'_>| matches!(step, WriteStep::Create { .. });
        for step in made.steps().take_while(|step| !is_create(step)) {
            step.execute(&mut cut).unwrap();
        }
        let saved = Publisher::from_bytes(&cut.saved.clone().unwrap()).unwrap();
        saved.finish(&mut cut).unwrap();
        assert_eq!(cut.files, whole.files, "{number}");
    }
}

#[test]
fn several_publications_are_written_as_one() {
    let publications = publications();
    for end in 1..=publications.len() {
        let (mut at_once, mut one_by_one) = (Disk::default(), Disk::default());
        let mut plan = WritePlan::default();
        for made in &publications[..end] {
            made.write(&mut one_by_one).unwrap();
            plan.add(made.clone());
        }
        plan.write(&mut at_once).unwrap();
        assert_eq!(at_once.files, one_by_one.files);
        assert_eq!(at_once.saved, one_by_one.saved);
    }
}
