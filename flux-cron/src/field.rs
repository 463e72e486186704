//! One field of a cron expression: which values it may hold, and which it does.

use crate::every::Every;

/// What a field may hold.
#[derive(Debug)]
pub(crate) struct Field {
    name: &'static str,
    first: u8,
    /// The last one that `*` stands for.
    last: u8,
    /// The names of the values from `first` on.
    names: &'static [&'static str],
    /// The unit of `@every`, if one value of the field is as long.
    unit: Option<char>,
}

pub(crate) const MINUTE: Field = Field {
    name: "minute",
    first: 0,
    last: 59,
    names: &[],
    unit: Some('m'),
};

pub(crate) const HOUR: Field = Field {
    name: "hour",
    first: 0,
    last: 23,
    names: &[],
    unit: Some('h'),
};

pub(crate) const DAY: Field = Field {
    name: "day of month",
    first: 1,
    last: 31,
    names: &[],
    unit: None,
};

pub(crate) const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    names: &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ],
    unit: None,
};

pub(crate) const WEEKDAY: Field = Field {
    name: "day of week",
    first: 0,
    last: 6,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    unit: None,
};

/// Sunday, written so that it ends a week.
const LATE_SUNDAY: u8 = 7;

/// The values that a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Values {
    bits: u64,
    /// Whether it was written with a `*` first, which restricts nothing.
    any: bool,
}

impl Values {
    pub(crate) fn restricts(self) -> bool {
        !self.any
    }

    pub(crate) fn has(self, value: i8) -> bool {
        self.from(value) == Some(value)
    }

    /// The first one.
    pub(crate) fn first(self) -> Option<i8> {
        self.from(0)
    }

    /// The first one that is not less than `least`.
    pub(crate) fn from(self, least: i8) -> Option<i8> {
        (least..64).find(|value| self.bits >> value & 1 == 1)
    }
}

impl Field {
    /// Reads a field; the error says what is wrong with it.
    pub(crate) fn read(&self, text: &str) -> Result<Values, String> {
        let bits = self
            .bits(text)
            .map_err(|why| format!("in the {} field, {why}", self.name))?;
        Ok(Values {
            bits,
            any: text.starts_with('*'),
        })
    }

    fn bits(&self, text: &str) -> Result<u64, String> {
        let bits = text.split(',').try_fold(0_u64, |bits, item| {
            let values = self.item(text, item)?;
            Ok::<u64, String>(values.fold(bits, |bits, value| bits | 1 << value))
        })?;
        Ok(self.with_one_sunday(bits))
    }

    fn with_one_sunday(&self, bits: u64) -> u64 {
        if self.is_weekday() && bits >> LATE_SUNDAY & 1 == 1 {
            bits & !(1 << LATE_SUNDAY) | 1
        } else {
            bits
        }
    }

