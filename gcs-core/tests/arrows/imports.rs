//! Which modules of a crate a module uses, read from its source.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module directly below the crate's root, and those of its siblings that it may use.
pub(crate) type Layer = (&'static str, &'static [&'static str]);

/// Fails unless every module below `source` is listed and uses only `everywhere`, its own
/// layer's list and itself. Tests within the source and doc comments do not count.
pub(crate) fn assert_arrows(source: &str, everywhere: &[&str], layers: &[Layer]) {
    let modules = modules(Path::new(source));
    let listed: BTreeSet<&str> = layers.iter().map(|layer| layer.0).collect();
    let found: BTreeSet<&str> = modules.keys().map(String::as_str).collect();
    assert_eq!(found, listed, "the modules below {source} and those listed");
    let mut wrong = Vec::new();
    for (module, allowed) in layers {
        for (file, used) in modules[*module].iter().flat_map(|file| {
            used_modules(Path::new(source), file).into_iter().map(move |used| (file, used))
        }) {
            let is_known = listed.contains(used.as_str());
            let is_allowed = used == *module
                || allowed.contains(&used.as_str())
                || (everywhere.contains(&used.as_str()));
            if is_known && !is_allowed {
                wrong.push(format!("{} uses `{used}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that must not be:\n{}", wrong.join("\n"));
}

/// Fails if any file below `folder` names one of these crates outside of its tests.
#[allow(dead_code, reason = "not every crate has such a rule")]
pub(crate) fn assert_without_crates(folder: &str, crates: &[&str]) {
    let mut files = Vec::new();
    collect(Path::new(folder), &mut files);
    assert!(!files.is_empty(), "no source in {folder}");
    for file in files {
        let code = code_of(&file);
        for name in crates {
            let named = words(&code).any(|word| word == *name);
            assert!(!named, "{} names {name}", file.display());
        }
    }
}

/// The files of each module directly below the root.
fn modules(source: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut modules = BTreeMap::new();
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "lib" || name == "main" {
            continue;
        }
        let mut files = Vec::new();
        collect(&path, &mut files);
        if !files.is_empty() {
            modules.entry(name).or_insert_with(Vec::new).extend(files);
        }
    }
    modules
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs")
        && path.file_name().is_none_or(|name| name != "tests.rs")
    {
        files.push(path.to_owned());
    }
}

/// A file's code without comments and without its own tests.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Modules directly below the root that a file names, by `crate::` or by `super::` so often
/// that it comes out at the root.
fn used_modules(source: &Path, file: &Path) -> BTreeSet<String> {
    let code = code_of(file);
    let inner = file.strip_prefix(source).unwrap();
    let is_module_file = inner.file_stem().is_some_and(|stem| stem == "mod");
    let depth = inner.components().count() - usize::from(is_module_file);
    let to_root = "super::".repeat(depth);
    let mut used = names_behind(&code, "crate::");
    used.extend(names_behind(&code, &to_root));
    used
}

/// The first names of the paths behind a prefix, also of those in braces.
fn names_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads_of_group(group)),
            None => names.extend(words(rest).next().map(str::to_owned)),
        }
    }
    names
}

/// The first name of each path of `{a::b, c::{d, e}, f}`, of which the first brace is gone.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut heads = vec![String::new()];
    let mut depth = 0;
    for symbol in group.chars() {
        match symbol {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            _ if depth == 0 => heads.last_mut().unwrap().push(symbol),
            _ => {}
        }
    }
    heads.iter().filter_map(|head| words(head).next().map(str::to_owned)).collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|symbol: char| !symbol.is_alphanumeric() && symbol != '_')
        .filter(|word| !word.is_empty())
}

#[test]
fn imports_are_found_in_every_form() {
    let names = |code| names_behind(code, "crate::").into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::a::B; let x = crate::c::d();"), ["a", "c"]);
    assert_eq!(names("use crate::{a::{b, c}, d, e::f};"), ["a", "d", "e"]);
    assert_eq!(names("my_crate::a"), [] as [&str; 0]);
    let names = |code| names_behind(code, "super::super::").into_iter().collect::<Vec<_>>();
    assert_eq!(names("use super::super::a; use super::b; super::super::super::c"), ["a", "super"]);
}
