//! A digest of JSON that does not depend on the order of object keys.
//!
//! Two encodings of one value must be the same input to matching even where a `HashMap` chose another
//! order. The text is walked once, without allocating: an array mixes its items in order, an object adds up
//! its entries, each mixed from key and value.

use crate::hash::{SEED, hash_bytes, mix};

/// The digest of a JSON text; equal for texts that differ in the order of keys alone.
pub(crate) fn digest(json: &str) -> u128 {
    let mut walk = JsonWalk {
        bytes: json.as_bytes(),
        at: 0,
    };
    walk.value()
}

struct JsonWalk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl JsonWalk<'_> {
    fn value(&mut self) -> u128 {
        self.space();
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string(),
            _ => self.scalar(),
        }
    }

    fn object(&mut self) -> u128 {
        let mut sum = hash_bytes(b'{', &[]);
        self.items(b'}', |walk| {
            let key = walk.value();
            walk.space();
            walk.at += 1; // the colon
            let value = walk.value();
            sum = sum.wrapping_add(mix(mix(SEED, key), value));
        });
        mix(SEED, sum)
    }

    fn array(&mut self) -> u128 {
        let mut hash = hash_bytes(b'[', &[]);
        self.items(b']', |walk| hash = mix(hash, walk.value()));
        mix(hash, u128::from(b']'))
    }

    /// Walks over `open item, item close`, calling `item` where each begins.
    fn items(&mut self, close: u8, mut item: impl FnMut(&mut Self)) {
        self.at += 1;
        loop {
            self.space();
            match self.bytes.get(self.at) {
                None => return,
                Some(b',') => self.at += 1,
                Some(&byte) if byte == close => {
                    self.at += 1;
                    return;
                }
                Some(_) => item(self),
            }
        }
    }

    fn string(&mut self) -> u128 {
        let start = self.at + 1;
        self.at = start;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let text = self.bytes.get(start..self.at.min(self.bytes.len()));
        self.at = (self.at + 1).min(self.bytes.len());
        hash_bytes(b'"', text.unwrap_or_default())
    }

    fn scalar(&mut self) -> u128 {
        let is_scalar = |byte: &u8| {
            !matches!(
                byte,
                b',' | b']' | b'}' | b':' | b' ' | b'\n' | b'\r' | b'\t'
            )
        };
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_scalar(byte)).count();
        // An unexpected byte is walked over, so that no text can hold the walk up.
        self.at += length.max(1);
        hash_bytes(b'0', &rest[..length])
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_count_at_any_depth() {
        let one = r#"[{"a":1,"b":{"c":"x","d":[1,2]}}]"#;
        let other = r#"[{"b":{"d":[1,2],"c":"x"},"a":1}]"#;
        assert_eq!(digest(one), digest(other));
    }

    #[test]
    fn everything_else_counts() {
        let all = [
            "null",
            "0",
            "1",
            "\"1\"",
            "[]",
            "{}",
            "[1]",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[12]",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"["a",1]"#,
            r#"{"a":[1]}"#,
            r#""a\"b""#,
            r#""ab""#,
            r#"{"a":{"b":1}}"#,
        ];
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(digest(one), digest(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn text_that_is_no_json_ends_the_walk() {
        for text in [
            "", "{", "[", "\"", "\"\\", "}", "{\"a\"", "{\"a\":", "[,]", ":", "]]]",
        ] {
            digest(text);
        }
    }
}
