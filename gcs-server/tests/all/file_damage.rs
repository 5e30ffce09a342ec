//! Published files that are damaged or deleted on disk: nobody gets a wrong byte, and they are mended.

use std::collections::BTreeMap;
use std::fs;

use crate::common::api::{Api, ask};
use crate::common::home::{Home, Running, difference};
use crate::common::wait::until_async;
use crate::common::{HOUR, raw};
use crate::kinds::exports::{exports_policy, key};
use crate::kinds::seeds::items;
use gcs_core::Digest;
use gcs_core::files::Path;
use gcs_server::app::config::Config;

/// Ways to damage a file.
type Damage = fn(&std::path::Path, Vec<u8>);

const DAMAGES: [(&str, Damage); 7] = [
    ("first bit flipped", |path, mut bytes| {
        bytes[0] ^= 1;
        fs::write(path, bytes).unwrap();
    }),
    ("middle bit flipped", |path, mut bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 16;
        fs::write(path, bytes).unwrap();
    }),
    ("last bit flipped", |path, mut bytes| {
        *bytes.last_mut().unwrap() ^= 128;
        fs::write(path, bytes).unwrap();
    }),
    ("cut", |path, bytes| fs::write(path, &bytes[..bytes.len() / 2]).unwrap()),
    ("longer", |path, bytes| fs::write(path, [&bytes[..], b"\0"].concat()).unwrap()),
    ("emptied", |path, _| fs::write(path, "").unwrap()),
    ("deleted", |path, _| fs::remove_file(path).unwrap()),
];

/// A folder whose server has published three times, with every kind of file.
async fn lived(home: &Home, running: &Running) {
    running.set_policy(exports_policy()).await;
    for number in 0..3 {
        let element = u64::from(number) * 10;
        let [_, of_window, _] = items(2, number as u8);
        let items = [raw(2, element), raw(1, element + 1), of_window, key(2, number as u8)];
        running.report(number, &items).await.unwrap();
        home.pass(HOUR);
        running.tick().await;
    }
}

/// What phones may ask for: a file of each kind, and of retired ones too.
fn names(home: &Home) -> Vec<String> {
    let names: Vec<String> = home.public().into_keys().collect();
    let kind = |name: &String| match format!("/{name}").parse().unwrap() {
        Path::Manifest => 0,
        Path::KeptManifest { .. } => 1,
        Path::Index(_) => 2,
        Path::Set { .. } => 3,
        Path::Bundle { .. } => 4,
        Path::Checks { .. } => 5,
        Path::Seeds(_) => 6,
        Path::Export { .. } => 7,
        Path::ExportList(_) => 8,
        Path::ExportIndex => 9,
    };
    let mut kinds: Vec<u8> = names.iter().map(kind).collect();
    kinds.dedup();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    names
}

/// Fetches files, each of which must have the right bytes and their ETag, or be a problem that says to
/// come again. Returns how many had their bytes.
async fn fetch(api: &Api, right: &BTreeMap<String, Vec<u8>>) -> usize {
    let (api, right) = (api.clone(), right.clone());
    elsewhere(move || fetch_all(&api, &right)).await
}

/// Does what blocks in another thread: the server's start and mending are in this one.
async fn elsewhere<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.unwrap()
}

fn fetch_all(api: &Api, right: &BTreeMap<String, Vec<u8>>) -> usize {
    let fetched = right.iter().filter(|(name, bytes)| {
        let answer = api.get(&format!("/{name}"));
        if answer.status != 200 {
            assert_eq!(answer.refused(), (503, "unavailable".to_owned()), "{name}");
            assert_eq!(answer.header("cache-control"), "no-store", "{name}");
            return false;
        }
        assert_eq!(answer.body, **bytes, "{name}");
        assert_eq!(answer.header("etag"), etag(bytes), "{name}");
        true
    });
    fetched.count()
}

/// The ETag of a content.
fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &Digest::of(bytes).to_string()[..32])
}

/// Waits until the files are as they were, and the server knows it. Others may come and go while
/// these are written.
async fn until_mended(home: &Home, running: &Running, right: &BTreeMap<String, Vec<u8>>) {
    let is_right = |(name, bytes): (&String, &Vec<u8>)| {
        fs::read(home.path("public").join(name)).is_ok_and(|present| present == *bytes)
    };
    let is_mended =
        async || right.iter().all(is_right) && running.service().shelf.unmended().is_empty();
    until_async("the files are mended", is_mended).await;
}

/// A server with so many MiB of memory for files.
async fn start(home: &Home, file_memory: u32) -> Running {
    home.start_with(&Config { file_memory, ..home.config() }).await.unwrap()
}

#[actix_web::test]
async fn damage_before_a_start_is_never_served_and_is_mended() {
    let home = Home::new();
    let running = home.begin().await;
    lived(&home, &running).await;
    running.stop().await;
    let right = home.public();
    for (at, name) in names(&home).into_iter().enumerate() {
        // Every kind of file with every damage, and both with and without memory.
        for (number, (what, damage)) in DAMAGES.iter().enumerate() {
            if (at + number) % 2 == 0 && name != "v1/manifest" {
                continue;
            }
            // Nobody can know that there was one before the first.
            if *what == "deleted" && name == "v1/manifests/1-1" {
                continue;
            }
            damage(&home.path("public").join(&name), right[&name].clone());
            let running = start(&home, if number % 3 == 0 { 0 } else { 256 }).await;
            fetch(&running.api(""), &right).await;
            running.settle().await;
            until_mended(&home, &running, &right).await;
            assert_eq!(fetch(&running.api(""), &right).await, right.len(), "{name} {what}");
            assert!(running.service().readiness().is_ok(), "{name} {what}");
            running.stop().await;
            assert_eq!(difference(&home.public(), &right), Vec::<String>::new(), "{name} {what}");
        }
    }
}

