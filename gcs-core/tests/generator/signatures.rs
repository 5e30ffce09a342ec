//! Signatures that verify in some libraries and not in others: section 10 decides.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::{EdwardsPoint, Scalar};
use data_encoding::BASE64;
use sha2::{Digest as _, Sha512};

use super::manifests::{Given, Made, ONLINE, ROOT, public, replaced, signer};
use super::out::Vectors;
use crate::golden::bytes_of_hex;
use crate::naive::dsse::{KEYS, MANIFEST, envelope_with, sign, signature_of, signed_bytes};

pub(super) fn add(vectors: &mut Vectors, made: &Made<'_>) {
    not_reduced(vectors, made);
    weak_keys(vectors, made);
    weak_nonces(vectors, made);
    mixed_orders(vectors, made);
    undecodable(vectors, made);
}

/// A public key that is a point: as its bytes are written, and what it is.
#[derive(Clone, Copy)]
struct Key {
    bytes: [u8; 32],
    point: EdwardsPoint,
}

impl Key {
    fn of(point: EdwardsPoint) -> Key {
        Key { bytes: point.compress().to_bytes(), point }
    }
}

fn bytes32(hex: &str) -> [u8; 32] {
    bytes_of_hex(hex).try_into().unwrap()
}

/// k of RFC 8032: the hash of R, A and the message.
fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

fn joined(r: [u8; 32], s: Scalar) -> [u8; 64] {
    [r, s.to_bytes()].concat().try_into().unwrap()
}

/// A signature for a key without a secret: it fulfils the equation by trial.
fn forged(key: Key, message: &[u8]) -> [u8; 64] {
    let trials = (1u64..).flat_map(|s| EIGHT_TORSION.map(|torsion| (Scalar::from(s), torsion)));
    let signs = |(s, torsion): &(Scalar, EdwardsPoint)| {
        let r = EdwardsPoint::mul_base(s) + torsion;
        let k = challenge(&r.compress().to_bytes(), &key.bytes, message);
        EdwardsPoint::mul_base(s) - k * key.point == r
    };
    let (s, torsion) = trials.into_iter().find(signs).unwrap();
    joined((EdwardsPoint::mul_base(&s) + torsion).compress().to_bytes(), s)
}

/// The secret number of a seed's key.
fn secret(seed: u8) -> Scalar {
    signer(seed).to_scalar()
}

/// The points of small order, and how two of them are also written: with a y not below p.
fn weak_points() -> Vec<(&'static str, &'static str, Key)> {
    let names = ["order-1", "order-8-a", "order-4-a", "order-8-b", "order-2", "order-8-c"];
    let names = names.into_iter().chain(["order-4-b", "order-8-d"]);
    let mut points: Vec<_> = names
        .zip(EIGHT_TORSION)
        .map(|(name, point)| (name, "a point of small order", Key::of(point)))
        .collect();
    for (name, note, hex, order) in [
        (
            "order-1-not-reduced",
            "y = p + 1",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            0,
        ),
        (
            "order-4-not-reduced",
            "y = p",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            2,
        ),
        (
            "order-1-signed",
            "y = 1 and x = 0 with a sign",
            "0100000000000000000000000000000000000000000000000000000000000080",
            0,
        ),
    ] {
        let key = Key { bytes: bytes32(hex), point: EIGHT_TORSION[order] };
        points.push((name, note, key));
    }
    // y = 0 stands for two points of order 4, that differ in the sign of x.
    let decoded = curve25519_dalek::edwards::CompressedEdwardsY([0; 32]).decompress().unwrap();
    let at = points.iter_mut().find(|(name, ..)| *name == "order-4-not-reduced").unwrap();
    at.2.point = decoded;
    points
}

/// The manifest with this online key, and with this signature.
fn with_online(made: &Made<'_>, key: &[u8; 32], sign: impl Fn(&[u8]) -> [u8; 64]) -> Given {
    let keys = replaced(&made.keys, &public(ONLINE), &BASE64.encode(key));
    let listed = String::from_utf8(made.with_keys(&keys).bytes).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let payload = BASE64.decode(listed["payload"].as_str().unwrap().as_bytes()).unwrap();
    let sig = sign(&signed_bytes(MANIFEST, &payload));
    made.given(envelope_with(MANIFEST, &payload, &[signature_of(key, &sig)]))
}

fn weak_keys(vectors: &mut Vectors, made: &Made<'_>) {
    for (name, note, key) in weak_points() {
        let online = with_online(made, &key.bytes, |message| forged(key, message));
        let case = online.case(vectors, &format!("manifest-online-key-{name}"), note);
        vectors.invalid(case, "OnlineSignature");

        let sig = forged(key, &signed_bytes(KEYS, made.keys.as_bytes()));
        let list = envelope_with(KEYS, made.keys.as_bytes(), &[signature_of(&key.bytes, &sig)]);
        let root = Given { root: key.bytes, ..made.with_key_envelope(&list) };
        let case = root.case(vectors, &format!("manifest-root-key-{name}"), note);
        vectors.invalid(case, "RootSignature");
    }
}

