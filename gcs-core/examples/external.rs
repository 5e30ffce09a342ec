//! Builds a set of numbered elements in limited memory and says what it took.
//!
//! `cargo run --release -p gcs-core --example external -- 20000000 64 /tmp/set.gcs`: twenty
//! million elements in 64 MiB. Runs are written to the folder of the result.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use gcs_core::set::{ExternalBuilder, SetReader};
use gcs_core::{HashRange, Salt};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [elements, mebibytes, path] = &arguments[..] else {
        return Err("usage: external ELEMENTS MEBIBYTES PATH".into());
    };
    let elements: u32 = elements.parse()?;
    let memory_limit = mebibytes.parse::<usize>()? << 20;
    let path = Path::new(path);
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let hash_range = HashRange::for_expected(elements, 20)?;

    let started = Instant::now();
    let mut builder = ExternalBuilder::new(Salt([7; 16]), hash_range, memory_limit, folder)?;
    builder.extend((0..u128::from(elements)).map(u128::to_le_bytes))?;
    let added = started.elapsed().as_secs_f64();
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    let (_, info) = builder.finish_to(file)?;
    let all = started.elapsed().as_secs_f64();
    println!("{} elements, {} bytes, identity {}", info.len, info.bytes, info.identity);
    println!(
        "{added:.1} s to add, {:.1} s to merge; {:.1} ns an element",
        all - added,
        all * 1e9 / f64::from(elements)
    );

    let started = Instant::now();
    let verified = SetReader::open(File::open(path)?)?.finish()?;
    println!("verified in {:.1} s: {}", started.elapsed().as_secs_f64(), verified == info);
    // Linux says how much memory a program held at most.
    for line in fs::read_to_string("/proc/self/status").unwrap_or_default().lines() {
        if line.starts_with("VmHWM") {
            println!("{line}");
        }
    }
    Ok(())
}
