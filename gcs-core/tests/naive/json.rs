//! JSON as section 10 wants it: objects keep all their members, integers are told from other numbers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Outcome, expect, mutant};

/// A JSON value.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// Without sign, fraction and exponent.
    Integer(u64),
    OtherNumber(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::OtherNumber(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(object))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

impl Json {
    /// Reads a text with nothing but white space behind it.
    pub(crate) fn parse(bytes: &[u8]) -> Outcome<Self> {
        serde_json::from_slice(&(mutant::now().text)(bytes)).map_err(|_| "Json".to_owned())
    }

    /// The member of that name; none if it is missing. It is an error if there is more than one, or
    /// if this is no object.
    #[track_caller]
    pub(crate) fn optional(&self, name: &str) -> Outcome<Option<&Self>> {
        let Self::Object(members) = self else { return Err("Json".into()) };
        let is_alike =
            |member: &str| mutant::has("members of any case") && member.eq_ignore_ascii_case(name);
        let mut named = members.iter().filter(|member| member.0 == name || is_alike(&member.0));
        let first = named.next();
        let mut names = std::collections::BTreeSet::new();
        let is_single = members.iter().all(|member| names.insert(&member.0));
        let is_unlike = !mutant::has("no member twice") || is_single;
        expect(named.next().is_none() && is_unlike, "Json")?;
        Ok(first.map(|member| &member.1))
    }

    /// The member of that name.
    #[track_caller]
    pub(crate) fn member(&self, name: &str) -> Outcome<&Self> {
        Ok(self.optional(name)?.ok_or("Json")?)
    }

    pub(crate) fn as_integer(&self) -> Option<u64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }

    pub(crate) fn integer(&self) -> Outcome<u64> {
        Ok((mutant::now().integer)(self).ok_or("Json")?)
    }

    pub(crate) fn u32(&self) -> Outcome<u32> {
        let value = self.integer()?;
        expect(u32::try_from(value).is_ok(), "Json")?;
        Ok(value as u32)
    }

    pub(crate) fn text(&self) -> Outcome<&str> {
        if let Self::Text(text) = self { Ok(text) } else { Err("Json".into()) }
    }

    pub(crate) fn array(&self) -> Outcome<&[Self]> {
        if let Self::Array(items) = self { Ok(items) } else { Err("Json".into()) }
    }
}
