//! Fitting the columns of a table into a terminal.

use super::Column;

/// How narrow a column may become that is wrapped.
const ROOM: u16 = 16;

/// What stands between two columns.
pub(super) const GAP: u16 = 2;

/// What becomes of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// As wide as what it holds.
    Whole,
    /// As wide as there is room for.
    Wrapped,
    /// Not shown: it is only there to be looked at.
    Out,
}

/// Fits columns, which would like to be as wide as `widths` says, into a width; `None` if that would tear their values
/// apart.
pub(super) fn fit(columns: &[Column], widths: &[u16], width: u16) -> Option<Vec<Fit>> {
    let narrowed = |out: Fit| {
        columns.iter().map(move |column| match column.narrow {
            Fit::Out => out,
            narrow => narrow,
        })
    };
    let mut fits: Vec<_> = narrowed(Fit::Whole).collect();
    if needed(&fits, widths) > width {
        fits = narrowed(Fit::Out).collect();
    }
    while needed(&fits, widths) > width {
        let widest = (0..fits.len())
            .filter(|place| fits[*place] == Fit::Whole && widths[*place] > ROOM)
            .max_by_key(|place| widths[*place])?;
        fits[widest] = Fit::Wrapped;
    }
    Some(fits)
}

fn needed(fits: &[Fit], widths: &[u16]) -> u16 {
    let each = fits.iter().zip(widths).map(|(fit, width)| match fit {
        Fit::Whole => width.saturating_add(GAP),
        Fit::Wrapped => *width.min(&ROOM) + GAP,
        Fit::Out => 0,
    });
    each.fold(0, u16::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Column = Column::new("NAME");
    const BAR: Column = Column::new("BAR").yields();
    const NOTE: Column = Column::new("NOTE").wraps();

    fn check(widths: [u16; 3], width: u16, expected: Option<[Fit; 3]>) {
        let fits = fit(&[NAME, BAR, NOTE], &widths, width);
        assert_eq!(fits, expected.map(Vec::from), "{widths:?} in {width}");
    }

    #[test]
    fn what_gives_way_first_is_what_tells_least() {
        use Fit::{Out, Whole, Wrapped};
        check([10, 20, 10], 80, Some([Whole, Whole, Wrapped]));
        check([10, 20, 200], 80, Some([Whole, Whole, Wrapped]));
        check([50, 20, 200], 80, Some([Whole, Out, Wrapped]));
        check([70, 20, 200], 80, Some([Wrapped, Out, Wrapped]));
        check([60, 20, 200], 30, None);
    }
}
