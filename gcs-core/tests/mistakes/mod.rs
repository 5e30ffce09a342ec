//! Mistakes that readers make: each in one part of the naive reader.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::{Scalar, constants};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, Specification};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use crate::naive::Outcome;
use crate::naive::dsse::{strict_base64, strictly_verifies};
use crate::naive::json::Json;
use crate::naive::mutant::{Mutant, RIGHT};

/// All mistakes, by name.
pub(crate) fn all() -> Vec<(&'static str, Mutant)> {
    let bound = |bound| (bound, Mutant { bound, ..RIGHT });
    let text = |name, text| (name, Mutant { text, ..RIGHT });
    let integer = |name, integer| (name, Mutant { integer, ..RIGHT });
    let base64 = |name, base64| (name, Mutant { base64, ..RIGHT });
    let verifies = |name, verifies| (name, Mutant { verifies, ..RIGHT });
    vec![
        bound("s = 32"),
        bound("k at 64 k"),
        bound("190 ticks"),
        bound("192 ticks"),
        bound("249 bundles"),
        bound("spares differ"),
        bound("spares are above"),
        bound("ranks have no end"),
        bound("no spares"),
        bound("0 is an answer"),
        bound("members of any case"),
        bound("no member twice"),
        integer("numbers with a fraction", |json| match json {
            Json::OtherNumber(value) if value.fract() == 0.0 && value.is_sign_positive() => {
                Some(*value as u64)
            }
            json => json.as_integer(),
        }),
        integer("minus zero", |json| match json {
            Json::OtherNumber(value) if *value == 0.0 && value.is_sign_negative() => Some(0),
            json => json.as_integer(),
        }),
        integer("true is 1", |json| match json {
            Json::Bool(value) => Some(u64::from(*value)),
            json => json.as_integer(),
        }),
        integer("numbers as text", |json| match json {
            Json::Text(text) => text.parse().ok(),
            json => json.as_integer(),
        }),
        integer("null is 0", |json| match json {
            Json::Null => Some(0),
            json => json.as_integer(),
        }),
        integer("numbers end at 2^53", |json| json.as_integer().filter(|value| *value < 1 << 53)),
        text("a byte order mark", |bytes| {
            bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes).to_vec()
        }),
        text("other encodings", |bytes| String::from_utf8_lossy(bytes).into_owned().into_bytes()),
        text("NaN", |bytes| replaced(bytes, "NaN", "0")),
        text("bare points", |bytes| replaced(bytes, ":.5", ":0.5")),
        text("a comma at the end", |bytes| replaced(bytes, ",]", "]")),
        text("comments", |bytes| replaced(bytes, "/**/", "")),
        text("other quotes", |bytes| replaced(bytes, "'", "\"")),
        text("control characters", |bytes| replaced(bytes, "\t", " ")),
        text("unknown escapes", |bytes| replaced(bytes, "\\x", "")),
        text("something behind it", |bytes| {
            let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
            let is_value = values.next().is_some_and(|value| value.is_ok());
            bytes[..if is_value { values.byte_offset() } else { bytes.len() }].to_vec()
        }),
        text("lists of values", |bytes| {
            serde_json::from_slice(bytes)
                .map_or(bytes.to_vec(), |value| objects(value).to_string().into_bytes())
        }),
        base64("unused bits", |text| decode(text, |spec| spec.check_trailing_bits = false)),
        base64("white space", |text| decode(text, |spec| spec.ignore.push_str(" \n"))),
        base64("no padding", |text| {
            strict_base64(text).or_else(|_| nothing(BASE64_NOPAD.decode(text.as_bytes())))
        }),
        base64("padding that does not fit", |text| {
            let digits = text.trim_end_matches('=');
            nothing(BASE64_NOPAD.decode(digits.as_bytes()))
        }),
        base64("the alphabet for addresses", |text| {
            strict_base64(text).or_else(|_| nothing(BASE64URL.decode(text.as_bytes())))
        }),
        verifies("points of small order", verify_loosely),
        verifies("R of small order", |key, message, sig| {
            let weak = VerifyingKey::from_bytes(key).is_ok_and(|key| key.is_weak());
            !weak && verify_loosely(key, message, sig)
        }),
        verifies("keys of small order but for their usual writing", |key, message, sig| {
            let usual = constants::EIGHT_TORSION.iter().any(|point| point.compress().0 == *key);
            !usual && verify_loosely(key, message, sig)
        }),
        verifies("S above L", |key, message, sig| {
            let mut reduced = *sig;
            let s: [u8; 32] = sig[32..].try_into().unwrap();
            reduced[32..].copy_from_slice(&Scalar::from_bytes_mod_order(s).to_bytes());
            strictly_verifies(key, message, &reduced)
        }),
        verifies("the equation times 8", verify_times_8),
        verifies("no key with a part of small order", |key, message, sig| {
            let point = CompressedEdwardsY(*key).decompress();
            point.is_some_and(|point| point.is_torsion_free())
                && strictly_verifies(key, message, sig)
        }),
    ]
}

fn nothing<E>(bytes: Result<Vec<u8>, E>) -> Outcome<Vec<u8>> {
    bytes.map_err(|_| "Base64".into())
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    std::str::from_utf8(bytes).map_or(bytes.to_vec(), |text| text.replace(from, to).into_bytes())
}

fn decode(text: &str, change: impl FnOnce(&mut Specification)) -> Outcome<Vec<u8>> {
    let mut specification = BASE64.specification();
    change(&mut specification);
    nothing(specification.encoding().unwrap().decode(text.as_bytes()))
}

/// The value with the objects that section 10 names in place of the lists of their values.
fn objects(value: Value) -> Value {
    let names: &[&str] = match &value {
        Value::Array(values) if values.len() == 10 => &[
            "format", "series", "tick", "issued", "expires", "next", "state", "index", "bundle",
            "keys",
        ],
        Value::Array(values) if values.len() == 3 && values[0].is_string() => {
            &["payloadType", "payload", "signatures"]
        }
        Value::Array(values) if values.len() == 3 => &["version", "expires", "keys"],
        Value::Array(values) if values.len() == 2 && values[0].is_string() => &["keyid", "sig"],
        Value::Array(values) if values.len() == 2 => &["bytes", "sha256"],
        _ => &[],
    };
    match value {
        Value::Array(values) if !names.is_empty() => {
            let members =
                names.iter().map(ToString::to_string).zip(values.into_iter().map(objects));
            members.collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(values) => values.into_iter().map(objects).collect(),
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, objects(value)));
            members.collect::<serde_json::Map<_, _>>().into()
        }
        value => value,
    }
}

fn verify_loosely(key: &[u8; 32], message: &[u8], sig: &[u8; 64]) -> bool {
    use ed25519_dalek::Verifier as _;
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| key.verify(message, &Signature::from_bytes(sig)).is_ok())
}

/// Verification with the cofactor, of keys and nonces that are not of small order.
fn verify_times_8(key: &[u8; 32], message: &[u8], sig: &[u8; 64]) -> bool {
    let point = |bytes: &[u8]| CompressedEdwardsY(bytes.try_into().unwrap()).decompress();
    let (Some(a), Some(r)) = (point(key), point(&sig[..32])) else { return false };
    let s: Option<Scalar> = Scalar::from_canonical_bytes(sig[32..].try_into().unwrap()).into();
    let Some(s) = s.filter(|_| !a.is_small_order() && !r.is_small_order()) else { return false };
    let hash = Sha512::new().chain_update(&sig[..32]).chain_update(key).chain_update(message);
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    (EdwardsPoint::mul_base(&s) - k * a - r).is_small_order()
}
