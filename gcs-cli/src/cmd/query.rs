//! `gcs query`: which elements are in a set.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use gcs_core::ElementHasher;
use serde::Serialize;

use crate::cli::{Context, NOTHING_FOUND, SUCCESS};
use crate::element::{ElementArgs, MAX_LINE, OnError, Parser};
use crate::error::Error;
use crate::finder::{Finder, IndexChoice};
use crate::hashing::Counts;
use crate::incoming::{Incoming, Next};
use crate::input::{Layout, Source, take_stdin};
use crate::load::SetFile;
use crate::output::{self, Stdout, note};
use crate::quantity::{grouped, one_in};

/// Queries that are answered in one pass over a set.
const BATCH: usize = 1 << 20;

/// Bytes of lines that are kept until they are answered.
const BATCH_BYTES: usize = 1 << 26;

/// Input that gives nothing for so long pauses: what has come is answered.
const PAUSE: Duration = Duration::from_millis(20);

/// Tell which elements are in a set.
#[derive(Args, Debug)]
#[command(after_help = "\
Prints the lines whose elements are in the set. The answer \"no\" is certain; \"yes\" means: in the \
set, or a false positive, at the rate that gcs inspect shows. Elements must be written as they were \
when the set was made (--format, --field). Lines from a pipe are answered whenever it pauses.\n\n\
An index that was found beside the set and does not serve it, as after gcs apply, is set aside with \
a note; one that --index names is an error then.\n\n\
Examples:\n  \
    gcs query pwned.gcs 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8\n  \
    printf %s password | sha1sum | gcs query pwned.gcs --field 1 --separator ' '\n  \
    gcs query pwned.gcs --file mine.txt -v")]
pub(crate) struct Query {
    /// The set; - is standard input
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// Elements; without any, and without --file, lines of standard input
    #[arg(value_name = "ELEMENT")]
    arguments: Vec<String>,
    /// Take elements from this file; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Print the lines that are not in the set instead
    #[arg(short = 'v', long)]
    invert: bool,
    /// Print every line, with yes or no and a tab before it
    #[arg(short, long, conflicts_with_all = ["invert", "count", "quiet"])]
    all: bool,
    /// Print only how many lines were selected
    #[arg(short, long, conflicts_with = "quiet")]
    count: bool,
    /// Print nothing, and stop at the first line that is selected
    #[arg(short, long)]
    quiet: bool,
    /// Use this index [default: SET.index, if it is there]
    #[arg(long, value_name = "FILE", conflicts_with = "no_index")]
    index: Option<PathBuf>,
    /// Read the whole set, though it has an index
    #[arg(long)]
    no_index: bool,
    #[command(flatten)]
    elements: ElementArgs,
}

/// One answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    line: &'a str,
    possible: bool,
}

/// How many there were.
#[derive(Debug, Serialize)]
struct CountReport {
    selected: u64,
    elements: u64,
    bad_lines: u64,
    false_positive_rate: f64,
}

impl Query {
    pub(crate) fn run(&self, context: Context) -> Result<u8, Error> {
        let parser = self.elements.parser()?;
        if !parser.is_textual() && !self.arguments.is_empty() {
            return Err(Error::usage(
                "ELEMENT",
                "raw records cannot be given as arguments",
                "give them with --file, or name another --format",
            ));
        }
        let has_input = self.arguments.is_empty() || !self.file.is_empty();
        let sources = if has_input { Source::of(&self.file)? } else { Vec::new() };
        let index = match &self.index {
            Some(index) => IndexChoice::File(index.clone()),
            None if self.no_index => IndexChoice::None,
            None => IndexChoice::Beside,
        };
        let finder = Finder::open(context, &self.set, index)?;
        let mut asked = Asked::new(self, context, parser, finder);
        for (at, argument) in self.arguments.iter().enumerate() {
            let number = at + 1;
            asked.push(argument.as_bytes(), || format!("argument {number}"))?;
        }
        for source in sources {
            if asked.is_decided() {
                break;
            }
            match source.is_terminal() {
                true => asked.converse(context)?,
                false => asked.read(&source)?,
            }
        }
        asked.finish()
    }
}

