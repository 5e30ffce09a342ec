//! `gcs man`: manual pages.

use std::io;

use clap::{Args, Command};
use clap_mangen::Man as Page;

use crate::cli::{self, SUCCESS};
use crate::error::Error;
use crate::help::{EXIT_STATUS, JSON};
use crate::output::Stdout;

/// Print the manual page of gcs or of one command.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:\n  gcs man encode > ~/.local/share/man/man1/gcs-encode.1")]
pub(crate) struct Man {
    /// A command
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    pub(crate) fn run(&self) -> Result<u8, Error> {
        let mut root = cli::command();
        // Gives every command the options that all of them share.
        root.build();
        let shown = match &self.command {
            None => root,
            Some(name) => {
                let found = root.find_subcommand(name).cloned();
                let found = found.ok_or_else(|| {
                    Error::usage(name, "there is no such command", "gcs --help lists them")
                })?;
                found.display_name(format!("gcs-{name}"))
            }
        };
        let mut page = render(shown).map_err(Error::Stdout)?;
        page.extend(see_also(self.command.as_deref()).bytes());
        let mut stdout = Stdout::new();
        stdout.bytes(&page)?;
        stdout.flush()?;
        Ok(SUCCESS)
    }
}

/// The page, with what comes after the options in sections of its own.
fn render(command: Command) -> io::Result<Vec<u8>> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_commands = command.get_subcommands().next().is_some();
    let date = "";
    let manual = format!("gcs {}", env!("CARGO_PKG_VERSION"));
    let man = Page::new(command).date(date).manual("Manual of gcs").source(manual);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    let mut sections = String::new();
    for paragraph in after.split("\n\n").map(section) {
        let follows = sections.contains(NOTES);
        match paragraph.strip_prefix(NOTES) {
            Some(text) if follows => sections.extend([".PP\n", text]),
            _ => sections.push_str(&paragraph),
        }
    }
    page.extend(sections.bytes());
    Ok(page)
}

/// The heading of what is of no other section.
const NOTES: &str = ".SH NOTES\n";

/// A paragraph of the help as a section of a manual page.
fn section(paragraph: &str) -> String {
    let headed = [
        (JSON, "JSON"),
        (EXIT_STATUS, "EXIT STATUS"),
        ("Examples:\n", "EXAMPLES"),
        ("Example:\n", "EXAMPLES"),
        ("First steps:\n", "EXAMPLES"),
    ];
    let found = headed.iter().find(|(start, _)| paragraph.starts_with(start));
    match found {
        Some((start, "EXAMPLES")) => {
            format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", escaped(&paragraph[start.len()..]))
        }
        Some((start, heading)) => {
            format!(".SH {heading:?}\n{}\n", escaped(&paragraph[start.len()..]))
        }
        None => format!("{NOTES}{}\n", escaped(paragraph)),
    }
}

fn see_also(command: Option<&str>) -> String {
    let mut pages: Vec<String> = cli::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .filter(|name| Some(&name[..]) != command)
        .map(|name| format!("\\fBgcs\\-{name}\\fR(1)"))
        .collect();
    if command.is_some() {
        pages.insert(0, "\\fBgcs\\fR(1)".to_owned());
    }
    format!(".SH \"SEE ALSO\"\n{}\n", pages.join(", "))
}

/// Text in which nothing is taken for a request of the formatter.
fn escaped(text: &str) -> String {
    let escape = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        if line.starts_with('.') { format!("\\&{line}") } else { line }
    };
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}
