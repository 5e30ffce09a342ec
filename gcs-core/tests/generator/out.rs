//! Collects files and cases.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::golden::hex;

/// All that is written.
#[derive(Default)]
pub(crate) struct Vectors {
    /// By path within the folder.
    files: BTreeMap<String, Vec<u8>>,
    cases: Vec<Case>,
    names: BTreeSet<String>,
}

/// One case, its members in order.
pub(crate) struct Case(Vec<(&'static str, Value)>);

impl Vectors {
    /// Adds a file that cases refer to, in the folder that its name begins with; gives
    /// its path back.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> String {
        let path = name.replacen('-', "/", 1);
        self.file_at(&path, bytes);
        path
    }

    /// Adds a file at a path within the folder.
    pub(crate) fn file_at(&mut self, path: &str, bytes: &[u8]) {
        let old = self.files.insert(path.to_string(), bytes.to_vec());
        assert!(old.is_none_or(|old| old == bytes), "two files are named {path}");
    }

    /// Begins a case without a file.
    pub(crate) fn case(&mut self, kind: &str, name: &str, note: &str) -> Case {
        assert!(self.names.insert(name.to_string()), "two cases are named {name}");
        Case(vec![("name", name.into()), ("kind", kind.into()), ("note", note.into())])
    }

    /// Begins a case about a file of its own.
    pub(crate) fn file_case(&mut self, kind: &str, name: &str, note: &str, bytes: &[u8]) -> Case {
        let extension = if kind == "manifest" { "json" } else { "bin" };
        let file = self.file(&format!("{name}.{extension}"), bytes);
        self.case(kind, name, note).with("file", file)
    }

    /// Ends a valid case.
    pub(crate) fn valid(&mut self, case: Case, expect: Value) {
        self.cases.push(case.with("valid", true).with("expect", expect));
    }

    /// Ends an invalid case.
    pub(crate) fn invalid(&mut self, case: Case, error: &str) {
        self.cases.push(case.with("valid", false).with("error", error));
    }

    /// A whole case whose file is refused without any further input.
    pub(crate) fn refused(
        &mut self,
        kind: &str,
        name: &str,
        note: &str,
        bytes: &[u8],
        error: &str,
    ) {
        let case = self.file_case(kind, name, note, bytes);
        self.invalid(case, error);
    }

    /// All files by their paths within the folder, the list of cases among them.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files.clone();
        files.insert("vectors.json".into(), self.list().into_bytes());
        files
    }

    /// Their paths.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.files().into_keys().collect()
    }

    /// The text of `vectors.json`: one member of a case on a line.
    fn list(&self) -> String {
        let cases: Vec<String> = self.cases.iter().map(Case::text).collect();
        format!("[\n{}\n]\n", cases.join(",\n"))
    }
}

impl Case {
    /// Adds a member.
    pub(crate) fn with(mut self, member: &'static str, value: impl Into<Value>) -> Case {
        self.0.push((member, value.into()));
        self
    }

    fn text(&self) -> String {
        let members: Vec<String> =
            self.0.iter().map(|(member, value)| format!("    \"{member}\": {value}")).collect();
        format!("  {{\n{}\n  }}", members.join(",\n"))
    }
}

/// A number of which all 64 bits may be set, as 16 hexadecimal digits.
pub(crate) fn hex_number(value: u64) -> String {
    hex(&value.to_be_bytes())
}
