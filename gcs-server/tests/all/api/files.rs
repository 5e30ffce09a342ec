//! The published files, as phones and CDNs fetch them.

use gcs_core::Digest;
use gcs_core::files::{Manifest, Path, PublicationIndex};
use serde_json::json;

use crate::common::server::{Answer, Server, ago, ask, seed};

/// A server with reports on two dates, two ticks old.
fn published() -> Server {
    let server = Server::new();
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 3);
    let many = |first: u8| (first..first + 100).map(|byte| seed(ago(1), byte)).collect();
    server.report(&codes[0], many(0)).ok();
    server.tick();
    server.report(&codes[1], vec![seed(ago(2), 1)]).ok();
    server.tick();
    server
}

fn with(server: &Server, method: &str, path: &str, header: (&str, &str)) -> Answer {
    ask(server.public, method, path, &[(header.0, header.1.to_owned())], "")
}

/// What the manifest names, read without trusting anything.
fn index(server: &Server) -> (Manifest, PublicationIndex) {
    let envelope = server.get("/v1/manifest").ok();
    let payload = envelope["payload"].as_str().unwrap();
    let payload = data_encoding::BASE64.decode(payload.as_bytes()).unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let hash = payload["index"]["sha256"].as_str().unwrap();
    let index = server.get(&format!("/v1/index/{hash}"));
    assert_eq!(Digest::of(&index.body).to_string(), hash);
    let root = ask(server.public, "GET", "/v1/manifest", &[], "").body;
    let keys = server_root(server);
    let now = server.home.now();
    let (manifest, _) = Manifest::verify(&root, &keys, now, 0).unwrap();
    (manifest, PublicationIndex::parse(&index.body).unwrap())
}

fn server_root(server: &Server) -> gcs_core::PublicKey {
    let text = std::fs::read_to_string(server.home.path("keys.json")).unwrap();
    let keys: serde_json::Value = serde_json::from_str(&text).unwrap();
    let seed = data_encoding::HEXLOWER.decode(keys["root_key"].as_str().unwrap().as_bytes());
    gcs_core::SigningKey::from_seed(seed.unwrap().try_into().unwrap()).public()
}

#[test]
fn everything_that_the_manifest_names_is_served() {
    let server = published();
    let (manifest, index) = index(&server);
    assert_eq!((manifest.series, manifest.tick), (1, 2));
    assert_eq!(index.table.rows().len(), 2);
    for row in index.table.rows() {
        let set = server.get(&Path::Set { date: row.date, identity: row.identity }.to_string());
        assert_eq!((set.status, set.body.len() as u64), (200, row.bytes));
        let set = gcs_core::Set::parse(&set.body).unwrap();
        assert_eq!(set.identity(), row.identity);
        let checks = server.get(&Path::Checks { date: row.date, root: row.check_root }.to_string());
        assert_eq!(checks.status, 200);
    }
    for entry in &index.bundles {
        let path = Path::Bundle { span: entry.span, series: 1, to: entry.to };
        let bundle = server.get(&path.to_string());
        assert_eq!(Digest::of(&bundle.body), entry.sha256);
    }
    let kept = server.get("/v1/manifests/1-2");
    assert_eq!(kept.body, server.get("/v1/manifest").body);
}

#[test]
fn caches_are_told_what_to_keep() {
    let server = published();
    let (_, index) = index(&server);
    let row = &index.table.rows()[0];
    let set = Path::Set { date: row.date, identity: row.identity }.to_string();
    for (path, cache) in [
        ("/v1/manifest", "public, max-age=60"),
        (set.as_str(), "public, max-age=31536000, immutable"),
        ("/v1/manifests/1-1", "public, max-age=31536000, immutable"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.header("cache-control"), cache, "{path}");
        let etag = answer.header("etag");
        assert!(etag.len() > 10, "{path}");
        let same = with(&server, "GET", path, ("if-none-match", &etag));
        assert_eq!((same.status, same.body.len()), (304, 0), "{path}");
        assert_eq!(same.header("etag"), etag);
        assert_eq!(same.header("cache-control"), cache);
        let weak = with(&server, "GET", path, ("if-none-match", &format!("\"x\", W/{etag}")));
        assert_eq!(weak.status, 304, "{path}");
        let other = with(&server, "GET", path, ("if-none-match", "\"x\""));
        assert_eq!(other.status, 200, "{path}");
        let head = ask(server.public, "HEAD", path, &[], "");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), answer.body.len().to_string(), "{path}");
    }
    let before = server.get("/v1/manifest").header("etag");
    server.tick();
    assert_ne!(server.get("/v1/manifest").header("etag"), before);
}