    /// One item of the list.
    fn item(&self, text: &str, item: &str) -> Result<impl Iterator<Item = u8> + use<>, String> {
        if item.is_empty() {
            return Err(format!("`{text}` has a comma too many"));
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (first, last) = self.range(range)?;
        let step = match step {
            Some(step) if first == last && !range.contains('-') => {
                let (start, last) = (self.early(range, first), self.last);
                return Err(format!(
                    "`{item}` has a step and no range: write `{start}-{last}/{step}`"
                ));
            }
            Some(step) => self.step(step)?,
            None => 1,
        };
        Ok((first..=last).step_by(usize::from(step)))
    }

    fn range(&self, text: &str) -> Result<(u8, u8), String> {
        if text == "*" {
            return Ok((self.first, self.last));
        }
        let Some((start, end)) = text.split_once('-') else {
            let value = self.value(text)?;
            return Ok((value, value));
        };
        let (first, last) = (self.value(start)?, self.value(end)?);
        let last = if self.is_weekday() && last == 0 && first > 0 {
            LATE_SUNDAY
        } else {
            last
        };
        if last < first {
            return Err(format!(
                "the range `{text}` runs backwards: write `{}`",
                self.forwards(start, first, end)
            ));
        }
        Ok((first, last))
    }

    /// A value as it is written where a range begins: there Sunday is the first day of the week.
    fn early(&self, text: &str, value: u8) -> String {
        if self.is_weekday() && value == LATE_SUNDAY {
            self.first.to_string()
        } else {
            text.to_owned()
        }
    }

    /// How a range is written that runs over the end of the field.
    fn forwards(&self, start: &str, first: u8, end: &str) -> String {
        let (lowest, highest) = (self.first, self.last);
        if self.is_weekday() && first == LATE_SUNDAY {
            format!("{lowest}-{end}")
        } else {
            format!("{start}-{highest},{lowest}-{end}")
        }
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let upper = text.to_ascii_uppercase();
        if let Some(value) = (self.first..)
            .zip(self.names)
            .find_map(|(value, name)| (*name == upper).then_some(value))
        {
            return Ok(value);
        }
        if !is_number(text) {
            return Err(format!("`{text}` is {}", self.what_it_takes(text)));
        }
        let (first, last) = (self.first, self.greatest());
        match text.parse() {
            Ok(value) if (first..=last).contains(&value) => Ok(value),
            _ => Err(format!("`{text}` is not within {first}-{last}")),
        }
    }

    fn what_it_takes(&self, text: &str) -> String {
        let (first, last) = (self.first, self.greatest());
        let number = format!("a number from {first} to {last}");
        let values = match self.names {
            [] => format!("not {number}"),
            [start, .., end] | [start @ end] => {
                format!("neither {number} nor a name from {start} to {end}")
            }
        };
        if text.contains(['?', 'L', 'W', '#', '+']) {
            format!("{values}; `?`, `L`, `W`, `#` and `+` of other dialects are not known here")
        } else {
            values
        }
    }

    fn step(&self, text: &str) -> Result<u8, String> {
        if !is_number(text) {
            return Err(format!("the step `{text}` is not a number"));
        }
        let longest = self.last - self.first + 1;
        match text.parse() {
            Ok(0) => Err("a step of 0 leads nowhere: the least is 1".to_owned()),
            Ok(step) if step <= longest => Ok(step),
            _ => {
                let interval = self.unit.map(|unit| format!("{text}{unit}"));
                let interval = interval.filter(|interval| Every::read(interval).is_ok());
                let cure = interval.map_or_else(String::new, |interval| {
                    format!("; for an interval write \"@every {interval}\"")
                });
                Err(format!(
                    "the step {text} is longer than the field, which has {longest} values{cure}"
                ))
            }
        }
    }

    fn is_weekday(&self) -> bool {
        self.last == WEEKDAY.last
    }

    fn greatest(&self) -> u8 {
        if self.is_weekday() {
            LATE_SUNDAY
        } else {
            self.last
        }
    }
}

/// Digits and nothing else: `parse` would take a `+`.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(field: &Field, text: &str) -> Vec<i8> {
        let values = field.read(text).unwrap();
        (0..64).filter(|value| values.has(*value)).collect()
    }

    #[test]
    fn a_field_is_a_list_of_values_ranges_and_steps() {
        let cases: &[(&Field, &str, &[i8])] = &[
            (&MINUTE, "*/20", &[0, 20, 40]),
            (&MINUTE, "5", &[5]),
            (&MINUTE, "05,3,5", &[3, 5]),
            (&MINUTE, "10-30/7,59", &[10, 17, 24, 59]),
            (&MINUTE, "*/60", &[0]),
            (&MINUTE, "7-7", &[7]),
            (&HOUR, "8-10", &[8, 9, 10]),
            (&DAY, "*/10", &[1, 11, 21, 31]),
            (&MONTH, "JAN,mar-May/2,12", &[1, 3, 5, 12]),
            (&WEEKDAY, "MON-Fri", &[1, 2, 3, 4, 5]),
        ];
        for (field, text, expected) in cases {
            assert_eq!(values(field, text), *expected, "{text}");
        }
    }

    #[test]
    fn sunday_begins_and_ends_the_week() {
        let cases: &[(&str, &[i8])] = &[
            ("0", &[0]),
            ("7", &[0]),
            ("SUN,7,0", &[0]),
            ("FRI-SUN", &[0, 5, 6]),
            ("5-7", &[0, 5, 6]),
            ("6-0", &[0, 6]),
            ("SUN-TUE", &[0, 1, 2]),
            ("*", &[0, 1, 2, 3, 4, 5, 6]),
            ("0-7", &[0, 1, 2, 3, 4, 5, 6]),
            ("*/2", &[0, 2, 4, 6]),
            ("1-7/2", &[0, 1, 3, 5]),
        ];
        for (text, expected) in cases {
            assert_eq!(values(&WEEKDAY, text), *expected, "{text}");
        }
    }

    #[test]
    fn what_begins_with_a_star_restricts_nothing() {
        for (text, restricts) in [("*", false), ("*/2", false), ("1-31", true), ("1,*", true)] {
            assert_eq!(DAY.read(text).unwrap().restricts(), restricts, "{text}");
        }
    }

    /// What a message says to write instead.
    fn cures(why: &str) -> impl Iterator<Item = &str> {
        why.split("write ").skip(1).map(|rest| {
            let mut parts = rest.split(['`', '"']);
            parts.nth(1).unwrap_or_default()
        })
    }

    #[test]
    fn what_a_message_says_to_write_is_accepted() {
        let numbers = (0..=60).map(|number| number.to_string());
        let names = MONTH.names.iter().chain(WEEKDAY.names);
        let values: Vec<String> = numbers.chain(names.map(ToString::to_string)).collect();
        let mut texts = Vec::new();
        for a in &values {
            texts.push(format!("{a}/2"));
            texts.push(format!("*/{a}0"));
            texts.push(format!("*/{a}99999999999999999999"));
            texts.extend(values.iter().map(|b| format!("{a}-{b}")));
            texts.extend(values.iter().map(|b| format!("{a}-{b}/2")));
        }
        let mut said = 0;
        for field in [MINUTE, HOUR, DAY, MONTH, WEEKDAY] {
            for text in &texts {
                let Err(why) = field.read(text) else { continue };
                for cure in cures(&why) {
                    said += 1;
                    let is_read = match cure.strip_prefix("@every ") {
                        Some(interval) => Every::read(interval).is_ok(),
                        None => field.read(cure).is_ok(),
                    };
                    assert!(is_read, "{text}: {why}");
                }
            }
        }
        assert!(said > 1000, "{said}");
    }

    #[test]
    fn what_is_wrong_with_a_field_is_said_with_its_cure() {
        let dialects = "; `?`, `L`, `W`, `#` and `+` of other dialects are not known here";
        let cases: &[(&Field, &str, String)] = &[
            (&MINUTE, "60", "`60` is not within 0-59".to_owned()),
            (&MINUTE, "1,999", "`999` is not within 0-59".to_owned()),
            (&DAY, "0", "`0` is not within 1-31".to_owned()),
            (&WEEKDAY, "8", "`8` is not within 0-7".to_owned()),
            (&MINUTE, "1,,2", "`1,,2` has a comma too many".to_owned()),
            (&MINUTE, ",", "`,` has a comma too many".to_owned()),
            (
                &MINUTE,
                "5/15",
                "`5/15` has a step and no range: write `5-59/15`".to_owned(),
            ),
            (
                &HOUR,
                "22-2",
                "the range `22-2` runs backwards: write `22-23,0-2`".to_owned(),
            ),
            (
                &WEEKDAY,
                "7-1",
                "the range `7-1` runs backwards: write `0-1`".to_owned(),
            ),
            (
                &WEEKDAY,
                "7/2",
                "`7/2` has a step and no range: write `0-6/2`".to_owned(),
            ),
            (
                &MINUTE,
                "*/0",
                "a step of 0 leads nowhere: the least is 1".to_owned(),
            ),
            (
                &MINUTE,
                "*/90",
                "the step 90 is longer than the field, which has 60 values; for an interval write \"@every 90m\""
                    .to_owned(),
            ),
            (
                &DAY,
                "*/999",
                "the step 999 is longer than the field, which has 31 values".to_owned(),
            ),
            (&MINUTE, "*/x", "the step `x` is not a number".to_owned()),
            (
                &MINUTE,
                "five",
                "`five` is not a number from 0 to 59".to_owned(),
            ),
            (&MINUTE, "-5", "`` is not a number from 0 to 59".to_owned()),
            (
                &DAY,
                "L",
                format!("`L` is not a number from 1 to 31{dialects}"),
            ),
            (
                &MINUTE,
                "+5",
                format!("`+5` is not a number from 0 to 59{dialects}"),
            ),
            (
                &WEEKDAY,
                "Monday",
                "`Monday` is neither a number from 0 to 7 nor a name from SUN to SAT".to_owned(),
            ),
            (
                &MONTH,
                "MAI",
                "`MAI` is neither a number from 1 to 12 nor a name from JAN to DEC".to_owned(),
            ),
        ];
        for (field, text, why) in cases {
            let expected = format!("in the {} field, {why}", field.name);
            assert_eq!(field.read(text).unwrap_err(), expected, "{text}");
        }
    }
}
