//! What a report says of itself: machine, versions, commit, date.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use gcs_core::Date;

use super::Scope;
use super::words;

/// The packages of the lock file, which say the version of each peer.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// The packages whose versions a reader needs.
const PACKAGES: [&str; 8] =
    ["bitcoin", "xorf", "sux", "pleat", "fastbloom", "roaring", "siphasher", "sha2"];

/// The head of the report, as a Markdown list.
pub(super) fn head(scope: &Scope) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let lens: Vec<String> = scope.settings.lens.iter().map(|len| words::count(*len)).collect();
    let passes: Vec<String> = scope
        .settings
        .lens
        .iter()
        .map(|len| format!("{} at {}", scope.passes(*len).count, words::count(*len)))
        .collect();
    let rows = [
        ("Date", Date::of_time(seconds).to_string()),
        ("Commit", commit()),
        ("Processor", processor()),
        ("Caches", caches()),
        ("System", system()),
        ("Compiler", output("rustc", &["--version"])),
        ("Build", BUILD.into()),
        ("Peers", versions()),
        ("n", lens.join(", ")),
        (
            "Rate",
            format!(
                "2^-{:.2}, one in {}",
                scope.plan(1).rate().log2().abs(),
                words::thousands(scope.plan(1).modulus())
            ),
        ),
        (
            "Hashing",
            if scope.settings.is_hashing {
                "included in every time"
            } else {
                "excluded: done before"
            }
            .into(),
        ),
        (
            "Passes",
            format!(
                "{}; {} ms of each case in each",
                passes.join(", "),
                scope.passes(1).least.as_millis()
            ),
        ),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a string does not fail.
        let _written = writeln!(text, "- {name}: {value}");
    }
    text
}

/// What a reader needs to know of the machine and the build, as a Markdown list.
pub fn machine() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let rows = [
        ("Date", Date::of_time(seconds).to_string()),
        ("Commit", commit()),
        ("Processor", processor()),
        ("System", system()),
        ("Compiler", output("rustc", &["--version"])),
        ("Build", BUILD.into()),
    ];
    let lines = rows.map(|(name, value)| format!("- {name}: {value}\n"));
    lines.concat()
}

const BUILD: &str = "profile release (one code-generation unit, thin LTO), default target-cpu";

/// The version of a package in the lock file.
pub(super) fn version(package: &str) -> Option<&'static str> {
    let start = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = LOCK.split_once(&start)?;
    rest.split('"').next()
}

fn versions() -> String {
    let known = PACKAGES.iter().filter_map(|name| Some(format!("{name} {}", version(name)?)));
    known.collect::<Vec<_>>().join(", ")
}

/// The commit of the tree, and whether anything was changed since, besides the report.
fn commit() -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    let hash = output("git", &["-C", folder, "rev-parse", "HEAD"]);
    let changes =
        ["-C", folder, "status", "--porcelain", "--", ":(top)", ":(top,exclude)benches/report"];
    match output("git", &changes).as_str() {
        _ if hash == UNKNOWN => hash,
        UNKNOWN => hash,
        _changed => format!("{hash}, with changes that are not committed"),
    }
}

const UNKNOWN: &str = "unknown";

/// What a program prints, or that it is unknown when it fails or prints nothing.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success());
    let text = text.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| UNKNOWN.into())
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The value of the first line `name: value` or `name=value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let (_, value) = line.split_once([':', '='])?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn processor() -> String {
    let info = read("/proc/cpuinfo").unwrap_or_default();
    let name = field(&info, "model name").unwrap_or_else(|| UNKNOWN.into());
    let family = |name| field(&info, name).unwrap_or_else(|| "?".into());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{name} ({}, family {} model {}), {cores} cores that this process may use",
        std::env::consts::ARCH,
        family("cpu family"),
        family("model"),
    )
}

fn caches() -> String {
    let folder = |index| format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
    let cache = |index: u32| {
        let read = |name: &str| read(&format!("{}/{name}", folder(index)));
        let (level, kind, size) = (read("level")?, read("type")?, read("size")?);
        Some(format!("L{level} {} {size}", kind.to_lowercase()))
    };
    let caches: Vec<String> = (0..8).map_while(cache).collect();
    if caches.is_empty() { UNKNOWN.into() } else { caches.join(", ") }
}

fn system() -> String {
    let name = read("/etc/os-release").and_then(|text| field(&text, "PRETTY_NAME"));
    let kernel = read("/proc/sys/kernel/osrelease");
    let is_virtual = Path::new("/sys/hypervisor").exists()
        || read("/proc/cpuinfo").is_some_and(|info| info.contains(" hypervisor"));
    let machine = if is_virtual { ", a virtual machine" } else { "" };
    format!(
        "{}, kernel {}{machine}",
        name.unwrap_or_else(|| std::env::consts::OS.into()),
        kernel.unwrap_or_else(|| UNKNOWN.into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_the_version_of_the_lock_file() {
        for package in PACKAGES {
            assert!(version(package).is_some(), "{package}");
        }
        assert_eq!(version("xorf"), Some("0.13.0"));
        assert_eq!(version("no such package"), None);
        for structure in crate::structures().iter().filter(|one| !one.is_ours()) {
            let package = structure.package;
            assert!(package.is_empty() || PACKAGES.contains(&package), "{package}");
        }
    }

    #[test]
    fn fields_of_both_forms() {
        let text = "PRETTY_NAME=\"A system\"\nmodel name\t: A processor\n";
        assert_eq!(field(text, "PRETTY_NAME").as_deref(), Some("A system"));
        assert_eq!(field(text, "model name").as_deref(), Some("A processor"));
        assert_eq!(field(text, "flags"), None);
    }
}
