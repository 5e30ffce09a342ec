//! Elements as they are written in lines, in records or as arguments.

use clap::{Args, ValueEnum};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, DecodeError, Encoding, HEXLOWER_PERMISSIVE};
use thiserror::Error;

use crate::error::Error;
use crate::input::Layout;
use crate::quantity::{grouped, parse_count};

/// Longest line in bytes, without its end.
pub(crate) const MAX_LINE: usize = 1 << 16;

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Hexadecimal digits, upper or lower case
    Hex,
    /// Standard base64, with or without padding
    Base64,
    /// Base64 with - and _, with or without padding
    Base64url,
    /// The bytes of the line themselves
    Text,
    /// No lines: records of --length bytes, one after the other
    Raw,
}

/// What to do about a line that is no element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Stop at the first such line: encode writes no file; query has answered the lines before it
    Stop,
    /// Leave such lines out and count them; an error only if not one line is an element
    Skip,
}

/// Options that say how elements are written.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "How elements are written")]
pub(crate) struct ElementArgs {
    /// What a line holds; a set is queried in the format in which it was made
    #[arg(long, value_enum, default_value_t = Format::Hex, value_name = "FORMAT")]
    format: Format,
    /// Refuse elements that do not have so many bytes (a SHA-1 hash has 20); the size of a raw record
    #[arg(long, value_name = "BYTES", value_parser = parse_length)]
    length: Option<usize>,
    /// The element is this field of the line, counted from 1 (for lines such as HASH:COUNT)
    #[arg(long, value_name = "NUMBER", value_parser = parse_count)]
    field: Option<usize>,
    /// The character between fields; "tab" for a tab
    #[arg(long, value_name = "CHARACTER", requires = "field", default_value = ":", value_parser = parse_separator)]
    separator: u8,
    /// What to do about a line that is no element
    #[arg(long, value_enum, default_value_t = OnError::Stop, value_name = "WHAT")]
    pub(crate) on_error: OnError,
}

fn parse_length(text: &str) -> Result<usize, String> {
    match parse_count(text) {
        Ok(length) if length <= MAX_LINE => Ok(length),
        _ => Err(format!("expected a number of bytes from 1 to {MAX_LINE}, got {text:?}")),
    }
}

fn parse_separator(text: &str) -> Result<u8, &'static str> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [b'\n' | b'\r'] => Err("lines are separated by it already"),
        &[one] => Ok(one),
        _ => Err("expected one character of ASCII, or tab"),
    }
}

impl ElementArgs {
    /// The parser of elements that are written so.
    pub(crate) fn parser(&self) -> Result<Parser, Error> {
        let layout = match (self.format, self.length) {
            (Format::Raw, _) if self.field.is_some() => {
                let why = "raw records have no fields";
                return Err(Error::usage("--field", why, "leave it out, or name another --format"));
            }
            (Format::Raw, Some(length)) => Layout::Records(length),
            (Format::Raw, None) => {
                let why = "the size of a record is not known";
                return Err(Error::usage("--format raw", why, "say --length BYTES"));
            }
            _ => Layout::Lines,
        };
        let field = self.field.map(|field| (field, self.separator));
        Ok(Parser { format: self.format, layout, length: self.length, field })
    }
}

/// Why a line is no element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Problem {
    #[error("hexadecimal digits were expected, character {at} is none{}", field_hint(*byte))]
    Hex { at: usize, byte: u8 },
    #[error("an even number of hexadecimal digits was expected, got {digits}")]
    Odd { digits: usize },
    #[error("base64 was expected, character {at} is wrong{}", field_hint(*byte))]
    Base64 { at: usize, byte: u8 },
    #[error("base64 was expected, a length of {characters} is impossible")]
    Base64Length { characters: usize },
    #[error("an element of {expected} bytes was expected, got {got}")]
    Length { expected: usize, got: usize },
    #[error("at least {expected} fields were expected, got {got}")]
    Fields { expected: usize, got: usize },
    #[error("an element was expected in the field, which is empty")]
    EmptyField,
    #[error("at most {} bytes were expected, got more", grouped(MAX_LINE as u64))]
    Long,
}

