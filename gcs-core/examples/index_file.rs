//! Measures queries of a set in a file by its index file:
//! `cargo run --release -p gcs-core --example index_file -- 10000000`.

use std::fs::File;
use std::time::Instant;

use gcs_core::set::write_index;
use gcs_core::{HashRange, IndexedFile, Salt, SetBuilder};

/// Queries that are asked one by one.
const ONE_BY_ONE: u64 = 100_000;

fn element(number: u64) -> [u8; 16] {
    // Two rounds of SplitMix64 (Steele, Lea and Flood, 2014).
    let word = |seed: u64| {
        let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    u128::to_le_bytes(u128::from(word(number)) << 64 | u128::from(word(!number)))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let len = std::env::args().nth(1).map_or(Ok(1_000_000), |len| len.parse::<u32>())?;
    let mut builder = SetBuilder::new(Salt([7; 16]), HashRange::for_expected(len, 20)?);
    builder.extend((0..u64::from(len)).map(element));
    let set = builder.finish()?;
    let folder = tempfile::tempdir()?;
    let (set_path, index_path) = (folder.path().join("set"), folder.path().join("index"));
    std::fs::write(&set_path, set.as_bytes())?;
    drop(set);

    let begin = Instant::now();
    write_index(&File::open(&set_path)?, File::create(&index_path)?)?;
    let seconds = begin.elapsed().as_secs_f64();
    let [set_bytes, index_bytes] =
        [&set_path, &index_path].map(|path| path.metadata().map_or(0, |file| file.len()));
    println!(
        "{len} elements: set {set_bytes} bytes, index {index_bytes} bytes, made in {seconds:.2} s"
    );

    let begin = Instant::now();
    let file = IndexedFile::open(File::open(&set_path)?, File::open(&index_path)?)?;
    println!("opened in {:.1} us", begin.elapsed().as_secs_f64() * 1e6);

    // Every other query is in the set.
    let query = |number: u64| {
        let at = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % u64::from(len);
        element(if number.is_multiple_of(2) { at } else { at + u64::from(len) })
    };
    let (mut hits, mut longest) = (0, 0.0f64);
    let begin = Instant::now();
    for number in 0..ONE_BY_ONE {
        let begin = Instant::now();
        hits += u64::from(file.contains(query(number))?);
        longest = longest.max(begin.elapsed().as_secs_f64());
    }
    let each = begin.elapsed().as_secs_f64() / ONE_BY_ONE as f64;
    println!("one query: {:.2} us, the longest {:.1} us ({hits} hits)", each * 1e6, longest * 1e6);

    for count in [10_000, 1_000_000] {
        let queries: Vec<[u8; 16]> = (0..count).map(query).collect();
        let begin = Instant::now();
        let hits = file.matches(&queries)?.len();
        let seconds = begin.elapsed().as_secs_f64();
        println!("{count} queries: {:.1} ms ({hits} hits)", seconds * 1e3);
    }

    let begin = Instant::now();
    file.verify()?;
    println!("verified in {:.2} s", begin.elapsed().as_secs_f64());
    Ok(())
}
