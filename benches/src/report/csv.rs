//! Tables as files of comma-separated values.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// A table: a header, and rows of as many fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Csv {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Csv {
    /// A table without rows.
    pub(super) fn new(header: &[&'static str]) -> Csv {
        Csv { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; fields that are missing are empty.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = row.into_iter().collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// The text of the file.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let header = self.header.iter().map(|name| (*name).to_owned()).collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let fields: Vec<String> = row.iter().map(|field| quoted(field)).collect();
            // Writing to a string does not fail.
            let _written = writeln!(text, "{}", fields.join(","));
        }
        text
    }

    /// Writes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.to_text())
    }
}

/// A number for a field: six digits that count.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    let digits = if value == 0.0 { 0 } else { 5 - value.abs().log10().floor() as i32 };
    format!("{value:.*}", digits.clamp(0, 12) as usize)
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_long_as_the_header() {
        let mut csv = Csv::new(&["name", "n", "ns"]);
        csv.push(["a".into(), "1".into(), number(1.0 / 3.0)]);
        csv.push(["b, \"c\"".into()]);
        assert_eq!(csv.to_text(), "name,n,ns\na,1,0.333333\n\"b, \"\"c\"\"\",,\n");
    }

    #[test]
    fn numbers_have_six_digits() {
        let texts = [0.0, 12.345_678, 1e9, 0.000_123_456_7, f64::NAN].map(number);
        assert_eq!(texts, ["0", "12.3457", "1000000000", "0.000123457", ""]);
    }
}
