//! Where the head of a request ends.

/// Looks for the end of a head in bytes that come in pieces: the first empty line that follows a line
/// with something in it (RFC 9112, 2.1 and 2.2). The parser behind it decides what the head means. If the two
/// disagree about an end, the request gets no answer and the connection ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum HeadScan {
    /// Nothing but empty lines so far, which count as nothing.
    #[default]
    Before,
    /// Within a line.
    Line,
    /// At the beginning of a line.
    LineBegin,
    /// Behind a carriage return at the beginning of a line.
    CarriageReturn,
}

impl HeadScan {
    /// Goes on with these bytes. Returns how many of them belong to the head, if it ends in them.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            *self = match (*self, byte) {
                (HeadScan::Before, b'\r' | b'\n') => HeadScan::Before,
                (HeadScan::LineBegin | HeadScan::CarriageReturn, b'\n') => {
                    *self = HeadScan::Before;
                    return Some(at);
                }
                (HeadScan::LineBegin, b'\r') => HeadScan::CarriageReturn,
                (_, b'\n') => HeadScan::LineBegin,
                _ => match memchr::memchr(b'\n', &bytes[at..]) {
                    Some(length) => {
                        at += length + 1;
                        HeadScan::LineBegin
                    }
                    None => {
                        at = bytes.len();
                        HeadScan::Line
                    }
                },
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end, if the bytes come in pieces of this size.
    fn end(bytes: &[u8], size: usize) -> Option<usize> {
        let mut scan = HeadScan::default();
        let mut pieces = bytes.chunks(size).enumerate();
        pieces.find_map(|(i, piece)| scan.end(piece).map(|end| i * size + end))
    }

    #[test]
    fn heads_end_with_an_empty_line() {
        for (head, rest) in [
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", "GET"),
            ("GET / HTTP/1.1\nhost: x\n\n", "\n"),
            ("GET / HTTP/1.1\r\nhost: x\n\r\n", ""),
            ("\r\n\n\r\nGET / HTTP/1.1\r\n\r\n", "\r\n\r\n"),
            ("a\n\n", "b"),
            ("a\r\r\n\r\n", ""),
        ] {
            let whole = [head, rest].concat();
            for size in 1..=whole.len() {
                assert_eq!(end(whole.as_bytes(), size), Some(head.len()), "{whole:?} by {size}");
            }
        }
        for open in ["", "\r\n\r\n\n\n", "GET / HTTP/1.1\r\n", "a\r\n\rb\r\n", "a\r\n\r"] {
            for size in 1..=open.len().max(1) {
                assert_eq!(end(open.as_bytes(), size), None, "{open:?} by {size}");
            }
        }
    }
}
