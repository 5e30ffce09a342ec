//! The golden vectors tell a wrong reader from a right one: every rule of the naive reader is taken
//! away, and every usual mistake is made, and a vector must show it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod golden;
mod mistakes;
mod naive;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use golden::{Case, all_cases};
use naive::Outcome;
use naive::mutant::{self, Fate, Mutant, Place, RIGHT};
use reading::{accept, read};

/// What a mutant does with a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effect {
    /// What is expected.
    Right,
    /// It gives another class of error.
    Wrong,
    /// It accepts what must be refused, or reads what is valid otherwise, or not.
    Fatal,
}

/// What a mutant does with a case, and where the last rule was that the case breaks.
fn effect(case: &Case, mutant: Mutant) -> (Effect, Option<Place>) {
    let Some(expected) = case.error() else {
        let (read, place) = mutant::with(mutant, || survive(|| read(case)));
        let effect = match read {
            Ok(value) if Some(&value) == case.get("expect") => Effect::Right,
            Ok(_) => Effect::Fatal,
            Err(_) => Effect::Fatal,
        };
        return (effect, place);
    };
    let (read, place) = mutant::with(mutant, || survive(|| accept(case, &case.bytes())));
    let effect = match read {
        Ok(()) => Effect::Fatal,
        Err(class) if class == expected => Effect::Right,
        Err(_) => Effect::Wrong,
    };
    (effect, place)
}

/// Reads; a panic, to which a broken reader may come, is an error of its own.
fn survive<T>(read: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("a panic".into()))
}

fn file_cases() -> Vec<Case> {
    all_cases().into_iter().filter(|case| case.get("file").is_some()).collect()
}

/// A mistake shows if the reader that makes it accepts, refuses or reads a vector wrongly.
#[test]
fn every_usual_mistake_shows() {
    let cases = file_cases();
    for (name, mistake) in mistakes::all() {
        let mut effects = cases.iter().map(|case| effect(case, mistake).0);
        assert!(effects.any(|effect| effect == Effect::Fatal), "nothing tells: {name}");
    }
    let rightly = |case: &Case| effect(case, RIGHT).0 == Effect::Right;
    assert!(cases.iter().all(rightly));
}

/// Rules that the other rules imply: a reader without one refuses the same files, most under another
/// class.
const IMPLIED: [&str; 17] = [
    // Section 3: more values than there may be do not ascend; what a code takes bounds its length.
    r#"expect(u64::from(self.count) <= self.bound, "Limit")?;"#,
    r#"expect((least..=most).contains(&u128::from(self.bits)), "BitLength")"#,
    r#"expect(at < end, "Overrun")?;"#,
    // Section 4: the trailer would be read from elsewhere.
    r#"expect(file.len() as u128 == 48 + shape.bytes() + 32, "Length")?;"#,
    // Section 5: a shorter file has no body; an identity implies the rest of the header.
    r#"expect(file.len() >= 164, "Length")?;"#,
    r#"expect(self.salt == base.salt, "Salt")?;"#,
    r#"expect(self.range == base.range, "HashRange")?;"#,
    r#"expect(u32::try_from(body.target(base)).is_ok(), "Limit")?;"#,
    // Sections 6 and 7: one shape; no two bundles alike.
    r#"expect(legal.into_iter().any(|ranks| ranks == row.ranks), "Limit")?;"#,
    r#"expect(u64::from(row.count) <= 64 * u64::from(row.ranks), "Limit")?;"#,
    r#"expect(count <= most, "Limit")?;"#,
    // Section 8: sets that fit their rows; dates of a table.
    r#"expect(self.row.salt == base.salt && self.row.range == base.range, "Row")?;"#,
    r#"expect(set.identity == self.row.identity, "Part.Digest")?;"#,
    r#"expect(dropped <= 32 && changed <= 32, "Limit")?;"#,
    // Section 21: more seeds than there may be have no bytes; the codes bound their length.
    r#"expect(total < 1 << 32, "Limit")?;"#,
    r#"expect((least..=most).contains(&bits.into()), "BitLength")?;"#,
    // Section 9: the date of the row is a date.
    "let date = reader.date()?;",
];

/// The last rule of a manifest.
const LAST: &str = r#"expect(manifest.expires > known.now, "Expired")?;"#;

