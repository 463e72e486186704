//! Gaps and repeated hours.

use crate::{at, check, cron, zone};

#[test]
fn what_lies_in_a_gap_fires_once_right_after_it() {
    let fires = [
        "2024-03-09T07:30Z",
        "2024-03-10T07:00Z",
        "2024-03-11T06:00Z",
    ];
    check("0,30 2 * * * America/New_York", "2024-03-09T07:00Z", &fires);
    // Midnight itself is left out.
    let midnights = ["2018-11-04T03:00Z", "2018-11-05T02:00Z"];
    check(
        "0 0 * * * America/Sao_Paulo",
        "2018-11-03T03:00Z",
        &midnights,
    );
    let half_past = ["2024-04-25T22:00Z", "2024-04-26T21:30Z"];
    check("30 0 * * * Africa/Cairo", "2024-04-24T22:30Z", &half_past);
}

#[test]
fn the_hour_before_a_gap_and_the_end_of_a_gap_are_ordinary() {
    check(
        "0 0 * * * Europe/London",
        "2024-03-30T12:00Z",
        &["2024-03-31T00:00Z", "2024-03-31T23:00Z"],
    );
    check(
        "0 3 * * * America/New_York",
        "2024-03-09T12:00Z",
        &["2024-03-10T07:00Z", "2024-03-11T07:00Z"],
    );
    // What falls onto the end of the gap is one with what is due then.
    check(
        "0 2,3 * * * America/New_York",
        "2024-03-10T00:00Z",
        &["2024-03-10T07:00Z", "2024-03-11T06:00Z"],
    );
}

#[test]
fn a_repeated_time_fires_at_its_first_occurrence() {
    let quarters = [
        "2024-11-03T05:00Z",
        "2024-11-03T05:15Z",
        "2024-11-03T05:30Z",
        "2024-11-03T05:45Z",
        "2024-11-04T06:00Z",
    ];
    check(
        "*/15 1 * * * America/New_York",
        "2024-11-02T20:00Z",
        &quarters,
    );
    // Asked in the second 01:20.
    check(
        "30 1 * * * America/New_York",
        "2024-11-03T06:20Z",
        &["2024-11-04T06:30Z"],
    );
}

#[test]
fn every_hour_is_every_real_hour() {
    let autumn = [
        "2024-11-03T05:30Z",
        "2024-11-03T06:30Z",
        "2024-11-03T07:30Z",
    ];
    check("30 * * * * America/New_York", "2024-11-03T04:30Z", &autumn);
    let quarters = [
        "2024-11-03T05:45Z",
        "2024-11-03T06:00Z",
        "2024-11-03T06:15Z",
    ];
    check(
        "*/15 * * * * America/New_York",
        "2024-11-03T05:30Z",
        &quarters,
    );
    let spring = ["2024-03-10T06:30Z", "2024-03-10T07:30Z"];
    check("30 * * * * America/New_York", "2024-03-10T05:30Z", &spring);
    // 02:00 is left out, and nothing is made up for.
    check(
        "0 */2 * * * America/New_York",
        "2024-03-10T05:00Z",
        &["2024-03-10T08:00Z"],
    );
}

#[test]
fn half_an_hour_is_left_out_and_repeated() {
    // 02:00 becomes 02:30, and half a year later again 01:30.
    check(
        "15 2 * * * Australia/Lord_Howe",
        "2024-10-05T00:00Z",
        &["2024-10-05T15:30Z", "2024-10-06T15:15Z"],
    );
    check(
        "45 1 * * * Australia/Lord_Howe",
        "2024-04-06T00:00Z",
        &["2024-04-06T14:45Z", "2024-04-07T15:15Z"],
    );
    check(
        "15 1 * * * Australia/Lord_Howe",
        "2024-04-06T00:00Z",
        &["2024-04-06T14:15Z", "2024-04-07T14:45Z"],
    );
    let hours = [
        "2024-10-05T14:30Z",
        "2024-10-05T16:00Z",
        "2024-10-05T17:00Z",
    ];
    check("0 * * * * Australia/Lord_Howe", "2024-10-05T13:30Z", &hours);
    let halves = [
        "2024-04-06T14:30Z",
        "2024-04-06T15:00Z",
        "2024-04-06T16:00Z",
    ];
    check(
        "30 * * * * Australia/Lord_Howe",
        "2024-04-06T13:30Z",
        &halves,
    );
}

#[test]
fn a_day_that_is_left_out_is_made_up_for_once() {
    // Samoa had no 30 December 2011, a Friday.
    let nines = [
        "2011-12-29T19:00Z",
        "2011-12-30T10:00Z",
        "2011-12-30T19:00Z",
    ];
    check("0 9 * * * Pacific/Apia", "2011-12-29T00:00Z", &nines);
    check(
        "0 9 30 12 * Pacific/Apia",
        "2011-12-01T00:00Z",
        &["2011-12-30T10:00Z", "2012-12-29T19:00Z"],
    );
    check(
        "0 9 * * FRI Pacific/Apia",
        "2011-12-29T00:00Z",
        &["2011-12-30T10:00Z", "2012-01-05T19:00Z"],
    );
    check(
        "0 * 30 12 * Pacific/Apia",
        "2011-12-01T00:00Z",
        &["2012-12-29T10:00Z"],
    );
}

#[test]
fn clocks_that_change_around_ramadan_are_followed() {
    // Set back on 10 March 2024 at 03:00, forward on 14 April at 02:00.
    check(
        "30 2 * * * Africa/Casablanca",
        "2024-03-09T12:00Z",
        &["2024-03-10T01:30Z", "2024-03-11T02:30Z"],
    );
    check(
        "30 2 * * * Africa/Casablanca",
        "2024-04-13T12:00Z",
        &["2024-04-14T02:00Z", "2024-04-15T01:30Z"],
    );
}

#[test]
fn it_fires_where_next_says_and_nowhere_else() {
    let new_york = zone("America/New_York");
    let skipped = cron("30 2 * * *");
    assert!(skipped.matches(at("2024-03-10T07:00Z"), &new_york));
    assert!(!skipped.matches(at("2024-03-10T07:30Z"), &new_york));
    let repeated = cron("30 1 * * *");
    assert!(repeated.matches(at("2024-11-03T05:30Z"), &new_york));
    assert!(!repeated.matches(at("2024-11-03T06:30Z"), &new_york));
    assert!(!repeated.matches(at("2024-11-03T05:30Z") + 1, &new_york));
}

#[test]
fn the_ends_of_time_are_no_moments() {
    let utc = zone("UTC");
    for expression in ["* * * * *", "0 0 * * *"] {
        for end in [i64::MAX, i64::MIN] {
            assert_eq!(cron(expression).next_after(end, &utc), None);
            assert!(!cron(expression).matches(end, &utc));
        }
        assert_eq!(
            cron(expression).next_after(at("9999-12-30T00:00Z") + 86_400_000_000 * 5, &utc),
            None
        );
    }
    check("0 0 1 JAN *", "1900-06-01T00:00Z", &["1901-01-01T00:00Z"]);
}
