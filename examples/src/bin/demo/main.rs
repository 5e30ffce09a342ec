//! The demo: a server, its providers, a thousand reports, phones that sync, match and
//! confirm, corrections, a `kill -9` in the middle of the reports, a mirror that lies, a coarse
//! filter. It runs over real HTTP, in a folder that is removed when the demo ends. Everything
//! that it prints is verified; it fails if anything is not as it should be.
//!
//! ```text
//! cargo run --release --bin demo             all of it
//! cargo run --release --bin demo -- --keep   all of it, and the server keeps running
//! ```
//!
//! The story is in `story`, `day`, `later`, `mirror` and `coarse`, with a function for each scene.

mod api;
mod belongings;
mod coarse;
mod day;
mod keep;
mod later;
mod mirror;
mod observer;
mod reporting;
mod server;
mod story;
mod table;
mod voice;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use gcs_examples::Checked;

use self::belongings::{Belongings, Guard};
use self::story::{Scale, Story};
use self::voice::say;

/// Shows two weeks of an epidemic with a real server, and verifies every step.
///
/// The server is a process of its own, on free ports of loopback and in a temporary folder.
/// Server and folder are removed when the demo ends, also when it is interrupted.
#[derive(Debug, Parser)]
#[command(name = "demo", version, max_term_width = 100)]
struct Options {
    /// At the end, leave the server running and its folder in place, and print what to try
    #[arg(long)]
    keep: bool,
    /// Run with 60 reports and 8 ticks instead of 1000 and 96, for tests
    #[arg(long)]
    small: bool,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == server::AS_SERVER) {
        return gcs_server::cli::run_from(std::iter::once("gcs-server".into()).chain(args));
    }
    let options = Options::parse();
    let belongings = match Belongings::new() {
        Ok(belongings) => belongings,
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Whatever happens below, a panic included, server and folder are removed.
    let guard = Guard(belongings);
    match demonstrate(&options, &guard.0) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            voice::end();
            guard.0.wait_if_interrupted();
            // The output was closed, as by `| head`: end quietly.
            let is_closed = error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
            if !is_closed {
                let troubles = server::troubles(&guard.0.folder());
                eprintln!("\nNOT AS IT SHOULD BE: {error}{troubles}");
            }
            ExitCode::FAILURE
        }
    }
}

fn demonstrate(options: &Options, belongings: &Belongings) -> Checked<()> {
    voice::break_silences();
    let begin = Instant::now();
    let story = live_through(if options.small { Scale::SMALL } else { Scale::WHOLE }, belongings)?;
    voice::end();
    table::print(&story)?;
    let took = begin.elapsed().as_secs_f64();
    say(format!("\nEverything was as it should be, in {took:.1} s."))?;
    if options.keep { keep::leave(&story, belongings) } else { Ok(()) }
}

fn live_through(scale: Scale, belongings: &Belongings) -> Checked<Story> {
    let mut story = Story::begin(scale, belongings)?;
    story.mistakes_are_told_apart()?;
    story.a_thousand_reports()?;
    story.first_tick()?;
    story.contacts_are_confirmed()?;
    story.a_day_of_ticks()?;
    story.everyone_ends_in_the_same_state()?;
    story.forged_and_stale_records_are_unknown()?;
    story.a_lone_report_is_held()?;
    story.killed_with_everything_in_it()?;
    story.the_next_tick_goes_on()?;
    story.a_coarse_filter()?;
    story.a_fine_filter()?;
    Ok(story)
}
