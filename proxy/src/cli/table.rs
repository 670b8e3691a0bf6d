//! Columns that line up.

use crate::cli::text::{Line, Tone};

/// Where a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table with a heading.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Line>>,
}

/// Blank columns between two.
const GAP: usize = 2;

impl Table {
    /// Makes a table with these headings, and no rows.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing are empty.
    pub(crate) fn row(&mut self, mut cells: Vec<Line>) {
        cells.resize(self.columns.len(), Line::default());
        self.rows.push(cells);
    }

    /// Returns the lines: the heading, then the rows. A column of which every cell is empty is left
    /// out.
    pub(crate) fn lines(self) -> Vec<Line> {
        let used: Vec<usize> = (0..self.columns.len())
            .filter(|at| self.rows.iter().any(|row| 0 < row[*at].width()))
            .collect();
        let width_of = |at: &usize| {
            let widest = self.rows.iter().map(|row| row[*at].width()).max().unwrap_or(0);
            widest.max(self.columns[*at].0.len())
        };
        let widths: Vec<usize> = used.iter().map(width_of).collect();
        let join = |cells: Vec<Line>| {
            let mut line = Line::default();
            for (at, cell) in cells.into_iter().enumerate() {
                let blanks = " ".repeat(widths[at] - cell.width());
                if 0 < at {
                    line = line.with(Tone::Plain, " ".repeat(GAP));
                }
                line = match self.columns[used[at]].1 {
                    Align::Left => line.and(cell).with(Tone::Plain, blanks),
                    Align::Right => line.with(Tone::Plain, blanks).and(cell),
                };
            }
            line
        };
        let heading = used.iter().map(|at| Line::of(Tone::Faint, self.columns[*at].0)).collect();
        let rows = self.rows.iter().map(|row| used.iter().map(|at| row[*at].clone()).collect());
        std::iter::once(heading).chain(rows).map(join).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::text::{Styling, render};

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        let mut table =
            Table::new(&[("NAME", Align::Left), ("WHY", Align::Left), ("COUNT", Align::Right)]);
        table.row(vec![Line::plain("primary"), Line::default(), Line::plain("7")]);
        table.row(vec![Line::plain("b"), Line::default(), Line::plain("1,234")]);
        assert_eq!(
            render(&table.lines(), Styling::None),
            "NAME     COUNT\nprimary      7\nb        1,234\n"
        );
    }
}