/// What a character that often separates fields suggests.
fn field_hint(byte: u8) -> &'static str {
    match byte {
        b':' => ", but \":\" (for lines such as HASH:COUNT say --field 1)",
        0 => ", but a zero byte (text of UTF-16 becomes UTF-8 with iconv -f UTF-16LE -t UTF-8)",
        b',' | b';' | b'\t' | b'|' => " (for lines of several fields say --field and --separator)",
        _ => "",
    }
}

/// Reads elements from lines or records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parser {
    format: Format,
    layout: Layout,
    length: Option<usize>,
    field: Option<(usize, u8)>,
}

impl Parser {
    /// How its input is divided.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// The element of a line or record, or none if the line is empty. What is decoded is kept in
    /// `scratch`.
    pub(crate) fn element<'a>(
        &self,
        line: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, Problem> {
        if line.len() > MAX_LINE {
            return Err(Problem::Long);
        }
        if self.format != Format::Raw && trimmed(line).is_empty() {
            return Ok(None);
        }
        let written = match self.field {
            None => line,
            Some((number, separator)) => field(line, number, separator)?,
        };
        let element = match self.format {
            Format::Hex => decode_hex(trimmed(written), scratch)?,
            Format::Base64 => decode_base64(&BASE64_NOPAD, trimmed(written), scratch)?,
            Format::Base64url => decode_base64(&BASE64URL_NOPAD, trimmed(written), scratch)?,
            Format::Text | Format::Raw => written,
        };
        if element.is_empty() {
            return Err(Problem::EmptyField);
        }
        match self.length {
            Some(expected) if element.len() != expected => {
                Err(Problem::Length { expected, got: element.len() })
            }
            _ => Ok(Some(element)),
        }
    }

    /// A line or record as text, for answers.
    pub(crate) fn shown(&self, line: &[u8]) -> String {
        match self.format {
            Format::Raw => HEXLOWER_PERMISSIVE.encode(line),
            _ => String::from_utf8_lossy(line).into_owned(),
        }
    }

    /// Whether elements can be given as arguments and typed at a prompt.
    pub(crate) fn is_textual(&self) -> bool {
        self.format != Format::Raw
    }
}

fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

fn field(line: &[u8], number: usize, separator: u8) -> Result<&[u8], Problem> {
    let mut ends = memchr::memchr_iter(separator, line);
    let mut start = 0;
    for got in 1..number {
        let Some(end) = ends.next() else {
            return Err(Problem::Fields { expected: number, got });
        };
        start = end + 1;
    }
    Ok(&line[start..ends.next().unwrap_or(line.len())])
}

/// Room for `length` bytes.
fn room(scratch: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if scratch.len() < length {
        scratch.resize(length, 0);
    }
    &mut scratch[..length]
}

fn decode_hex<'a>(digits: &[u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Problem> {
    let problem =
        |error: DecodeError| Problem::Hex { at: error.position + 1, byte: digits[error.position] };
    let whole = digits.len() & !1;
    let decoded = room(scratch, whole / 2);
    HEXLOWER_PERMISSIVE
        .decode_mut(&digits[..whole], decoded)
        .map_err(|partial| problem(partial.error))?;
    match digits[whole..] {
        [] => Ok(decoded),
        [byte] if !byte.is_ascii_hexdigit() => Err(Problem::Hex { at: whole + 1, byte }),
        _ => Err(Problem::Odd { digits: digits.len() }),
    }
}

