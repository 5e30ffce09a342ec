//! Manifests whose JSON is not as section 10 wants it, or unusual and right.

use serde_json::Value;

use super::manifests::{Given, Made, ONLINE, ROOT, keys_of, replaced, signer};
use super::out::Vectors;
use crate::naive::dsse::{KEYS, MANIFEST, envelope};

pub(super) fn add(vectors: &mut Vectors, made: &Made<'_>) {
    valid(vectors, made);
    numbers(vectors, made);
    twice(vectors, made);
    types(vectors, made);
    lists(vectors, made);
    no_json(vectors, made);
    encodings(vectors, made);
}

fn refuse(vectors: &mut Vectors, name: &str, note: &str, given: Given) {
    let case = given.case(vectors, name, note);
    vectors.invalid(case, "Json");
}

/// A JSON text of the manifest.
#[derive(Clone, Copy)]
enum Text {
    /// The whole file.
    File,
    /// Its payload.
    Payload,
    /// The payload of its key list.
    Keys,
}

impl Text {
    fn of(self, made: &Made<'_>) -> String {
        match self {
            Text::File => String::from_utf8(made.signed(&made.payload).bytes).unwrap(),
            Text::Payload => made.payload.clone(),
            Text::Keys => made.keys.clone(),
        }
    }

    /// The manifest with these bytes in place of the text, signed anew.
    fn with(self, made: &Made<'_>, bytes: &[u8]) -> Given {
        match self {
            Text::File => made.given(bytes),
            Text::Payload => made.given(envelope(MANIFEST, bytes, &signer(ONLINE))),
            Text::Keys => made.with_key_envelope(&envelope(KEYS, bytes, &signer(ROOT))),
        }
    }

    fn changed(self, made: &Made<'_>, from: &str, to: &str) -> Given {
        self.with(made, replaced(&self.of(made), from, to).as_bytes())
    }
}