/// Queries that wait for their answers, and what was answered so far.
struct Asked<'a> {
    query: &'a Query,
    is_json: bool,
    parser: Parser,
    finder: Finder,
    hasher: ElementHasher,
    scratch: Vec<u8>,
    lines: Vec<u8>,
    /// Where each line ends in `lines`.
    ends: Vec<usize>,
    fingerprints: Vec<u64>,
    selected: u64,
    elements: u64,
    bad: u64,
    stdout: Stdout,
}

impl<'a> Asked<'a> {
    fn new(query: &'a Query, context: Context, parser: Parser, finder: Finder) -> Asked<'a> {
        Asked {
            query,
            is_json: context.json,
            parser,
            hasher: finder.hasher(),
            finder,
            scratch: Vec::new(),
            lines: Vec::new(),
            ends: Vec::new(),
            fingerprints: Vec::new(),
            selected: 0,
            elements: 0,
            bad: 0,
            stdout: Stdout::new(),
        }
    }

    /// Whether nothing more need be asked.
    fn is_decided(&self) -> bool {
        self.query.quiet && self.selected > 0
    }

    /// Adds a query.
    fn push(&mut self, line: &[u8], place: impl Fn() -> String) -> Result<(), Error> {
        match self.parser.element(line, &mut self.scratch) {
            Ok(Some(element)) => {
                self.fingerprints.push(self.hasher.fingerprint(element));
                self.lines.extend_from_slice(line);
                self.ends.push(self.lines.len());
            }
            Ok(None) => {}
            Err(problem) if self.query.elements.on_error == OnError::Skip => {
                self.bad += 1;
                note(format_args!("gcs: {}: {problem}; it is left out", place()));
            }
            Err(problem) => {
                self.answer()?;
                self.stdout.flush()?;
                if self.is_decided() {
                    return Ok(());
                }
                return Err(Error::BadQuery { place: place(), problem });
            }
        }
        if self.ends.len() >= BATCH || self.lines.len() >= BATCH_BYTES {
            self.answer()?;
        }
        Ok(())
    }

    /// Adds the lines of a file, and answers those that have come when it pauses, or when the first
    /// of them has waited.
    fn read(&mut self, source: &Source) -> Result<(), Error> {
        let layout = self.parser.layout();
        let mut blocks = Incoming::start(source, layout)?;
        let mut number = 0u64;
        // Without an index each answer costs a pass over the set: as long as that took, lines are
        // collected first, so that a slow input does not keep the program busy with passes.
        let mut patience = PAUSE;
        let mut since = Instant::now();
        loop {
            let left = patience.saturating_sub(since.elapsed());
            let next = match self.ends.is_empty() {
                true => blocks.next(None)?,
                false if left.is_zero() => Next::Pause,
                false => blocks.next(Some(left))?,
            };
            let block = match next {
                Next::Block(block) => block,
                Next::End => return self.answer(),
                Next::Pause => {
                    let begun = Instant::now();
                    self.answer()?;
                    self.stdout.flush()?;
                    patience = begun.elapsed().max(PAUSE);
                    if self.is_decided() {
                        return Ok(());
                    }
                    continue;
                }
            };
            if self.ends.is_empty() {
                since = Instant::now();
            }
            for line in layout.pieces(&block) {
                number += 1;
                let place = || format!("{source}: {} {}", layout.unit(), grouped(number));
                self.push(line, place)?;
            }
            if self.is_decided() {
                return Ok(());
            }
        }
    }

    /// Answers everything that waits.
    fn answer(&mut self) -> Result<(), Error> {
        let mut matches = self.finder.find(&self.fingerprints)?.into_iter().peekable();
        let mut start = 0;
        for (at, &end) in self.ends.iter().enumerate() {
            let is_in = matches.next_if(|hit| hit.query == at).is_some();
            let line = &self.lines[start..end];
            start = end;
            self.elements += 1;
            if is_in == self.query.invert && !self.query.all {
                continue;
            }
            self.selected += u64::from(is_in != self.query.invert);
            if self.query.quiet || self.query.count {
                continue;
            }
            if self.is_json {
                let line = &*self.parser.shown(line);
                self.stdout.json(&Answer { line, possible: is_in })?;
                continue;
            }
            if self.query.all {
                self.stdout.bytes(if is_in { b"yes\t" } else { b"no\t" })?;
            }
            match self.parser.is_textual() {
                true => self.stdout.bytes(line)?,
                false => self.stdout.bytes(self.parser.shown(line).as_bytes())?,
            }
            self.stdout.bytes(b"\n")?;
        }
        self.lines.clear();
        self.ends.clear();
        self.fingerprints.clear();
        Ok(())
    }
}

impl Asked<'_> {
    /// Answers each line as it is typed.
    fn converse(&mut self, context: Context) -> Result<(), Error> {
        // Without an index file, the set and an index are kept in memory.
        let set = match self.finder.is_indexed() {
            true => None,
            false => Some(SetFile::open(&self.query.set)?.into_indexed(context)?),
        };
        let rate = one_in(self.finder.false_positive_rate());
        let stdin = take_stdin()?;
        note("One element a line; Ctrl-D ends.");
        loop {
            output::prompt();
            let mut line = Vec::new();
            let mut typed = stdin.lock().take(2 * MAX_LINE as u64);
            typed.read_until(b'\n', &mut line).map_err(|error| Source::Stdin.failed(error))?;
            if line.is_empty() {
                note("");
                return Ok(());
            }
            let line = Layout::Lines.pieces(&line).next().unwrap_or_default();
            let possible = match self.parser.element(line, &mut self.scratch) {
                Ok(Some(element)) => match &set {
                    Some(set) => set.contains(element),
                    None => !self.finder.find(&[self.hasher.fingerprint(element)])?.is_empty(),
                },
                Ok(None) => continue,
                Err(problem) => {
                    note(format_args!("gcs: {problem}"));
                    continue;
                }
            };
            self.elements += 1;
            self.selected += u64::from(possible != self.query.invert);
            match possible {
                _ if self.is_json => {
                    self.stdout.json(&Answer { line: &self.parser.shown(line), possible })?;
                }
                true => {
                    self.stdout.line(format_args!("in the set, or a false positive ({rate})"))?;
                }
                false => self.stdout.line("not in the set")?,
            }
            self.stdout.flush()?;
        }
    }

    /// Answers what still waits, and gives the exit status.
    fn finish(mut self) -> Result<u8, Error> {
        self.answer()?;
        let counts = Counts { elements: self.elements, bad: self.bad, ..Counts::default() };
        counts.expect_elements(self.parser.layout().unit(), "nothing was asked")?;
        let rate = self.finder.false_positive_rate();
        let report = CountReport {
            selected: self.selected,
            elements: self.elements,
            bad_lines: self.bad,
            false_positive_rate: rate,
        };
        match self.query.count {
            true if self.is_json => self.stdout.json(&report)?,
            true => self.stdout.line(self.selected)?,
            false => {}
        }
        self.stdout.flush()?;
        if !self.query.quiet && !self.is_json && io::stderr().is_terminal() {
            let (selected, elements) = (grouped(self.selected), grouped(self.elements));
            note(match self.query.invert {
                true => format!("gcs: {selected} of {elements} not in the set"),
                false => format!(
                    "gcs: {selected} of {elements} in the set, or false positives ({})",
                    one_in(rate)
                ),
            });
        }
        Ok(if self.selected > 0 { SUCCESS } else { NOTHING_FOUND })
    }
}
