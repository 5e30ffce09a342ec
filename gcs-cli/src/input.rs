//! Input that is read in blocks of whole lines or records, in bounded memory.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Stdin};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::element::MAX_LINE;
use crate::error::Error;
use crate::kind::Kind;
use crate::progress::Progress;

/// Least length of a block in bytes, but for the last of an input.
const BLOCK: usize = 1 << 18;

/// Where lines or records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// The sources that arguments name: "-" is standard input, and so is no argument at all.
    pub(crate) fn of(paths: &[PathBuf]) -> Result<Vec<Source>, Error> {
        let of = |path: &PathBuf| match is_dash(path) {
            true => Source::Stdin,
            false => Source::File(path.clone()),
        };
        let sources: Vec<Source> = paths.iter().map(of).collect();
        if sources.iter().filter(|source| **source == Source::Stdin).count() > 1 {
            return Err(stdin_twice());
        }
        Ok(if sources.is_empty() { vec![Source::Stdin] } else { sources })
    }

    /// Fails if it is a file that is missing, or a folder. Unlike opening it, this never waits.
    pub(crate) fn expect_there(&self) -> Result<(), Error> {
        let Source::File(path) = self else { return Ok(()) };
        let about = path.metadata().map_err(|error| Error::read(path, error))?;
        if about.is_dir() { Err(folder(path)) } else { Ok(()) }
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>, Error> {
        match self {
            Source::Stdin => Ok(Box::new(take_stdin()?)),
            Source::File(path) => open(path).map(|file| Box::new(file) as _),
        }
    }

    /// The length of an ordinary file, which can be read more than once.
    pub(crate) fn length(&self) -> Option<u64> {
        let Source::File(path) = self else { return None };
        let about = path.metadata().ok()?;
        about.is_file().then_some(about.len())
    }

    /// Whether it is a terminal at which somebody types.
    pub(crate) fn is_terminal(&self) -> bool {
        *self == Source::Stdin && io::stdin().is_terminal()
    }

    /// An error of reading it.
    pub(crate) fn failed(&self, error: impl Into<InputError>) -> Error {
        match (error.into(), self) {
            (InputError::Io(error), Source::Stdin) => Error::read(Path::new("-"), error),
            (InputError::Io(error), Source::File(path)) => Error::read(path, error),
            (InputError::Kind(kind), _) => Error::no_lines(self, kind),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Stdin => f.write_str("standard input"),
            Source::File(path) => path.display().fmt(f),
        }
    }
}

/// Whether a file name is `-`, which means standard input or standard output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Standard input, for the only one who reads it.
pub(crate) fn take_stdin() -> Result<Stdin, Error> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    if IS_TAKEN.swap(true, Ordering::Relaxed) { Err(stdin_twice()) } else { Ok(io::stdin()) }
}

/// The error of naming standard input twice.
pub(crate) fn stdin_twice() -> Error {
    let what = "standard input (-) named twice";
    Error::usage(what, "it can be read only once", "name it once")
}

/// Why there is no next block of an input.
#[derive(Debug)]
pub(crate) enum InputError {
    /// The file cannot be read.
    Io(io::Error),
    /// The file is of this kind, which has no elements.
    Kind(Kind),
}

impl From<io::Error> for InputError {
    fn from(error: io::Error) -> InputError {
        InputError::Io(error)
    }
}

/// Opens a file; a folder is refused here, since reading it would say less clearly what is wrong.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(|error| Error::read(path, error))?;
    let is_folder = file.metadata().is_ok_and(|about| about.is_dir());
    if is_folder {
        return Err(folder(path));
    }
    Ok(file)
}

fn folder(path: &Path) -> Error {
    Error::read(path, io::Error::new(io::ErrorKind::IsADirectory, "is a folder"))
}

/// How input is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Lines that end with LF or CR LF; the last may end with the input.
    Lines,
    /// Records of so many bytes.
    Records(usize),
}

