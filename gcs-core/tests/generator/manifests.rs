//! Manifests.

use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use gcs_core::files::{FileHash, Manifest, SeedFiles, SignedKeyList};
use serde_json::{Value, json};

use super::out::{Case, Vectors};
use super::world::{World, keys_expire};
use crate::golden::hex;
use crate::naive::dsse::{self, KEYS, MANIFEST, envelope, envelope_with, signature};

/// Seeds of the keys, each this byte repeated; nobody listed the stranger's.
pub(super) const ROOT: u8 = 1;
pub(super) const ONLINE: u8 = 2;
pub(super) const STRANGER: u8 = 9;

pub(super) fn signer(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn add(vectors: &mut Vectors, world: &World) {
    let made = Made::new(world);
    made.valid(vectors);
    made.valid_variants(vectors);
    made.other_files(vectors);
    made.times(vectors);
    made.signers(vectors);
    made.key_lists(vectors);
    made.payloads(vectors);
    made.envelopes(vectors);
    super::json::add(vectors, &made);
    super::base64::add(vectors, &made);
    super::signatures::add(vectors, &made);
    super::orders::add(vectors, &made);
}

/// The manifest of tick 5, taken apart.
pub(super) struct Made<'w> {
    world: &'w World,
    pub(super) manifest: &'w Manifest,
    /// Its payload and that of its key list, as text.
    pub(super) payload: String,
    pub(super) keys: String,
}

/// One manifest and what a reader must know beforehand.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) bytes: Vec<u8>,
    pub(super) root: [u8; 32],
    pub(super) now: u64,
    pub(super) least_keys: u32,
}

impl Given {
    pub(super) fn case(self, vectors: &mut Vectors, name: &str, note: &str) -> Case {
        vectors
            .file_case("manifest", name, note, &self.bytes)
            .with("root", hex(&self.root))
            .with("now", self.now)
            .with("least_keys", self.least_keys)
    }
}

/// The payload of an envelope as text.
fn payload_of(envelope: &Value) -> String {
    let payload = BASE64.decode(envelope["payload"].as_str().unwrap().as_bytes()).unwrap();
    String::from_utf8(payload).unwrap()
}

/// `text` with its one `from` replaced.
pub(super) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
    text.replace(from, to)
}

