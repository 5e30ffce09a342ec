//! Lists of exports.

use gcs_core::Digest;
use gcs_core::files::ExportList;
use serde_json::json;

use super::out::Vectors;

fn line(date: &str, content: &[u8]) -> String {
    format!("v1/exports/{date}/{}.zip\n", Digest::of(content))
}

pub(crate) fn add(vectors: &mut Vectors) {
    let files =
        [("2026-01-06", &b"first"[..]), ("2026-01-05", b"second"), ("2026-01-06", b"third")];
    let list = ExportList {
        files: files.iter().map(|(date, of)| (date.parse().unwrap(), Digest::of(of))).collect(),
    };
    let expect = |files: &[(&str, &[u8])]| {
        let file = |(date, of): &(&str, &[u8])| json!({ "date": date, "sha256": Digest::of(of).to_string() });
        json!({ "files": files.iter().map(file).collect::<Vec<_>>() })
    };
    let whole: String = files.iter().map(|(date, of)| line(date, of)).collect();
    assert_eq!(list.to_bytes(), whole.as_bytes());
    let note = "in the order of publication, not of dates";
    let case = vectors.file_case("export_list", "exports-three", note, whole.as_bytes());
    vectors.valid(case, expect(&files));
    let case = vectors.file_case("export_list", "exports-none", "no files", b"");
    vectors.valid(case, expect(&[]));

    let one = line("2026-01-05", b"second");
    let changed = |from: &str, to: &str| {
        assert_eq!(one.matches(from).count(), 1, "{from} in {one}");
        one.replace(from, to)
    };
    let other = format!("v1/index/{}", Digest::of(b"second"));
    let mut binary = one.clone().into_bytes();
    binary[30] = 0xff;
    for (name, note, bytes, error) in [
        ("cut", "the last line feed is missing", whole[..whole.len() - 1].into(), "Length"),
        ("slash", "paths with their first slash", (String::from("/") + &one).into(), "Length"),
        ("empty-line", "an empty line at the end", (whole.clone() + "\n").into(), "Length"),
        (
            "carriage-return",
            "a line that ends as on Windows",
            changed("\n", "\r\n").into(),
            "Length",
        ),
        ("no-line-feed", "a space in its place", changed("\n", " ").into(), "Path"),
        ("upper-case", "another case", changed(".zip", ".ZIP").into(), "Path"),
        ("no-such-date", "2026 has no 30 February", changed("01-05", "02-30").into(), "Path"),
        ("other-file", "the path of an index, filled up", format!("{other:90}\n").into(), "Path"),
        ("binary", "a byte that is no text", binary, "Path"),
        (
            "second-line",
            "the second line is wrong",
            (one.clone() + &changed("exports", "Exports")).into(),
            "Path",
        ),
    ] {
        let bytes: Vec<u8> = bytes;
        vectors.refused("export_list", &format!("exports-{name}"), note, &bytes, error);
    }
}
