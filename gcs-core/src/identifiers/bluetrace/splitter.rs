//! Finds where a JSON value ends, byte by byte, so that a file can be read value by value.

use alloc::vec::Vec;
use core::fmt;

/// A JSON value of which some bytes have come. Only where it ends is found out here; whether it
/// is a value is for a JSON reader to say.
#[derive(Clone, Default)]
pub(super) struct PartialValue {
    /// Its bytes, and no more than one above the limit.
    bytes: Vec<u8>,
    /// How many bytes came.
    length: u64,
    shape: Shape,
    /// How many brackets are open.
    depth: u64,
    in_string: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    /// A number, or `true`, `false`, `null`: ends before what cannot be in it.
    #[default]
    Bare,
    String,
    /// An object or array.
    Brackets,
}

/// What a byte does to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// The value goes on.
    Inside,
    /// The value ends with this byte.
    Last,
    /// The value has ended before this byte.
    Behind,
}

/// Most bytes of a value that are kept.
pub(super) const MAX_BYTES: usize = 4096;

impl fmt::Debug for PartialValue {
    /// Hides the bytes, which may be those of a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartialValue").field("length", &self.length).finish_non_exhaustive()
    }
}

impl PartialValue {
    /// Begins a value with its first byte; `false` if no value begins so.
    pub(super) fn begin(&mut self, byte: u8) -> bool {
        let shape = match byte {
            b'"' => Shape::String,
            b'{' | b'[' => Shape::Brackets,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Shape::Bare,
            _ => return false,
        };
        self.bytes.clear();
        self.length = 0;
        self.shape = shape;
        self.depth = u64::from(shape == Shape::Brackets);
        self.in_string = shape == Shape::String;
        self.escaped = false;
        self.keep(byte);
        true
    }

    pub(super) fn feed(&mut self, byte: u8) -> Fed {
        let ends_bare = matches!(byte, b',' | b']' | b'}') || is_space(byte);
        if self.shape == Shape::Bare && ends_bare {
            return Fed::Behind;
        }
        self.keep(byte);
        if self.in_string {
            self.feed_string(byte)
        } else if self.shape == Shape::Brackets {
            self.feed_brackets(byte)
        } else {
            Fed::Inside
        }
    }

    fn feed_string(&mut self, byte: u8) -> Fed {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
            return if self.shape == Shape::String { Fed::Last } else { Fed::Inside };
        }
        Fed::Inside
    }

    fn feed_brackets(&mut self, byte: u8) -> Fed {
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth == 0 { Fed::Last } else { Fed::Inside }
    }

    fn keep(&mut self, byte: u8) {
        self.length += 1;
        if self.bytes.len() <= MAX_BYTES {
            self.bytes.push(byte);
        }
    }

    /// Its bytes, or its length if it is too long.
    pub(super) fn bytes(&self) -> Result<&[u8], u64> {
        if self.bytes.len() > MAX_BYTES { Err(self.length) } else { Ok(&self.bytes) }
    }

    /// Memory that it has.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Whether a byte is white space between values (RFC 8259, section 2).
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
