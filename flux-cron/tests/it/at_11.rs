//! The agreed examples.

use flux_cron::Cron;

use crate::check;

const NEW_YEAR: &str = "2024-01-01T00:00Z"; // a Monday

#[test]
fn at_11() {
    check("0 12 * * *", NEW_YEAR, &["2024-01-01T12:00Z"]);
    for sunday in ["0 0 * * 0", "0 0 * * 7", "0 0 * * SUN"] {
        check(sunday, NEW_YEAR, &["2024-01-07T00:00Z"]);
    }
    check("0 8 * * 1-5", NEW_YEAR, &["2024-01-01T08:00Z"]);
    check("0 8 * * 1-5", "2024-01-05T08:00Z", &["2024-01-08T08:00Z"]);
    check("* * * * *", NEW_YEAR, &["2024-01-01T00:01Z"]);
    check("0 0 13 * FRI", NEW_YEAR, &["2024-01-05T00:00Z"]);
    check("0 0 1 JAN *", NEW_YEAR, &["2025-01-01T00:00Z"]);

    let mondays = "0 9 * * 1 America/New_York";
    check(mondays, NEW_YEAR, &["2024-01-01T14:00Z"]);
    check(mondays, "2024-07-01T00:00Z", &["2024-07-01T13:00Z"]);

    let skipped = "30 2 * * * America/New_York";
    let once = ["2024-03-10T07:00Z", "2024-03-11T06:30Z"];
    check(skipped, "2024-03-10T00:00-05:00", &once);
    let repeated = "30 1 * * * America/New_York";
    let first = ["2024-11-03T05:30Z", "2024-11-04T06:30Z"];
    check(repeated, "2024-11-03T00:00-04:00", &first);

    for wrong in ["60 * * * *", "* * * *", "* * * * 8", "0 0 31 FEB *"] {
        assert!(Cron::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn either_day_fits_where_both_are_restricted() {
    let friday_or_13th = [
        "2024-01-05T00:00Z",
        "2024-01-12T00:00Z",
        "2024-01-13T00:00Z",
    ];
    check("0 0 13 * FRI", NEW_YEAR, &friday_or_13th);
    // What begins with a star does not restrict, as in Vixie's cron: both have to fit.
    let odd_mondays = [
        "2024-01-15T00:00Z",
        "2024-01-29T00:00Z",
        "2024-02-05T00:00Z",
    ];
    check("0 0 */2 * MON", NEW_YEAR, &odd_mondays);
}

#[test]
fn a_leap_day_is_waited_for() {
    let leap_days = ["2024-02-29T00:00Z", "2028-02-29T00:00Z"];
    check("0 0 29 2 *", NEW_YEAR, &leap_days);
    check("0 0 29 2 *", "2096-03-01T00:00Z", &["2104-02-29T00:00Z"]);
}

#[test]
fn nicknames_stand_for_their_expressions() {
    check("@yearly", NEW_YEAR, &["2025-01-01T00:00Z"]);
    check("@annually", NEW_YEAR, &["2025-01-01T00:00Z"]);
    check("@monthly", NEW_YEAR, &["2024-02-01T00:00Z"]);
    check("@weekly", NEW_YEAR, &["2024-01-07T00:00Z"]);
    check("@daily", NEW_YEAR, &["2024-01-02T00:00Z"]);
    check("@midnight", NEW_YEAR, &["2024-01-02T00:00Z"]);
    check("@hourly", NEW_YEAR, &["2024-01-01T01:00Z"]);
    check("@daily Asia/Tokyo", NEW_YEAR, &["2024-01-01T15:00Z"]);
}

#[test]
fn an_interval_is_aligned() {
    let fives = ["2024-01-01T00:05Z", "2024-01-01T00:10Z"];
    check("@every 5m", "2024-01-01T00:01:07Z", &fives);
    check("@every 5m", NEW_YEAR, &fives);
    check("@every 10s", NEW_YEAR, &["2024-01-01T00:00:10Z"]);
}
