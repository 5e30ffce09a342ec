//! Memory while building, measured in processes of their own.

use std::error::Error;
use std::process::Command;

use super::Scope;
use crate::plan::Plan;
use crate::queries::Pool;
use crate::settings::Settings;
use crate::structures;

/// First argument of the process that builds one structure and says what it took.
pub const CHILD: &str = "--measure-memory-of";

/// What building a structure took, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Growth of the resident memory at its highest, while building.
    pub peak: u64,
    /// What the structure itself takes at rest.
    pub rest: u64,
}

/// Builds a structure in a process of its own. `None` where the system does not tell.
///
/// # Errors
/// The process cannot be started or fails.
pub fn measure(scope: &Scope, name: &str, len: usize) -> Result<Option<Memory>, Box<dyn Error>> {
    let hashing = if scope.settings.is_hashing { "included" } else { "excluded" };
    let arguments = [CHILD, name, &len.to_string(), &scope.settings.rate_bits.to_string(), hashing];
    let output = Command::new(&scope.program).args(arguments).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("building {name} in a process of its own: {said}").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Ok(match numbers[..] {
        [peak, rest] => Some(Memory { peak, rest }),
        _ => None,
    })
}

/// The process that [`measure`] starts: builds one structure and prints its peak and its size.
///
/// # Errors
/// The arguments do not name a structure, a length and a rate.
pub fn child(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let [name, len, rate_bits, hashing] = arguments else {
        return Err(
            format!("{CHILD}: expected a name, n, the rate bits and whether to hash").into()
        );
    };
    let structures = structures();
    let structure = structures.iter().find(|structure| structure.name == name);
    let structure = structure.ok_or_else(|| format!("{CHILD}: no structure {name:?}"))?;
    let plan = Plan { len: len.parse()?, rate_bits: rate_bits.parse()? };
    let settings = Settings { is_hashing: hashing == "included", ..Settings::default() };
    let keys = Pool::base(&plan, &settings);
    let Some(before) = status("VmRSS:") else { return Ok("unknown\n".into()) };
    let built = (structure.build)(&plan, keys.all());
    let Some(peak) = status("VmHWM:") else { return Ok("unknown\n".into()) };
    Ok(format!("{} {}\n", peak.saturating_sub(before), built.bytes()))
}

/// A line of what Linux says of this process, in bytes.
fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
        child(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_child_says_what_its_structure_takes() {
        let text = ask(&["sorted Vec", "3000", "19", "included"]).unwrap();
        let rest = text.split_whitespace().nth(1);
        assert!(rest == Some("24000") || text == "unknown\n", "{text}");
    }

    #[test]
    fn wrong_arguments_are_errors() {
        assert!(ask(&["no such", "3000", "19", "included"]).is_err());
        assert!(ask(&["ours", "many", "19", "included"]).is_err());
        assert!(ask(&["ours"]).is_err());
    }
}
