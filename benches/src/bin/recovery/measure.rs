//! Coming back: the state from the log, all publications from the log, and a server's start.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use gcs_server::app::{App, DataFolder, OnLoss, Opened, catch_up, publishing};
use gcs_server::clock::Clock;
use gcs_server::domain::state::State;
use gcs_server::node::replay;
use gcs_server::publishing::Outbox;

use crate::make::{clock, config, random};
use crate::process::{Began, Figures};

/// Number of elements of a state that phones can test.
fn live(state: &State) -> u64 {
    state.live.dates().map(|(_, live)| live.published_len()).sum()
}

fn open(folder: &Path) -> Result<Opened, Box<dyn Error>> {
    Ok(DataFolder::open_existing(&config(folder)?, OnLoss::Refuse)?)
}

/// Replays the log into a state.
pub(crate) fn replay_state(folder: &Path) -> Result<Figures, Box<dyn Error>> {
    let Opened { mut store, keys, folder: _folder, .. } = open(folder)?;
    let mut figures = Figures::default();
    figures.set_memory("before");
    let began = Began::now();
    let state = replay(&mut *store, Some(&keys), |_, _| Ok(()))?.whole()?;
    figures.set_time("", &began);
    figures.set_memory("after");
    figures.set("elements", live(&state) as f64);
    figures.set("events", state.position as f64);
    figures.set("reports", state.reports.len() as f64);
    let began = Instant::now();
    let _digest = state.digest();
    figures.set("digest_seconds", began.elapsed().as_secs_f64());
    Ok(figures)
}

/// Computes every publication from the log, and writes what phones can fetch.
pub(crate) fn rebuild(folder: &Path) -> Result<Figures, Box<dyn Error>> {
    let config = config(folder)?;
    let Opened { mut store, keys, folder, .. } = open(folder)?;
    let mut figures = Figures::default();
    let began = Began::now();
    let caught_up = catch_up(&mut *store, &keys, Outbox::default())?;
    figures.set_time("", &began);
    caught_up.expect_computed()?;
    figures.set("computing_seconds", caught_up.computing.as_secs_f64());
    figures.set("publications", caught_up.ticks as f64);
    figures.set_memory("after");
    let began = Instant::now();
    let publishing = publishing(&folder, &config, keys.root(), 0)?;
    actix_web::rt::System::new().block_on(publishing.write(&caught_up.outbox))?;
    figures.set("write_seconds", began.elapsed().as_secs_f64());
    Ok(figures)
}

/// Starts the server until it listens and answers, and stops it as an operator does.
pub(crate) fn restart(folder: &Path) -> Result<Figures, Box<dyn Error>> {
    let (config, clock) = (config(folder)?, Clock::Manual(clock(folder)?));
    let mut figures = Figures::default();
    figures.set_memory("before");
    actix_web::rt::System::new().block_on(async {
        let began = Began::now();
        let app = App::build(&config, clock, random()).await?.whole()?;
        figures.set_time("", &began);
        figures.set("elements", live(&app.service().node.state()) as f64);
        figures.set_memory("started");
        let handles = app.handles();
        let running = actix_web::rt::spawn(app.run());
        let began = Began::now();
        for handle in &handles {
            handle.stop(true).await;
        }
        running.await??;
        figures.set_time("stop_", &began);
        figures.set_memory("stopped");
        Ok(figures)
    })
}
