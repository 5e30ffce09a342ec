//! Upload files, read piece by piece.

use alloc::string::String;
use core::{fmt, mem};

use serde::de::IgnoredAny;

use super::error::{RecordError, UploadError};
use super::record::{UploadEvent, UploadRecord};
use super::splitter::{Fed, MAX_BYTES, PartialValue, is_space};

/// Most bytes of one record, event, name or other value of an upload file.
pub const MAX_VALUE_BYTES: usize = MAX_BYTES;

/// Reads an upload file, the JSON object `{"token":…,"records":[…],"events":[…]}`, piece by
/// piece as it comes. It holds one value at a time, so a file of any size takes the same memory,
/// and O(1) time a byte.
///
/// A record that is wrong does not spoil the others. Members other than the three are ignored;
/// `events` may be missing. Members come in any order, so the token may be the last of them. How many bytes or records a file may have is for the caller to say,
/// who may stop at any time.
///
/// ```
/// use gcs_core::identifiers::bluetrace::{UploadPart, UploadReader};
///
/// let file = br#"{"token":"t","records":[{"timestamp":1586000000,"msg":null},7],"events":[]}"#;
/// let (mut reader, mut good, mut bad) = (UploadReader::new(), 0, 0);
/// for chunk in file.chunks(10) {
///     for part in reader.read(chunk) {
///         match part? {
///             UploadPart::Token(token) => assert_eq!(token, "t"),
///             UploadPart::Record(Ok(record)) => good += u64::from(record.time_ms > 0),
///             UploadPart::Record(Err(_)) => bad += 1,
///             UploadPart::Event(_) => {}
///         }
///     }
/// }
/// reader.finish()?;
/// assert_eq!((good, bad), (1, 1));
/// # Ok::<(), gcs_core::identifiers::bluetrace::UploadError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct UploadReader {
    place: Place,
    member: Member,
    has_token: bool,
    has_records: bool,
    has_events: bool,
    value: PartialValue,
    /// Bytes read.
    position: u64,
    failure: Option<UploadError>,
}

/// A part of an upload file. `Debug` hides the token.
#[derive(Clone, PartialEq, Eq)]
pub enum UploadPart {
    /// The upload token, as text.
    Token(String),
    /// A record, in the order of the file.
    Record(Result<UploadRecord, RecordError>),
    /// An event, in the order of the file.
    Event(Result<UploadEvent, RecordError>),
}

impl fmt::Debug for UploadPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UploadPart::Token(_) => f.write_str("Token(..)"),
            UploadPart::Record(record) => f.debug_tuple("Record").field(record).finish(),
            UploadPart::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    FirstName,
    Name,
    InName,
    Colon,
    Member,
    InMember,
    FirstElement,
    Element,
    InElement,
    AfterElement,
    AfterMember,
    End,
}

/// The member of the file's object that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Member {
    #[default]
    Other,
    Token,
    Records,
    Events,
}

impl UploadReader {
    /// A reader at the begin of a file.
    pub fn new() -> UploadReader {
        UploadReader::default()
    }