impl Layout {
    /// What a piece is called.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Layout::Lines => "line",
            Layout::Records(_) => "record",
        }
    }

    /// The lines or records of a block, without the ends of lines.
    pub(crate) fn pieces(self, block: &[u8]) -> Pieces<'_> {
        Pieces { layout: self, rest: block }
    }

    /// How many lines or records there are; the last may be incomplete.
    pub(crate) fn count(self, source: &Source, progress: &Progress) -> Result<u64, Error> {
        if let (Layout::Records(length), Some(bytes)) = (self, source.length()) {
            return Ok(bytes.div_ceil(length as u64));
        }
        let mut reader = source.open()?;
        let mut buffer = vec![0; BLOCK];
        let (mut ends, mut last) = (0, b'\n');
        let mut has_begun = false;
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok(ends + u64::from(last != b'\n')),
                Ok(read) => &buffer[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(source.failed(error)),
            };
            // Before much is read in vain.
            if !std::mem::replace(&mut has_begun, true)
                && let Some(kind) = Kind::that_is_no_input(read, self)
            {
                return Err(source.failed(InputError::Kind(kind)));
            }
            ends += memchr::memchr_iter(b'\n', read).count() as u64;
            last = read[read.len() - 1];
            progress.advance(read.len() as u64);
        }
    }
}

/// Iterator over the lines or records of a block.
#[derive(Clone, Debug)]
pub(crate) struct Pieces<'a> {
    layout: Layout,
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = match self.layout {
            Layout::Records(length) => self.rest.split_at(length.min(self.rest.len())),
            Layout::Lines => match memchr::memchr(b'\n', self.rest) {
                Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
                None => (self.rest, &[][..]),
            },
        };
        self.rest = rest;
        match self.layout {
            Layout::Lines => Some(piece.strip_suffix(b"\r").unwrap_or(piece)),
            Layout::Records(_) => Some(piece),
        }
    }
}

/// Reads blocks of whole lines or records. Of a line that does not fit into a block only the
/// beginning is kept, which is longer than a line may be.
pub(crate) struct Blocks<R> {
    reader: R,
    layout: Layout,
    /// Whether a block is given as soon as it has a whole line or record.
    is_prompt: bool,
    /// The beginning of the next block.
    rest: Vec<u8>,
    has_begun: bool,
    has_ended: bool,
}

