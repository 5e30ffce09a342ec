//! From lines to fingerprints, on several threads.
//!
//! One thread reads blocks and hands them out in turn; each worker hashes the blocks that it gets;
//! the caller takes the results in the same turn, so in the order of the input.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use gcs_core::ElementHasher;

use crate::element::{OnError, Parser, Problem};
use crate::error::Error;
use crate::input::{Blocks, Source};
use crate::output;
use crate::progress::Progress;
use crate::quantity::grouped;

/// Blocks that wait for each worker, and results that wait for the caller.
const WAITING: usize = 2;

/// Bad lines that are named one by one; the others are only counted.
const NAMED: u64 = 10;

/// What is hashed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Hashing {
    pub(crate) sources: Vec<Source>,
    pub(crate) parser: Parser,
    pub(crate) hasher: ElementHasher,
    pub(crate) on_error: OnError,
    pub(crate) threads: usize,
}

/// How many lines or records there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Lines or records with an element.
    pub(crate) elements: u64,
    /// Lines with nothing but spaces.
    pub(crate) empty: u64,
    /// Lines or records that were left out because they were bad.
    pub(crate) bad: u64,
}

impl Counts {
    /// Fails if there were lines or records, and not one of them was an element: then the options
    /// do not fit the input, and what would be made of it is worth nothing.
    pub(crate) fn expect_elements(
        self,
        unit: &'static str,
        done: &'static str,
    ) -> Result<(), Error> {
        match self {
            Counts { elements: 0, bad: 1.., .. } => {
                Err(Error::NoElement { unit, bad: self.bad, done })
            }
            _ => Ok(()),
        }
    }
}

/// Lines or records of one source.
struct Block {
    source: usize,
    bytes: Vec<u8>,
    read: u64,
}

/// The fingerprints of a block.
#[derive(Default)]
struct Hashed {
    source: usize,
    read: u64,
    pieces: u64,
    counts: Counts,
    fingerprints: Vec<u64>,
    /// The first bad pieces, by their position in the block.
    bad: Vec<(u64, Problem)>,
}

/// A block or a result. The end is said, so that a thread that fails is not taken for it.
enum Message<T> {
    Item(T),
    Failed(Error),
    End,
}

impl Hashing {
    /// Hashes everything; gives the fingerprints to `take` in the order of the input.
    pub(crate) fn run(
        &self,
        progress: &Progress,
        mut take: impl FnMut(&[u64]) -> Result<(), Error>,
    ) -> Result<Counts, Error> {
        let mut tally = Tally { hashing: self, source: 0, pieces: 0, counts: Counts::default() };
        let mut workers = Workers::start(self)?;
        while let Some(hashed) = workers.next()? {
            progress.advance(hashed.read);
            tally.add(&hashed)?;
            take(&hashed.fingerprints)?;
        }
        tally.finish();
        Ok(tally.counts)
    }

    /// Hashes one block.
    fn hash(&self, block: &Block, scratch: &mut Vec<u8>) -> Hashed {
        let mut hashed = Hashed { source: block.source, read: block.read, ..Hashed::default() };
        for piece in self.parser.layout().pieces(&block.bytes) {
            match self.parser.element(piece, scratch) {
                Ok(Some(element)) => hashed.fingerprints.push(self.hasher.fingerprint(element)),
                Ok(None) => hashed.counts.empty += 1,
                Err(problem) => {
                    hashed.counts.bad += 1;
                    if hashed.counts.bad <= NAMED {
                        hashed.bad.push((hashed.pieces, problem));
                    }
                    if self.on_error == OnError::Stop {
                        break;
                    }
                }
            }
            hashed.pieces += 1;
        }
        hashed.counts.elements = hashed.fingerprints.len() as u64;
        hashed
    }

