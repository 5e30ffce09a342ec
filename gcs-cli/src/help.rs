//! Texts about `--json` and exit statuses, for the help and the manual page of every command.

use clap::Command;

/// The fields of a set's statistics.
macro_rules! set_fields {
    () => {
        "fingerprints, hash_range (text), rice_parameter, bytes, bits_per_fingerprint and \
         bound_bits_per_fingerprint (null for no fingerprints), false_positive_rate, salt, identity"
    };
}

/// The text about a command's output with `--json`; `None` if it has no such output.
fn json(command: &str) -> Option<&'static str> {
    Some(match command {
        "encode" => concat!(
            "one value with file, elements, merged, empty_lines, bad_lines, ",
            set_fields!(),
            "."
        ),
        "query" => {
            "a value a line, with line (raw records in hexadecimal digits) and possible \
                    (true: in the set, or a false positive). With --count one value with selected, \
                    elements, bad_lines, false_positive_rate."
        }
        "index" => "one value with file, bytes, fingerprints, set (the identity of the set).",
        "inspect" => concat!(
            "a value a line, with file and kind. Of a set: ",
            set_fields!(),
            ". Of a delta: removed, \
             added, bytes, hash_range, salt, base and target (the identities of the two sets). Of \
             an index: fingerprints, bytes, set (the identity of its set)."
        ),
        "verify" => {
            "a value a line: that of gcs inspect with valid, which is true; or file, valid, \
                     which is false, and error."
        }
        "diff" => {
            "one value with file, removed, added, bytes, hash_range (text), salt, base and \
                   target (the identities of the two sets)."
        }
        "apply" | "union" | "intersect" | "subtract" => {
            concat!("one value with file, ", set_fields!(), ".")
        }
        "list" => "a value a line, with rank and fingerprint (text).",
        _ => return None,
    })
}

/// The text about the exit statuses of a command.
fn exit_status(command: &str) -> &'static str {
    match command {
        "query" => {
            "0 a line was selected, 1 none was, 2 error, 130 interrupted, 141 the reader of the \
             output has gone."
        }
        _ => "0 done, 2 error, 130 interrupted, 141 the reader of the output has gone.",
    }
}

/// Adds both to the help of every command.
pub(crate) fn add_to(root: Command) -> Command {
    root.mut_subcommands(|command| {
        let mut paragraphs = Vec::new();
        if let Some(after) = command.get_after_help() {
            paragraphs.push(after.to_string());
        }
        if let Some(json) = json(command.get_name()) {
            paragraphs.push(format!("{JSON}{json}"));
        }
        paragraphs.push(format!("{EXIT_STATUS}{}", exit_status(command.get_name())));
        command.after_help(paragraphs.join("\n\n"))
    })
}

/// How the paragraph about JSON begins.
pub(crate) const JSON: &str = "With --json: ";

/// How the paragraph about exit statuses begins.
pub(crate) const EXIT_STATUS: &str = "Exit status: ";
