//! Names that callers choose: they are typed, logged, shown in tables and put into paths of web pages.

use crate::error::Error;

/// The longest name, in bytes.
pub(crate) const LONGEST: usize = 255;

/// Refuses a name that could not be seen or typed.
pub(crate) fn check_name(what: &str, name: Option<&str>) -> Result<(), Error> {
    match name.and_then(|name| fault_of(name, LONGEST)) {
        None => Ok(()),
        Some(message) => Err(Error::InvalidInput {
            what: what.to_owned(),
            path: ".".to_owned(),
            message,
        }),
    }
}

/// Why a name of at most `longest` bytes is refused, if it is.
pub(crate) fn fault_of(name: &str, longest: usize) -> Option<String> {
    if name.trim().is_empty() {
        return Some("it is empty".to_owned());
    }
    if name.len() > longest {
        return Some(format!("it is longer than {longest} bytes"));
    }
    if name.chars().any(char::is_control) {
        return Some("it has control characters".to_owned());
    }
    let unseen = name.chars().find(|it| is_unseen(*it))?;
    let code = u32::from(unseen);
    Some(format!(
        "it has a character that cannot be seen (U+{code:04X}), by which two names would look the same or one would \
         look like another"
    ))
}

/// Whether a character shows nothing by itself or changes how others are shown: joiners, marks of direction, separators,
/// variants, tags, byte order marks. These are Unicode's format characters and those that are ignored by default.
fn is_unseen(it: char) -> bool {
    matches!(
        it,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_can_be_seen_is_taken() {
        for name in [
            "order-42",
            "a/b c",
            "Größe",
            "注文",
            "заказ",
            "😀",
            "e\u{301}",
        ] {
            assert_eq!(fault_of(name, 255), None, "{name}");
        }
    }

    #[test]
    fn a_name_with_what_cannot_be_seen_is_refused_and_told_which() {
        for unseen in [
            '\u{202e}',
            '\u{feff}',
            '\u{200b}',
            '\u{2066}',
            '\u{ad}',
            '\u{e0041}',
        ] {
            let fault = fault_of(&format!("or{unseen}der"), 255).unwrap();
            let code = format!("U+{:04X}", u32::from(unseen));
            assert!(fault.contains(&code), "{fault}");
            assert!(!fault.contains(unseen), "{fault}");
        }
    }

    #[test]
    fn a_name_is_neither_empty_nor_long_nor_does_it_steer_a_terminal() {
        for (name, word) in [
            ("", "empty"),
            (" ", "empty"),
            ("abcd", "longer"),
            ("a\n", "control"),
        ] {
            let fault = fault_of(name, 3).unwrap();
            assert!(fault.contains(word), "{fault}");
        }
    }
}
