//! Where a chunked body ends.

/// Looks for the end of a chunked body (RFC 9112, 7.1) in bytes that come in pieces. It goes by the grammar
/// of the parser behind it, which takes the content out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum ChunkScan {
    /// Before the size of a chunk.
    #[default]
    SizeBegin,
    /// In the size, which is this so far.
    Size(u64),
    /// Behind the size, in an extension.
    Extension(u64),
    /// Before the line feed that ends the line of the size.
    SizeEnd(u64),
    /// In the content of a chunk, of which so many bytes are missing.
    Content(u64),
    /// Behind the content: a carriage return, then a line feed.
    ContentEnd,
    ContentLineEnd,
    /// At the beginning of a line behind the last chunk.
    TrailerBegin,
    Trailer,
    TrailerEnd,
    /// In the empty line that ends the body.
    LastLineEnd,
}

/// What a piece of a body was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The body goes on behind it.
    Open,
    /// The body ends behind so many of its bytes.
    End(usize),
    /// It is no chunked body.
    Broken,
}

impl ChunkScan {
    /// Goes on with these bytes.
    pub(super) fn piece(&mut self, bytes: &[u8]) -> Piece {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            *self = match (*self, byte) {
                (ChunkScan::Content(left), _) => {
                    let given = left.min((bytes.len() - at + 1) as u64);
                    at += given as usize - 1;
                    match left - given {
                        0 => ChunkScan::ContentEnd,
                        left => ChunkScan::Content(left),
                    }
                }
                (ChunkScan::ContentEnd, b'\r') => ChunkScan::ContentLineEnd,
                (ChunkScan::ContentLineEnd, b'\n') => ChunkScan::SizeBegin,
                (ChunkScan::SizeBegin, digit) => match hex(digit) {
                    Some(digit) => ChunkScan::Size(digit),
                    None => return Piece::Broken,
                },
                (ChunkScan::Size(size) | ChunkScan::Extension(size), b'\r') => {
                    ChunkScan::SizeEnd(size)
                }
                (ChunkScan::Size(size), b'\t' | b' ' | b';') => ChunkScan::Extension(size),
                (ChunkScan::Size(size), digit) => {
                    let size = size.checked_mul(16).zip(hex(digit));
                    match size.and_then(|(size, digit)| size.checked_add(digit)) {
                        Some(size) => ChunkScan::Size(size),
                        None => return Piece::Broken,
                    }
                }
                (ChunkScan::Extension(_), b'\n') => return Piece::Broken,
                (extension @ ChunkScan::Extension(_), _) => extension,
                (ChunkScan::SizeEnd(0), b'\n') => ChunkScan::TrailerBegin,
                (ChunkScan::SizeEnd(size), b'\n') => ChunkScan::Content(size),
                (ChunkScan::TrailerBegin, b'\r') => ChunkScan::LastLineEnd,
                (ChunkScan::Trailer, b'\r') => ChunkScan::TrailerEnd,
                (ChunkScan::TrailerBegin | ChunkScan::Trailer, _) => ChunkScan::Trailer,
                (ChunkScan::TrailerEnd, b'\n') => ChunkScan::TrailerBegin,
                (ChunkScan::LastLineEnd, b'\n') => return Piece::End(at),
                _ => return Piece::Broken,
            };
        }
        Piece::Open
    }
}

fn hex(digit: u8) -> Option<u64> {
    char::from(digit).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it is, and where it ends if it ends, when the bytes come in pieces of this size.
    fn scan(bytes: &[u8], size: usize) -> Piece {
        let mut scan = ChunkScan::default();
        for (i, piece) in bytes.chunks(size).enumerate() {
            match scan.piece(piece) {
                Piece::Open => {}
                Piece::End(end) => return Piece::End(i * size + end),
                Piece::Broken => return Piece::Broken,
            }
        }
        Piece::Open
    }

    #[test]
    fn a_body_ends_behind_the_last_chunk_and_its_trailers() {
        for (body, rest) in [
            ("0\r\n\r\n", "GET"),
            ("3\r\nabc\r\n0\r\n\r\n", "\r\n"),
            ("00a;x=y\r\n0123\r\n\r\n89\r\n0\r\n\r\n", "x"),
            ("1 \t;x\r\n\n\r\n0\r\na: b\r\nc: d\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"),
            ("A\r\n0123456789\r\n0  \r\nx\ny\r\n\r\n", ""),
        ] {
            let whole = [body, rest].concat();
            for size in 1..=whole.len() {
                let found = scan(whole.as_bytes(), size);
                assert_eq!(found, Piece::End(body.len()), "{whole:?} by {size}");
            }
            for cut in 0..body.len() {
                assert_eq!(scan(&body.as_bytes()[..cut], 7), Piece::Open, "{body:?} until {cut}");
            }
        }
        for broken in
            ["\r\n", "x", "-1\r\n", "1\n", "1\r\nab\r\n", "1;\n", "0\r\n\rx", "10000000000000000"]
        {
            for size in 1..=broken.len() {
                assert_eq!(scan(broken.as_bytes(), size), Piece::Broken, "{broken:?} by {size}");
            }
        }
        assert_eq!(scan(b"fffffffffffffffe\r\nabc", 3), Piece::Open);
    }
}
