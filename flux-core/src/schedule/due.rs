//! Which slots fire now.

use std::time::Duration;

use super::policy::CatchUp;
use super::spec::ScheduleSpec;
use crate::clock::Timestamp;

/// No slot is seen at the very moment, so one that is not older than this is not late.
const FRESH: Duration = Duration::from_mins(1);

/// The most slots that fire at a time: a schedule that was not looked at for a year would fill the memory otherwise.
const MOST: usize = 1_000;

/// What a look at a schedule comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The slots that fire now, in order.
    pub fire: Vec<Timestamp>,
    /// The next slot to look at; `None` when there is none before the end of time. It can have passed already, where more
    /// slots are due than fire at a time.
    pub next_at: Option<Timestamp>,
}

impl ScheduleSpec {
    /// Which slots fire `now`, given the slot that is next.
    ///
    /// Slots and not starts: jitter puts off what is started for them (see [`starts_at`](Self::starts_at)).
    pub fn due(&self, next_at: Timestamp, now: Timestamp) -> Due {
        if next_at > now {
            return Due {
                fire: Vec::new(),
                next_at: Some(next_at),
            };
        }
        match self.catch_up {
            CatchUp::All => self.all_due(next_at, now),
            CatchUp::One => self.last_due(next_at, now, |_| true),
            CatchUp::None => self.last_due(next_at, now, |slot| now.since(slot) <= FRESH),
        }
    }

    fn all_due(&self, next_at: Timestamp, now: Timestamp) -> Due {
        let later = self.spec.upcoming(next_at.as_micros());
        let mut slots = std::iter::once(next_at)
            .chain(later.map(Timestamp::from_micros))
            .peekable();
        let mut fire = Vec::new();
        while fire.len() < MOST
            && let Some(slot) = slots.next_if(|slot| *slot <= now)
        {
            fire.push(slot);
        }
        Due {
            fire,
            next_at: slots.next(),
        }
    }

    fn last_due(
        &self,
        next_at: Timestamp,
        now: Timestamp,
        fires: impl Fn(Timestamp) -> bool,
    ) -> Due {
        let later = self.spec.last_within(next_at.as_micros(), now.as_micros());
        let last = later.map_or(next_at, Timestamp::from_micros);
        Due {
            fire: Some(last).filter(|last| fires(*last)).into_iter().collect(),
            next_at: self.next_after(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_hour(catch_up: CatchUp) -> ScheduleSpec {
        ScheduleSpec {
            catch_up,
            ..ScheduleSpec::parse("@every 1h").unwrap()
        }
    }

    /// So many minutes after 1970.
    fn minute(count: u64) -> Timestamp {
        Timestamp::from_micros(0).after(Duration::from_mins(count))
    }

    /// Asserts what fires of an hourly schedule whose next slot was at minute 60, all in minutes.
    #[track_caller]
    fn check(catch_up: CatchUp, now: Timestamp, fire: &[u64], next_at: u64) {
        let due = every_hour(catch_up).due(minute(60), now);
        let expected = Due {
            fire: fire.iter().copied().map(minute).collect(),
            next_at: Some(minute(next_at)),
        };
        assert_eq!(due, expected, "{catch_up:?} at {now}");
    }

    #[test]
    fn nothing_fires_before_its_slot() {
        for catch_up in [CatchUp::One, CatchUp::All, CatchUp::None] {
            check(catch_up, minute(0), &[], 60);
            check(
                catch_up,
                minute(60).before(Duration::from_micros(1)),
                &[],
                60,
            );
        }
    }

    #[test]
    fn a_slot_fires_when_it_has_come() {
        for catch_up in [CatchUp::One, CatchUp::All, CatchUp::None] {
            check(catch_up, minute(60), &[60], 120);
            check(catch_up, minute(61), &[60], 120);
        }
    }

    #[test]
    fn of_what_was_missed_the_last_fires_or_all_or_what_is_fresh() {
        check(CatchUp::One, minute(200), &[180], 240);
        check(CatchUp::All, minute(200), &[60, 120, 180], 240);
        check(CatchUp::None, minute(200), &[], 240);
        check(CatchUp::None, minute(181), &[180], 240);
        let late = minute(181).after(Duration::from_micros(1));
        check(CatchUp::None, late, &[], 240);
        // At a slot itself that slot is the last.
        check(CatchUp::One, minute(180), &[180], 240);
        check(CatchUp::All, minute(180), &[60, 120, 180], 240);
    }

    #[test]
    fn many_missed_slots_fire_a_thousand_at_a_time() {
        let spec = every_hour(CatchUp::All);
        let now = minute(60 * 2_500);
        let mut next_at = minute(60);
        let mut fired: Vec<Timestamp> = Vec::new();
        let counts: Vec<usize> = std::iter::from_fn(|| {
            let due = spec.due(next_at, now);
            next_at = due.next_at.unwrap();
            fired.extend(&due.fire);
            Some(due.fire.len()).filter(|count| *count > 0)
        })
        .collect();
        assert_eq!(counts, [1_000, 1_000, 500]);
        let all: Vec<Timestamp> = (1..=2_500).map(|hour| minute(60 * hour)).collect();
        assert_eq!(fired, all);
        assert_eq!(next_at, minute(60 * 2_501));
    }

    /// Counting through thirty years of seconds would be seen.
    #[test]
    fn the_last_of_very_many_is_found_at_once() {
        let spec = ScheduleSpec::parse("@every 1s").unwrap();
        let due = spec.due(minute(0), minute(16_000_000));
        assert_eq!(due.fire, [minute(16_000_000)]);
    }

    #[test]
    fn the_clock_set_back_fires_nothing_twice() {
        let spec = every_hour(CatchUp::One);
        let next_at = spec.due(minute(60), minute(70)).next_at.unwrap();
        assert_eq!(spec.due(next_at, minute(50)).fire, []);
    }

    #[test]
    fn after_the_last_slot_there_is_none() {
        let end = Timestamp::from_micros(i64::MAX);
        for catch_up in [CatchUp::One, CatchUp::All, CatchUp::None] {
            assert_eq!(every_hour(catch_up).due(end, end).next_at, None);
        }
    }
}
