//! When files are made, what they hold, and when they go.

use gcs_core::Date;
use gcs_core::files::{ExportList, Path};
use gcs_core::identifiers::gaen::export::{Export, ExportError, ExportSigningKey, ReportType};
use gcs_core::publish::{
    Day, ExportSettings, Keys, Publication, PublishError, Publisher, PublisherSettings,
};
use gcs_core::seeds::SeedDay;
use serde_json::json;

use crate::other_program::{python, read};
use crate::phone::Shelf;
use crate::{date, key_of, list_of, settings, signing_key};

const HOUR: u64 = 3600;

pub(crate) fn keys() -> Keys {
    Keys::from_secret([5; 32], date(900).start())
}

fn day(at: u32) -> Day<[u8; 16]> {
    Day { date: date(at), elements: vec![[at as u8; 16]] }
}

/// What is published, tick by tick, and what phones see of it.
struct Town {
    publisher: Publisher,
    shelf: Shelf,
    now: u64,
}

impl Town {
    fn new() -> Town {
        let publisher = Publisher::new(PublisherSettings::default(), 1);
        Town { publisher, shelf: Shelf::default(), now: date(5).start() + 2 * HOUR }
    }

    /// A publication of the sets of some dates, a quarter of an hour later.
    fn publish(&mut self, ready: &Publisher, dates: std::ops::Range<u32>) -> Publication {
        let days: Vec<_> = dates.map(day).collect();
        let made = ready.publish_next(self.now, &days, &keys()).unwrap();
        self.shelf.write(&made);
        self.publisher = made.publisher.clone();
        self.now += 900;
        made
    }

    /// One with exports every four hours.
    fn export(&mut self, lists: Vec<SeedDay>, dates: std::ops::Range<u32>) -> Publication {
        let ready = self.publisher.with_exports(settings(4 * HOUR), lists);
        self.publish(&ready, dates)
    }

    fn exports(&self, made: &Publication) -> Vec<(Date, Export)> {
        let list = self.shelf.list(&made.manifest).unwrap_or_default();
        let export = |path: Path| {
            let Path::Export { date, .. } = path else { panic!("{path}") };
            let public = signing_key().public();
            (date, Export::from_zip(&self.shelf.0[&path], &public).unwrap())
        };
        list.paths().map(export).collect()
    }
}

#[test]
fn a_correction_is_revoked_by_the_next_export_and_not_before() {
    let mut town = Town::new();
    let begin = town.now;
    town.export(vec![list_of(0, &[1, 2]), list_of(1, &[3])], 0..2);
    // In the same slot nothing is made, whatever the lists are.
    let same = town.export(vec![list_of(0, &[2]), list_of(1, &[3])], 0..2);
    assert_eq!(town.exports(&same).len(), 2);
    town.now = begin + 4 * HOUR;
    let next = town.export(vec![list_of(0, &[2]), list_of(1, &[3])], 0..2);
    let slot = |time: u64| time - time % (4 * HOUR);
    let export = |start, keys, revised_keys| {
        let (start, end, region) = (slot(start), slot(start) + 4 * HOUR, "US".to_string());
        Export { start, end, region, batch: 1, batches: 1, keys, revised_keys }
    };
    let mut revoked = key_of(0, 1);
    revoked.report_type = Some(ReportType::Revoked);
    let first = begin - 4 * HOUR;
    assert_eq!(
        town.exports(&next),
        [
            (date(0), export(first, vec![key_of(0, 1), key_of(0, 2)], vec![])),
            (date(1), export(first, vec![key_of(1, 3)], vec![])),
            // Nothing has changed for the other date.
            (date(0), export(begin, vec![], vec![revoked])),
        ]
    );
    // A date without a list has no keys left.
    town.now = begin + 12 * HOUR;
    let last = town.export(vec![list_of(1, &[3])], 0..2);
    let (of, Export { start, end, revised_keys, .. }) = town.exports(&last).remove(3);
    assert_eq!((of, revised_keys[0].key.clone()), (date(0), key_of(0, 2).key));
    // Two slots went by: the keys arrived in both.
    assert_eq!((start, end), (slot(begin) + 4 * HOUR, slot(begin) + 12 * HOUR));
}

