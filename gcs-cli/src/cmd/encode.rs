//! `gcs encode`: from lines or records to a set.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use data_encoding::HEXLOWER_PERMISSIVE;
use gcs_core::set::{ExternalBuilder, SetInfo};
use gcs_core::{ElementHasher, HashRange, Salt};
use serde::Serialize;

use crate::cli::{Context, SUCCESS};
use crate::element::ElementArgs;
use crate::error::Error;
use crate::hashing::{Counts, Hashing};
use crate::input::{Layout, Source, is_dash};
use crate::load::SetFile;
use crate::output::{OutputArgs, answer_about, folder_of, note};
use crate::plan::{self, Goal};
use crate::progress::{Progress, Tracked};
use crate::quantity::{
    Rate, bytes, counted, grouped, one_in, parse_count, parse_number, parse_rate, parse_size,
};
use crate::report::{SetReport, path_text};

/// The rate of a set when none is asked for.
const DEFAULT_RATE: Rate = Rate::OneIn(1_000_000);

/// A hash range that was planned for one set serves another until its rate is so many times as high.
const FAR_ABOVE: f64 = 2.0;

/// The rate above which a hash range that was given as it is looks like a mistake.
const POOR_RATE: f64 = 1e-3;

/// Make a set from lines or records.
#[derive(Args, Debug)]
#[command(after_help = "\
Two sets can be compared and combined only if salt and hash range are the same: make the second \
one with --like FIRST.\n\n\
Examples:\n  \
    gcs encode hashes.txt -o hashes.gcs\n  \
    gcs encode pwned.txt -o pwned.gcs --field 1 --length 20 --rate 1/50000000\n  \
    zcat new.gz | gcs encode -o new.gcs --like pwned.gcs --field 1 --length 20")]
pub(crate) struct Encode {
    /// Files to read; - or none is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// Memory for fingerprints; what does not fit is sorted on disk, in temporary files
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1GiB")]
    memory: u64,
    /// Folder for temporary files [default: the folder of the file to make]
    #[arg(long, value_name = "FOLDER")]
    temp: Option<PathBuf>,
    /// Threads that hash [default: one for each processor]
    #[arg(long, value_name = "NUMBER", value_parser = parse_count)]
    threads: Option<usize>,
    #[command(flatten)]
    elements: ElementArgs,
    #[command(flatten)]
    accuracy: AccuracyArgs,
}

/// Options that determine salt and hash range.
#[derive(Args, Debug)]
#[command(next_help_heading = "How often the set may be wrong, and how large it is")]
struct AccuracyArgs {
    /// False-positive rate at the number of elements expected [default: 1/1000000]
    #[arg(long, value_name = "RATE", value_parser = parse_rate, group = "accuracy")]
    rate: Option<Rate>,
    /// A rate below one in 2 to this power, even if half as many elements again come as expected
    #[arg(long, value_name = "BITS", value_parser = parse_bits, group = "accuracy")]
    rate_bits: Option<u32>,
    /// The lowest rate at which the set has this size, such as 1.2GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, group = "accuracy")]
    size: Option<u64>,
    /// The hash range F itself; the rate is the number of elements divided by it
    #[arg(long, value_name = "F", value_parser = parse_range, group = "accuracy",
        conflicts_with = "expected")]
    hash_range: Option<HashRange>,
    /// Salt and hash range of this set, so that the two can be compared and combined
    #[arg(long, value_name = "SET", group = "accuracy", conflicts_with_all = ["expected", "salt"])]
    like: Option<PathBuf>,
    /// Number of elements expected; without it, files are read twice, to count their lines first
    #[arg(long, value_name = "NUMBER", value_parser = parse_number)]
    expected: Option<u64>,
    /// 32 hexadecimal digits that key the hash [default: random]; they are public, and stored in the
    /// set
    #[arg(long, value_name = "HEX", value_parser = parse_salt)]
    salt: Option<Salt>,
}

fn parse_range(text: &str) -> Result<HashRange, String> {
    let range = HashRange::new(parse_number(text)?);
    range.map_err(|_| format!("expected a number from 1 to 2^57 - 1, got {text:?}"))
}