    /// Reads all blocks and hands them to the workers in turn.
    fn read(&self, workers: &[SyncSender<Message<Block>>]) -> Result<(), Error> {
        let mut turn = workers.iter().cycle();
        let mut hand = |message| turn.next().is_some_and(|worker| worker.send(message).is_ok());
        for (at, source) in self.sources.iter().enumerate() {
            let opened = match source.open() {
                Ok(opened) => opened,
                Err(error) => {
                    hand(Message::Failed(error));
                    return Ok(());
                }
            };
            let mut blocks = Blocks::new(opened, self.parser.layout());
            loop {
                let message = match blocks.next() {
                    Ok(Some((bytes, read))) => Message::Item(Block { source: at, bytes, read }),
                    Ok(None) => break,
                    Err(error) => Message::Failed(source.failed(error)),
                };
                // When nobody takes blocks any more, the caller has failed.
                if !hand(message) {
                    return Ok(());
                }
            }
        }
        hand(Message::End);
        Ok(())
    }
}

/// The threads, as the caller sees them.
struct Workers {
    results: Vec<Receiver<Message<Hashed>>>,
    turn: usize,
}

impl Workers {
    fn start(hashing: &Hashing) -> Result<Workers, Error> {
        let (mut inputs, mut results) = (Vec::new(), Vec::new());
        for _ in 0..hashing.threads.max(1) {
            let (input, blocks) = sync_channel(WAITING);
            let (results_in, result) = sync_channel(WAITING);
            let hashing = hashing.clone();
            spawn(move || work(&hashing, &blocks, &results_in))?;
            inputs.push(input);
            results.push(result);
        }
        let hashing = hashing.clone();
        // Not waited for: when the caller fails, this thread may be waiting for input.
        spawn(move || {
            let _ended = hashing.read(&inputs);
        })?;
        Ok(Workers { results, turn: 0 })
    }

    /// The result of the next block; none at the end.
    fn next(&mut self) -> Result<Option<Hashed>, Error> {
        let message = self.results[self.turn].recv();
        self.turn = (self.turn + 1) % self.results.len();
        match message {
            Ok(Message::Item(hashed)) => Ok(Some(hashed)),
            Ok(Message::Failed(error)) => Err(error),
            Ok(Message::End) => Ok(None),
            Err(_) => Err(Error::Start("hashing", "a thread has ended early".to_owned())),
        }
    }
}

/// Starts a thread.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    match thread::Builder::new().spawn(work) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Start("thread", error.to_string())),
    }
}

fn work(
    hashing: &Hashing,
    blocks: &Receiver<Message<Block>>,
    results: &SyncSender<Message<Hashed>>,
) {
    let mut scratch = Vec::new();
    while let Ok(message) = blocks.recv() {
        let result = match message {
            Message::Item(block) => Message::Item(hashing.hash(&block, &mut scratch)),
            Message::Failed(error) => Message::Failed(error),
            Message::End => Message::End,
        };
        if results.send(result).is_err() {
            return;
        }
    }
}

/// Counts lines, and tells which are bad.
struct Tally<'a> {
    hashing: &'a Hashing,
    source: usize,
    /// Lines or records of the source so far.
    pieces: u64,
    counts: Counts,
}

impl Tally<'_> {
    fn add(&mut self, hashed: &Hashed) -> Result<(), Error> {
        if hashed.source != self.source {
            (self.source, self.pieces) = (hashed.source, 0);
        }
        let unit = self.hashing.parser.layout().unit();
        for &(at, problem) in &hashed.bad {
            let source_name = self.hashing.sources[self.source].to_string();
            let number = self.pieces + at + 1;
            if self.hashing.on_error == OnError::Stop {
                return Err(Error::BadElement { source_name, unit, number, problem });
            }
            self.counts.bad += 1;
            if self.counts.bad <= NAMED {
                let number = grouped(number);
                output::note(format_args!(
                    "gcs: {source_name}: {unit} {number}: {problem}; it is left out"
                ));
            }
        }
        self.counts.bad += hashed.counts.bad - hashed.bad.len() as u64;
        self.counts.elements += hashed.counts.elements;
        self.counts.empty += hashed.counts.empty;
        self.pieces += hashed.pieces;
        Ok(())
    }

    fn finish(&self) {
        if self.counts.bad > NAMED {
            let unit = self.hashing.parser.layout().unit();
            let (more, all) = (grouped(self.counts.bad - NAMED), grouped(self.counts.bad));
            output::note(format_args!("gcs: {more} more bad {unit}s are left out, {all} in all"));
        }
    }
}