/// The mark with which some programs begin files of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<R: Read> Blocks<R> {
    /// A reader of blocks, which waits until each is full or the input ends.
    pub(crate) fn new(reader: R, layout: Layout) -> Blocks<R> {
        let is_prompt = false;
        Blocks { reader, layout, is_prompt, rest: Vec::new(), has_begun: false, has_ended: false }
    }

    /// A reader of blocks, which gives what has come and does not wait for more.
    pub(crate) fn prompt(reader: R, layout: Layout) -> Blocks<R> {
        Blocks { is_prompt: true, ..Blocks::new(reader, layout) }
    }

    /// The next block, which is never empty, and how many bytes were read for it.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, u64)>, InputError> {
        if self.has_ended {
            return Ok(None);
        }
        let length = match self.layout {
            Layout::Lines => BLOCK,
            Layout::Records(length) => BLOCK.next_multiple_of(length),
        };
        let mut block = std::mem::take(&mut self.rest);
        let mut read = self.fill(&mut block, length)?;
        while self.is_prompt && !self.has_ended && block.len() < length && self.whole(&block) == 0 {
            read += self.fill(&mut block, length)?;
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            if let Some(kind) = Kind::that_is_no_input(&block, self.layout) {
                return Err(InputError::Kind(kind));
            }
            if self.layout == Layout::Lines && block.starts_with(BYTE_ORDER_MARK) {
                block.drain(..BYTE_ORDER_MARK.len());
            }
        }
        if !self.has_ended {
            match self.whole(&block) {
                0 => {
                    block.truncate(MAX_LINE + 1);
                    block.push(b'\n');
                    read += self.skip_line()?;
                }
                whole => self.rest = block.split_off(whole),
            }
        }
        Ok((!block.is_empty()).then_some((block, read)))
    }

    /// How many bytes of a block are whole lines or records.
    fn whole(&self, block: &[u8]) -> usize {
        match self.layout {
            Layout::Lines => memchr::memrchr(b'\n', block).map_or(0, |end| end + 1),
            Layout::Records(length) => block.len() - block.len() % length,
        }
    }

    /// Reads until the block has `length` bytes or the input ends, or what one call gives.
    fn fill(&mut self, block: &mut Vec<u8>, length: usize) -> io::Result<u64> {
        if self.is_prompt {
            return self.fill_once(block, length);
        }
        block.reserve_exact(length - block.len());
        let missing = (length - block.len()) as u64;
        let read = self.reader.by_ref().take(missing).read_to_end(block)? as u64;
        self.has_ended = read < missing;
        Ok(read)
    }

    fn fill_once(&mut self, block: &mut Vec<u8>, length: usize) -> io::Result<u64> {
        let start = block.len();
        block.resize(length, 0);
        let read = loop {
            match self.reader.read(&mut block[start..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        block.truncate(start + *read.as_ref().unwrap_or(&0));
        self.has_ended = read? == 0;
        Ok((block.len() - start) as u64)
    }

    /// Skips what is left of a line.
    fn skip_line(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        let mut buffer = Vec::with_capacity(BLOCK);
        while !self.has_ended {
            buffer.clear();
            skipped += self.fill(&mut buffer, BLOCK)?;
            if let Some(end) = memchr::memchr(b'\n', &buffer) {
                self.rest = buffer.split_off(end + 1);
                break;
            }
        }
        // What came with the end of the line is a block of its own, even if the input has ended.
        self.has_ended &= self.rest.is_empty();
        Ok(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(layout: Layout, bytes: &[u8]) -> Vec<Vec<u8>> {
        let pieces = pieces_of(Blocks::new(bytes, layout), bytes);
        assert_eq!(pieces_of(Blocks::prompt(bytes, layout), bytes), pieces);
        let trickle = Trickle(bytes);
        assert!(pieces_of(Blocks::prompt(trickle, layout), bytes) == pieces);
        pieces
    }

    /// Gives 40,001 bytes with each call, whatever there are.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(40_001);
            self.0.read(&mut buffer[..length])
        }
    }

    fn pieces_of(mut blocks: Blocks<impl Read>, bytes: &[u8]) -> Vec<Vec<u8>> {
        let layout = blocks.layout;
        let (mut pieces, mut total) = (Vec::new(), 0);
        while let Some((block, read)) = blocks.next().unwrap() {
            assert!(!block.is_empty());
            pieces.extend(layout.pieces(&block).map(<[u8]>::to_vec));
            total += read;
        }
        assert_eq!(total, bytes.len() as u64);
        pieces
    }

    #[test]
    fn lines_end_with_lf_or_crlf_or_the_input() {
        let lines = |bytes: &[u8]| pieces(Layout::Lines, bytes);
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"a\nb"), [b"a", b"b"]);
        assert_eq!(lines(b"a\r\nb\r\n"), [b"a", b"b"]);
        assert_eq!(lines(b"\n\na"), [&b""[..], b"", b"a"]);
        assert_eq!(lines(b"a\rb\n"), [b"a\rb"]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(
            pieces(Layout::Lines, b"\xef\xbb\xbfa\n\xef\xbb\xbfb"),
            [&b"a"[..], b"\xef\xbb\xbfb"]
        );
        assert_eq!(pieces(Layout::Lines, b"\xef\xbb\xbf\n"), [b""]);
        assert!(Blocks::new(BYTE_ORDER_MARK, Layout::Lines).next().unwrap().is_none());
        assert_eq!(pieces(Layout::Records(4), b"\xef\xbb\xbfa"), [b"\xef\xbb\xbfa"]);
    }

    #[test]
    fn records_have_one_length_but_for_an_incomplete_last() {
        let records = |bytes: &[u8]| pieces(Layout::Records(3), bytes);
        assert_eq!(records(b"abcdef"), [b"abc", b"def"]);
        assert_eq!(records(b"abcd"), [&b"abc"[..], b"d"]);
        let long: Vec<u8> = (0..1_000_001u32).map(|i| (i % 251) as u8).collect();
        assert_eq!(pieces(Layout::Records(7), &long).concat(), long);
    }

    #[test]
    fn of_a_very_long_line_only_the_beginning_is_kept() {
        for length in [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17] {
            for end in [&b""[..], b"\n", b"\nnext", b"\nnext\n"] {
                let input = [&vec![b'x'; length][..], end].concat();
                let lines = pieces(Layout::Lines, &input);
                let what = format!("{length} {end:?}");
                assert!(lines[0].len() > MAX_LINE, "{what}");
                assert_eq!(lines.len(), 1 + usize::from(end.len() > 1), "{what}");
                assert!(lines[1..].iter().all(|line| line == b"next"), "{what}");
            }
        }
    }

    proptest! {
        #[test]
        fn blocks_do_not_change_lines(lengths in prop::collection::vec(0..60_000usize, 0..20)) {
            let wanted: Vec<Vec<u8>> = lengths.iter().map(|&length| vec![b'x'; length]).collect();
            let input: Vec<u8> =
                wanted.iter().flat_map(|line| line.iter().chain(b"\n")).copied().collect();
            prop_assert_eq!(pieces(Layout::Lines, &input), wanted);
        }
    }
}