fn parse_bits(text: &str) -> Result<u32, String> {
    let bits = text.parse().ok().filter(|&bits| bits > 0);
    bits.ok_or_else(|| format!("expected a whole number of bits, such as 20, got {text:?}"))
}

fn parse_salt(text: &str) -> Result<Salt, String> {
    let salt = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let salt = salt.and_then(|salt| salt.try_into().ok()).map(Salt);
    salt.ok_or_else(|| format!("expected 32 hexadecimal digits, got {} characters", text.len()))
}

/// What was made of what.
#[derive(Debug, Serialize)]
struct EncodeReport<'a> {
    #[serde(serialize_with = "path_text")]
    file: &'a Path,
    elements: u64,
    merged: u64,
    empty_lines: u64,
    bad_lines: u64,
    #[serde(flatten)]
    set: SetReport,
}

impl Encode {
    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let parser = self.elements.parser()?;
        let sources = Source::of(&self.files)?;
        let mut output = self.output.create()?;
        let planned = self.accuracy.resolve(context, &sources, parser.layout())?;
        let Planned { salt, hash_range, like } = planned;
        let hashing = Hashing {
            parser,
            hasher: ElementHasher::new(salt, hash_range),
            on_error: self.elements.on_error,
            threads: self.threads.unwrap_or_else(processors),
            sources,
        };
        let folder = self.temp.clone().unwrap_or_else(|| match is_dash(self.output.path()) {
            true => std::env::temp_dir(),
            false => folder_of(self.output.path()).to_owned(),
        });
        let failed = |error| Error::of_external(self.output.path(), error);
        let memory = usize::try_from(self.memory).unwrap_or(usize::MAX);
        let mut builder = ExternalBuilder::new(salt, hash_range, memory, folder).map_err(failed)?;
        let progress = Progress::new(context, "hashing", total(&hashing.sources));
        let counts = hashing.run(&progress, |fingerprints| {
            fingerprints.iter().try_for_each(|&one| builder.push_fingerprint(one)).map_err(failed)
        })?;
        drop(progress);
        counts.expect_elements(parser.layout().unit(), "nothing was written")?;
        let written = plan::expected_bytes(counts.elements, hash_range);
        // It is read once more for the checksum.
        let progress = Progress::new(context, "writing", Some(2 * written));
        let info = builder.finish_to(Tracked::new(output.file(), &progress)).map_err(failed)?.1;
        output.finish()?;
        drop(progress);
        self.tell(context, counts, &info, like.as_ref())
    }

    fn tell(
        &self,
        context: Context,
        counts: Counts,
        info: &SetInfo,
        like: Option<&SetInfo>,
    ) -> Result<u8, Error> {
        let report = EncodeReport {
            file: self.output.path(),
            elements: counts.elements,
            merged: counts.elements.saturating_sub(info.len.into()),
            empty_lines: counts.empty,
            bad_lines: counts.bad,
            set: SetReport::of(info),
        };
        self.accuracy.warn(&report);
        self.accuracy.warn_unplanned(info, like);
        answer_about(report.file, context.json, &report, &report)?;
        Ok(SUCCESS)
    }
}

impl fmt::Display for EncodeReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (elements, fingerprints) = (self.elements, u64::from(self.set.fingerprints));
        write!(f, "{}: {} of ", self.file.display(), counted(fingerprints, "fingerprint"))?;
        write!(f, "{}", counted(elements, "element"))?;
        if self.merged > 0 {
            write!(f, ", {} merged with an equal one", grouped(self.merged))?;
        }
        if self.empty_lines > 0 {
            write!(f, ", {}", counted(self.empty_lines, "empty line"))?;
        }
        if self.bad_lines > 0 {
            write!(f, ", {} left out", counted(self.bad_lines, "bad line"))?;
        }
        write!(f, "; {}; false positives: {}", bytes(self.set.bytes), self.set.one_in())
    }
}

