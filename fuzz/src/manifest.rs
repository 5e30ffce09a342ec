//! Manifests and key lists.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signer as _, SigningKey};
use gcs_core::files::SignedKeyList;
use gcs_core::files::{MAX_MANIFEST_BYTES, Manifest};
use gcs_core::{DAY_SECONDS, Digest};

use crate::world::{KEYS_VERSION, ONLINE_SEED, World, keys, root};

/// The input is an envelope, of a manifest and of a key list: whatever is verified says
/// what was signed, is verified under no other key, not after it expired, and not once a
/// newer key list was seen.
pub fn manifest(data: &[u8]) {
    let ticks = &World::get().ticks;
    let now = ticks[0].issued;
    if let Ok((manifest, version)) = Manifest::verify(data, &root(), now, 0) {
        assert!(ticks.iter().any(|tick| tick.manifest == manifest), "{manifest:?}");
        check_verified(data, &manifest, version);
    }

    let list = str::from_utf8(data).ok().and_then(|json| SignedKeyList::from_json(json).ok());
    let Some(list) = list else { return };
    if let Ok(verified) = list.verify(&root()) {
        check_objects(data);
        assert_eq!(Ok(&verified), keys().key_list.verify(&root()).as_ref());
        let again = SignedKeyList::from_json(&list.to_json()).expect("an envelope is JSON");
        assert_eq!(again.verify(&root()), Ok(verified));
        assert!(list.verify(&keys().online.public()).is_err());
    }
}

/// The input is the payload of a manifest, signed with the online key, as somebody who has
/// stolen it could: what is verified keeps the format's promises, and can be signed again.
pub fn manifest_resealed(data: &[u8]) {
    let envelope = sign(data);
    let now = World::get().ticks[0].issued;
    let Ok((manifest, version)) = Manifest::verify(&envelope, &root(), now, 0) else { return };
    check_verified(&envelope, &manifest, version);
    let keys = keys();
    let Ok(again) = manifest.sign(&keys.online, &keys.key_list) else { return };
    assert_eq!(Manifest::verify(&again, &root(), now, 0), Ok((manifest, version)));
}

fn check_verified(envelope: &[u8], manifest: &Manifest, version: u32) {
    check_objects(envelope);
    assert!(envelope.len() <= MAX_MANIFEST_BYTES);
    assert_eq!(version, KEYS_VERSION);
    assert_eq!(manifest.expires - manifest.issued, DAY_SECONDS);
    let verify = |now, least| Manifest::verify(envelope, &root(), now, least);
    assert!(verify(manifest.expires, 0).is_err() && verify(manifest.issued, version + 1).is_err());
    let list = keys().key_list.verify(&root()).expect("the root signed it");
    assert_eq!(verify(manifest.expires - 1, version).is_ok(), manifest.expires <= list.expires);
    assert!(Manifest::verify(envelope, &keys().online.public(), manifest.issued, 0).is_err());
}

/// What is an object in an envelope's JSON is an object, not an array in its order.
fn check_objects(envelope: &[u8]) {
    let json: serde_json::Value = serde_json::from_slice(envelope).expect("JSON");
    let signatures = json["signatures"].as_array().expect("an object with signatures");
    assert!(signatures.iter().all(serde_json::Value::is_object), "{json}");
}

/// The envelope of a manifest's payload under the online key.
pub(crate) fn sign(payload: &[u8]) -> Vec<u8> {
    let kind = "application/vnd.gcs.manifest+json";
    let header = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    let key = SigningKey::from_bytes(&ONLINE_SEED);
    let signature = key.sign(&[header.as_bytes(), payload].concat()).to_bytes();
    let id = HEXLOWER.encode(&Digest::of(key.verifying_key().as_bytes()).0[..4]);
    let (payload, signature) = (BASE64.encode(payload), BASE64.encode(&signature));
    format!(
        r#"{{"payloadType":"{kind}","payload":"{payload}","signatures":[{{"keyid":"{id}","sig":"{signature}"}}]}}"#
    )
    .into_bytes()
}
