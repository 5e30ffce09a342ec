//! The machine, in a few words.

use std::fs;
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};

/// The first line that a program says, on either output; empty if there is no such program.
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return String::new() };
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&all).lines().next().unwrap_or("").trim().to_owned()
}

/// Whose processor time.
#[derive(Clone, Copy)]
pub(crate) enum Processor {
    /// That of this process.
    Process,
    /// That of this thread.
    Thread,
}

/// Processor time in seconds, up to now.
pub(crate) fn processor_seconds(of: Processor) -> f64 {
    let time = clock_gettime(match of {
        Processor::Process => ClockId::ProcessCPUTime,
        Processor::Thread => ClockId::ThreadCPUTime,
    });
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Processor, cores, system and its load.
pub(crate) fn describe() -> String {
    let read = |place: &str| fs::read_to_string(place).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let name = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("unknown processor", |name| name.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    format!("{name}, {cores} cores, Linux {}, load average {load} at the end", kernel.trim())
}
