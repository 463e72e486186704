//! Recorded values: JSON kept as text, decoded when somebody asks.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A recorded value: its JSON text, cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);

/// A value that JSON cannot hold, or JSON that is not of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.path))]
pub struct PayloadError {
    /// The JSON path of the guilty value; `.` is the whole.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl Payload {
    /// Wraps JSON text that a store read back or `serde_json` wrote.
    pub fn from_json(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The JSON `null`, what `()` is recorded as.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// Records `value` as JSON.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        match serde_json::to_string(value) {
            Ok(text) => Ok(Self(text.into())),
            Err(_) => Err(encode_error(value)),
        }
    }

    /// Reads the value back; the error names the JSON path.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_str(&self.0).or_else(|_| self.decode_with_path())
    }

    /// The slow way to the same error, run only after the fast way failed: it knows the path.
    fn decode_with_path<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let mut json = serde_json::Deserializer::from_str(&self.0);
        serde_path_to_error::deserialize(&mut json).map_err(|error| PayloadError {
            path: error.path().to_string(),
            message: error.into_inner().to_string(),
        })
    }

    /// Borrows the JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The length of the JSON text in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// Where in a value something is wrong, as a message begins; of the whole there is nothing to say.
pub(crate) fn place(path: &str) -> String {
    match path {
        "." => String::new(),
        path => format!("at `{path}`: "),
    }
}

fn encode_error<T: Serialize + ?Sized>(value: &T) -> PayloadError {
    let mut sink = serde_json::Serializer::new(std::io::sink());
    match serde_path_to_error::serialize(value, &mut sink) {
        Err(error) => PayloadError {
            path: error.path().to_string(),
            message: error.into_inner().to_string(),
        },
        Ok(()) => PayloadError {
            path: ".".to_owned(),
            message: "the value was refused once and accepted once by `serde`".to_owned(),
        },
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Box::<str>::from(raw).into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_error_names_the_path_of_the_guilty_value() {
        let totals: BTreeMap<&str, f64> = [("paid", f64::NAN)].into();
        let recorded = Payload::encode(&totals).unwrap();
        let error = recorded.decode::<BTreeMap<String, f64>>().unwrap_err();
        assert_eq!(error.path, "paid");
        assert!(error.to_string().starts_with("at `paid`: "), "{error}");
    }

    #[test]
    fn an_error_about_the_whole_value_names_no_place_in_it() {
        let error = Payload::null().decode::<u32>().unwrap_err();
        assert!(
            error.to_string().starts_with("invalid type: null"),
            "{error}"
        );
    }

    #[test]
    fn a_map_with_keys_that_are_not_text_is_refused() {
        let odd: BTreeMap<(u8, u8), u8> = [((1, 2), 3)].into();
        assert!(
            Payload::encode(&odd)
                .unwrap_err()
                .message
                .contains("key must be a string")
        );
    }

    #[test]
    fn money_like_floats_come_back_to_the_bit() {
        for i in 0..100_000 {
            let amount = f64::from(i) * 0.01 + 0.1;
            let back: f64 = Payload::encode(&amount).unwrap().decode().unwrap();
            assert_eq!(amount.to_bits(), back.to_bits());
        }
    }
}
