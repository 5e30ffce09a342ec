//! One set made by many machines: each encodes a part, and the union of the parts is the whole,
//! byte for byte what one machine would have built.
//!
//! ```text
//! parts plan EXPECTED RATE_BITS        prints the hash range for so many elements in all
//! parts encode SALT HASH_RANGE OUT     lines on standard input, each an element, to a set
//! parts union OUT PART...              the union of sets, in constant memory for each
//! ```
//!
//! All parts need one salt and one hash range, planned for the number of elements of the whole.
//! The lines of a file, in blocks of 10 MB to one job for each processor, by GNU parallel or by
//! `split` and `xargs`; on a cluster each map task runs `encode` and the reducer runs `union`:
//!
//! ```text
//! salt=$(openssl rand -hex 16)
//! range=$(parts plan 1000000 20)
//! parallel --pipepart -a elements.txt --block 10M parts encode $salt $range part-{#}.gcs
//! parts union whole.gcs part-*.gcs
//!
//! split --line-bytes=10M elements.txt piece-
//! ls piece-* | xargs -P "$(nproc)" -I{} sh -c "parts encode $salt $range {}.gcs < {}"
//! parts union whole.gcs piece-*.gcs
//! ```

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead};

use data_encoding::HEXLOWER;
use gcs_core::set::SetInfo;
use gcs_core::set::algebra::Operation;
use gcs_core::{HashRange, Salt, SetBuilder};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["plan", expected, rate_bits] => {
            let hash_range = HashRange::for_expected(expected.parse()?, rate_bits.parse()?)?;
            println!("{}", hash_range.get());
            Ok(())
        }
        ["encode", salt, hash_range, out] => encode(salt, hash_range.parse()?, out),
        ["union", out, parts @ ..] => union(out, parts),
        _ => Err("usage: parts plan|encode|union ...; see the head of this example".into()),
    }
}

/// Each line without its end is an element.
fn encode(salt: &str, hash_range: u64, out: &str) -> Result<(), Box<dyn Error>> {
    let salt = HEXLOWER.decode(salt.as_bytes())?.try_into().map(Salt);
    let salt = salt.map_err(|_| "a salt has 32 hexadecimal digits")?;
    let mut builder = SetBuilder::new(salt, HashRange::new(hash_range)?);
    for line in io::stdin().lock().split(b'\n') {
        builder.push(line?);
    }
    let set = builder.finish()?;
    fs::write(out, set.as_bytes())?;
    show(out, &set.info());
    Ok(())
}

fn union(out: &str, parts: &[&str]) -> Result<(), Box<dyn Error>> {
    let files = parts.iter().map(File::open).collect::<Result<Vec<_>, _>>()?;
    let union = Operation::Union.of_readers(files)?;
    // Under another name until it is whole.
    let partial = format!("{out}.partial");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&partial)?;
    let written = union.write(file);
    if written.is_err() {
        fs::remove_file(&partial)?;
    }
    let (file, info) = written?;
    file.sync_all()?;
    fs::rename(&partial, out)?;
    show(out, &info);
    Ok(())
}

fn show(name: &str, info: &SetInfo) {
    println!("{name}: {} elements, {} bytes, identity {}", info.len, info.bytes, info.identity);
}
