//! A table for people, or one JSON object a line.

use std::path::Path;

use crate::cases::{Case, Figure};
use crate::measure::Measured;

/// Prints what was measured.
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn head(&self, dir: &Path) {
        if self.json {
            return;
        }
        println!(
            "on {} (both sides), durability FULL unless the case says otherwise\n",
            dir.display()
        );
        println!(
            "{:<20} {:>12} {:>12} {:>8}  {:<10} bar",
            "case", "floor", "flux", "ratio", "unit"
        );
    }

    pub(crate) fn lines(&self, case: &Case, measured: &[Measured]) {
        if case.figures.len() > 1 && !self.json {
            println!("{}", case.name);
        }
        for (figure, measured) in case.figures.iter().zip(measured) {
            self.line(case, figure, *measured);
        }
    }

    fn line(&self, case: &Case, figure: &Figure, measured: Measured) {
        let Measured { flux, floor, ratio } = measured;
        if self.json {
            let line = serde_json::json!({
                "case": case.name, "figure": figure.name.trim(), "flux": flux, "floor": floor,
                "unit": figure.unit, "ratio": ratio,
            });
            println!("{line}");
        } else {
            let (floor, flux) = (number(floor), number(flux));
            println!(
                "{:<20} {floor:>12} {flux:>12} {ratio:>8.2}  {:<10} {}",
                figure.name, figure.unit, figure.bar
            );
        }
    }
}

fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}