fn valid(vectors: &mut Vectors, made: &Made<'_>) {
    let slashes = keys_of(&made.payload).replace('/', r"\/");
    for (name, note, given) in [
        (
            "manifest-unknown-twice",
            "a member that nobody knows is there twice",
            Text::Payload.changed(made, r#"{"format""#, r#"{"more":1,"more":[],"format""#),
        ),
        (
            "manifest-other-case",
            "Tick is another member than tick",
            made.changed(r#""tick":5,"#, r#""Tick":6,"tick":5,"TICK":7,"#),
        ),
        (
            "manifest-escaped-name",
            "the name of tick is written with an escape",
            made.changed(r#""tick""#, r#""t\u0069ck""#),
        ),
        (
            "manifest-escaped-slash",
            "slashes of the key list are written with escapes",
            made.with_key_envelope(&slashes),
        ),
        (
            "manifest-white-space-around",
            "white space before and behind the payload",
            made.signed(&format!(" \r\n\t{} \r\n\t", made.payload)),
        ),
        (
            "manifest-key-list-2-64-less-1",
            "the key list expires in second 2^64 - 1",
            with_number(made, "keys-expires", "18446744073709551615"),
        ),
        (
            "manifest-odd-members",
            "members to ignore that have the names of others elsewhere",
            made.changed(
                r#""series""#,
                r#""sha256":0,"payload":"?","sig":{},"version":-1,"series""#,
            ),
        ),
    ] {
        let case = given.case(vectors, name, note);
        vectors.valid(case, made.expect(made.manifest, 3));
    }
}

/// Every number: its place, its value, and in how many bits it must fit.
fn every_number(made: &Made<'_>) -> Vec<(&'static str, u64, u32)> {
    let manifest = made.manifest;
    vec![
        ("format", 1, 32),
        ("series", manifest.series.into(), 32),
        ("tick", manifest.tick.into(), 32),
        ("issued", manifest.issued, 64),
        ("expires", manifest.expires, 64),
        ("next", manifest.next, 64),
        ("index-bytes", manifest.index.bytes, 64),
        ("bundle-bytes", manifest.bundle.unwrap().bytes, 64),
        ("keys-version", 3, 32),
        ("keys-expires", super::world::keys_expire(), 64),
    ]
}

/// The manifest with another text for the number at a place.
fn with_number(made: &Made<'_>, place: &str, number: &str) -> Given {
    let (_, value, _) =
        every_number(made).into_iter().find(|(of, ..)| *of == place).expect("a place");
    let (text, prefix) = match place {
        "index-bytes" => (Text::Payload, r#""index":{"bytes":"#.to_string()),
        "bundle-bytes" => (Text::Payload, r#""bundle":{"bytes":"#.to_string()),
        "keys-version" => (Text::Keys, r#""version":"#.to_string()),
        "keys-expires" => (Text::Keys, r#""expires":"#.to_string()),
        member => (Text::Payload, format!(r#""{member}":"#)),
    };
    let (from, to) = (format!("{prefix}{value},"), format!("{prefix}{number},"));
    text.changed(made, &from, &to)
}

fn numbers(vectors: &mut Vectors, made: &Made<'_>) {
    for (place, value, bits) in every_number(made) {
        let beyond = (1u128 << bits) + u128::from(value);
        for (form, number) in [
            ("fraction", format!("{value}.0")),
            ("exponent", format!("{value}e0")),
            ("minus-zero", "-0".to_string()),
            ("negative", format!("-{value}")),
            ("true", "true".to_string()),
            ("text", format!(r#""{value}""#)),
            ("null", "null".to_string()),
            ("too-large", beyond.to_string()),
        ] {
            let note = format!("{place} is {number}");
            let given = Given { least_keys: 0, ..with_number(made, place, &number) };
            refuse(vectors, &format!("manifest-{place}-{form}"), &note, given);
        }
    }
}

/// Every object: its name, its text and how it begins there, where it is in the parsed
/// text, and the members that a reader knows.
fn every_object() -> [(&'static str, Text, &'static str, &'static str, Vec<&'static str>); 8] {
    const ENVELOPE: [&str; 3] = ["payloadType", "payload", "signatures"];
    const SIGNATURE: [&str; 2] = ["keyid", "sig"];
    const HASH: [&str; 2] = ["bytes", "sha256"];
    let signatures = r#""signatures":[{"#;
    let manifest = vec![
        "format", "series", "tick", "issued", "expires", "next", "state", "index", "bundle", "keys",
    ];
    [
        ("envelope", Text::File, "{\"payloadType\"", "", ENVELOPE.to_vec()),
        ("signature", Text::File, signatures, "/signatures/0", SIGNATURE.to_vec()),
        ("payload", Text::Payload, "{\"format\"", "", manifest),
        ("index", Text::Payload, "\"index\":{", "/index", HASH.to_vec()),
        ("bundle", Text::Payload, "\"bundle\":{", "/bundle", HASH.to_vec()),
        ("keys", Text::Payload, "\"keys\":{", "/keys", ENVELOPE.to_vec()),
        ("keys-signature", Text::Payload, signatures, "/keys/signatures/0", SIGNATURE.to_vec()),
        ("key-list", Text::Keys, "{\"version\"", "", vec!["version", "expires", "keys"]),
    ]
}

fn twice(vectors: &mut Vectors, made: &Made<'_>) {
    for (object, text, begin, at, members) in every_object() {
        let whole = text.of(made);
        let parsed: Value = serde_json::from_str(&whole).unwrap();
        for member in members {
            let value = &parsed.pointer(at).unwrap()[member];
            let (open, rest) = begin.split_at(begin.find('{').unwrap() + 1);
            let comma = if rest.is_empty() { "," } else { ", " };
            let again = format!(r#"{open}"{member}":{value}{comma}{rest}"#);
            let given = text.changed(made, begin, &again);
            let name = format!("manifest-{object}-{member}-twice");
            refuse(vectors, &name, "a member is there twice, alike", given);
        }
    }
    for (name, note, again) in [
        ("manifest-twice-unlike", "tick is 5 and then 6", r#""tick":5,"tick":6,"#),
        ("manifest-twice-escaped", "tick again, with an escape", r#""tick":5,"t\u0069ck":5,"#),
    ] {
        refuse(vectors, name, note, made.changed(r#""tick":5,"#, again));
    }
    let bundle = r#""bundle":null,"bundle":"#;
    let note = "bundle is null and then an object";
    refuse(vectors, "manifest-bundle-null-twice", note, made.changed(r#""bundle":"#, bundle));
}

/// Members of other types than they have.
fn types(vectors: &mut Vectors, made: &Made<'_>) {
    let file = |name: &str| format!(r#""{name}":"#);
    let value = |text: Text, pointer: &str| {
        let parsed: Value = serde_json::from_str(&text.of(made)).unwrap();
        parsed.pointer(pointer).unwrap().to_string()
    };
    for (place, text, at, wrong) in [
        ("bundle", Text::Payload, "/bundle", &["[]", "\"none\"", "0", "false", "{}", "\"\""][..]),
        ("index", Text::Payload, "/index", &["null", "[]", "\"\"", "{}"]),
        ("state", Text::Payload, "/state", &["null", "0", "[]"]),
        ("keys", Text::Payload, "/keys", &["null", "[]", "\"\"", "{}"]),
        ("keyid", Text::File, "/signatures/0/keyid", &["0", "null", "false", "[]"]),
        ("sig", Text::File, "/signatures/0/sig", &["null", "0", "[]"]),
        ("signatures", Text::File, "/signatures", &["null", "{}", "[null]", "[[]]", "[{}]"]),
        ("file-payload", Text::File, "/payload", &["null", "0", "{}"]),
        ("type", Text::File, "/payloadType", &["null", "0", "[]"]),
        ("list-keys", Text::Keys, "/keys", &["null", "{}", "[null]", "[[]]", "\"\""]),
    ] {
        let member = file(at.rsplit('/').next().unwrap());
        let whole = text.of(made);
        let begin = whole.find(&member).unwrap() + member.len();
        let length = original_length(&whole[begin..], &value(text, at));
        for (number, wrong) in wrong.iter().enumerate() {
            let changed = [&whole[..begin], wrong, &whole[begin + length..]].concat();
            let name = format!("manifest-{place}-type-{number}");
            let note = format!("{} is {wrong}", at.rsplit('/').next().unwrap());
            refuse(vectors, &name, &note, text.with(made, changed.as_bytes()));
        }
    }
}

/// The length of the JSON value that a text begins with, which comes to `value`.
fn original_length(text: &str, value: &str) -> usize {
    let expected: Value = serde_json::from_str(value).unwrap();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    assert_eq!(values.next().unwrap().unwrap(), expected);
    values.byte_offset()
}

/// Objects that are written as the lists of their values.
fn lists(vectors: &mut Vectors, made: &Made<'_>) {
    for (object, text, _, at, members) in every_object() {
        let whole = text.of(made);
        let parsed: Value = serde_json::from_str(&whole).unwrap();
        let object_value = parsed.pointer(at).unwrap();
        let list: Vec<Value> = members.iter().map(|member| object_value[member].clone()).collect();
        let list = Value::from(list).to_string();
        let changed = if at.is_empty() {
            list
        } else {
            let mut changed = parsed.clone();
            *changed.pointer_mut(at).unwrap() = serde_json::from_str(&list).unwrap();
            changed.to_string()
        };
        let name = format!("manifest-{object}-list");
        let given = text.with(made, changed.as_bytes());
        refuse(vectors, &name, "an object is written as the list of its values", given);
    }
}

/// What is no JSON stays none in a member to ignore.
fn no_json(vectors: &mut Vectors, made: &Made<'_>) {
    for (name, value) in [
        ("nan", "NaN"),
        ("infinity", "Infinity"),
        ("leading-zero", "01"),
        ("plus", "+1"),
        ("bare-point", ".5"),
        ("open-point", "1."),
        ("hexadecimal", "0x1"),
        ("quotes", "'x'"),
        ("word", "x"),
        ("capital", "True"),
        ("comma", "[1,]"),
        ("comment", "1/**/"),
        ("tab", "\"a\tb\""),
        ("line", "\"a\nb\""),
        ("nul", "\"a\0b\""),
        ("escape", r#""\x""#),
        ("short-escape", r#""\u12""#),
        ("form-feed", "1\u{c}"),
        ("no-break-space", "1\u{a0}"),
    ] {
        let note = format!("a member to ignore is {value:?}");
        let member = format!(r#"{{"x":{value},"format""#);
        let given = made.signed(&replaced(&made.payload, "{\"format\"", &member));
        refuse(vectors, &format!("manifest-no-json-{name}"), &note, given);
    }
    let note = "a member of the envelope to ignore is NaN";
    let nan = Text::File.changed(made, "{\"payloadType\"", "{\"x\":NaN,\"payloadType\"");
    refuse(vectors, "manifest-no-json-in-envelope", note, nan);
    let note = "a member of the key list to ignore is NaN";
    let nan = Text::Keys.changed(made, "{\"version\"", "{\"x\":NaN,\"version\"");
    refuse(vectors, "manifest-no-json-in-keys", note, nan);
}

fn encodings(vectors: &mut Vectors, made: &Made<'_>) {
    for (place, text) in [("file", Text::File), ("payload", Text::Payload), ("keys", Text::Keys)] {
        let whole = text.of(made);
        let bom = [&[0xef, 0xbb, 0xbf], whole.as_bytes()].concat();
        let name = format!("manifest-{place}-byte-order-mark");
        refuse(vectors, &name, "a byte order mark before it", text.with(made, &bom));
        let latin = [br#"{"more":""#, &[0xff][..], br#"","#, &whole.as_bytes()[1..]].concat();
        let name = format!("manifest-{place}-not-utf-8");
        refuse(vectors, &name, "a member to ignore is not UTF-8", text.with(made, &latin));
        let long = [br#"{"more":""#, &[0xc0, 0x80][..], br#"","#, &whole.as_bytes()[1..]].concat();
        let name = format!("manifest-{place}-overlong");
        refuse(vectors, &name, "a member to ignore has NUL in two bytes", text.with(made, &long));
        let name = format!("manifest-{place}-and-more");
        let note = "another value behind it";
        refuse(vectors, &name, note, text.with(made, format!("{whole}{{}}").as_bytes()));
    }
    let wide: Vec<u8> = made.payload.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let name = "manifest-utf-16";
    let short: Vec<u8> = wide[..600].to_vec();
    refuse(vectors, name, "a payload in UTF-16", Text::Payload.with(made, &short));
}