/// The manifest under the online key and this signature.
fn with_sig(made: &Made<'_>, sig: &[u8; 64]) -> Given {
    let key = signer(ONLINE).verifying_key().to_bytes();
    let signature = signature_of(&key, sig);
    made.given(envelope_with(MANIFEST, made.payload.as_bytes(), &[signature]))
}

fn weak_nonces(vectors: &mut Vectors, made: &Made<'_>) {
    let key = signer(ONLINE).verifying_key().to_bytes();
    let message = signed_bytes(MANIFEST, made.payload.as_bytes());
    for (name, note, hex) in [
        (
            "order-1",
            "R is the point of order 1",
            "0100000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "order-1-not-reduced",
            "R is the point of order 1, written as y = p + 1",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ),
    ] {
        let r = bytes32(hex);
        let sig = joined(r, challenge(&r, &key, &message) * secret(ONLINE));
        let case = with_sig(made, &sig).case(vectors, &format!("manifest-nonce-{name}"), note);
        vectors.invalid(case, "OnlineSignature");
    }
    // The root's signature of the key list.
    let (r, root) = (EIGHT_TORSION[0].compress().to_bytes(), signer(ROOT).verifying_key());
    let message = signed_bytes(KEYS, made.keys.as_bytes());
    let s = challenge(&r, root.as_bytes(), &message) * secret(ROOT);
    let signature = signature_of(root.as_bytes(), &joined(r, s));
    let list = envelope_with(KEYS, made.keys.as_bytes(), &[signature]);
    let note = "R of the root's signature is the point of order 1";
    let case = made.with_key_envelope(&list).case(vectors, "manifest-root-nonce-order-1", note);
    vectors.invalid(case, "RootSignature");
}

/// Points that are a sum of one of large and one of small order: with and without the cofactor,
/// the equation says different things.
fn mixed_orders(vectors: &mut Vectors, made: &Made<'_>) {
    let torsion = EIGHT_TORSION[1];
    let online = EdwardsPoint::mul_base(&secret(ONLINE));
    let mixed = Key::of(online + torsion);
    let sign = |wanted: bool| {
        move |message: &[u8]| {
            let trial = |r: Scalar| {
                let nonce = EdwardsPoint::mul_base(&r).compress().to_bytes();
                let k = challenge(&nonce, &mixed.bytes, message);
                let sig = joined(nonce, r + k * secret(ONLINE));
                (k * torsion == EIGHT_TORSION[0], sig)
            };
            let mut trials = (1u64..).map(|r| trial(Scalar::from(r)));
            trials.find(|(is_exact, _)| *is_exact == wanted).unwrap().1
        }
    };
    let exact = with_online(made, &mixed.bytes, sign(true));
    let note = "an online key of large order plus one of small order, and the equation holds";
    let case = exact.case(vectors, "manifest-mixed-key-exact", note);
    vectors.valid(case, made.expect(made.manifest, 3));
    let loose = with_online(made, &mixed.bytes, sign(false));
    let note = "such a key, and the equation holds only times 8";
    let case = loose.case(vectors, "manifest-mixed-key", note);
    vectors.invalid(case, "OnlineSignature");

    let key = online.compress().to_bytes();
    let r = (EdwardsPoint::mul_base(&Scalar::from(7u64)) + torsion).compress().to_bytes();
    let message = signed_bytes(MANIFEST, made.payload.as_bytes());
    let s = Scalar::from(7u64) + challenge(&r, &key, &message) * secret(ONLINE);
    let note = "such an R, and the equation holds only times 8";
    let case = with_sig(made, &joined(r, s)).case(vectors, "manifest-mixed-nonce", note);
    vectors.invalid(case, "OnlineSignature");
}

fn undecodable(vectors: &mut Vectors, made: &Made<'_>) {
    // No x belongs to y = 2.
    let nothing = bytes32("0200000000000000000000000000000000000000000000000000000000000000");
    let point = curve25519_dalek::edwards::CompressedEdwardsY(nothing);
    assert!(point.decompress().is_none());
    let both = format!(r#"{}","{}"#, BASE64.encode(&nothing), public(ONLINE));
    let given = made.with_keys(&replaced(&made.keys, &public(ONLINE), &both));
    let note = "the first of two online keys is no point; the second signed";
    let case = given.case(vectors, "manifest-key-no-point", note);
    vectors.valid(case, made.expect(made.manifest, 3));
}

fn not_reduced(vectors: &mut Vectors, made: &Made<'_>) {
    let sig = sign(MANIFEST, made.payload.as_bytes(), &signer(ONLINE));
    let case = with_sig(made, &plus_order(sig));
    let case = case.case(vectors, "manifest-sig-not-reduced", "S + L in place of S");
    vectors.invalid(case, "OnlineSignature");
}

/// The signature with the order of the group added to S: congruent, but not canonical.
fn plus_order(mut signature: [u8; 64]) -> [u8; 64] {
    let order = bytes_of_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (digit, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*digit) + u16::from(add) + carry;
        *digit = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    signature
}
