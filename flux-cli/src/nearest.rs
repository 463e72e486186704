//! The nearest name to one that there is none of.

/// The known name that `wanted` may be a slip of.
pub(crate) fn nearest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LIKE: f64 = 0.75;
    let likeness = |name: &str| strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase());
    known
        .into_iter()
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["place_order", "ship_parcel"];
        assert_eq!(nearest("place_oder", known), Some("place_order"));
        assert_eq!(nearest("Place-Order", known), Some("place_order"));
        assert_eq!(nearest("xyzzy", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