fn decode_base64<'a>(
    encoding: &Encoding,
    text: &[u8],
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], Problem> {
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let is_padded = padding > 0 && text.len().is_multiple_of(4);
    let code = if is_padded { &text[..text.len() - padding] } else { text };
    let wrong = |error: DecodeError| match code.get(error.position) {
        Some(&byte) if error.kind != data_encoding::DecodeKind::Length => {
            Problem::Base64 { at: error.position + 1, byte }
        }
        _ => Problem::Base64Length { characters: text.len() },
    };
    let length = encoding.decode_len(code.len()).map_err(wrong)?;
    let decoded = room(scratch, length);
    encoding.decode_mut(code, decoded).map_err(|partial| wrong(partial.error))?;
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parser(format: Format) -> Parser {
        Parser { format, layout: Layout::Lines, length: None, field: None }
    }

    fn parse(parser: Parser, line: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
        let mut scratch = Vec::new();
        parser.element(line, &mut scratch).map(|element| element.map(<[u8]>::to_vec))
    }

    #[test]
    fn every_format_is_read() {
        for (format, line, element) in [
            (Format::Hex, &b"00ffAB"[..], &b"\x00\xff\xab"[..]),
            (Format::Hex, b"  00ff\t", b"\x00\xff"),
            (Format::Base64, b"AP+r", b"\x00\xff\xab"),
            (Format::Base64, b"AP8=", b"\x00\xff"),
            (Format::Base64, b"AP8", b"\x00\xff"),
            (Format::Base64, b"AA==", b"\x00"),
            (Format::Base64url, b"AP-r", b"\x00\xff\xab"),
            (Format::Text, b" a b ", b" a b "),
            (Format::Text, b"\xff\xfe", b"\xff\xfe"),
            (Format::Raw, b"  ", b"  "),
        ] {
            assert_eq!(parse(parser(format), line), Ok(Some(element.to_vec())), "{line:?}");
        }
        for empty in [&b""[..], b"  ", b"\t"] {
            assert_eq!(parse(parser(Format::Hex), empty), Ok(None));
            assert_eq!(parse(parser(Format::Text), empty), Ok(None));
        }
    }

    #[test]
    fn fields_are_found() {
        let of =
            |field, separator| Parser { field: Some((field, separator)), ..parser(Format::Hex) };
        assert_eq!(parse(of(1, b':'), b"00ff:42"), Ok(Some(vec![0, 255])));
        assert_eq!(parse(of(1, b':'), b"00ff"), Ok(Some(vec![0, 255])));
        assert_eq!(parse(of(3, b'\t'), b"x\ty\t0A\tz"), Ok(Some(vec![10])));
        assert_eq!(parse(of(3, b':'), b"x:y"), Err(Problem::Fields { expected: 3, got: 2 }));
        assert_eq!(parse(of(2, b':'), b"x:"), Err(Problem::EmptyField));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |format, line: &[u8], problem| {
            assert_eq!(parse(parser(format), line), Err(problem), "{line:?}");
        };
        wrong(Format::Hex, b"00fg", Problem::Hex { at: 4, byte: b'g' });
        wrong(Format::Hex, b"00f", Problem::Odd { digits: 3 });
        wrong(Format::Hex, b"00:12", Problem::Hex { at: 3, byte: b':' });
        wrong(Format::Hex, b"0011:", Problem::Hex { at: 5, byte: b':' });
        wrong(Format::Base64, b"AP8*", Problem::Base64 { at: 4, byte: b'*' });
        wrong(Format::Base64, b"AP-r", Problem::Base64 { at: 3, byte: b'-' });
        wrong(Format::Base64, b"A", Problem::Base64Length { characters: 1 });
        wrong(Format::Base64, b"=", Problem::Base64Length { characters: 1 });
        // Bits that no byte has must be zero, else one element has several spellings.
        wrong(Format::Base64, b"AP9", Problem::Base64 { at: 3, byte: b'9' });
        wrong(Format::Text, &[b'x'; MAX_LINE + 1], Problem::Long);
        assert!(parse(parser(Format::Text), &[b'x'; MAX_LINE]).is_ok());
        let sha1 = Parser { length: Some(20), ..parser(Format::Hex) };
        assert_eq!(parse(sha1, b"00ff"), Err(Problem::Length { expected: 20, got: 2 }));
        let hint = Problem::Hex { at: 41, byte: b':' }.to_string();
        assert!(hint.contains("--field 1"), "{hint}");
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..100)) {
            for format in [Format::Hex, Format::Base64, Format::Base64url, Format::Text] {
                let _any = parse(parser(format), &line);
                let of_field = Parser { field: Some((2, b':')), ..parser(format) };
                let _any = parse(of_field, &line);
            }
        }

        #[test]
        fn what_is_written_is_read(element in prop::collection::vec(any::<u8>(), 1..100)) {
            use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
            for (format, text) in [
                (Format::Hex, HEXLOWER.encode(&element)),
                (Format::Hex, HEXUPPER.encode(&element)),
                (Format::Base64, BASE64.encode(&element)),
                (Format::Base64, BASE64_NOPAD.encode(&element)),
                (Format::Base64url, BASE64URL.encode(&element)),
            ] {
                prop_assert_eq!(parse(parser(format), text.as_bytes()), Ok(Some(element.clone())));
            }
        }
    }
}
