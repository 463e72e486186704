//! Ids as people type them: whole, or a piece from the beginning or the end.

use flux_core::{Engine, ExecutionId};

use crate::exit::Failure;

/// Where the last part of a UUID begins. Of a UUIDv7 it is random, and the first part is shared by all that was started in
/// the same minute.
const LAST_PART: usize = 24;
const UUID: usize = 36;

/// How many are named where several fit.
const NAMED: usize = 5;

/// As much of an id as is shown, enough to find it again: of one that Flux gave, its last 12 characters, and behind them
/// what makes a child's id of it; one of the caller's choice is shown whole, since its end need not tell it from others.
pub(crate) fn short(id: &ExecutionId) -> &str {
    let text = id.as_str();
    if is_uuid(text) {
        &text[LAST_PART..]
    } else {
        text
    }
}

/// Whether it begins with what looks like a UUID, behind which nothing or the numbers of calls stand.
fn is_uuid(text: &str) -> bool {
    let is_of_uuid = |(at, c): (usize, u8)| match at {
        8 | 13 | 18 | 23 => c == b'-',
        _ => c.is_ascii_alphanumeric(),
    };
    let (uuid, calls) = text.as_bytes().split_at(text.len().min(UUID));
    uuid.len() == UUID
        && uuid.iter().copied().enumerate().all(is_of_uuid)
        && (calls.is_empty() || calls[0] == b'.')
}

/// The one execution whose id is, begins or ends with this.
pub(crate) async fn find(engine: &Engine, piece: &str) -> Result<ExecutionId, Failure> {
    let mut found = engine.find(piece, NAMED + 1).await?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::not_found(format!(
            "no execution has an id that is, begins or ends with `{piece}`"
        ))),
        count => {
            let names: Vec<_> = found
                .iter()
                .take(NAMED)
                .map(|id| format!("  {id}"))
                .collect();
            let more = if count > NAMED { "\n  .." } else { "" };
            Err(Failure::not_found(format!(
                "several executions have an id that begins or ends with `{piece}`:\n{}{more}",
                names.join("\n")
            ))
            .hint("give more of it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_id_is_shown_and_one_that_was_chosen_whole() {
        let shown = |id: &str| short(&ExecutionId::from(id)).to_owned();
        assert_eq!(
            shown("0192d4e0-1111-7aaa-8bbb-0123456789ab"),
            "0123456789ab"
        );
        assert_eq!(
            shown("0192d4e0-1111-7aaa-8bbb-0123456789ab.7.12"),
            "0123456789ab.7.12"
        );
        for chosen in [
            "eu-order-000000000001",
            "nightly@2026-10-28T03:00:00Z",
            "ä-bestellung-42",
            "0192d4e0-1111-7aaa-8bbb-0123456789abc",
        ] {
            assert_eq!(shown(chosen), chosen);
        }
    }
}
