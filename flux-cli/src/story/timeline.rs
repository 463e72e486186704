//! A small timeline: a bar for each call on one scale, in which idle gaps collapse.
//!
//! Spans in which a task or a child was at work are *busy* and share the width in proportion; a span in which the
//! execution only waited takes one column, however long it was. So a workflow of three tasks of a second each, with a
//! night's sleep between two of them, shows three bars and a gap.

use std::time::SystemTime;

use flux_core::{CallInfo, CallKind};

const WORK: char = '█';
const WAIT: char = '░';
const IDLE: char = '┄';
const NOTHING: char = ' ';

/// A span of one call, in seconds since the first: from, to, and whether something was at work in it.
#[derive(Clone, Copy, Debug)]
struct Part {
    from: f64,
    to: f64,
    is_busy: bool,
}

/// One piece of the scale.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: f64,
    to: f64,
    is_busy: bool,
    /// Its first column, and how many it has.
    at: usize,
    columns: usize,
}

impl Piece {
    fn new(from: f64, to: f64, is_busy: bool) -> Self {
        Self {
            from,
            to,
            is_busy,
            at: 0,
            columns: 1,
        }
    }

    fn seconds(&self) -> f64 {
        self.to - self.from
    }

    /// The column at which a moment of it stands.
    fn column(&self, moment: f64) -> usize {
        if self.seconds() <= 0.0 {
            return self.at;
        }
        let part = (moment - self.from) / self.seconds();
        let column = as_columns((part * as_f64(self.columns)).floor());
        self.at + column.min(self.columns)
    }
}

/// The bars of calls, in their order, each of at most `width` columns.
pub(crate) fn bars(calls: &[CallInfo], now: SystemTime, width: usize) -> Vec<String> {
    let Some(origin) = calls.iter().map(CallInfo::started_at).min() else {
        return Vec::new();
    };
    let since = |moment: SystemTime| {
        moment
            .duration_since(origin)
            .unwrap_or_default()
            .as_secs_f64()
    };
    let part = |call: &CallInfo| {
        let end = call.finished_at().unwrap_or(now);
        Part {
            from: since(call.started_at()),
            to: since(end.max(call.started_at())),
            is_busy: matches!(call.kind(), CallKind::Task | CallKind::Child),
        }
    };
    draw(&calls.iter().map(part).collect::<Vec<_>>(), width)
}

fn draw(parts: &[Part], width: usize) -> Vec<String> {
    let scale = scale(parts, width);
    parts.iter().map(|part| bar(*part, &scale, width)).collect()
}

/// The pieces of the whole span, with their columns.
fn scale(parts: &[Part], width: usize) -> Vec<Piece> {
    let end = parts.iter().map(|part| part.to).fold(0.0, f64::max);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut reached = 0.0;
    for (from, to) in busy(parts, end / as_f64(width.max(1))) {
        if from > reached {
            pieces.push(Piece::new(reached, from, false));
        }
        pieces.push(Piece::new(from, to, true));
        reached = to;
    }
    if end > reached || pieces.is_empty() {
        pieces.push(Piece::new(reached, end, false));
    }
    share_out(&mut pieces, width);
    pieces
}

/// The spans in which something was at work, merged where no more than `least` is between them.
fn busy(parts: &[Part], least: f64) -> Vec<(f64, f64)> {
    let mut spans: Vec<(f64, f64)> = parts
        .iter()
        .filter(|part| part.is_busy)
        .map(|part| (part.from, part.to))
        .collect();
    spans.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some((_, end)) if from <= *end + least => *end = end.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// Gives every piece its columns: one, and the busy ones share the rest in proportion.
fn share_out(pieces: &mut [Piece], width: usize) {
    let busy: f64 = pieces
        .iter()
        .filter(|piece| piece.is_busy)
        .map(Piece::seconds)
        .sum();
    let room = as_f64(width.saturating_sub(pieces.len()));
    let mut given = 0.0;
    let mut at = 0;
    for piece in pieces {
        if piece.is_busy && busy > 0.0 {
            // Shares of a running sum, so that they add up to the whole.
            let share = |upto: f64| (upto / busy * room).round();
            let before = share(given);
            given += piece.seconds();
            piece.columns += as_columns(share(given) - before);
        }
        piece.at = at.min(width.saturating_sub(1));
        at += piece.columns;
    }
}

fn bar(part: Part, scale: &[Piece], width: usize) -> String {
    let mut columns = vec![NOTHING; width];
    for piece in scale {
        let (from, to) = (part.from.max(piece.from), part.to.min(piece.to));
        // What took no time has its mark where it stands.
        let is_inside = from < to || (part.from >= part.to && from <= to);
        if !is_inside {
            continue;
        }
        let first = piece.column(from).min(width.saturating_sub(1));
        let end = piece.column(to).max(first + 1).min(width);
        let mark = match (piece.is_busy, part.is_busy) {
            (false, _) => IDLE,
            (true, true) => WORK,
            (true, false) => WAIT,
        };
        columns[first..end].fill(mark);
    }
    let bar: String = columns.into_iter().collect();
    bar.trim_end().to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "a width of some dozens")]
fn as_f64(columns: usize) -> f64 {
    columns as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a width of some dozens"
)]
fn as_columns(share: f64) -> usize {
    share.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: u32, to: u32, is_busy: bool) -> Part {
        Part {
            from: from.into(),
            to: to.into(),
            is_busy,
        }
    }

    #[test]
    fn tasks_share_the_width_in_proportion() {
        let bars = draw(&[part(0, 1, true), part(1, 4, true)], 8);
        assert_eq!(bars, ["██", "  ██████"]);
    }

    #[test]
    fn a_night_of_sleep_takes_one_column() {
        let night = 8 * 3600;
        let bars = draw(
            &[
                part(0, 2, true),
                part(2, 2 + night, false),
                part(2 + night, 4 + night, true),
            ],
            9,
        );
        assert_eq!(bars, ["████", "    ┄", "     ████"]);
    }

    #[test]
    fn a_wait_beside_work_is_drawn_beside_it() {
        let bars = draw(&[part(0, 4, true), part(1, 3, false)], 8);
        assert_eq!(bars, ["████████", "  ░░░░"]);
    }

    #[test]
    fn what_took_no_time_has_a_mark() {
        let bars = draw(&[part(0, 0, true), part(0, 0, true)], 4);
        assert_eq!(bars.len(), 2);
        assert!(bars.iter().all(|bar| bar.starts_with(WORK)), "{bars:?}");
        assert!(draw(&[], 4).is_empty());
    }

    #[test]
    fn no_bar_is_wider_than_it_may_be() {
        for width in 1..30 {
            let parts: Vec<Part> = (0..50)
                .map(|i| part(i * 100, i * 100 + 1, i % 2 == 0))
                .collect();
            for bar in draw(&parts, width) {
                assert!(bar.chars().count() <= width, "{bar:?} in {width}");
                assert!(!bar.is_empty());
            }
        }
    }
}