#[test]
fn files_leave_with_their_date_a_day_after_the_last_manifest_that_names_them() {
    let mut town = Town::new();
    let first = town.export(vec![list_of(0, &[1]), list_of(1, &[2])], 0..2);
    let files: Vec<Path> = first.publisher.exports().unwrap().paths().collect();
    town.now += 4 * HOUR;
    let gone_at = town.now;
    let second = town.export(vec![list_of(1, &[2])], 1..2);
    assert_eq!(second.publisher.exports().unwrap().paths().collect::<Vec<_>>(), files[1..]);
    assert!(town.shelf.0.contains_key(&files[0]));
    let old_list = Path::ExportList(first.manifest.exports.unwrap().sha256);
    assert!(town.shelf.0.contains_key(&old_list));
    town.now = gone_at + 24 * HOUR;
    let third = town.export(vec![list_of(1, &[2])], 1..2);
    assert!(third.delete.contains(&files[0]) && third.delete.contains(&old_list));
    // Nothing was revoked, and nothing that stays is written again.
    assert_eq!(town.exports(&third).len(), 1);
    let is_export = |path: &Path| path.to_string().starts_with("/v1/exports/");
    assert!(!third.files.iter().any(|file| is_export(&file.path)));
}

#[test]
fn a_date_that_is_not_published_is_not_exported() {
    let mut town = Town::new();
    // The fifth date is not over.
    let made = town.export(vec![list_of(5, &[1]), list_of(2, &[2])], 0..6);
    assert!(!made.waiting.is_empty());
    assert_eq!(
        town.exports(&made).into_iter().map(|export| export.0).collect::<Vec<_>>(),
        [date(2)]
    );
    town.now = date(5).entry();
    let made = town.export(vec![list_of(5, &[1]), list_of(2, &[2])], 0..6);
    assert_eq!(town.exports(&made)[1].0, date(5));
}

#[test]
fn without_exports_nothing_speaks_of_them() {
    let mut town = Town::new();
    let never = town.publish(&town.publisher.clone(), 0..2);
    assert_eq!((never.manifest.exports, never.publisher.exports()), (None, None));
    assert!(!town.shelf.0.contains_key(&Path::ExportIndex));
    // With exports of nothing there is an empty list.
    let empty = town.export(Vec::new(), 0..2);
    assert_eq!(town.shelf.list(&empty.manifest), Some(ExportList::default()));

    // What is given holds for one publication; then the changing file is empty, and goes after a day.
    let on = town.export(vec![list_of(0, &[1])], 0..2);
    assert_eq!(on.publisher.exports().unwrap().files.len(), 0, "the slot is the same");
    town.now += 4 * HOUR;
    let on = town.export(vec![list_of(0, &[1])], 0..2);
    assert_eq!(on.publisher.exports().unwrap().files.len(), 1);
    let off = town.publish(&town.publisher.clone(), 0..2);
    assert_eq!((off.manifest.exports, off.publisher.exports()), (None, None));
    assert_eq!(town.shelf.0[&Path::ExportIndex], b"");
    let still_off = town.publish(&town.publisher.clone(), 0..2);
    assert!(!still_off.files.iter().any(|file| file.path == Path::ExportIndex));
    town.now += 24 * HOUR;
    let long_off = town.publish(&town.publisher.clone(), 0..2);
    assert!(long_off.delete.contains(&Path::ExportIndex));
    assert!(!town.shelf.0.keys().any(|path| path.to_string().starts_with("/v1/exports/")));

    // Turned on again, everything is new.
    let again = town.export(vec![list_of(0, &[1])], 0..2);
    assert_eq!(town.exports(&again)[0].1.keys, [key_of(0, 1)]);
}

/// A saved publisher is written at every tick.
#[test]
fn a_publisher_keeps_no_file_that_is_written() {
    let mut town = Town::new();
    let ready = town.publisher.with_exports(settings(4 * HOUR), vec![list_of(0, &[1])]);
    let skipped = ready.skip(1, town.now, &[day(0)], &keys().derivation).unwrap();
    let made = town.publish(&ready, 0..1);
    let path = made.publisher.exports().unwrap().paths().next().unwrap();
    let zip = &town.shelf.0[&path];
    let holds =
        |publisher: &Publisher| publisher.to_bytes().windows(zip.len()).any(|part| part == zip);
    assert!(holds(&skipped) && !holds(&made.publisher));
}

/// Also within the day for which the file stays.
#[test]
fn exports_that_are_turned_on_again_have_their_files() {
    let mut town = Town::new();
    let first = town.export(vec![list_of(0, &[1])], 0..2);
    town.publish(&town.publisher.clone(), 0..2);
    let again = town.export(vec![list_of(0, &[1])], 0..2);
    // In the same slot the very same file is made.
    assert_eq!(again.manifest.exports, first.manifest.exports);
    assert_eq!(town.exports(&again).len(), 1);
}

