//! Manifests with two faults: the rule that comes first gives the class. There is a pair for each two
//! rules that follow one another and can be broken together, so that no other order of the
//! rules gives all these classes.

use data_encoding::BASE64;

use super::manifests::{Given, Made, ONLINE, ROOT, STRANGER, public, replaced, signer};
use super::out::Vectors;
use super::world::keys_expire;
use crate::naive::dsse::{KEYS, MANIFEST, envelope, envelope_with, signature};

pub(super) fn add(vectors: &mut Vectors, made: &Made<'_>) {
    for (name, note, given, class) in
        early(made).into_iter().chain(key_lists(made)).chain(signatures(made)).chain(late(made))
    {
        let case = given.case(vectors, &format!("manifest-both-{name}"), note);
        vectors.invalid(case, class);
    }
}

type Pair = (&'static str, &'static str, Given, &'static str);

/// The base64 of a payload with an unused bit set, for its right base64.
fn with_bits(envelope: &str, payload: &str) -> String {
    let right = BASE64.encode(payload.as_bytes());
    assert!(right.ends_with("=="));
    let at = right.len() - 3;
    let next = char::from(right.as_bytes()[at] + 1);
    replaced(envelope, &right, &format!("{}{next}==", &right[..at]))
}

/// A text with white space before it, so that its base64 ends in `==`.
fn spaced(text: &str) -> String {
    let spaces = ["", " ", "  "].map(|spaces| format!("{spaces}{text}"));
    spaces.into_iter().find(|text| text.len() % 3 == 1).unwrap()
}

/// An envelope whose payload is base64 with an unused bit set.
fn loose(kind: &str, payload: &str, seed: u8) -> String {
    let payload = spaced(payload);
    with_bits(&envelope(kind, payload.as_bytes(), &signer(seed)), &payload)
}

/// Steps 1 to 6.
fn early(made: &Made<'_>) -> Vec<Pair> {
    let other = envelope("text", made.payload.as_bytes(), &signer(ONLINE));
    let wrong_list = replaced(&made.payload, "gcs.keys+json", "gcs.key+json");
    let list = |text: &str| made.signed(&wrong_list.replace(r#""tick":5,"#, text));
    vec![
        ("large-json", "2049 bytes and no JSON", made.given(vec![b'x'; 2049]), "TooLarge"),
        (
            "json-type",
            "another type, and sig is missing",
            made.given(other.replace(r#""sig""#, r#""gis""#)),
            "Json",
        ),
        (
            "type-base64",
            "another type, and the payload is no base64",
            made.given(loose("text", &made.payload, ONLINE)),
            "PayloadType",
        ),
        (
            "base64-format",
            "the payload has an unused bit set and no format",
            made.given(loose(MANIFEST, "{}", ONLINE)),
            "Base64",
        ),
        (
            "format-members",
            "format 2, and tick is text",
            made.signed(
                &made.payload.replace(r#""format":1"#, r#""format":2"#).replace(":5,", ":\"\","),
            ),
            "Format",
        ),
        (
            "members-list-type",
            "tick is missing, and the key list has another type",
            list(""),
            "Json",
        ),
        (
            "members-signature",
            "tick is missing, and nobody listed signed",
            made.given(envelope(
                MANIFEST,
                replaced(&made.payload, r#""tick":5,"#, "").as_bytes(),
                &signer(STRANGER),
            )),
            "Json",
        ),
        (
            "format-signature",
            "format 2, and nobody listed signed",
            made.given(envelope(MANIFEST, br#"{"format":2}"#, &signer(STRANGER))),
            "Format",
        ),
    ]
}

/// Steps 6 to 9.
fn key_lists(made: &Made<'_>) -> Vec<Pair> {
    let five = |kind: &str, payload: &str, seed: u8| {
        let one = signature(kind, payload.as_bytes(), &signer(seed));
        envelope_with(kind, payload.as_bytes(), &vec![one; 5])
    };
    let bare = |payload: &str| envelope_with(KEYS, payload.as_bytes(), &[]);
    let listed = format!(r#"["{}"]"#, public(ONLINE));
    let keys = |keys: &str| replaced(&made.keys, &listed, keys);
    let unsound = |keys: &str, version: &str| {
        made.with_keys(&replaced(&keys_text(made, keys), r#""version":3"#, version))
    };
    let payload = spaced(&made.keys);
    let bare_bits = with_bits(&bare(&payload), &payload);
    vec![
        (
            "list-type-base64",
            "the key list has another type, and its payload is no base64",
            made.with_key_envelope(&loose("text", &made.keys, ROOT)),
            "PayloadType",
        ),
        (
            "list-base64-count",
            "the key list's payload is no base64, and it has no signature",
            made.with_key_envelope(&bare_bits),
            "Base64",
        ),
        (
            "list-count-signature",
            "five signatures of the key list, none by the root",
            made.with_key_envelope(&five(KEYS, r#"{"version":3}"#, STRANGER)),
            "Count",
        ),
        (
            "list-signature-payload",
            "the root did not sign the key list, which has no members",
            made.with_key_envelope(&envelope(KEYS, b"{}", &signer(STRANGER))),
            "RootSignature",
        ),
        (
            "list-json-count",
            "the key list has no keys and no version",
            unsound("[]", r#""versions":3"#),
            "Json",
        ),
        (
            "list-count-base64",
            "five online keys, which are no base64",
            made.with_keys(&keys(r#"["?","?","?","?","?"]"#)),
            "Count",
        ),
        (
            "list-base64-signatures",
            "an online key is no base64, and the manifest has no signature",
            {
                let list = envelope(KEYS, keys(r#"["?"]"#).as_bytes(), &signer(ROOT));
                let old = super::manifests::keys_of(&made.payload);
                let payload = replaced(&made.payload, old, &list);
                made.given(envelope_with(MANIFEST, payload.as_bytes(), &[]))
            },
            "Base64",
        ),
        (
            "count-signature",
            "five signatures, none of a listed key",
            {
                let one = r#"{"sig":""}"#.to_string();
                made.given(envelope_with(MANIFEST, made.payload.as_bytes(), &vec![one; 5]))
            },
            "Count",
        ),
    ]
}

fn keys_text(made: &Made<'_>, keys: &str) -> String {
    replaced(&made.keys, &format!(r#"["{}"]"#, public(ONLINE)), keys)
}

/// A manifest that breaks some of the last rules: of 9, the signature; of 10 to 13.
fn broken(made: &Made<'_>, rules: &[u8]) -> Given {
    let breaks = |rule| rules.contains(&rule);
    let (issued, now) = (made.manifest.issued, made.manifest.expires + 86_400);
    let keys_end = if breaks(11) { now } else { keys_expire() };
    let keys = made.keys.replace(&keys_expire().to_string(), &keys_end.to_string());
    let expires = match (breaks(12), breaks(13)) {
        (false, false) => None,
        (true, false) => Some((issued, now + 1)),
        (true, true) => Some((issued, now)),
        (false, true) => Some((issued, issued + 86_400)),
    };
    let (issued, expires) = expires.unwrap_or((now - 60, now - 60 + 86_400));
    let list = envelope(KEYS, keys.as_bytes(), &signer(ROOT));
    let payload = replaced(&made.payload, super::manifests::keys_of(&made.payload), &list);
    let payload = payload.replace(
        &format!(r#""issued":{},"expires":{}"#, made.manifest.issued, made.manifest.expires),
        &format!(r#""issued":{issued},"expires":{expires}"#),
    );
    let seed = if breaks(9) { STRANGER } else { ONLINE };
    let least_keys = if breaks(10) { 4 } else { 3 };
    let bytes = envelope(MANIFEST, payload.as_bytes(), &signer(seed));
    Given { now, least_keys, ..made.given(bytes) }
}

fn signatures(made: &Made<'_>) -> Vec<Pair> {
    vec![
        (
            "signature-rollback",
            "nobody listed signed, and the key list is older than one seen",
            broken(made, &[9, 10]),
            "OnlineSignature",
        ),
        (
            "signature-expiry",
            "nobody listed signed, and the manifest has expired",
            broken(made, &[9, 13]),
            "OnlineSignature",
        ),
    ]
}

/// Steps 10 to 13, in all pairs and all together.
fn late(made: &Made<'_>) -> Vec<Pair> {
    let note = "of the rules 10 to 13 those with these numbers are broken";
    assert_eq!(broken(made, &[]).now, made.manifest.expires + 86_400);
    vec![
        ("10-11", note, broken(made, &[10, 11]), "KeysRolledBack"),
        ("10-12", note, broken(made, &[10, 12]), "KeysRolledBack"),
        ("10-13", note, broken(made, &[10, 13]), "KeysRolledBack"),
        ("11-12", note, broken(made, &[11, 12]), "KeysExpired"),
        ("11-13", note, broken(made, &[11, 13]), "KeysExpired"),
        ("12-13", note, broken(made, &[12, 13]), "Lifetime"),
        ("10-11-12-13", note, broken(made, &[10, 11, 12, 13]), "KeysRolledBack"),
    ]
}
