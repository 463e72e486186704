//! What follows from a slot alone: the id of its execution, and its jitter.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::ExecutionId;

/// The id of the execution that `schedule` starts for a slot, such as `nightly@2024-01-02T03:00:00Z`.
///
/// A start under an id that exists gives the execution that exists, so a slot that two workers see, or one that sees it
/// again after a crash, starts once.
pub fn slot_id(schedule: &str, slot: Timestamp) -> ExecutionId {
    // Slots are full seconds, but for gaps of long ago: those keep their fraction, and so their own id.
    let slot = slot.to_string().replace(".000000Z", "Z");
    format!("{schedule}@{slot}").into()
}

/// The jitter of a slot: from nothing up to `most`, the same for every worker and every version of Flux.
pub(super) fn jitter(schedule: &str, slot: Timestamp, most: Duration) -> Duration {
    let hash = hash(slot_id(schedule, slot).as_str());
    let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    let share = (u128::from(hash) * (u128::from(most) + 1)) >> 64;
    Duration::from_micros(u64::try_from(share).unwrap_or(most))
}

/// FNV-1a, and then the end of SplitMix64, which makes the upper bits depend on the last bytes, too.
fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Timestamp = Timestamp::from_micros(1_704_164_400_000_000);

    #[test]
    fn a_slot_has_a_readable_id_of_its_own() {
        let id = |micros| slot_id("nightly", Timestamp::from_micros(micros)).to_string();
        let three = THREE.as_micros();
        assert_eq!(id(three), "nightly@2024-01-02T03:00:00Z");
        assert_eq!(id(three + 500_000), "nightly@2024-01-02T03:00:00.500000Z");
        assert_eq!(
            id(i64::MAX),
            "nightly@9223372036854775807 microseconds since 1970"
        );
    }

    /// The values are part of what workers of different versions agree on: they never change.
    #[test]
    fn jitter_is_the_same_everywhere() {
        let most = Duration::from_mins(1);
        assert_eq!(
            jitter("nightly", THREE, most),
            Duration::from_micros(13_772_897)
        );
        assert_eq!(
            jitter("hourly", THREE, most),
            Duration::from_micros(24_830_021)
        );
    }

    #[test]
    fn jitter_is_spread_over_all_of_its_span() {
        let most = Duration::from_micros(9);
        let mut counts = [0_u32; 10];
        for minute in 0..10_000 {
            let slot = THREE.after(Duration::from_mins(minute));
            let jitter = jitter("nightly", slot, most);
            counts[usize::try_from(jitter.as_micros()).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1_100).contains(count)),
            "{counts:?}"
        );
        assert_eq!(jitter("nightly", THREE, Duration::ZERO), Duration::ZERO);
        assert!(jitter("nightly", THREE, Duration::MAX) < Duration::MAX);
    }
}
