//! What takes no file: hashes, Rice parameters, paths.

use gcs_core::{ElementHasher, HashRange, Salt};
use serde_json::{Value, json};

use super::out::{Vectors, hex_number};
use super::raw;
use crate::golden::hex;
use crate::naive::{bits, sha256};

pub(crate) fn add(vectors: &mut Vectors) {
    hashes(vectors);
    parameters(vectors);
    valid_paths(vectors);
    invalid_paths(vectors);
}

fn hashes(vectors: &mut Vectors) {
    let counting: Vec<u8> = (0..64).collect();
    let reference: [u8; 16] = counting[..16].try_into().unwrap();
    for (name, note, salt, range, element) in [
        (
            "hash-reference",
            "SipHash paper, appendix A: the hash before mapping is a129ca6149be45e5",
            reference,
            HashRange::MAX.get(),
            &counting[..15],
        ),
        ("hash-shortest", "16 bytes", raw::SALT, 1_569_861_926_912, &counting[..16]),
        ("hash-longest", "64 bytes", raw::SALT, 1_569_861_926_912, &counting[..]),
        ("hash-range-1", "only one value is possible", raw::SALT, 1, &counting[..16]),
    ] {
        let hasher = ElementHasher::new(Salt(salt), HashRange::new(range).unwrap());
        let case = vectors
            .case("hash", name, note)
            .with("salt", hex(&salt))
            .with("range", range)
            .with("element", hex(element));
        let fingerprint = hasher.fingerprint(element);
        let check = hex_number(hasher.check(element));
        vectors.valid(case, json!({ "fingerprint": fingerprint, "check": check }));
    }
}

fn parameters(vectors: &mut Vectors) {
    let max = HashRange::MAX.get();
    for (name, note, range, count) in [
        ("parameter-none", "no values", max, 0),
        ("parameter-largest", "the largest there is", max, 1),
        ("parameter-full", "as many values as fit", 1000, 1000),
        ("parameter-boundary", "26 F = 27 n 2^20 exactly", 27 << 20, 26),
        ("parameter-below-boundary", "F one less", (27 << 20) - 1, 26),
        ("parameter-million", "the design point", 1_569_861_926_912, 1_000_000),
        (
            "parameter-of-group",
            "R of a group of seeds is not 2^48",
            (1 << 48) + 8_077_918,
            8_077_919,
        ),
        ("parameter-most", "as many values as a set may have", max, u32::MAX),
    ] {
        let case = vectors.case("parameter", name, note).with("range", range).with("count", count);
        vectors.valid(case, json!({ "parameter": bits::parameter(range, count) }));
    }
}

fn valid_paths(vectors: &mut Vectors) {
    let digest = hex(&sha256(&[b"a file"]));
    for (name, text, expect) in [
        ("path-manifest", "/v1/manifest".to_string(), json!({ "file": "manifest" })),
        (
            "path-kept-manifest",
            "/v1/manifests/0-4294967295".to_string(),
            json!({ "file": "manifest", "series": 0, "tick": u32::MAX }),
        ),
        ("path-seeds", format!("/v1/seeds/{digest}"), json!({ "file": "seeds", "sha256": digest })),
        (
            "path-export",
            format!("/v1/exports/2024-02-29/{digest}.zip"),
            json!({ "file": "export", "date": "2024-02-29", "sha256": digest }),
        ),
        (
            "path-exports",
            format!("/v1/exports/{digest}"),
            json!({ "file": "exports", "sha256": digest }),
        ),
        ("path-export-index", "/v1/exports/index.txt".to_string(), json!({ "file": "exports" })),
        ("path-index", format!("/v1/index/{digest}"), json!({ "file": "index", "sha256": digest })),
        (
            "path-set",
            format!("/v1/sets/2024-02-29/{digest}"),
            json!({ "file": "set", "date": "2024-02-29", "identity": digest }),
        ),
        (
            "path-bundle",
            "/v1/bundles/24/3-48".to_string(),
            json!({ "file": "bundle", "span": 24, "series": 3, "to": 48 }),
        ),
        (
            "path-checks",
            format!("/v1/checks/9999-12-31/{digest}"),
            json!({ "file": "checks", "date": "9999-12-31", "root": digest }),
        ),
    ] {
        let case = vectors.case("path", name, "every kind of path").with("path", text);
        vectors.valid(case, expect);
    }
}

fn invalid_paths(vectors: &mut Vectors) {
    let digest = hex(&sha256(&[b"a file"]));
    for (name, note, text) in [
        ("path-nothing", "empty", String::new()),
        ("path-slash", "trailing slash", "/v1/manifest/".to_string()),
        ("path-other-version", "version 2", "/v2/manifest".to_string()),
        ("path-query", "a query", "/v1/manifest?x".to_string()),
        ("path-leading-zero", "leading zero", "/v1/manifests/1-02".to_string()),
        ("path-plus", "a sign", "/v1/manifests/+1-2".to_string()),
        ("path-too-large", "2^32", "/v1/manifests/1-4294967296".to_string()),
        ("path-upper-case", "upper-case digest", format!("/v1/index/{}", digest.to_uppercase())),
        ("path-short-digest", "63 digits", format!("/v1/index/{}", &digest[1..])),
        ("path-no-such-date", "2023 has no 29 February", format!("/v1/sets/2023-02-29/{digest}")),
        ("path-short-date", "month of one digit", format!("/v1/sets/2023-2-28/{digest}")),
        ("path-before-1970", "a date too early", format!("/v1/sets/1969-12-31/{digest}")),
        ("path-span-2", "no span is 2", "/v1/bundles/2/1-4".to_string()),
        ("path-dots", "dots", format!("/v1/sets/../{digest}")),
        (
            "path-export-upper-case",
            "upper-case extension",
            format!("/v1/exports/2024-02-29/{digest}.ZIP"),
        ),
        ("path-export-bare", "no extension", format!("/v1/exports/2024-02-29/{digest}")),
        ("path-export-list-zip", "a list is no zip", format!("/v1/exports/{digest}.zip")),
        ("path-more", "one part too many", format!("/v1/index/{digest}/x")),
    ] {
        let case = vectors.case("path", name, note).with("path", Value::from(text));
        vectors.invalid(case, "Path");
    }
}
