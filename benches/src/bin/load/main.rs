//! The server under load, beside nginx serving the same bytes: requests a second, processor time for each
//! request, latency, memory, and reports a second beside what the disk can do.
//!
//! `cargo build --release -p gcs-server && cargo run --release -p gcs-benches --bin load`
//!
//! It takes some six minutes, writes `benches/report/SERVER.md`, and needs `wrk`; with `nginx` on the path
//! it compares, and with PostgreSQL installed it measures the log there too. All data is in a temporary folder, below the present one, so that the disk is the one of the
//! repository.

mod durable;
mod in_process;
mod machine;
mod page;
mod processes;
mod readers;
mod several;
mod speed;

use std::path::PathBuf;
use std::{env, fs};

use gcs_benches::server::Checked;

/// The options of the command line.
struct Options {
    /// The server's program.
    server: PathBuf,
    /// Rounds of a second of each side of a row.
    rounds: usize,
    /// Only rows whose name has this text.
    only: String,
    /// Where the page is written to.
    page: PathBuf,
}

impl Options {
    fn read() -> Checked<Options> {
        let release = env::current_exe()?.with_file_name("gcs-server");
        let page = "benches/report/SERVER.md".into();
        let mut options = Options { server: release, rounds: 7, only: String::new(), page };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--server" => options.server = value()?.into(),
                "--rounds" => options.rounds = value()?.parse()?,
                "--only" => options.only = value()?,
                "--page" => options.page = value()?.into(),
                _ => {
                    return Err(format!(
                        "{argument} is unknown; there are --server, --rounds, --only and --page"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }
}

fn main() -> Checked<()> {
    let options = Options::read()?;
    let folder = tempfile::Builder::new().prefix("load-").tempdir_in(".")?;
    let in_process = in_process::measure(&options, folder.path())?;
    let (server, files) = processes::start(&options.server, &folder.path().join("data"), &[])?;
    let tls = processes::Certificate::make(folder.path())?;
    let (secret, _) = processes::start(&options.server, &folder.path().join("tls"), &tls.flags())?;
    let nginx = processes::Nginx::start(folder.path(), &files, &tls)?;
    let mut page = page::Page::new(&server, nginx.is_some());
    page.in_process(&in_process);
    page.durable(&durable::measure(&options, &server, folder.path())?);
    page.several(&several::measure(&options, &server, folder.path())?);
    page.speed(&speed::measure(&options, [&server, &secret], nginx.as_ref(), &files)?);
    page.readers(&readers::measure(&options, &server, &files)?);
    let text = page.text();
    println!("{text}");
    if options.only.is_empty() {
        fs::write(&options.page, text)?;
        println!("written to {}", options.page.display());
    }
    Ok(())
}
