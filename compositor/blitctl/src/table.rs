//! Aligned tables.

/// One cell: numbers stand at the right of their column, text at the left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    right: bool,
}

impl Cell {
    /// A cell of text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), right: false }
    }

    /// A cell with a number in it.
    pub(crate) fn number(number: impl ToString) -> Self {
        Self { text: number.to_string(), right: true }
    }

    fn padded(&self, width: usize) -> String {
        if self.right { format!("{:>width$}", self.text) } else { format!("{:<width$}", self.text) }
    }
}

/// Something that a table has a row for.
pub(crate) trait Row {
    /// The columns' heads, with units.
    const HEADS: &'static [&'static str];

    /// The cells of its row, one for each head.
    fn cells(&self) -> Vec<Cell>;
}

/// A table of these rows under their heads.
pub(crate) fn table<T: Row>(rows: &[T]) -> String {
    let cells: Vec<Vec<Cell>> = rows.iter().map(Row::cells).collect();
    let width = |column: usize, head: &str| {
        let texts = cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
        texts.chain([head.len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = T::HEADS.iter().enumerate().map(|(column, head)| width(column, head)).collect();
    // A head stands where its column's cells do.
    let is_right =
        |column: usize| cells.first().and_then(|row| row.get(column)).is_some_and(|cell| cell.right);
    let heads = T::HEADS.iter().enumerate();
    let heads = heads.map(|(column, head)| Cell { text: (*head).into(), right: is_right(column) }).collect();
    std::iter::once(&heads).chain(&cells).map(|row| line(row, &widths)).collect()
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, &width)| cell.padded(width)).collect();
    cells.join("  ").trim_end().to_owned() + "\n"
}

/// Names on the left and values on the right, one pair a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let name = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let value = pairs.iter().map(|(_, value)| value.chars().count()).max().unwrap_or_default();
    pairs.iter().map(|(left, right)| format!("{left:<name$}  {right:>value$}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair(&'static str, u32);

    impl Row for Pair {
        const HEADS: &'static [&'static str] = &["NAME", "SIZE MIB"];

        fn cells(&self) -> Vec<Cell> {
            vec![Cell::text(self.0), Cell::number(self.1)]
        }
    }

    #[test]
    fn columns_are_aligned() {
        let table = table(&[Pair("a", 5), Pair("l\u{e4}nger", 12345)]);
        assert_eq!(table, "NAME    SIZE MIB\na              5\nl\u{e4}nger     12345\n");
    }

    #[test]
    fn no_rows_are_heads_alone() {
        assert_eq!(table::<Pair>(&[]), "NAME  SIZE MIB\n");
    }

    #[test]
    fn pairs_are_aligned_on_both_sides() {
        assert_eq!(pairs(&[("a", "5".into()), ("bcd", "67".into())]), "a     5\nbcd  67\n");
    }
}
