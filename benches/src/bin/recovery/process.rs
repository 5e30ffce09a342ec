//! Steps in processes of their own, so that each has its own peak of memory.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// The first argument of such a process.
pub(crate) const CHILD: &str = "step";

/// What a step measured, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Notes a figure.
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    /// A figure; NaN if it was not measured.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }

    /// Notes the memory of this process, in bytes: what it has now and what it had at most.
    pub(crate) fn set_memory(&mut self, name: &str) {
        self.set(&format!("{name}_now"), memory("VmRSS"));
        self.set(&format!("{name}_peak"), memory("VmHWM"));
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name} {value}"))
    }
}

/// A line of Linux's account of this process's memory, in bytes; NaN elsewhere.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1024.0)
}

/// Runs a step and reads its figures.
pub(crate) fn step(name: &str, folder: &Path, numbers: &[u64]) -> Result<Figures, Box<dyn Error>> {
    eprintln!("{name} in {}", folder.display());
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(CHILD).arg(name).arg(folder).args(numbers.iter().map(u64::to_string));
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the step {name} failed").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut figures = Figures::default();
    for line in text.lines() {
        let (name, value) = line.split_once(' ').ok_or("a step printed no figure")?;
        figures.set(name, value.parse()?);
    }
    eprint!("{figures}");
    Ok(figures)
}
