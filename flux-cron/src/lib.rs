//! The schedules of Flux: cron expressions with their time zones, and intervals.
//!
//! A [`Spec`] is a schedule as an attribute says it: `"0 9 * * 1 America/New_York"`, `"@daily"`, `"@every 5m"`. The macros
//! read it when a program compiles and the engine reads it when the program runs, both with this crate, so that they agree.
//! Nothing here knows a clock: the present moment is an argument, in microseconds since 1970 (UTC), as Flux records it.
//!
//! # Cron expressions
//!
//! Five fields, as in `crontab(5)`: minute, hour, day of month, month, day of week. Each is `*`, a value, a range `1-5`, a
//! step `*/15` or `8-18/2`, or a list of these; months and days have names, too (`JAN`, `mon`), and Sunday is 0 and 7.
//! Instead of the five: `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`.
//!
//! Where **both days** are restricted either may fit: `0 0 13 * FRI` is every 13th and every Friday. A field that begins with
//! `*` does not restrict, as in Vixie's cron: `0 0 */2 * MON` is the Mondays among the odd days.
//!
//! # When clocks are changed
//!
//! An expression whose hour begins with `*` **follows real time**: `*/15 * * * *` fires every quarter of an hour, also in
//! an hour that clocks repeat, and has nothing to make up for where they skip one.
//!
//! Any other **names a time of day**, which fires once: one that clocks skip fires right after the gap (`30 2 * * *` at
//! 03:00, where 02:00 to 03:00 is left out; what else lies in the gap falls together with it), and one that they repeat
//! fires at its first occurrence.
//!
//! # Intervals
//!
//! `@every 5m` counts from 1970, so it fires at :00, :05 and so on, and every worker computes the same moments. It knows no
//! time zone.

mod cron;
pub mod duration;
mod error;
mod every;
mod field;
mod next;
mod spec;
mod zone;

pub use cron::Cron;
pub use error::ScheduleError;
pub use every::Every;
pub use spec::Spec;
pub use zone::Zone;
