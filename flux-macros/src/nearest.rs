//! What was meant by a name that does not exist.

/// The candidate that differs in few letters, if there is one.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = name.len() / 3 + 1;
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_option_that_was_meant() {
        let known = [
            "name",
            "max_attempts",
            "retries",
            "retry_if",
            "timeout",
            "deadline",
            "blocking",
        ];
        let cases = [
            ("max_attempt", Some("max_attempts")),
            ("timout", Some("timeout")),
            ("retrys", Some("retries")),
            ("nmae", Some("name")),
            ("colour", None),
            ("x", None),
        ];
        for (slip, meant) in cases {
            assert_eq!(nearest(slip, known.into_iter()), meant, "{slip}");
        }
    }
}
