//! Input that is read in blocks of whole lines or records, in bounded memory.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use crate::element::MAX_LINE;
use crate::error::Error;
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
        let of = |path: &PathBuf| match path.as_os_str() == "-" {
            true => Source::Stdin,
            false => Source::File(path.clone()),
        };
        let sources: Vec<Source> = paths.iter().map(of).collect();
        if sources.iter().filter(|source| **source == Source::Stdin).count() > 1 {
            let what = "standard input (-) named twice";
            return Err(Error::usage(what, "it can be read only once", "name it once"));
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
            Source::Stdin => Ok(Box::new(io::stdin())),
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
    pub(crate) fn failed(&self, error: io::Error) -> Error {
        match self {
            Source::Stdin => Error::read(Path::new("standard input"), error),
            Source::File(path) => Error::read(path, error),
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
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok(ends + u64::from(last != b'\n')),
                Ok(read) => &buffer[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(source.failed(error)),
            };
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
    /// The beginning of the next block.
    rest: Vec<u8>,
    has_begun: bool,
    has_ended: bool,
}

/// The mark with which some programs begin files of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<R: Read> Blocks<R> {
    /// A reader of blocks.
    pub(crate) fn new(reader: R, layout: Layout) -> Blocks<R> {
        Blocks { reader, layout, rest: Vec::new(), has_begun: false, has_ended: false }
    }

    /// The next block, which is never empty, and how many bytes were read for it.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        if self.has_ended {
            return Ok(None);
        }
        let length = match self.layout {
            Layout::Lines => BLOCK,
            Layout::Records(length) => BLOCK.next_multiple_of(length),
        };
        let mut block = std::mem::take(&mut self.rest);
        block.reserve_exact(length - block.len());
        let mut read = self.fill(&mut block, length)?;
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if is_first && self.layout == Layout::Lines && block.starts_with(BYTE_ORDER_MARK) {
            block.drain(..BYTE_ORDER_MARK.len());
        }
        if !self.has_ended && self.layout == Layout::Lines {
            match memchr::memrchr(b'\n', &block) {
                Some(end) => self.rest = block.split_off(end + 1),
                None => {
                    block.truncate(MAX_LINE + 1);
                    block.push(b'\n');
                    read += self.skip_line()?;
                }
            }
        }
        Ok((!block.is_empty()).then_some((block, read)))
    }

    /// Reads until the block has `length` bytes or the input ends.
    fn fill(&mut self, block: &mut Vec<u8>, length: usize) -> io::Result<u64> {
        let missing = (length - block.len()) as u64;
        let read = self.reader.by_ref().take(missing).read_to_end(block)? as u64;
        self.has_ended = read < missing;
        Ok(read)
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
        let mut blocks = Blocks::new(bytes, layout);
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
