//! Reading the JSON of requests. Errors name the member that is wrong, and never show a value or
//! an unknown name, since these may be secrets.

use alloc::format;
use alloc::string::{String, ToString};
use core::str::Utf8Error;

use serde::Deserialize;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
use thiserror::Error;

/// Why bytes are not the JSON of a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}: line {line}, column {column}")]
pub struct JsonError {
    /// Whether they are JSON, of another shape.
    pub is_json: bool,
    /// What is wrong, with the path of the member, such as `items[3].seed`.
    pub what: String,
    /// Line from 1.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
}

/// Reads one JSON object and nothing else. (A derived reader of a struct would also take an array
/// of the members' values; so do structs within `T`.)
///
/// ```
/// #[derive(Debug, serde::Deserialize)]
/// struct Person {
///     age: u8,
/// }
///
/// let error = gcs_core::json::from_slice::<Person>(br#"{"age":"x"}"#).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`age` is of another type or has a value that is not allowed: line 1, column 10"
/// );
/// ```
///
/// # Errors
/// A [`JsonError`].
pub fn from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, JsonError> {
    // A derived reader skips members that it does not know without a look at their characters.
    let json = str::from_utf8(json).map_err(|error| JsonError::not_utf8(json, error))?;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| JsonError::new(error.path(), error.inner()))?;
    deserializer.end().map_err(|error| JsonError::syntax(&error))?;
    if json.trim_ascii_start().starts_with('[') {
        let what = format!("the body {OTHER_TYPE}");
        return Err(JsonError { is_json: true, what, line: 1, column: 1 });
    }
    Ok(value)
}

const OTHER_TYPE: &str = "is of another type or has a value that is not allowed";

impl JsonError {
    fn new(path: &Path, error: &serde_json::Error) -> JsonError {
        if error.classify() != Category::Data {
            return JsonError::syntax(error);
        }
        JsonError {
            is_json: true,
            what: describe(path, &error.to_string()),
            ..JsonError::syntax(error)
        }
    }

    fn syntax(error: &serde_json::Error) -> JsonError {
        JsonError::not_json(error.line(), error.column())
    }

    /// The error at the first byte that is not UTF-8.
    fn not_utf8(json: &[u8], error: Utf8Error) -> JsonError {
        let before = &json[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        JsonError::not_json(line, column)
    }

    fn not_json(line: usize, column: usize) -> JsonError {
        JsonError { is_json: false, what: "the body is not JSON".to_string(), line, column }
    }
}

/// Says what is wrong. Of serde's message only the names of the type's own members are shown.
fn describe(path: &Path, message: &str) -> String {
    let named = |after: &str| message.strip_prefix(after)?.split('`').next();
    let place = |name: Option<&str>| place(path.iter(), name);
    if message.starts_with("unknown field") {
        // The last segment is the unknown name.
        let known = path.iter().take(path.iter().len().saturating_sub(1));
        return format!("{} has a member that is unknown", self::place(known, None));
    }
    if let Some(name) = named("missing field `") {
        return format!("{} is missing", place(Some(name)));
    }
    if let Some(name) = named("duplicate field `") {
        return format!("{} is there twice", place(Some(name)));
    }
    format!("{} {OTHER_TYPE}", place(None))
}

/// A path as text, with the name of a member at its end.
fn place<'a>(path: impl Iterator<Item = &'a Segment>, name: Option<&str>) -> String {
    let mut text = String::new();
    for segment in path {
        text.push_str(&match segment {
            Segment::Seq { index } => format!("[{index}]"),
            Segment::Map { key } => format!(".{key}"),
            _ => continue,
        });
    }
    text.extend(name.into_iter().flat_map(|name| [".", name]));
    let text = text.strip_prefix('.').unwrap_or(&text);
    if text.is_empty() { "the body".to_string() } else { format!("`{text}`") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Shelf {
        books: Vec<Book>,
        owner: Option<Book>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Book {
        pages: u32,
    }

    /// Ignores members that it does not know.
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Page {
        pages: u32,
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_of_the_sender_is_shown() {
        for (json, what) in [
            (
                r#"{"books":[{"pages":1},{"pages":"SECRET"}]}"#,
                "`books[1].pages` is of another type",
            ),
            (r#"{"books":[{"pages":-1}]}"#, "`books[0].pages` is of another type"),
            (r#"{"books":[{}]}"#, "`books[0].pages` is missing"),
            (r#"{"books":[{"pages":1,"pages":1}]}"#, "`books[0].pages` is there twice"),
            (r#"{"books":[{"pages":1,"SECRET":1}]}"#, "`books[0]` has a member that is unknown"),
            (r#"{"SECRET":1}"#, "the body has a member that is unknown"),
            (r#"{"missing field `SECRET":1}"#, "the body has a member that is unknown"),
            (r#"{"books":"SECRET"}"#, "`books` is of another type"),
            (r#"{"books":[],"owner":"SECRET"}"#, "`owner` is of another type"),
            (r#"{"owner":null}"#, "`books` is missing"),
            (r#""SECRET""#, "the body is of another type"),
            (r#" [[],{"pages":1}]"#, "the body is of another type"),
        ] {
            let error = from_slice::<Shelf>(json.as_bytes()).unwrap_err();
            assert!(error.is_json && error.what.starts_with(what), "{json}: {error}");
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
        // Also where nobody looks: JSON is UTF-8 (RFC 8259, section 8.1).
        for json in [&b"{\"pages\":1,\n\"more\":\"a\xff\"}"[..], b"{\"pages\":1,\n \"more\xff\":1}"]
        {
            let error = from_slice::<Page>(json).unwrap_err();
            assert!(!error.is_json, "{error}");
            assert_eq!((error.line, error.column), (2, if json[12] == b' ' { 7 } else { 10 }));
        }
        for json in ["", "{", "nul", "{\"books\":[]} SECRET", "{\"books\":[],}"] {
            let error = from_slice::<Shelf>(json.as_bytes()).unwrap_err();
            assert!(!error.is_json, "{json}: {error}");
            assert!(error.to_string().starts_with("the body is not JSON: line 1"), "{error}");
        }
    }
}
