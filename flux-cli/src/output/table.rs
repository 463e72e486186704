//! Tables: never cut, and where there is no terminal, never wrapped.

use anstyle::{Ansi256Color, AnsiColor, Color as Ansi, Effects, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table};

use super::fit::{Fit, GAP, fit};
use super::{Format, Output, Row, printable};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(super) name: &'static str,
    is_wide: bool,
    is_number: bool,
    /// What becomes of it where the table is too wide.
    pub(super) narrow: Fit,
}

impl Column {
    /// One that is always shown.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_wide: false,
            is_number: false,
            narrow: Fit::Whole,
        }
    }

    /// Shown with `-o wide` only.
    pub(crate) const fn wide(mut self) -> Self {
        self.is_wide = true;
        self
    }

    /// Wrapped where the terminal is too narrow for all of the table.
    pub(crate) const fn wraps(mut self) -> Self {
        self.narrow = Fit::Wrapped;
        self
    }

    /// Left out where the terminal is too narrow: it says nothing that the others do not.
    pub(crate) const fn yields(mut self) -> Self {
        self.narrow = Fit::Out;
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

/// Draws a table, lines without spaces at their ends. Where a terminal is too narrow for it, each row is a record of
/// lines.
pub(super) fn render<R: Row>(rows: &[R], output: &Output) -> String {
    let columns: Vec<usize> = (0..R::COLUMNS.len())
        .filter(|column| output.format == Format::Wide || !R::COLUMNS[*column].is_wide)
        .collect();
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| {
            let cells = row.cells(output);
            columns.iter().map(|at| cells[*at].clone()).collect()
        })
        .collect();
    let columns: Vec<Column> = columns.iter().map(|at| R::COLUMNS[*at]).collect();
    let mut table = columns_of(&columns, &cells, output.headers);
    let Some(width) = output.width else {
        table.set_content_arrangement(ContentArrangement::Disabled);
        return text(&table);
    };
    let Some(fits) = fit(&columns, &table.column_max_content_widths(), width) else {
        return records(&columns, &cells, width);
    };
    table.set_width(width);
    for (column, fit) in table.column_iter_mut().zip(fits) {
        match fit {
            Fit::Whole => drop(column.set_constraint(ColumnConstraint::ContentWidth)),
            Fit::Wrapped => {}
            Fit::Out => drop(column.set_constraint(ColumnConstraint::Hidden)),
        }
    }
    text(&table)
}

fn empty() -> Table {
    // Colours are taken out again where they are not wanted, by whoever writes the text: not here, by the environment.
    crossterm::style::force_color_output(true);
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .enforce_styling()
        .style_text_only();
    table
}

fn columns_of(columns: &[Column], rows: &[Vec<Cell>], headers: bool) -> Table {
    let mut table = empty();
    if headers {
        table.set_header(columns.iter().map(header).collect::<Vec<_>>());
    }
    for row in rows {
        table.add_row(row.iter().map(drawn).collect::<Vec<_>>());
    }
    for (drawn, column) in table.column_iter_mut().zip(columns) {
        // None before the first.
        drawn.set_padding((0, GAP));
        if column.is_number {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A line for each cell that holds something, under the name of its column.
fn records(columns: &[Column], rows: &[Vec<Cell>], width: u16) -> String {
    let names = columns.iter().map(|column| column.name.chars().count());
    let widest = names.max().unwrap_or(0);
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let mut table = empty();
        table.set_width(width);
        for (column, cell) in columns
            .iter()
            .zip(row)
            .filter(|(_, cell)| !cell.text.is_empty())
        {
            let name = format!("{:<widest$}", column.name);
            let name = comfy_table::Cell::new(name).add_attribute(Attribute::Bold);
            table.add_row([name, drawn(cell)]);
        }
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, GAP));
            if place == 0 {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        records.push(text(&table));
    }
    records.join("\n")
}

fn text(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The name of a column. One without a name is not bold: the codes would keep the spaces of an empty end of a line.
fn header(column: &Column) -> comfy_table::Cell {
    let cell = comfy_table::Cell::new(column.name);
    if column.name.is_empty() {
        return cell;
    }
    cell.add_attribute(Attribute::Bold)
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
