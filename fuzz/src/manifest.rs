//! Manifests and key lists.

use ed25519_dalek::SigningKey;
use gcs_core::DAY_SECONDS;
use gcs_core::files::{FileHash, MAX_MANIFEST_BYTES, Manifest, SeedFiles, SignedKeyList};

use crate::history::{History, KEYS_VERSION, keys, root};
use crate::naive::manifest::{Known, Named, Seeds};
use crate::naive::{self, class, dsse};
use crate::world::ONLINE_SEED;

/// The input is read as an envelope of a manifest and as one of a key list. Whatever is verified
/// has the content that was signed. It is not verified under another key, after it expired, or
/// once a newer key list was seen.
pub fn manifest(data: &[u8]) {
    let ticks = &History::get().ticks;
    let now = ticks[0].issued;
    if let Some((manifest, version)) = verify(data, now) {
        assert!(ticks.iter().any(|tick| tick.manifest == manifest), "{manifest:?}");
        expect_verified(data, &manifest, version);
    }

    let list = str::from_utf8(data).ok().and_then(|json| SignedKeyList::from_json(json).ok());
    let Some(list) = list else { return };
    if let Ok(verified) = list.verify(&root()) {
        expect_objects(data);
        assert_eq!(Ok(&verified), keys().key_list.verify(&root()).as_ref());
        let again = SignedKeyList::from_json(&list.to_json()).expect("an envelope is JSON");
        assert_eq!(again.verify(&root()), Ok(verified));
        assert!(list.verify(&keys().online.public()).is_err());
    }
}

/// The input is the payload of a manifest, which is signed with the online key, as by someone who
/// has stolen it. A payload that is verified keeps the rules of the format, and can be signed again.
pub fn manifest_resealed(data: &[u8]) {
    let key = SigningKey::from_bytes(&ONLINE_SEED);
    let envelope = dsse::envelope(dsse::MANIFEST, data, &key).into_bytes();
    let now = History::get().ticks[0].issued;
    let Some((manifest, version)) = verify(&envelope, now) else { return };
    expect_verified(&envelope, &manifest, version);
    let keys = keys();
    let Ok(again) = manifest.sign(&keys.online, &keys.key_list) else { return };
    assert_eq!(Manifest::verify(&again, &root(), now, 0), Ok((manifest, version)));
}

/// The manifest and its key list's version, if it is verified. The naive reader must verify it too,
/// except for JSON that only one of the two JSON readers accepts, in members that both ignore.
fn verify(envelope: &[u8], now: u64) -> Option<(Manifest, u32)> {
    let verified = Manifest::verify(envelope, &root(), now, 0);
    let known = Known { root: root().0, now, highest_keys: 0 };
    let naive = naive::manifest::Manifest::open(envelope, known);
    let json = Err("Json".to_owned());
    let (ours, theirs) = (class(&verified), naive.as_ref().map(drop).map_err(Clone::clone));
    assert!(ours == theirs || ours == json || theirs == json, "{ours:?}, {theirs:?}");
    let (manifest, version) = verified.ok()?;
    if let Ok(naive) = naive {
        assert_eq!(
            (manifest.series, manifest.tick, version),
            (naive.series, naive.tick, naive.keys)
        );
        assert_eq!(
            [manifest.issued, manifest.expires, manifest.next],
            [naive.issued, naive.expires, naive.next]
        );
        assert_eq!(manifest.state.0, naive.state);
        let file = |file: FileHash| Named { bytes: file.bytes, sha256: file.sha256.0 };
        assert_eq!((file(manifest.index), manifest.bundle.map(file)), (naive.index, naive.bundle));
        let seeds = |of: SeedFiles| Seeds {
            state: of.state.0,
            index: file(of.index),
            bundle: of.bundle.map(file),
        };
        assert_eq!(manifest.seeds.map(seeds), naive.seeds);
        assert_eq!(manifest.exports.map(file), naive.exports);
    }
    Some((manifest, version))
}

fn expect_verified(envelope: &[u8], manifest: &Manifest, version: u32) {
    expect_objects(envelope);
    assert!(envelope.len() <= MAX_MANIFEST_BYTES);
    assert_eq!(version, KEYS_VERSION);
    assert_eq!(manifest.expires - manifest.issued, DAY_SECONDS);
    let verify = |now, least| Manifest::verify(envelope, &root(), now, least);
    assert!(verify(manifest.expires, 0).is_err() && verify(manifest.issued, version + 1).is_err());
    let list = keys().key_list.verify(&root()).expect("the root signed it");
    assert_eq!(verify(manifest.expires - 1, version).is_ok(), manifest.expires <= list.expires);
    assert!(Manifest::verify(envelope, &keys().online.public(), manifest.issued, 0).is_err());
}

/// Makes sure that objects in an envelope's JSON are objects, not arrays of the members' values.
fn expect_objects(envelope: &[u8]) {
    let json: serde_json::Value = serde_json::from_slice(envelope).expect("JSON");
    let signatures = json["signatures"].as_array().expect("an object with signatures");
    assert!(signatures.iter().all(serde_json::Value::is_object), "{json}");
}