#[test]
fn ranges_are_served_as_the_rfc_says() {
    let server = published();
    let (_, index) = index(&server);
    let row = &index.table.rows()[1];
    let path = Path::Checks { date: row.date, root: row.check_root }.to_string();
    let whole = server.get(&path);
    let length = whole.body.len();
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let last = length - 1;
    for (range, expected) in [
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=10-19".to_owned(), 10..20),
        (format!("bytes=100-{}", 10 * length), 100..length),
        (format!("bytes={last}-"), last..length),
        ("bytes=-5".to_owned(), length - 5..length),
        (format!("bytes=-{}", 2 * length), 0..length),
    ] {
        let part = with(&server, "GET", &path, ("range", &range));
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.body, whole.body[expected.clone()], "{range}");
        let (first, last) = (expected.start, expected.end - 1);
        let shown = format!("bytes {first:012}-{last:012}/{length:012}");
        assert_eq!(part.header("content-range"), shown);
    }
    for range in [format!("bytes={length}-"), "bytes=-0".to_owned()] {
        let answer = with(&server, "GET", &path, ("range", &range));
        assert_eq!(answer.refused(), (416, "range_not_satisfiable".to_owned()), "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes */{length}"));
    }
    for range in ["bytes=0-1,3-4", "lines=1-2", "bytes=x", "bytes=5-2"] {
        let answer = with(&server, "GET", &path, ("range", range));
        assert_eq!((answer.status, answer.body.len()), (200, length), "{range}");
    }
    let headers = [("range", "bytes=0-0".to_owned()), ("if-range", "\"x\"".to_owned())];
    assert_eq!(ask(server.public, "GET", &path, &headers, "").status, 200);
    let headers = [("range", "bytes=0-0".to_owned()), ("if-range", whole.header("etag"))];
    assert_eq!(ask(server.public, "GET", &path, &headers, "").status, 206);
    // Ranges are only for GET.
    for range in ["bytes=0-0", "bytes=100000000-"] {
        let head = with(&server, "HEAD", &path, ("range", range));
        assert_eq!((head.status, head.header("content-range").as_str()), (200, ""), "{range}");
        assert_eq!(head.header("content-length"), length.to_string(), "{range}");
    }
}

/// With made-up queries a cache could be got around.
#[test]
fn a_query_finds_no_file() {
    let server = published();
    let (manifest, index) = index(&server);
    let row = &index.table.rows()[0];
    let entry = &index.bundles[0];
    for path in [
        Path::Manifest,
        Path::KeptManifest { series: 1, tick: 1 },
        Path::Index(manifest.index.sha256),
        Path::Set { date: row.date, identity: row.identity },
        Path::Bundle { span: entry.span, series: 1, to: entry.to },
        Path::Checks { date: row.date, root: row.check_root },
    ] {
        assert_eq!(server.get(&path.to_string()).status, 200, "{path}");
        for query in ["?", "?x=1", "?/"] {
            let answer = server.get(&format!("{path}{query}"));
            assert_eq!(answer.refused(), (404, "not_found".to_owned()), "{path}{query}");
            let head = ask(server.public, "HEAD", &format!("{path}{query}"), &[], "");
            assert_eq!(head.status, 404, "{path}{query}");
        }
    }
}

#[test]
fn checks_live_as_long_as_the_present_and_the_previous_manifest() {
    let server = published();
    let (_, before) = index(&server);
    let row = before.table.rows()[1];
    let path = Path::Checks { date: row.date, root: row.check_root }.to_string();
    let (_, token) = server.provider("Village");
    for (byte, status) in [(201, 200), (202, 404)] {
        let code = server.codes(&token, 1).remove(0);
        server.report(&code, vec![seed(ago(1), byte)]).ok();
        server.tick();
        assert_eq!(server.get(&path).status, status, "{byte}");
    }
    // The set itself stays for a day.
    let set = Path::Set { date: row.date, identity: row.identity }.to_string();
    assert_eq!(server.get(&set).status, 200);
}

#[test]
fn what_is_no_file_is_not_there() {
    let server = published();
    for path in [
        "/v1/sets/2026-01-19/x",
        "/v1/sets/2026-13-19/ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80",
        "/v1/sets/2026-01-19/ffb70d2b45ba9408ff6e2c153684e84f7b7ffd0055e631fff729bbc506bb4f80",
        "/v1/index/..%2f..%2fkeys.json",
        "/v1/manifests/1-99",
        "/v1/manifests/../../private/publisher",
        "/v1/../../private/publisher",
        "/v1/bundles/1/1-x",
        "/keys.json",
        "/",
        "//",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.refused(), (404, "not_found".to_owned()), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    assert_eq!(json!(server.get("/v1/manifest").status), json!(200));
}
