//! Prints the public API that a file of rustdoc JSON describes, one item on a line: see .ci/api.

/// Traits that a type has because of its fields, and that users of gcs-core can do without. Send
/// and Sync are shown: to lose one breaks somebody's program.
const LEFT_OUT: [&str; 4] = [
    "core::marker::Freeze",
    "core::marker::StructuralPartialEq",
    "core::marker::Unpin",
    "core::panic::unwind_safe::",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("the path of a file of rustdoc JSON is missing")?;
    // Blanket implementations say nothing about the crate.
    let api = public_api::Builder::from_rustdoc_json(path).omit_blanket_impls(true).build()?;
    for item in api.items().map(ToString::to_string) {
        let is_impl = item.starts_with("impl");
        if !(is_impl && LEFT_OUT.iter().any(|name| item.contains(name))) {
            println!("{item}");
        }
    }
    Ok(())
}