/// The key list's envelope in a manifest's payload.
pub(super) fn keys_of(payload: &str) -> &str {
    let at = payload.find(r#""keys":"#).unwrap() + 7;
    &payload[at..payload.len() - 1]
}

impl<'w> Made<'w> {
    fn new(world: &'w World) -> Made<'w> {
        let signed = &world.ticks[&5].files.last().unwrap().bytes;
        let payload = payload_of(&serde_json::from_slice(signed).unwrap());
        let keys = payload_of(&serde_json::from_str(keys_of(&payload)).unwrap());
        let made = Made { world, manifest: world.manifest(5), payload, keys };
        assert_eq!(made.signed(&made.payload).bytes, *signed, "the naive writer agrees");
        made
    }

    pub(super) fn given(&self, bytes: impl Into<Vec<u8>>) -> Given {
        let root = *signer(ROOT).verifying_key().as_bytes();
        Given { bytes: bytes.into(), root, now: self.manifest.issued + 60, least_keys: 3 }
    }

    /// A payload signed by the online key.
    pub(super) fn signed(&self, payload: &str) -> Given {
        self.given(envelope(MANIFEST, payload.as_bytes(), &signer(ONLINE)))
    }

    /// The manifest with another envelope for its key list.
    pub(super) fn with_key_envelope(&self, envelope: &str) -> Given {
        self.signed(&replaced(&self.payload, keys_of(&self.payload), envelope))
    }

    /// The manifest with another key list, signed by the root.
    pub(super) fn with_keys(&self, keys: &str) -> Given {
        self.with_key_envelope(&envelope(KEYS, keys.as_bytes(), &signer(ROOT)))
    }

    /// The manifest with a change in the text of its payload.
    pub(super) fn changed(&self, from: &str, to: &str) -> Given {
        self.signed(&replaced(&self.payload, from, to))
    }

    pub(super) fn expect(&self, manifest: &Manifest, keys: u32) -> Value {
        let file =
            |file: FileHash| json!({ "bytes": file.bytes, "sha256": file.sha256.to_string() });
        let mut expect = json!({
            "series": manifest.series, "tick": manifest.tick, "issued": manifest.issued,
            "expires": manifest.expires, "next": manifest.next,
            "state": manifest.state.to_string(), "index": file(manifest.index),
            "bundle": manifest.bundle.map(file), "key_list_version": keys,
        });
        if let Some(seeds) = manifest.seeds {
            let (state, bundle) = (seeds.state.to_string(), seeds.bundle.map(file));
            expect["seeds"] =
                json!({ "state": state, "index": file(seeds.index), "bundle": bundle });
        }
        if let Some(exports) = manifest.exports {
            expect["exports"] = file(exports);
        }
        expect
    }

    fn valid(&self, vectors: &mut Vectors) {
        for (tick, name, note) in [
            (5, "manifest-second", "a tick with a bundle"),
            (4, "manifest-first", "the first tick of a series: bundle is null"),
        ] {
            let bytes = self.world.ticks[&tick].files.last().unwrap().bytes.clone();
            let case = self.given(bytes).case(vectors, name, note);
            vectors.valid(case, self.expect(self.world.manifest(tick), 3));
        }
    }

    fn valid_variants(&self, vectors: &mut Vectors) {
        let text = |given: Given| String::from_utf8(given.bytes).unwrap();
        let whole = text(self.signed(&self.payload));
        let sig = signature(MANIFEST, self.payload.as_bytes(), &signer(ONLINE));
        let keyid = &sig[..sig.find(r#""sig""#).unwrap()];
        let other = signature(MANIFEST, self.payload.as_bytes(), &signer(STRANGER));
        let two = envelope_with(MANIFEST, self.payload.as_bytes(), &[other, sig.clone()]);
        let junk = r#"{"keyid":"","sig":"not base64"}"#.to_string();
        let four = [junk.clone(), junk.clone(), junk, sig.clone()];
        let four = envelope_with(MANIFEST, self.payload.as_bytes(), &four);
        let padded = format!("{whole}{}", " ".repeat(2048 - whole.len()));
        let spaced = whole.replace(",\"", ",\n  \"").replace("\":", "\" :\t");
        let extra = self.payload.replacen('{', r#"{"more":[1,{"than":"asked"}],"#, 1);
        let extra = extra.replacen(r#""keyid""#, r#""not":null,"keyid""#, 1);
        let all = self.with_list_of(&[10, 11, 12, ONLINE]);
        for (name, note, given) in [
            ("manifest-extra-members", "members that nobody knows", self.signed(&extra)),
            (
                "manifest-extra-outside",
                "such in the envelope",
                self.given(replaced(&whole, r#"{"payloadType"#, r#"{"x":{},"payloadType"#)),
            ),
            (
                "manifest-extra-in-keys",
                "such in the key list",
                self.with_keys(&self.keys.replacen('{', r#"{"x":1,"#, 1)),
            ),
            ("manifest-no-keyid", "keyid is missing", self.given(replaced(&whole, keyid, "{"))),
            (
                "manifest-other-keyid",
                "keyid is of another key",
                self.given(replaced(&whole, keyid, r#"{"keyid":"00000000","#)),
            ),
            ("manifest-two-signatures", "the second signature counts", self.given(two)),
            (
                "manifest-four-signatures",
                "the fourth counts, the others are no base64",
                self.given(four),
            ),
            ("manifest-four-keys", "signed by the last of four listed keys", all),
            ("manifest-2048-bytes", "the largest: white space behind it", self.given(padded)),
            ("manifest-white-space", "line breaks and spaces", self.given(spaced)),
            (
                "manifest-last-second",
                "valid for one second more",
                Given { now: self.manifest.expires - 1, ..self.signed(&self.payload) },
            ),
            (
                "manifest-older-keys-seen",
                "key list 2 was seen, this is 3",
                Given { least_keys: 2, ..self.signed(&self.payload) },
            ),
        ] {
            let case = given.case(vectors, name, note);
            vectors.valid(case, self.expect(self.manifest, 3));
        }
        let mut without = self.manifest.clone();
        without.bundle = None;
        let bundle = self.manifest.bundle.unwrap();
        let member =
            format!(r#""bundle":{{"bytes":{},"sha256":"{}"}},"#, bundle.bytes, bundle.sha256);
        let case =
            self.changed(&member, "").case(vectors, "manifest-no-bundle", "bundle is missing");
        vectors.valid(case, self.expect(&without, 3));
    }

    /// What a manifest says of seeds and exports, if anything.
    fn other_files(&self, vectors: &mut Vectors) {
        let file = FileHash::of(b"");
        let seeds = SeedFiles { state: file.sha256, index: file, bundle: Some(file) };
        let first = SeedFiles { bundle: None, ..seeds };
        let signed = |manifest: &Manifest| {
            let keys: Value = serde_json::from_str(keys_of(&self.payload)).unwrap();
            let keys = SignedKeyList::from_json(&keys.to_string()).unwrap();
            let online = gcs_core::SigningKey::from_seed([ONLINE; 32]);
            manifest.sign(&online, &keys).unwrap()
        };
        for (name, note, seeds, exports) in [
            ("manifest-exports", "a list of exports", None, Some(file)),
            ("manifest-seeds", "lists of seeds", Some(seeds), None),
            ("manifest-seeds-and-exports", "both", Some(seeds), Some(file)),
            ("manifest-first-seeds", "lists of seeds without a bundle", Some(first), None),
        ] {
            let mut manifest = self.manifest.clone();
            (manifest.seeds, manifest.exports) = (seeds, exports);
            let case = self.given(signed(&manifest)).case(vectors, name, note);
            vectors.valid(case, self.expect(&manifest, 3));
        }
        let with = |member: &str| self.changed(r#""keys":"#, &format!(r#"{member},"keys":"#));
        let null = with(r#""seeds":null,"exports":null"#);
        let case = null.case(vectors, "manifest-null-exports", "both null");
        vectors.valid(case, self.expect(self.manifest, 3));

        let hash = format!(r#"{{"bytes":0,"sha256":"{}"}}"#, file.sha256);
        let state = format!(r#""state":"{}""#, file.sha256);
        for (name, note, member) in [
            ("exports-twice", "exports twice", format!(r#""exports":{hash},"exports":{hash}"#)),
            (
                "exports-no-bytes",
                "no length",
                format!(r#""exports":{{"sha256":"{}"}}"#, file.sha256),
            ),
            ("exports-no-sha256", "no hash", r#""exports":{"bytes":0}"#.into()),
            ("exports-array", "an array", format!(r#""exports":[0,"{}"]"#, file.sha256)),
            ("exports-text", "a text", r#""exports":"/v1/exports/index.txt""#.into()),
            (
                "seeds-twice",
                "seeds twice",
                format!(r#""seeds":null,"seeds":{{{state},"index":{hash}}}"#),
            ),
            ("seeds-no-state", "seeds without a state", format!(r#""seeds":{{"index":{hash}}}"#)),
            ("seeds-no-index", "seeds without an index", format!(r#""seeds":{{{state}}}"#)),
            (
                "seeds-state-twice",
                "seeds with two states",
                format!(r#""seeds":{{{state},{state},"index":{hash}}}"#),
            ),
            (
                "seeds-index-twice",
                "seeds with two indexes",
                format!(r#""seeds":{{{state},"index":{hash},"index":{hash}}}"#),
            ),
            (
                "seeds-bundle-twice",
                "seeds with two bundles",
                format!(r#""seeds":{{{state},"index":{hash},"bundle":null,"bundle":{hash}}}"#),
            ),
        ] {
            let case = with(&member).case(vectors, &format!("manifest-{name}"), note);
            vectors.invalid(case, "Json");
        }
    }

    /// The manifest with the public keys of these seeds on its key list.
    fn with_list_of(&self, seeds: &[u8]) -> Given {
        let keys: Vec<String> = seeds.iter().map(|seed| public(*seed)).collect();
        let keys = replaced(&self.keys, &public(ONLINE), &keys.join(r#"",""#));
        self.with_keys(&keys)
    }

    fn times(&self, vectors: &mut Vectors) {
        let (issued, expires) = (self.manifest.issued, self.manifest.expires);
        let expiry = format!(r#""expires":{expires}"#);
        let lives =
            |seconds: u64| self.changed(&expiry, &format!(r#""expires":{}"#, issued + seconds));
        let at = |now| Given { now, ..self.signed(&self.payload) };
        let backwards = Given {
            now: issued - 9,
            ..self.changed(&expiry, &format!(r#""expires":{}"#, issued - 1))
        };
        for (name, note, given, error) in [
            ("manifest-expired", "now is the second of expiry", at(expires), "Expired"),
            ("manifest-long-expired", "a week later", at(expires + 7 * 86_400), "Expired"),
            (
                "manifest-keys-expired",
                "the key list has expired too",
                at(keys_expire()),
                "KeysExpired",
            ),
            ("manifest-lives-longer", "24 h and a second", lives(86_401), "Lifetime"),
            ("manifest-lives-shorter", "an hour", lives(3_600), "Lifetime"),
            ("manifest-ends-before-issue", "expires before it was issued", backwards, "Lifetime"),
        ] {
            let case = given.case(vectors, name, note);
            vectors.invalid(case, error);
        }
    }

    fn signers(&self, vectors: &mut Vectors) {
        let payload = self.payload.as_bytes();
        let by = |seed| self.given(envelope(MANIFEST, payload, &signer(seed)));
        let whole = String::from_utf8(by(ONLINE).bytes).unwrap();
        let sig = BASE64.encode(&dsse::sign(MANIFEST, payload, &signer(ONLINE)));
        let bare = BASE64.encode(&dsse::sign(KEYS, payload, &signer(ONLINE)));
        let with_sig = |new: &str| self.given(replaced(&whole, &sig, new));
        let none = envelope_with(MANIFEST, payload, &[]);
        let one = signature(MANIFEST, payload, &signer(ONLINE));
        let five = envelope_with(MANIFEST, payload, &vec![one; 5]);
        let altered = replaced(&self.payload, r#""tick":5"#, r#""tick":6"#);
        let altered = replaced(&whole, &BASE64.encode(payload), &BASE64.encode(altered.as_bytes()));
        for (name, note, given, error) in [
            (
                "manifest-unknown-signer",
                "signed by a key that is not listed",
                by(STRANGER),
                "OnlineSignature",
            ),
            (
                "manifest-signed-by-root",
                "the root key is not an online key",
                by(ROOT),
                "OnlineSignature",
            ),
            (
                "manifest-altered",
                "another tick under the old signature",
                self.given(altered),
                "OnlineSignature",
            ),
            (
                "manifest-sig-of-other-type",
                "signed as a key list",
                with_sig(&bare),
                "OnlineSignature",
            ),
            (
                "manifest-sig-short",
                "a signature of 63 bytes",
                with_sig(&BASE64.encode(&[7; 63])),
                "OnlineSignature",
            ),
            ("manifest-no-signature", "no signature", self.given(none), "Count"),
            ("manifest-five-signatures", "the same five times", self.given(five), "Count"),
        ] {
            let case = given.case(vectors, name, note);
            vectors.invalid(case, error);
        }
    }

    fn key_lists(&self, vectors: &mut Vectors) {
        let by =
            |seed| self.with_key_envelope(&envelope(KEYS, self.keys.as_bytes(), &signer(seed)));
        let other_root = Given { root: *signer(STRANGER).verifying_key().as_bytes(), ..by(ROOT) };
        let typed = envelope(MANIFEST, self.keys.as_bytes(), &signer(ROOT));
        let unsigned = envelope_with(KEYS, self.keys.as_bytes(), &[]);
        let five = vec![signature(KEYS, self.keys.as_bytes(), &signer(ROOT)); 5];
        let five = envelope_with(KEYS, self.keys.as_bytes(), &five);
        let listed = format!(r#"["{}"]"#, public(ONLINE));
        let with_keys = |keys: &str| self.with_keys(&replaced(&self.keys, &listed, keys));
        let raised = replaced(&self.keys, r#""version":3"#, r#""version":4"#);
        let raised = replaced(
            keys_of(&self.payload),
            &BASE64.encode(self.keys.as_bytes()),
            &BASE64.encode(raised.as_bytes()),
        );
        let expires = format!(r#""expires":{}"#, keys_expire());
        let expired =
            replaced(&self.keys, &expires, &format!(r#""expires":{}"#, self.manifest.issued + 60));
        let rolled_back = Given { least_keys: 4, ..by(ROOT) };
        for (name, note, given, error) in [
            (
                "manifest-keys-by-stranger",
                "the key list is signed by another key",
                by(STRANGER),
                "RootSignature",
            ),
            (
                "manifest-keys-by-online",
                "the key list is signed by a key on it",
                by(ONLINE),
                "RootSignature",
            ),
            ("manifest-other-root", "another root key is pinned", other_root, "RootSignature"),
            (
                "manifest-keys-altered",
                "version raised under the old signature",
                self.with_key_envelope(&raised),
                "RootSignature",
            ),
            (
                "manifest-keys-type",
                "the key list has the type of a manifest",
                self.with_key_envelope(&typed),
                "PayloadType",
            ),
            (
                "manifest-keys-type-alone",
                "the key list has another type, but is signed as of the right one",
                self.changed("keys+json", "key+json"),
                "PayloadType",
            ),
            (
                "manifest-keys-unsigned",
                "the key list has no signature",
                self.with_key_envelope(&unsigned),
                "Count",
            ),
            (
                "manifest-keys-five-signatures",
                "the root signed the key list five times",
                self.with_key_envelope(&five),
                "Count",
            ),
            (
                "manifest-keys-rolled-back",
                "key list 4 was seen, this is 3",
                rolled_back,
                "KeysRolledBack",
            ),
            (
                "manifest-keys-expire-now",
                "the key list expires now",
                self.with_keys(&expired),
                "KeysExpired",
            ),
            ("manifest-keys-none", "no online keys", with_keys("[]"), "Count"),
            (
                "manifest-keys-five",
                "five online keys",
                self.with_list_of(&[10, 11, 12, 13, ONLINE]),
                "Count",
            ),
            (
                "manifest-keys-short",
                "an online key of 31 bytes",
                with_keys(&format!(r#"["{}"]"#, BASE64.encode(&[7; 31]))),
                "Base64",
            ),
            (
                "manifest-keys-missing",
                "the key list has no keys",
                self.with_keys(r#"{"version":3,"expires":99999999999}"#),
                "Json",
            ),
        ] {
            let case = given.case(vectors, name, note);
            vectors.invalid(case, error);
        }
    }

    fn payloads(&self, vectors: &mut Vectors) {
        let state = self.manifest.state.to_string();
        let without_keys =
            replaced(&self.payload, &format!(r#","keys":{}"#, keys_of(&self.payload)), "");
        for (name, note, given, error) in [
            (
                "manifest-format-2",
                "format 2",
                self.changed(r#""format":1"#, r#""format":2"#),
                "Format",
            ),
            (
                "manifest-format-2-only",
                "format 2 and nothing that format 1 has",
                self.signed(r#"{"format":2}"#),
                "Format",
            ),
            ("manifest-no-format", "format is missing", self.changed(r#""format":1,"#, ""), "Json"),
            ("manifest-no-keys", "the key list is missing", self.signed(&without_keys), "Json"),
            (
                "manifest-upper-case",
                "a digest in upper case",
                self.changed(&state, &state.to_uppercase()),
                "Json",
            ),
            (
                "manifest-short-digest",
                "a digest of 31 bytes",
                self.changed(&state, &state[2..]),
                "Json",
            ),
            (
                "manifest-payload-cut",
                "the payload lacks its last brace",
                self.signed(&self.payload[..self.payload.len() - 1]),
                "Json",
            ),
            (
                "manifest-payload-garbage",
                "a brace behind the payload",
                self.signed(&format!("{}}}", self.payload)),
                "Json",
            ),
            ("manifest-payload-empty", "no payload", self.signed(""), "Json"),
        ] {
            let case = given.case(vectors, name, note);
            vectors.invalid(case, error);
        }
    }

    fn envelopes(&self, vectors: &mut Vectors) {
        let whole = String::from_utf8(self.signed(&self.payload).bytes).unwrap();
        let typed = envelope(KEYS, self.payload.as_bytes(), &signer(ONLINE));
        let large = format!("{whole}{}", " ".repeat(2049 - whole.len()));
        for (name, note, bytes, error) in [
            (
                "manifest-2049-bytes",
                "one byte more than a manifest has",
                large.into_bytes(),
                "TooLarge",
            ),
            ("manifest-payload-type", "the type of a key list", typed.into_bytes(), "PayloadType"),
            (
                "manifest-payload-type-alone",
                "another type, but signed as of the right one",
                replaced(&whole, "manifest+json", "manifesto+json").into_bytes(),
                "PayloadType",
            ),
            (
                "manifest-trailing-garbage",
                "an x behind it",
                format!("{whole}x").into_bytes(),
                "Json",
            ),
            ("manifest-cut", "the last byte is missing", whole[..whole.len() - 1].into(), "Json"),
            ("manifest-nothing", "no bytes at all", vec![], "Json"),
        ] {
            let case = self.given(bytes).case(vectors, name, note);
            vectors.invalid(case, error);
        }
    }
}

/// The public key of a seed, as a key list has it.
pub(super) fn public(seed: u8) -> String {
    BASE64.encode(signer(seed).verifying_key().as_bytes())
}