impl AccuracyArgs {
    /// Salt and hash range.
    fn resolve(
        &self,
        context: Context,
        sources: &[Source],
        layout: Layout,
    ) -> Result<Planned, Error> {
        if let Some(path) = &self.like {
            let info = SetFile::open(path)?.verify(context)?;
            let SetInfo { salt, hash_range, .. } = info;
            return Ok(Planned { salt, hash_range, like: Some(info) });
        }
        let hash_range = match self.hash_range {
            Some(hash_range) => hash_range,
            None => {
                let expected = match self.expected {
                    Some(expected) => expected,
                    None => count(context, sources, layout)?,
                };
                self.goal().hash_range(expected)?
            }
        };
        Ok(Planned { salt: self.salt.map_or_else(random_salt, Ok)?, hash_range, like: None })
    }

    /// Says so when a hash range that was not planned here is too small for what came: a rate far
    /// above that of the set whose hash range it is, or one that no list is likely to be made for.
    fn warn_unplanned(&self, info: &SetInfo, like: Option<&SetInfo>) {
        if self.like.is_none() && self.hash_range.is_none() {
            return;
        }
        let rate = info.false_positive_rate();
        let of_like = like.map(SetInfo::false_positive_rate).filter(|&rate| rate > 0.0);
        let why = match (&self.like, of_like) {
            (Some(path), Some(before)) if rate > FAR_ABOVE * before => {
                format!("those of {} are {}", path.display(), one_in(before))
            }
            _ if rate > POOR_RATE => "the hash range is too small for so many".to_owned(),
            _ => return,
        };
        note(format_args!(
            "gcs: {} came: false positives are {}, and {why}; for a lower rate make every set of \
             this kind again with a larger hash range (--expected, --hash-range)",
            counted(info.len.into(), "fingerprint"),
            one_in(rate)
        ));
    }

    fn goal(&self) -> Goal {
        match (self.rate_bits, self.size) {
            (Some(bits), _) => Goal::RateBits(bits),
            (_, Some(size)) => Goal::Size(size),
            _ => Goal::Rate(self.rate.unwrap_or(DEFAULT_RATE)),
        }
    }

    /// Says so when more elements came than expected, so that the rate is missed.
    fn warn(&self, report: &EncodeReport<'_>) {
        let (got, expected) =
            (u64::from(report.set.fingerprints), self.expected.unwrap_or(u64::MAX));
        let missed = match self.goal() {
            Goal::Rate(rate) => (got > expected).then(|| one_in(rate.get())),
            Goal::RateBits(bits) => {
                let rate = 0.5f64.powi(bits as i32);
                (report.set.false_positive_rate > rate).then(|| one_in(rate))
            }
            Goal::Size(size) => (report.set.bytes > size && got > expected).then(|| bytes(size)),
        };
        if let Some(missed) = missed.filter(|_| self.expected.is_some()) {
            note(format_args!(
                "gcs: {} came, not {} as expected, so {missed} is not reached",
                counted(got, "fingerprint"),
                grouped(expected)
            ));
        }
    }
}

/// Salt and hash range of a set to make.
struct Planned {
    salt: Salt,
    hash_range: HashRange,
    /// The set that has them already.
    like: Option<SetInfo>,
}

/// How many lines or records there are.
fn count(context: Context, sources: &[Source], layout: Layout) -> Result<u64, Error> {
    if let Some(source) = sources.iter().find(|source| source.length().is_none()) {
        source.expect_there()?;
        return Err(Error::usage(
            source.to_string(),
            "its elements cannot be counted beforehand, and the hash range depends on their number",
            "say --expected NUMBER, --hash-range F or --like SET",
        ));
    }
    let progress = Progress::new(context, "counting", total(sources));
    sources.iter().map(|source| layout.count(source, &progress)).sum()
}

/// The length of all sources, if all are files.
fn total(sources: &[Source]) -> Option<u64> {
    sources.iter().map(Source::length).sum()
}

fn random_salt() -> Result<Salt, Error> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(Error::Random)?;
    Ok(Salt(salt))
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_told_as_it_is_given() {
        let salt = parse_salt("000102030405060708090A0b0c0d0e0f").unwrap();
        assert_eq!(crate::report::salt_text(salt), "000102030405060708090a0b0c0d0e0f");
        assert!(parse_salt("0001").is_err() && parse_salt(&"g".repeat(32)).is_err());
        assert!(parse_range("0").is_err() && parse_range("144115188075855872").is_err());
    }
}
