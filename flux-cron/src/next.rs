//! When an expression fires next in a zone whose clocks are changed.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::cron::Cron;
use crate::zone::Zone;

/// The first moment after `micros`.
pub(crate) fn after(cron: &Cron, micros: i64, zone: &Zone) -> Option<i64> {
    let after = Timestamp::from_microsecond(micros).ok()?;
    let next = if cron.follows_real_time() {
        by_real_time(cron, after, zone.rules())
    } else {
        by_time_of_day(cron, after, zone.rules())
    };
    next.map(Timestamp::as_microsecond)
}

/// Reads times off the wall, each of which stands for one moment, and takes the first that is late enough.
///
/// Later times never stand for earlier moments, so none before the present one has to be looked at. Several may stand for
/// one moment (those in a gap), and when clocks were set back the next ones stand for moments that have passed.
fn by_time_of_day(cron: &Cron, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let mut wall = zone.to_datetime(after);
    loop {
        wall = cron.next_on_the_wall(wall)?;
        let moment = moment_of(wall, zone)?;
        if moment > after {
            return Some(moment);
        }
        wall = wall.checked_add(1.minute()).ok()?;
    }
}

/// A repeated time is its first occurrence, and one that is skipped is the end of the gap.
fn moment_of(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // Clocks that had been set forward all along would show this time before the gap.
            let before_the_gap = after.to_timestamp(wall).ok()?;
            Some(zone.following(before_the_gap).next()?.timestamp())
        }
    }
}

/// Goes from one change of the clocks to the next; between two of them clocks run evenly.
fn by_real_time(cron: &Cron, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let mut from = after.checked_add(1.microsecond()).ok()?;
    loop {
        let offset = zone.to_offset(from);
        let wall = cron.next_on_the_wall(full_minute(offset.to_datetime(from))?)?;
        let moment = offset.to_timestamp(wall).ok()?;
        match zone.following(from).next() {
            Some(change) if change.timestamp() <= moment => from = change.timestamp(),
            _ => return Some(moment),
        }
    }
}

/// The first full minute that is not before `wall`.
fn full_minute(wall: DateTime) -> Option<DateTime> {
    let minute = wall.date().at(wall.hour(), wall.minute(), 0, 0);
    if minute == wall {
        return Some(minute);
    }
    minute.checked_add(1.minute()).ok()
}