#[test]
fn a_new_series_goes_on_and_a_clock_that_went_back_is_no_harm() {
    let mut town = Town::new();
    town.now += 365 * 24 * HOUR;
    town.export(vec![list_of(0, &[1, 2])], 0..1);
    town.now -= 365 * 24 * HOUR;
    town.publisher = town.publisher.next_series();
    let back = town.export(vec![list_of(0, &[2])], 0..1);
    let exports = town.exports(&back);
    assert_eq!(exports.len(), 2);
    assert_eq!(exports[1].1.revised_keys[0].key, key_of(0, 1).key);
    assert_eq!(exports[1].1.end - exports[1].1.start, 4 * HOUR);
    assert!(exports[1].1.end <= town.now);
    // Once more in the same slot: nothing.
    let same = town.export(vec![list_of(0, &[])], 0..1);
    assert_eq!(town.exports(&same).len(), 2);
}

#[test]
fn an_interval_that_changes_makes_no_exports_that_overlap() {
    let mut town = Town::new();
    let midnight = date(6).start();
    let mut secrets = Vec::new();
    // The hour of a publication, and how many hours exports are apart then.
    let mut last = None;
    for (hour, hours) in [(20, 4), (21, 24), (24, 24), (25, 3), (28, 4), (29, 24), (30, 3)] {
        secrets.push(hour as u8);
        town.now = midnight + hour * HOUR;
        let settings = settings(hours * HOUR);
        let ready = town.publisher.with_exports(settings, vec![list_of(0, &secrets)]);
        last = Some(town.publish(&ready, 0..1));
    }
    let hour = |time: u64| (time - midnight) / HOUR;
    let times = town.exports(&last.unwrap()).into_iter();
    let times: Vec<_> = times.map(|(_, export)| (hour(export.start), hour(export.end))).collect();
    assert_eq!(times, [(16, 20), (20, 24), (24, 28), (28, 30)]);
}

#[test]
fn a_key_of_a_later_version_signs_what_comes_after() {
    let mut town = Town::new();
    town.export(vec![list_of(0, &[1])], 0..2);
    town.now += 4 * HOUR;
    let new_key = ExportSigningKey::from_bytes(&[8; 32], "310", "v2").unwrap();
    let later = ExportSettings { keys: vec![new_key.clone()], ..settings(4 * HOUR) };
    let ready = town.publisher.with_exports(later, vec![list_of(0, &[1, 2])]);
    let made = town.publish(&ready, 0..2);
    let paths: Vec<Path> = made.publisher.exports().unwrap().paths().collect();
    let reads = |at: usize, key: &ExportSigningKey| {
        Export::from_zip(&town.shelf.0[&paths[at]], &key.public()).map(|export| export.keys)
    };
    assert_eq!(reads(0, &signing_key()), Ok(vec![key_of(0, 1)]));
    assert_eq!(reads(1, &new_key), Ok(vec![key_of(0, 2)]));
    assert_eq!(reads(1, &signing_key()), Err(ExportError::Signature));
}

#[test]
fn settings_that_no_phone_could_use_are_refused() {
    let town = Town::new();
    let lists = || vec![list_of(0, &[1])];
    let publish = |settings: ExportSettings, lists: Vec<SeedDay>| {
        let ready = town.publisher.with_exports(settings, lists);
        ready.publish_next(town.now, &[day(0)], &keys()).map(|_| ())
    };
    for got in [0, 899, 86_401, u64::MAX] {
        let error = PublishError::ExportInterval { least: 900, most: 86_400, got };
        assert_eq!(publish(settings(got), lists()), Err(error));
    }
    let no_key = ExportSettings { keys: Vec::new(), ..settings(900) };
    let error = PublishError::Export { date: date(0), error: ExportError::NoSigningKey };
    assert_eq!(publish(no_key, lists()), Err(error));
    let twice = [lists(), lists()].concat();
    assert_eq!(publish(settings(900), twice), Err(PublishError::DateTwice { date: date(0) }));
    assert_eq!(publish(settings(900), lists()), Ok(()));
}

#[test]
fn another_program_reads_what_is_published() {
    let Some(python) = python() else { return };
    let mut town = Town::new();
    town.export(vec![list_of(0, &[1, 2])], 0..1);
    town.now += 4 * HOUR;
    let made = town.export(vec![list_of(0, &[2, 3])], 0..1);
    let index = String::from_utf8(town.shelf.0[&Path::ExportIndex].clone()).unwrap();
    let file = |line: &str| town.shelf.0[&format!("/{line}").parse::<Path>().unwrap()].clone();
    let files: Vec<Vec<u8>> = index.lines().map(file).collect();
    assert_eq!(files.len(), made.publisher.exports().unwrap().files.len());
    let said = read(&python, &files[1], &signing_key().public().to_pem());
    assert_eq!(said["signed"], json!([true]));
    assert_eq!(said["export"]["keys"][0]["key_data"], "AwMDAwMDAwMDAwMDAwMDAw==");
    assert_eq!(said["export"]["revised_keys"][0]["key_data"], "AQEBAQEBAQEBAQEBAQEBAQ==");
    assert_eq!(said["export"]["revised_keys"][0]["report_type"], 5);
}
