//! Every file of the corpus through its target's body, and mutations of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use gcs_fuzz::{TARGETS, seeds};

/// Mutations of each target's corpus; more with `GCS_FUZZ_MUTATIONS`, of one target with
/// `GCS_FUZZ_TARGET`.
const MUTATIONS: u64 = 300;

/// A target's mutations end early after this time, so that the test ends on slow machines too.
const LIMIT: Duration = Duration::from_secs(10);

/// The files of a target's corpus, by name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let read = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
    };
    let files = fs::read_dir(&folder).and_then(|entries| entries.map(read).collect());
    files.expect("every target has a corpus")
}

/// Runs a body; if it fails, prints on which input.
fn run(target: &str, body: fn(&[u8]), what: &str, input: &[u8]) {
    if let Err(failure) = std::panic::catch_unwind(|| body(input)) {
        eprintln!("{target}, {what}: {}", data_encoding::HEXLOWER.encode(input));
        std::panic::resume_unwind(failure);
    }
}

#[test]
fn the_corpus_passes() {
    for (target, body) in TARGETS {
        let corpus = corpus(target);
        assert!(!corpus.is_empty(), "{target} has no corpus");
        for (name, input) in corpus {
            run(target, body, &name, &input);
        }
    }
}

#[test]
fn the_corpus_holds_the_seeds() {
    for (target, _) in TARGETS {
        let (seeds, corpus) = (seeds::of(target), corpus(target));
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (name, seed) in seeds {
            let hint = "write it with `cargo run -p gcs-fuzz --example seeds`";
            assert!(corpus.get(&name) == Some(&seed), "{target}/{name} is stale: {hint}");
        }
    }
}

#[test]
fn mutations_of_the_corpus_pass() {
    let count = std::env::var("GCS_FUZZ_MUTATIONS").ok().map(|count| count.parse().unwrap());
    let only = std::env::var("GCS_FUZZ_TARGET").ok();
    let is_wanted = |target: &str| only.as_ref().is_none_or(|only| only == target);
    for (target, body) in TARGETS.into_iter().filter(|target| is_wanted(target.0)) {
        let corpus: Vec<Vec<u8>> = corpus(target).into_values().collect();
        let begin = Instant::now();
        for seed in 0..count.unwrap_or(MUTATIONS) {
            if count.is_none() && begin.elapsed() > LIMIT {
                break;
            }
            let mutated = mutate(&corpus, &mut SplitMix64(seed));
            run(target, body, "mutated", &mutated);
        }
    }
}

/// An input of the corpus after a few changes.
fn mutate(corpus: &[Vec<u8>], random: &mut SplitMix64) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let byte = [0, 1, 0x7f, 0x80, 0xff, random.next() as u8][random.below(6)];
        match random.below(8) {
            0 => input.insert(at, byte),
            1 => input.truncate(at),
            2 => drop(input.drain(at..(at + random.below(9)).min(input.len()))),
            3 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            4 => {
                let end = (at + 8).min(input.len());
                input[at..end].fill(byte);
            }
            5 if at < input.len() => input[at] = byte,
            6 if at < input.len() => input[at] = input[at].wrapping_add(byte | 1),
            _ if at < input.len() => input[at] ^= 1 << random.below(8),
            _ => input.push(byte),
        }
    }
    input
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
