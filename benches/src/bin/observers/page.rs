//! The page with the figures: each table stands between two marks.

use std::fs;
use std::path::Path;

/// A table and the name of its marks.
pub(crate) type Named = (&'static str, String);

/// Writes the tables into the page.
pub(crate) fn write(tables: &[Named]) -> Result<(), String> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gcs-core/PRIVACY.md");
    let fault = |error: std::io::Error| format!("gcs-core/PRIVACY.md: {error}");
    let page = fs::read_to_string(&place).map_err(fault)?;
    let page = tables.iter().try_fold(page, |page, (name, table)| with_table(&page, name, table));
    fs::write(&place, page?).map_err(fault)
}

fn with_table(page: &str, name: &str, table: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}{table}{end}{after}"))
    });
    parts.ok_or_else(|| format!("gcs-core/PRIVACY.md has no marks for {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::TABLES;

    #[test]
    fn a_table_is_replaced_and_nothing_else() {
        let page = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n";
        let new = with_table(page, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- begin x -->\nnew\n<!-- end x -->\nb\n");
        assert!(with_table(page, "y", "new\n").is_err());
    }

    #[test]
    fn the_page_has_all_marks_and_figures() {
        let page = include_str!("../../../../gcs-core/PRIVACY.md");
        for name in TABLES {
            assert!(with_table(page, name, "").is_ok(), "{name}");
            let table = page.split(&format!("<!-- begin {name} -->\n")).nth(1).unwrap();
            assert!(table.lines().take(4).all(|line| line.starts_with('|')), "{name}");
        }
        assert_eq!(page.matches("<!-- begin ").count(), TABLES.len());
    }
}