/// Without a rule, the reader accepts a vector that must be refused. Where other rules imply it, a
/// vector ends in another class.
#[test]
fn every_rule_has_a_vector() {
    let mut best: BTreeMap<Rule, Effect> = BTreeMap::new();
    for (case, place) in broken_rules() {
        let skipped = Mutant { rule: Some((place, Fate::Skipped)), ..RIGHT };
        let effect = effect(&case, skipped).0;
        let known = best.entry(Rule::at(place)).or_insert(Effect::Right);
        if effect == Effect::Fatal || *known == Effect::Right {
            *known = effect;
        }
    }
    let rules = all_rules();
    let unlisted: Vec<_> = best.keys().filter(|rule| !rules.contains(rule)).collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    let mut wrong = Vec::new();
    for rule in rules {
        let found = best.get(&rule).copied();
        let is_implied = IMPLIED.contains(&rule.source.as_str());
        if (found == Some(Effect::Fatal)) == is_implied || found.is_none() {
            wrong.push(format!("{rule:?}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A reader of manifests that looks at a rule only when all others hold gives another class for one
/// of the vectors.
#[test]
fn the_order_of_the_rules_of_manifests_shows() {
    let mut found = BTreeSet::new();
    for (case, place) in broken_rules() {
        let late = Mutant { rule: Some((place, Fate::Last)), ..RIGHT };
        if effect(&case, late).0 != Effect::Right {
            found.insert(Rule::at(place));
        }
    }
    let of_manifests = |rule: &Rule| {
        let call = &rule.source[rule.column as usize - rule.indent - 1..];
        rule.file == "manifest.rs" && call.starts_with("expect")
    };
    let missing: Vec<_> = all_rules()
        .into_iter()
        .filter(of_manifests)
        .filter(|rule| !found.contains(rule) && rule.source != LAST)
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The invalid cases, and the rule that each breaks first.
fn broken_rules() -> Vec<(Case, Place)> {
    let invalid = file_cases().into_iter().filter(|case| case.error().is_some());
    invalid.filter_map(|case| effect(&case, RIGHT).1.map(|place| (case, place))).collect()
}

/// A rule of the reader.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Rule {
    file: String,
    line: u32,
    column: u32,
    /// The line of the source, and how many spaces are before it.
    source: String,
    indent: usize,
}

impl Rule {
    fn at((file, line, column): Place) -> Rule {
        let file = Path::new(file).file_name().unwrap().to_str().unwrap();
        let source = std::fs::read_to_string(folder().join(file)).unwrap();
        Rule::of(file, source.lines().nth(line as usize - 1).unwrap(), line, column)
    }

    fn of(file: &str, text: &str, line: u32, column: u32) -> Rule {
        let (file, source) = (file.to_string(), text.trim().to_string());
        Rule { file, line, column, source, indent: text.len() - text.trim_start().len() }
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/naive")
}

/// Every rule in the source of the naive reader.
fn all_rules() -> BTreeSet<Rule> {
    let mut rules = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        rules.extend(rules_of(file, &std::fs::read_to_string(&path).unwrap()));
    }
    rules
}

/// How the calls begin of what fails at its caller.
const CALLS: [&str; 12] = [
    "expect(",
    "expect_date(",
    "expect_range(",
    "expect_signatures(",
    "expect_span(",
    "expect_one_shape(",
    ".member(",
    ".optional(",
    "reader.date(",
    "reader.range(",
    "reader.reserved(",
    "reader.end(",
];

/// The calls in a source, but for those in functions that fail at their caller themselves, and
/// in those that write.
fn rules_of(file: &str, source: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut left_out = None;
    for (line, text) in (1..).zip(source.lines()) {
        let indent = text.len() - text.trim_start().len();
        if text.trim() == "#[track_caller]" || text.contains("fn encode") {
            left_out = Some(indent);
        } else if left_out == Some(indent) && text.trim() == "}" {
            left_out = None;
        }
        if left_out.is_some() || text.trim().starts_with("//") || text.contains("fn ") {
            continue;
        }
        for call in CALLS {
            for (at, _) in text.match_indices(call) {
                let before = text[..at].chars().next_back();
                let is_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
                if is_word && !call.starts_with('.') {
                    continue;
                }
                let name = at + call.find('.').map_or(0, |dot| dot + 1);
                rules.push(Rule::of(file, text, line, name as u32 + 1));
            }
        }
    }
    rules
}
