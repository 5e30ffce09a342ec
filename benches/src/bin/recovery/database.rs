//! The same log in PostgreSQL: how long it takes to move it there and back, and to come back from there.

use std::error::Error;
use std::fs;
use std::path::Path;

use gcs_benches::postgres::Postgres;
use gcs_server::app::{LogCopy, move_log};
use gcs_server::store::{LogPlace, LogReader};

use crate::make::{DATABASE, config, random};
use crate::process::{self, Began, Figures};

/// Bytes of a log that are copied at a time, about.
const PAGE_BYTES: usize = 4 << 20;

/// Files of a data folder that its log needs.
const NEEDED: [&str; 3] = ["log.sqlite", "keys.json", "clock"];

/// Times of moving a log to PostgreSQL and back, and of coming back from there.
#[derive(Default)]
pub(crate) struct InDatabase {
    /// Version of PostgreSQL.
    pub(crate) version: String,
    pub(crate) copy: Figures,
    pub(crate) moved: Figures,
    pub(crate) replay: Figures,
    pub(crate) new: Figures,
    pub(crate) with: Figures,
    pub(crate) back: Figures,
}

/// Measures on a copy of a data folder; `None` if PostgreSQL is not installed.
pub(crate) fn measure(home: &Path, large: &Path) -> Result<Option<InDatabase>, Box<dyn Error>> {
    let Some(postgres) = Postgres::start(&std::env::temp_dir())? else {
        eprintln!("NOT MEASURED: PostgreSQL. To measure it: apt-get install postgresql");
        return Ok(None);
    };
    let (old, node) = (home.join("to-move"), home.join("node"));
    for folder in [&old, &node] {
        let _forgotten = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
    }
    NEEDED.iter().try_for_each(|name| fs::copy(large.join(name), old.join(name)).map(drop))?;
    let url = postgres.database("log")?;
    fs::write(old.join(TO), &url)?;
    let mut measured = InDatabase { version: postgres.version()?, ..InDatabase::default() };
    measured.copy = process::step("copy", &old, &[])?;
    measured.moved = process::step("move", &old, &[])?;
    // Another machine, which has nothing but the keys.
    NEEDED[1..]
        .iter()
        .try_for_each(|name| fs::copy(large.join(name), node.join(name)).map(drop))?;
    fs::write(node.join(DATABASE), &url)?;
    measured.replay = process::step("replay", &node, &[])?;
    measured.new = process::step("restart", &node, &[])?;
    measured.with = process::step("restart", &node, &[])?;
    measured.back = process::step("move-back", &node, &[])?;
    [old, node].iter().try_for_each(fs::remove_dir_all)?;
    Ok(Some(measured))
}

/// Name of a file that says to which database a log is to be moved.
const TO: &str = "to-database";

/// Copies a log to a database, as `backup` does while a server works on it.
pub(crate) fn copy(folder: &Path) -> Result<Figures, Box<dyn Error>> {
    let began = Began::now();
    let mut copy = LogCopy::open_database(&fs::read_to_string(folder.join(TO))?.parse()?)?;
    let reader = LogReader::new(LogPlace::File(folder.join("log.sqlite")));
    copy.follow(|from| Ok::<_, Box<dyn Error>>(reader.page(from, PAGE_BYTES)?))?;
    let mut figures = Figures::default();
    figures.set_time("", &began);
    Ok(figures)
}

/// Moves a log that was copied: no server can work on it meanwhile.
pub(crate) fn move_to_database(folder: &Path) -> Result<Figures, Box<dyn Error>> {
    let to = fs::read_to_string(folder.join(TO))?.parse()?;
    moved(folder, &LogPlace::Postgres(to))
}

/// Moves a log into a file.
pub(crate) fn move_back(folder: &Path) -> Result<Figures, Box<dyn Error>> {
    moved(folder, &LogPlace::File(folder.join("log.sqlite")))
}

fn moved(folder: &Path, to: &LogPlace) -> Result<Figures, Box<dyn Error>> {
    let began = Began::now();
    move_log(&config(folder)?, to, &random(), |said| eprintln!("{said}"))?;
    let mut figures = Figures::default();
    figures.set_time("", &began);
    Ok(figures)
}
