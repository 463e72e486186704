//! Tables: never cut, and where there is no terminal, never wrapped.

use anstyle::{Ansi256Color, AnsiColor, Color as Ansi, Effects, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table};

use super::{Format, Output, Row, printable};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    is_wide: bool,
    wraps: bool,
    is_number: bool,
}

impl Column {
    /// One that is always shown.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_wide: false,
            wraps: false,
            is_number: false,
        }
    }

    /// Shown with `-o wide` only.
    pub(crate) const fn wide(mut self) -> Self {
        self.is_wide = true;
        self
    }

    /// Wrapped where the terminal is too narrow for all of the table.
    pub(crate) const fn wraps(mut self) -> Self {
        self.wraps = true;
        self
    }

    /// To the right.
    pub(crate) const fn number(mut self) -> Self {
        self.is_number = true;
        self
    }
}

/// What stands in a column of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: printable(&text.into()).into_owned(),
            style,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// Draws a table, lines without spaces at their ends.
pub(super) fn render<R: Row>(rows: &[R], output: &Output) -> String {
    let shown: Vec<usize> = (0..R::COLUMNS.len())
        .filter(|column| output.format == Format::Wide || !R::COLUMNS[*column].is_wide)
        .collect();
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .enforce_styling()
        .style_text_only();
    if output.headers {
        let header = shown.iter().map(|column| {
            comfy_table::Cell::new(R::COLUMNS[*column].name).add_attribute(Attribute::Bold)
        });
        table.set_header(header.collect::<Vec<_>>());
    }
    for row in rows {
        let cells = row.cells(output);
        table.add_row(
            shown
                .iter()
                .map(|column| drawn(&cells[*column]))
                .collect::<Vec<_>>(),
        );
    }
    match output.width {
        Some(width) => {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    for (place, column) in shown.iter().enumerate() {
        let column = R::COLUMNS[*column];
        let Some(drawn) = table.column_mut(place) else {
            continue;
        };
        // Two spaces between columns, none before the first.
        drawn.set_padding((0, 2));
        if column.is_number {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
        if !column.wraps {
            drawn.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn drawn(cell: &Cell) -> comfy_table::Cell {
    let mut drawn = comfy_table::Cell::new(&cell.text);
    if let Some(color) = cell.style.get_fg_color() {
        drawn = drawn.fg(color_of(color));
    }
    if cell.style.get_effects().contains(Effects::BOLD) {
        drawn = drawn.add_attribute(Attribute::Bold);
    }
    if cell.style.get_effects().contains(Effects::DIMMED) {
        drawn = drawn.add_attribute(Attribute::Dim);
    }
    drawn
}

fn color_of(color: Ansi) -> Color {
    match color {
        Ansi::Ansi(AnsiColor::Red) => Color::DarkRed,
        Ansi::Ansi(AnsiColor::Green) => Color::DarkGreen,
        Ansi::Ansi(AnsiColor::Yellow) => Color::DarkYellow,
        Ansi::Ansi(AnsiColor::Blue) => Color::DarkBlue,
        Ansi::Ansi(AnsiColor::Magenta) => Color::DarkMagenta,
        Ansi::Ansi(AnsiColor::Cyan) => Color::DarkCyan,
        Ansi::Ansi256(Ansi256Color(index)) => Color::AnsiValue(index),
        _ => Color::Reset,
    }
}
