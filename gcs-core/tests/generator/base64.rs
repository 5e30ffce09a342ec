//! Base64 in each place where a manifest has some, in other writings than that of section 10.

use data_encoding::{BASE64, BASE64URL};

use super::manifests::{Given, Made, ONLINE, ROOT, public, replaced, signer};
use super::out::Vectors;
use crate::naive::dsse::{KEYS, MANIFEST, envelope, sign};

pub(super) fn add(vectors: &mut Vectors, made: &Made<'_>) {
    for (place, class) in [
        ("payload", "Base64"),
        ("keys-payload", "Base64"),
        ("online-key", "Base64"),
        ("sig", "OnlineSignature"),
        ("keys-sig", "RootSignature"),
    ] {
        for (form, note) in FORMS {
            let given = rewritten(made, place, |right| write(form, right));
            let case = given.case(vectors, &format!("manifest-{place}-base64-{form}"), note);
            vectors.invalid(case, class);
        }
    }
}

const FORMS: [(&str, &str); 7] = [
    ("bits", "an unused bit is set"),
    ("unpadded", "without ="),
    ("overpadded", "one = more"),
    ("url", "the alphabet for addresses"),
    ("line", "a line break in the middle"),
    ("space", "a space behind it"),
    ("early", "= in the middle"),
];

/// Right base64 in a wrong form.
fn write(form: &str, right: &str) -> String {
    let bytes = BASE64.decode(right.as_bytes()).unwrap();
    assert!(right.ends_with('='), "{right} has unused bits");
    let digits = right.trim_end_matches('=');
    let (first, second) = right.split_at(right.len() / 8 * 4);
    match form {
        "bits" => {
            let (head, last) = digits.split_at(digits.len() - 1);
            // The next digit: the unused bits are the low ones.
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let next = alphabet.find(last).unwrap() + 1;
            format!("{head}{}{}", &alphabet[next..=next], &right[digits.len()..])
        }
        "unpadded" => digits.into(),
        "overpadded" => format!("{right}="),
        "url" => {
            let url = BASE64URL.encode(&bytes);
            assert_ne!(url, right, "has a digit in which the alphabets differ");
            url
        }
        "line" => format!("{first}\\n{second}"),
        "space" => format!("{right} "),
        _ => format!("{}{}", BASE64.encode(&bytes[..1]), BASE64.encode(&bytes[1..])),
    }
}

/// White space and a member to ignore, so that the base64 of a text is padded and has digits in
/// which the alphabets differ.
fn odd(text: &str) -> String {
    let odd = text.replacen('{', "{\"?\":\"???>>>\",", 1);
    let spaces = ["", " ", "  "].map(|spaces| format!("{spaces}{odd}"));
    let is_odd = |text: &&String| {
        let base64 = BASE64.encode(text.as_bytes());
        base64.ends_with('=') && (base64.contains('/') || base64.contains('+'))
    };
    spaces.iter().find(is_odd).unwrap().clone()
}

/// The manifest with the base64 at a place written otherwise.
fn rewritten(made: &Made<'_>, place: &str, write: impl Fn(&str) -> String) -> Given {
    let with_keys = |envelope: &str| made.with_key_envelope(envelope);
    match place {
        "payload" => {
            let payload = odd(&made.payload);
            let right = envelope(MANIFEST, payload.as_bytes(), &signer(ONLINE));
            let base64 = BASE64.encode(payload.as_bytes());
            made.given(replaced(&right, &base64, &write(&base64)))
        }
        "keys-payload" => {
            let keys = odd(&made.keys);
            let right = envelope(KEYS, keys.as_bytes(), &signer(ROOT));
            let base64 = BASE64.encode(keys.as_bytes());
            with_keys(&replaced(&right, &base64, &write(&base64)))
        }
        "online-key" => {
            made.with_keys(&replaced(&made.keys, &public(ONLINE), &write(&public(ONLINE))))
        }
        "sig" => {
            let right = envelope(MANIFEST, made.payload.as_bytes(), &signer(ONLINE));
            let sig = BASE64.encode(&sign(MANIFEST, made.payload.as_bytes(), &signer(ONLINE)));
            made.given(replaced(&right, &sig, &write(&sig)))
        }
        _ => {
            let sig_of = |keys: &str| BASE64.encode(&sign(KEYS, keys.as_bytes(), &signer(ROOT)));
            let mut lists = (0..).map(|spaces| " ".repeat(spaces) + &made.keys);
            let keys = lists.find(|keys| sig_of(keys).contains(['+', '/'])).unwrap();
            let right = envelope(KEYS, keys.as_bytes(), &signer(ROOT));
            let sig = sig_of(&keys);
            with_keys(&replaced(&right, &sig, &write(&sig)))
        }
    }
}
