//! Ids as people type them: whole, or a piece from the beginning or the end.

use flux_core::{Engine, ExecutionId};

use crate::exit::Failure;

/// How many characters of an id are shown: of a UUIDv7 the last ones are random, and the first are shared by all that was
/// started in the same minute.
const SHOWN: usize = 12;

/// How many are named where several fit.
const NAMED: usize = 5;

/// The end of an id, enough to find it again.
pub(crate) fn short(id: &ExecutionId) -> &str {
    let text = id.as_str();
    match text.char_indices().rev().nth(SHOWN - 1) {
        Some((at, _)) => &text[at..],
        None => text,
    }
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
    fn the_end_of_an_id_is_shown() {
        let shown = |id: &str| short(&ExecutionId::from(id)).to_owned();
        assert_eq!(
            shown("0192d4e0-1111-7aaa-8bbb-0123456789ab"),
            "0123456789ab"
        );
        assert_eq!(shown("order-42"), "order-42");
        assert_eq!(shown("ä-bestellung-42"), "estellung-42");
    }
}
