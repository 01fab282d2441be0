//! Reads one JSON object field by field and gathers every fault, for frames and HTTP bodies alike.
//!
//! The object is scanned once, without building a tree: each field stays a slice of the input until
//! it is asked for. Nesting costs no stack, unknown fields cost nothing, and of a field that is
//! written twice the last one counts.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::limits::{ERROR_DETAIL_CHARACTERS, JSON_FIELDS};
use crate::domain::{Invalid, SAFE_INTEGER_END};

/// The input is not JSON, or not an object; what exactly is for humans.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnObject(String);

impl NotAnObject {
    /// The reason can quote the input, so it is cut.
    fn because(error: &serde_json::Error) -> Self {
        Self(error.to_string().chars().take(ERROR_DETAIL_CHARACTERS).collect())
    }
}

struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::with_capacity(4);
                while let Some(Key(key)) = map.next_key()? {
                    if fields.len() == JSON_FIELDS {
                        return Err(serde::de::Error::custom("too many fields"));
                    }
                    fields.push((key, map.next_value()?));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// `Cow<str>` by itself is always read as an owned string.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of one object, and the faults found in them so far.
#[derive(Debug)]
pub struct Fields<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    faults: Invalid,
}

impl<'a> Fields<'a> {
    /// # Errors
    /// When `text` is anything but one JSON object.
    pub fn parse(text: &'a str) -> Result<Self, NotAnObject> {
        let Object(fields) =
            serde_json::from_str(text).map_err(|error| NotAnObject::because(&error))?;
        Ok(Self { fields, faults: Invalid::default() })
    }

    /// The raw field; `None` when it is absent or `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let (_, raw) = self.fields.iter().rev().find(|(key, _)| key == name)?;
        if raw.get() == "null" { None } else { Some(Value(raw.get())) }
    }

    /// Reads a field that may be absent. `None` is "absent" or "at fault"; the fault is noted.
    pub fn optional<T, E: fmt::Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value<'a>) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.get(name)?;
        self.faults.check(name, read(value))
    }

    /// Reads a field that must be there. `None` means that a fault was noted.
    pub fn required<T, E: fmt::Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value<'a>) -> Result<T, E>,
    ) -> Option<T> {
        if self.get(name).is_none() {
            self.faults.push(name, "is required");
        }
        self.optional(name, read)
    }

    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.push(name, message);
    }

    #[must_use]
    pub fn into_faults(self) -> Invalid {
        self.faults
    }
}

/// One value as it was written.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    pub fn text(self) -> Result<Cow<'a, str>, &'static str> {
        if !self.0.starts_with('"') {
            return Err("must be a string");
        }
        // What is left to go wrong are escapes that name no character: a lone surrogate.
        serde_json::from_str::<Key<'a>>(self.0)
            .map(|Key(text)| text)
            .map_err(|_| "must be valid Unicode: a surrogate stands alone")
    }

    /// An integer from 0 to 2^53 - 1.
    pub fn integer(self) -> Result<u64, &'static str> {
        integer(self.0)
    }

    /// The same, also as a string of digits.
    pub fn integer_or_digits(self) -> Result<u64, &'static str> {
        let digits = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        integer(digits.unwrap_or(self.0))
    }

    pub fn boolean(self) -> Result<bool, &'static str> {
        match self.0 {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false"),
        }
    }
}

fn integer(digits: &str) -> Result<u64, &'static str> {
    const RULE: &str = "must be an integer from 0 to 9007199254740991";
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RULE);
    }
    digits.parse().ok().filter(|value| *value < SAFE_INTEGER_END).ok_or(RULE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_one_object_is_an_object() {
        for bad in
            ["", " ", "null", "[]", "1", "\"x\"", "{", "{}{}", "{\"a\":}", "{\"a\":1,}", "{a:1}"]
        {
            assert!(Fields::parse(bad).is_err(), "{bad}");
        }
        assert!(Fields::parse(" {} ").is_ok());
    }

    #[test]
    fn a_reason_does_not_repeat_the_whole_input() {
        let error = Fields::parse(&format!("\"{}\"", "x".repeat(60_000))).unwrap_err();
        assert!(error.to_string().len() <= ERROR_DETAIL_CHARACTERS, "{error}");
    }

    #[test]
    fn nesting_of_any_depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(500_000), "]".repeat(500_000));
        let mut fields = Fields::parse(&deep).unwrap();
        assert_eq!(fields.required("b", Value::integer), Some(1));
        assert_eq!(fields.required("a", Value::text), None);
    }

    #[test]
    fn every_fault_is_gathered() {
        let mut fields = Fields::parse(r#"{"a":"x","b":1.5,"c":null,"s":"\ud800","t":7}"#).unwrap();
        assert_eq!(fields.required("a", Value::integer), None);
        assert_eq!(fields.required("b", Value::integer), None);
        assert_eq!(fields.required("c", Value::text), None);
        assert_eq!(fields.required("s", Value::text), None);
        assert_eq!(fields.optional("t", Value::text), None);
        assert_eq!(fields.optional("gone", Value::text), None);
        let faults = fields.into_faults();
        let names: Vec<_> = faults.errors().iter().map(|error| error.field.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "s", "t"]);
    }

    #[test]
    fn the_last_of_a_doubled_field_counts_and_escaped_names_are_names() {
        let fields = Fields::parse(r#"{"a":1,"\u0061":2}"#).unwrap();
        assert_eq!(fields.get("a").unwrap().integer(), Ok(2));
    }

    #[test]
    fn too_many_fields_are_refused() {
        let fields = |n: usize| {
            let fields: Vec<_> = (0..n).map(|i| format!("\"f{i}\":1")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(Fields::parse(&fields(JSON_FIELDS)).is_ok());
        assert!(Fields::parse(&fields(JSON_FIELDS + 1)).is_err());
    }

    proptest! {
        #[test]
        fn strings_and_integers_read_as_serde_json_reads_them(text: String, number: u64) {
            let json = serde_json::json!({ "text": text, "number": number }).to_string();
            let fields = Fields::parse(&json).unwrap();
            prop_assert_eq!(fields.get("text").unwrap().text().unwrap(), text);
            let read = fields.get("number").unwrap().integer().ok();
            prop_assert_eq!(read, Some(number).filter(|number| *number < SAFE_INTEGER_END));
        }

        #[test]
        fn no_input_panics(text: String) {
            if let Ok(fields) = Fields::parse(&text) {
                for name in ["", "a", "type"] {
                    if let Some(value) = fields.get(name) {
                        let _ = (value.text(), value.integer_or_digits(), value.boolean());
                    }
                }
            }
        }
    }
}
