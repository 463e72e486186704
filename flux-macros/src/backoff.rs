//! Backoffs: `exponential(100ms, 2.0, max = 30s)` and `fixed(1s)`.

use std::time::Duration;

use flux_cron::duration;

/// What every message about a bad backoff ends with.
pub(crate) const HOW: &str =
    "a backoff is written as \"exponential(100ms, 2.0, max = 30s)\" or \"fixed(1s)\"";

const DEFAULT_FACTOR: f64 = 2.0;
const DEFAULT_MAX: Duration = Duration::from_mins(1);

/// The wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Backoff {
    Fixed(Duration),
    Exponential {
        initial: Duration,
        factor: f64,
        max: Duration,
    },
}

/// Reads a backoff; the error says what is wrong with it, and how one is written.
pub(crate) fn parse(text: &str) -> Result<Backoff, String> {
    parts(text).map_err(|why| format!("`{text}` is not a backoff: {why}; {HOW}"))
}

fn parts(text: &str) -> Result<Backoff, String> {
    let (name, rest) = text.split_once('(').ok_or("it has no parentheses")?;
    let inside = rest
        .trim_end()
        .strip_suffix(')')
        .ok_or("its parenthesis is not closed")?;
    let arguments: Vec<&str> = inside.split(',').map(str::trim).collect();
    match name.trim() {
        "fixed" => fixed(&arguments),
        "exponential" => exponential(&arguments),
        other => Err(format!("there is no `{other}`")),
    }
}

fn fixed(arguments: &[&str]) -> Result<Backoff, String> {
    match arguments {
        [wait] => duration::read(wait).map(Backoff::Fixed),
        _ => Err("`fixed` takes one duration".to_owned()),
    }
}

fn exponential(arguments: &[&str]) -> Result<Backoff, String> {
    let (positional, named): (Vec<&str>, Vec<&str>) = arguments
        .iter()
        .partition(|argument| !argument.contains('='));
    let (initial, factor) = match positional[..] {
        [initial] => (duration::read(initial)?, DEFAULT_FACTOR),
        [initial, factor] => (duration::read(initial)?, factor_of(factor)?),
        _ => {
            return Err("`exponential` takes the first wait, the factor and `max = ..`".to_owned());
        }
    };
    let max = match named[..] {
        [] => DEFAULT_MAX,
        [max] => max_of(max)?,
        _ => return Err("`exponential` takes one `max = ..`".to_owned()),
    };
    if initial.is_zero() {
        return Err("its first wait is zero, which no factor makes longer".to_owned());
    }
    if max < initial {
        return Err(format!("its first wait is longer than its `max` ({max:?})"));
    }
    Ok(Backoff::Exponential {
        initial,
        factor,
        max,
    })
}

fn factor_of(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor >= 1.0 => Ok(factor),
        Ok(_) => Err(format!("its factor `{text}` is not at least 1")),
        Err(_) => Err(format!("its factor `{text}` is not a number")),
    }
}

fn max_of(text: &str) -> Result<Duration, String> {
    let (key, value) = text.split_once('=').unwrap_or_default();
    match key.trim() {
        "max" => duration::read(value.trim()),
        other => Err(format!("`exponential` has no `{other}`, only `max`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential(initial_ms: u64, factor: f64, max_ms: u64) -> Backoff {
        Backoff::Exponential {
            initial: Duration::from_millis(initial_ms),
            factor,
            max: Duration::from_millis(max_ms),
        }
    }

    #[test]
    fn backoffs_are_read_as_people_write_them() {
        let cases = [
            (
                "exponential(100ms, 2.0, max = 30s)",
                exponential(100, 2.0, 30_000),
            ),
            (
                "exponential(100ms,1.5,max=1h30m)",
                exponential(100, 1.5, 5_400_000),
            ),
            (" exponential ( 1s , 3 ) ", exponential(1_000, 3.0, 60_000)),
            ("exponential(1s)", exponential(1_000, 2.0, 60_000)),
            ("exponential(2s, max = 2s)", exponential(2_000, 2.0, 2_000)),
            ("fixed(1s)", Backoff::Fixed(Duration::from_secs(1))),
            ("fixed(0s)", Backoff::Fixed(Duration::ZERO)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_backoff_says_why() {
        let cases = [
            ("1s", "it has no parentheses"),
            ("fixed(1s", "its parenthesis is not closed"),
            ("linear(1s)", "there is no `linear`"),
            ("fixed(1s, 2s)", "`fixed` takes one duration"),
            ("fixed(1)", "`1` is not a duration: it has no unit"),
            ("fixed()", "`` is not a duration: it is empty"),
            (
                "exponential(1s, 2, 3)",
                "`exponential` takes the first wait, the factor and `max = ..`",
            ),
            ("exponential(1s, 0.5)", "its factor `0.5` is not at least 1"),
            ("exponential(1s, NaN)", "its factor `NaN` is not at least 1"),
            ("exponential(1s, inf)", "its factor `inf` is not at least 1"),
            ("exponential(1s, two)", "its factor `two` is not a number"),
            (
                "exponential(1s, 2, min = 1s)",
                "`exponential` has no `min`, only `max`",
            ),
            (
                "exponential(1s, max = 1s, max = 2s)",
                "`exponential` takes one `max = ..`",
            ),
            (
                "exponential(0s)",
                "its first wait is zero, which no factor makes longer",
            ),
            (
                "exponential(2m)",
                "its first wait is longer than its `max` (60s)",
            ),
        ];
        for (text, why) in cases {
            assert_eq!(
                parse(text).unwrap_err(),
                format!("`{text}` is not a backoff: {why}; {HOW}")
            );
        }
    }
}