#[actix_web::test]
async fn damage_under_a_running_server_is_never_served_and_is_mended() {
    let home = Home::new();
    let running = home.begin().await;
    lived(&home, &running).await;
    running.stop().await;
    let right = home.public();
    for file_memory in [256, 0] {
        let running = start(&home, file_memory).await;
        running.settle().await;
        let api = running.api("");
        // Whatever was asked for once has been looked at.
        assert_eq!(fetch(&api, &right).await, right.len());
        for (mended, (what, damage)) in (1..).zip(DAMAGES) {
            // All files at once, which is worse than one.
            for name in right.keys() {
                damage(&home.path("public").join(name), right[name].clone());
            }
            let served = fetch(&api, &right).await;
            // From the memory, all but the manifests of the past.
            assert!(served >= if file_memory > 0 { right.len() - 3 } else { 1 }, "{what}");
            until_mended(&home, &running, &right).await;
            assert_eq!(fetch(&api, &right).await, right.len(), "{what}");
            // At first the start itself may write the manifest again.
            let count = running.service().shelf.mended.get();
            assert!(count >= mended * right.len() as u64 - 2, "{what}: {count}");
        }
        running.stop().await;
    }
}

/// An ETag that was handed out stays true: it is of the content.
#[actix_web::test]
async fn a_client_that_has_a_file_still_has_it_after_a_repair() {
    let home = Home::new();
    let running = home.begin().await;
    lived(&home, &running).await;
    running.stop().await;
    let right = home.public();
    for name in names(&home) {
        DAMAGES[1].1(&home.path("public").join(&name), right[&name].clone());
        let wrong = etag(&fs::read(home.path("public").join(&name)).unwrap());
        let running = home.start().await;
        running.settle().await;
        until_mended(&home, &running, &right).await;
        let (public, path) = (running.api("").public, format!("/{name}"));
        let with = |tag: String| {
            let path = path.clone();
            elsewhere(move || ask(public, "GET", &path, &[("if-none-match", tag)], ""))
        };
        assert_eq!(with(etag(&right[&name])).await.status, 304, "{name}");
        // What somebody kept who got the damaged bytes from elsewhere.
        let answer = with(wrong).await;
        assert_eq!((answer.status, &answer.body), (200, &right[&name]), "{name}");
        running.stop().await;
    }
}

/// What a crash or a person left behind.
#[actix_web::test]
async fn a_file_that_nobody_knows_is_not_served() {
    let home = Home::new();
    let running = home.begin().await;
    lived(&home, &running).await;
    running.stop().await;
    let right = home.public();
    let bundle = right.keys().find(|name| name.contains("bundles/1/")).unwrap();
    for stray in ["v1/bundles/1/1-99", "v1/left-over", "v1/manifests/1-99"] {
        fs::write(home.path("public").join(stray), &right[bundle]).unwrap();
    }
    let running = home.start().await;
    let api = running.api("");
    assert_eq!(fetch(&api, &right).await, right.len());
    let refused = |path: &'static str| {
        let api = api.clone();
        elsewhere(move || api.get(path).refused())
    };
    for stray in ["/v1/bundles/1/1-99", "/v1/left-over"] {
        assert_eq!(refused(stray).await, (404, "not_found".to_owned()));
    }
    assert_eq!(refused("/v1/manifests/1-99").await, (503, "unavailable".to_owned()));
    running.stop().await;
}

/// With little memory, small files that are needed now are in it, and large ones come from the disk.
#[actix_web::test]
async fn whatever_fits_into_the_memory_the_same_is_served() {
    let home = Home::new();
    let running = home.begin().await;
    // Check records of 100 kB and more, in several slices.
    running
        .set_policy(gcs_server::domain::policy::Policy {
            max_elements_per_date: 4096,
            ..crate::common::policy()
        })
        .await;
    for report in 0..3 {
        let many: Vec<_> = (0..4000).map(|number| raw(2, 5000 * report + number)).collect();
        running.report(900 + report as u32, &many).await.unwrap();
    }
    home.pass(HOUR);
    running.tick().await;
    running.stop().await;
    let right = home.public();
    let large = right.iter().find(|(_, bytes)| bytes.len() > 64 << 10);
    let (large, bytes) = large.unwrap();
    for file_memory in [0, 1] {
        let running = start(&home, file_memory).await;
        let api = running.api("");
        assert_eq!(fetch(&api, &right).await, right.len());
        let end = bytes.len() - 1;
        for (first, last) in [(0, 0), (65_535, 65_536), (1, end), (65_536, end), (end, end)] {
            let range = [("range", format!("bytes={first}-{last}"))];
            let (public, path) = (api.public, format!("/{large}"));
            let part = elsewhere(move || ask(public, "GET", &path, &range, "")).await;
            assert_eq!((part.status, &part.body[..]), (206, &bytes[first..=last]));
        }
        running.stop().await;
    }
}
