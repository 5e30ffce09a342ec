//! Takes the envelope `{"data":…}` off a body as it comes.

use crate::domain::problem::Problem;

/// Most bytes before the data, and most behind it.
const MOST_AROUND: usize = 1024;

/// The envelope of a callable function, of which only what is in it is given on.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    /// What came before the data; `None` once that is over.
    before: Option<Vec<u8>>,
    is_open: bool,
    /// What may be the end of the envelope.
    behind: Vec<u8>,
}

impl Envelope {
    /// Gives on what is in the envelope.
    ///
    /// # Errors
    /// When it is none; and whatever `take` returns.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut inside = bytes;
        if !self.is_open {
            let before = self.before.get_or_insert_default();
            let end = bytes.iter().position(|byte| *byte == b':').map(|colon| colon + 1);
            before.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            let text = before.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
            let is_begun = b"{\"data\":".iter().copied().zip(text).all(|(one, other)| one == other);
            if !is_begun || before.len() > MOST_AROUND {
                return Err(none());
            }
            let Some(end) = end else { return Ok(()) };
            if before.iter().filter(|byte| !byte.is_ascii_whitespace()).count() != 8 {
                return Err(none());
            }
            (self.is_open, self.before) = (true, None);
            inside = &bytes[end..];
        }
        self.behind.extend_from_slice(inside);
        let whole = self.behind.trim_ascii_end();
        let end = whole.strip_suffix(b"}").map_or(whole.len(), <[u8]>::len);
        take(&self.behind[..end])?;
        self.behind.drain(..end);
        if self.behind.len() > MOST_AROUND { Err(none()) } else { Ok(()) }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// When the envelope is not closed.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let is_closed = self.is_open && self.behind.trim_ascii_end() == b"}";
        if is_closed { Ok(()) } else { Err(none()) }
    }
}

fn none() -> Problem {
    Problem::UploadInvalid { message: "the body is not `{\"data\":…}`".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrap(body: &str, piece: usize) -> Option<String> {
        let (mut envelope, mut inside) = (Envelope::default(), Vec::new());
        for bytes in body.as_bytes().chunks(piece) {
            let take = |bytes: &[u8]| {
                inside.extend_from_slice(bytes);
                Ok(())
            };
            envelope.read(bytes, take).ok()?;
        }
        envelope.finish().ok()?;
        Some(String::from_utf8(inside).unwrap())
    }

    #[test]
    fn what_is_in_an_envelope_is_the_same_in_pieces_of_any_length() {
        for piece in [1, 2, 3, 7, 100] {
            let data = r#"{"token":"a:}b","records":[{"timestamp":1},{}]}"#;
            for body in [format!(r#"{{"data":{data}}}"#), format!(" {{ \"data\" \n: {data} }} \n")]
            {
                assert_eq!(unwrap(&body, piece).unwrap().trim(), data, "{piece}");
            }
            let spaces = " ".repeat(2000);
            for bad in [
                "",
                "{",
                r#"{"data""#,
                r#"{"data":"#,
                r#"{"data":1"#,
                r#"{"date":1}"#,
                r#"["data":1}"#,
                r#"{"data":{}}x"#,
                r#"{"data2":1}"#,
                &format!(r#"{{"data":1}}{spaces}"#),
            ] {
                assert_eq!(unwrap(bad, piece), None, "{bad} {piece}");
            }
        }
    }
}
