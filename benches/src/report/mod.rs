//! The report: tables, sentences, plots, and a file of numbers beside each table.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

mod algebra;
mod apart;
mod bound;
mod csv;
mod files;
mod head;
pub mod memory;
mod plots;
mod sizes;
mod speed;
mod threads;
mod times;
mod words;

pub use self::head::machine;

use self::csv::Csv;
use self::plots::Plot;
use self::times::Times;
use crate::plan::Plan;
use crate::settings::{self, Settings, SettingsError};
use crate::timing::{Clock, Passes};

/// What a report measures, and where it goes.
#[derive(Clone, Debug)]
pub struct Scope {
    /// n, rate, hashing.
    pub settings: Settings,
    /// How long each case runs in a pass.
    least: Duration,
    /// How many passes, if the environment says so.
    passes: Option<usize>,
    is_quick: bool,
    /// Absent elements by which false positives are counted.
    absent: usize,
    /// The folder that is written.
    pub folder: PathBuf,
    /// The program itself, which it starts again to measure memory.
    program: PathBuf,
}

impl Scope {
    /// The scope that the environment asks for. A quick one has no 10 million elements, fewer
    /// passes and a tenth of the queries for false positives.
    ///
    /// # Errors
    /// A variable of the environment does not say what it should.
    pub fn of_environment(
        is_quick: bool,
        folder: PathBuf,
        program: PathBuf,
    ) -> Result<Scope, SettingsError> {
        let mut settings = Settings::default();
        if is_quick {
            settings.lens.retain(|len| *len <= 1_000_000);
        }
        let millis = settings::number(settings::MILLIS, if is_quick { 20 } else { 100 })?;
        let passes = settings::number(settings::PASSES, 0)?;
        let absent = if is_quick { 1_000_000 } else { 10_000_000 };
        Ok(Scope {
            settings: settings.with_env()?,
            least: Duration::from_millis(millis as u64),
            passes: (passes > 0).then_some(passes),
            is_quick,
            absent: settings::number(settings::ABSENT, absent)?,
            folder,
            program,
        })
    }

    /// Passes for sets of `len` elements: fewer of large ones.
    pub(crate) fn passes(&self, len: usize) -> Passes {
        let by_len = match (self.is_quick, len) {
            (false, 0..=100_000) => 15,
            (false, ..=1_000_000) => 9,
            (false, _) => 3,
            (true, 0..=100_000) => 7,
            (true, _) => 5,
        };
        let count = self.passes.unwrap_or(by_len);
        Passes { count, least: self.least, clock: Clock::Processor }
    }

    pub(crate) fn plan(&self, len: usize) -> Plan {
        self.settings.plan(len)
    }

    fn say(&self, what: &str) {
        eprintln!("{what}");
    }
}

/// Measures everything and writes the report.
///
/// # Errors
/// The folder cannot be written, or a process that measures memory cannot be run.
pub fn run(scope: &Scope) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&scope.folder)?;
    // Before anything is measured: the tree may change meanwhile.
    let head = head::head(scope);
    let size = sizes::size(scope)?;
    let build = [speed::build(scope)?, threads::threads(scope)?];
    let answers = speed::Answers::measure(scope);
    let answers = [answers.contains(scope), answers.batch(scope), answers.decode()];
    let rest: [Measure; 8] = [
        speed::hash,
        files::parse,
        files::delta,
        files::drift,
        algebra::algebra,
        files::publish,
        memory::section,
        apart::clubcard,
    ];
    let mut sections: Vec<Section> = [size].into_iter().chain(build).chain(answers).collect();
    for measure in rest {
        sections.push(measure(scope)?);
    }
    for section in &sections {
        for (file, csv) in &section.csvs {
            csv.write(&scope.folder.join(file))?;
        }
        for plot in &section.plots {
            plot.draw(&scope.folder)?;
        }
    }
    let path = scope.folder.join("REPORT.md");
    std::fs::write(&path, text(scope, &head, &sections))?;
    scope.say(&format!("written: {}", path.display()));
    Ok(())
}

/// The text of the report.
fn text(scope: &Scope, head: &str, sections: &[Section]) -> String {
    let quick = if scope.is_quick {
        "\nThis is a **quick** report: no 10 million elements, few passes. Cite the whole one.\n"
    } else {
        ""
    };
    let mut text = format!(
        "# Benchmark report\n\nMade by `cargo run --release -p gcs-benches --bin benchmarks`. \
         [METHOD.md](../METHOD.md) says what is timed, how, and what is unfair to whom. Compare times \
         within one report only.\n{quick}\n{head}\n## At a glance\n\n| operation | n | result |\n|---|---:|---|\n",
    );
    // Writing to a string does not fail.
    for (operation, n, line) in sections.iter().flat_map(|section| &section.glance) {
        let _written = writeln!(text, "| {operation} | {n} | {line} |");
    }
    for section in sections {
        let _written = write!(text, "\n## {}\n\n{}", section.title, section.text);
        for Plot { file, title, .. } in &section.plots {
            let _written = write!(text, "\n![{title}]({file})\n");
        }
        let files: Vec<String> =
            section.csvs.iter().map(|(file, _)| format!("[{file}]({file})")).collect();
        if !files.is_empty() {
            let _written = write!(text, "\nNumbers: {}.\n", files.join(", "));
        }
    }
    text
}

/// Measures what a section of the report says.
type Measure = fn(&Scope) -> Result<Section, Box<dyn Error>>;

/// A part of the report.
struct Section {
    title: &'static str,
    text: String,
    csvs: Vec<(&'static str, Csv)>,
    plots: Vec<Plot>,
    /// Lines of the table at the top: operation, n, result.
    glance: Vec<(String, String, String)>,
}

impl Section {
    fn new(title: &'static str, text: String) -> Section {
        Section { title, text, csvs: Vec::new(), plots: Vec::new(), glance: Vec::new() }
    }

    /// Adds the file of the times, and their comparison with some peers to the table at the top.
    fn times(&mut self, file: &'static str, times: &Times, ours: &str, peers: &[&str]) {
        self.csvs.push((file, times.csv()));
        let operation = file.trim_end_matches(".csv").replace('-', ", ");
        self.glance(times, &operation, ours, peers);
    }

    fn glance(&mut self, times: &Times, operation: &str, ours: &str, peers: &[&str]) {
        for peer in peers {
            for len in times.lens() {
                let (Some(one), Some(other)) = (times.median(ours, len), times.median(peer, len))
                else {
                    continue;
                };
                let line = words::faster((ours, one), (peer, other));
                self.glance.push((operation.into(), words::count(len), line));
            }
        }
    }
}
