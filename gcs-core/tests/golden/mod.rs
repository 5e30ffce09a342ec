//! The golden vectors: where they are, how they are listed, how to read them.
//!
//! Nothing here knows the library, so that a second decoder can be run over the same list.

#![allow(dead_code, reason = "each test that includes this file uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(not(gcs_bare))]
use std::path::PathBuf;
use std::string::String;
use std::vec::Vec;

use data_encoding::HEXLOWER;
use serde_json::Value;

/// The folder of the vectors.
#[cfg(not(gcs_bare))]
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The bytes of a file in the folder. Without std, as in tests/bare, someone else must read it.
#[cfg(gcs_bare)]
pub(crate) use crate::host::file;

/// The bytes of a file in the folder.
#[cfg(not(gcs_bare))]
pub(crate) fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The bytes that lower-case hexadecimal text stands for.
pub(crate) fn bytes_of_hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Lower-case hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// One entry of `vectors.json`.
#[derive(Clone, Debug)]
pub(crate) struct Case(Value);

/// Every case of one kind, which must not be none.
pub(crate) fn cases(kind: &str) -> Vec<Case> {
    let cases: Vec<Case> = all_cases().into_iter().filter(|case| case.kind() == kind).collect();
    assert!(!cases.is_empty(), "no case of kind {kind}");
    cases
}

/// Every case.
pub(crate) fn all_cases() -> Vec<Case> {
    let list: Vec<Value> = serde_json::from_slice(&file("vectors.json")).unwrap();
    list.into_iter().map(Case).collect()
}

impl Case {
    /// Its name, unique.
    pub(crate) fn name(&self) -> &str {
        self.text("name")
    }

    /// What kind of file it is about.
    pub(crate) fn kind(&self) -> &str {
        self.text("kind")
    }

    /// The class of error that it must end in; `None` if it is valid.
    pub(crate) fn error(&self) -> Option<&str> {
        let error = self.0.get("error").map(|error| error.as_str().unwrap());
        assert_eq!(self.0["valid"].as_bool(), Some(error.is_none()), "{}", self.name());
        error
    }

    /// What a valid case must give.
    pub(crate) fn expect(&self, member: &str) -> &Value {
        let value = self.0.get("expect").and_then(|expect| expect.get(member));
        value.unwrap_or_else(|| panic!("{}: nothing expected of {member}", self.name()))
    }

    /// A member, if it is there.
    pub(crate) fn get(&self, member: &str) -> Option<&Value> {
        self.0.get(member)
    }

    /// A member that is text.
    pub(crate) fn text(&self, member: &str) -> &str {
        let value = self.get(member).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no text {member} in {}", self.0))
    }

    /// A member that is a number.
    pub(crate) fn number(&self, member: &str) -> u64 {
        let value = self.get(member).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no number {member} in {}", self.0))
    }

    /// A member that is hexadecimal, as bytes.
    pub(crate) fn hex(&self, member: &str) -> Vec<u8> {
        bytes_of_hex(self.text(member))
    }

    /// The bytes of the file that a member names.
    pub(crate) fn file(&self, member: &str) -> Vec<u8> {
        file(self.text(member))
    }

    /// The bytes of the files that a member lists.
    pub(crate) fn files(&self, member: &str) -> Vec<Vec<u8>> {
        let names = self.get(member).and_then(Value::as_array);
        let names = names.unwrap_or_else(|| panic!("no list {member} in {}", self.0));
        names.iter().map(|name| file(name.as_str().unwrap())).collect()
    }

    /// The bytes that the case is about: those of `file`, with the changes in `patch`.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.file("file");
        let Some(patch) = self.get("patch") else { return bytes };
        for edit in patch.get("edits").and_then(Value::as_array).into_iter().flatten() {
            let at = edit["at"].as_u64().unwrap() as usize;
            let new = bytes_of_hex(edit["bytes"].as_str().unwrap());
            bytes[at..at + new.len()].copy_from_slice(&new);
        }
        if let Some(length) = patch.get("cut").and_then(Value::as_u64) {
            bytes.truncate(length as usize);
        }
        if let Some(more) = patch.get("append").and_then(Value::as_str) {
            bytes.extend(bytes_of_hex(more));
        }
        bytes
    }
}
