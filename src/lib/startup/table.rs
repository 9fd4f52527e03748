//! Tables for people.

/// Columns as wide as what stands in them, a line for each row.
#[must_use]
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let row = |words: [&str; 3]| words.map(str::to_owned);
        let text = aligned(&[row(["socket", "command", "level"]), row(["a.sock", "show table", "user"])]);
        assert_eq!(text, "socket  command     level\na.sock  show table  user\n");
    }
}