    /// Reads the next bytes of the file. Take every part: bytes behind the last part taken are
    /// not read. After an error, every call gives the same error again.
    pub fn read<'a>(
        &'a mut self,
        chunk: &'a [u8],
    ) -> impl Iterator<Item = Result<UploadPart, UploadError>> + 'a {
        let mut bytes = chunk.iter();
        let mut told = false;
        core::iter::from_fn(move || {
            while self.failure.is_none() {
                match self.step(*bytes.next()?) {
                    Ok(None) => {}
                    Ok(Some(part)) => return Some(Ok(part)),
                    Err(error) => self.failure = Some(error),
                }
            }
            self.failure.clone().filter(|_| !mem::replace(&mut told, true)).map(Err)
        })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The error that was met before, [`UploadError::Cut`] if more should have come, or
    /// [`UploadError::Missing`] without a token or records.
    pub fn finish(self) -> Result<(), UploadError> {
        match self {
            UploadReader { failure: Some(failure), .. } => Err(failure),
            UploadReader { place: Place::End, has_token: false, .. } => {
                Err(UploadError::Missing { member: "token" })
            }
            UploadReader { place: Place::End, has_records: false, .. } => {
                Err(UploadError::Missing { member: "records" })
            }
            UploadReader { place: Place::End, .. } => Ok(()),
            UploadReader { position, .. } => Err(UploadError::Cut { position }),
        }
    }

    fn step(&mut self, byte: u8) -> Result<Option<UploadPart>, UploadError> {
        let inside = matches!(self.place, Place::InName | Place::InMember | Place::InElement);
        let fed = if inside { self.value.feed(byte) } else { Fed::Behind };
        let is_listed = self.place == Place::InElement;
        if inside && !is_listed && self.value.bytes().is_err() {
            return Err(self.too_long());
        }
        let part = match (inside, fed) {
            (true, Fed::Last | Fed::Behind) => self.complete()?,
            _ => None,
        };
        if fed == Fed::Behind {
            self.go_on(byte)?;
        }
        self.position += 1;
        Ok(part)
    }

    /// A byte between values.
    fn go_on(&mut self, byte: u8) -> Result<(), UploadError> {
        if is_space(byte) {
            return Ok(());
        }
        let is_list = matches!(self.member, Member::Records | Member::Events);
        self.place = match (self.place, byte) {
            (Place::Start, b'{') => Place::FirstName,
            (Place::FirstName | Place::AfterMember, b'}') => Place::End,
            (Place::FirstName | Place::Name, b'"') => self.begin(byte, Place::InName)?,
            (Place::Colon, b':') => Place::Member,
            (Place::Member, b'[') if is_list => Place::FirstElement,
            (Place::Member, _) if is_list => return Err(self.wrong_member()),
            (Place::Member, _) => self.begin(byte, Place::InMember)?,
            (Place::FirstElement | Place::AfterElement, b']') => Place::AfterMember,
            (Place::FirstElement | Place::Element, _) => self.begin(byte, Place::InElement)?,
            (Place::AfterElement, b',') => Place::Element,
            (Place::AfterMember, b',') => Place::Name,
            _ => return Err(self.syntax()),
        };
        Ok(())
    }

    fn begin(&mut self, byte: u8, place: Place) -> Result<Place, UploadError> {
        if self.value.begin(byte) { Ok(place) } else { Err(self.syntax()) }
    }

    /// Reads the value that has come whole.
    fn complete(&mut self) -> Result<Option<UploadPart>, UploadError> {
        if self.place == Place::InElement {
            self.place = Place::AfterElement;
            return Ok(Some(self.element()));
        }
        let bytes = self.value.bytes().map_err(|_| self.too_long())?;
        let json = str::from_utf8(bytes).map_err(|_| self.syntax())?;
        if self.place == Place::InName {
            let name: String = serde_json::from_str(json).map_err(|_| self.syntax())?;
            self.name(&name)?;
            self.place = Place::Colon;
            return Ok(None);
        }
        self.place = Place::AfterMember;
        if self.member != Member::Token {
            let ignored = serde_json::from_str::<IgnoredAny>(json);
            return ignored.map(|_| None).map_err(|_| self.syntax());
        }
        let token = serde_json::from_str(json).map_err(|error| match error.is_data() {
            true => self.wrong_member(),
            false => self.syntax(),
        })?;
        Ok(Some(UploadPart::Token(token)))
    }

    fn element(&self) -> UploadPart {
        let too_long = |got| RecordError::TooLong { max: MAX_VALUE_BYTES, got };
        let bytes = self.value.bytes().map_err(too_long);
        match self.member {
            Member::Events => UploadPart::Event(bytes.and_then(UploadEvent::from_json)),
            _ => UploadPart::Record(bytes.and_then(UploadRecord::from_json)),
        }
    }

    /// Notes which member comes; one of the three may come once.
    fn name(&mut self, name: &str) -> Result<(), UploadError> {
        let (member, seen) = match name {
            "token" => (Member::Token, &mut self.has_token),
            "records" => (Member::Records, &mut self.has_records),
            "events" => (Member::Events, &mut self.has_events),
            _ => {
                self.member = Member::Other;
                return Ok(());
            }
        };
        self.member = member;
        if mem::replace(seen, true) { Err(self.wrong_member()) } else { Ok(()) }
    }

    fn wrong_member(&self) -> UploadError {
        match self.member {
            Member::Token => UploadError::Member { member: "token", expected: "a text" },
            Member::Events => UploadError::Member { member: "events", expected: "a list" },
            _ => UploadError::Member { member: "records", expected: "a list" },
        }
    }

    fn too_long(&self) -> UploadError {
        UploadError::TooLong { max: MAX_VALUE_BYTES, position: self.position }
    }

    fn syntax(&self) -> UploadError {
        UploadError::Syntax { position: self.position }
    }
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
