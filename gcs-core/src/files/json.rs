//! Reading and writing JSON objects strictly.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use super::error::ManifestError;

/// A `T` that is written and read as a JSON object only. A derived reader of a struct would
/// also accept an array of the members' values, a second encoding of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Reads `part`, which must be one JSON object in UTF-8 and nothing else.
pub(crate) fn from_slice<T: for<'de> Deserialize<'de>>(
    part: &'static str,
    json: &[u8],
) -> Result<T, ManifestError> {
    let error = |error: &dyn ToString| ManifestError::Json { part, message: error.to_string() };
    // serde_json does not look at the encoding of members that it skips.
    let text = core::str::from_utf8(json).map_err(|utf8| error(&utf8))?;
    let Object(value) = serde_json::from_str(text).map_err(|json| error(&json))?;
    Ok(value)
}

/// Writes `part` without white space.
pub(crate) fn to_vec<T: Serialize>(
    part: &'static str,
    value: &T,
) -> Result<Vec<u8>, ManifestError> {
    let error = |error: serde_json::Error| ManifestError::Json { part, message: error.to_string() };
    serde_json::to_vec(value).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_told() {
        let error = from_slice::<alloc::collections::BTreeMap<u64, u64>>("this", b"[]");
        let Err(ManifestError::Json { part: "this", message }) = error else { panic!("{error:?}") };
        assert!(message.contains("expected an object"), "{message}");
    }
}
