//! Reports of many clients with the log in PostgreSQL, beside those with the log in a file.

use std::path::Path;
use std::time::Instant;

use gcs_benches::postgres::Postgres;

use crate::Options;
use crate::durable::{CLIENTS, bodies, crowd};
use crate::speed::median;
use gcs_benches::client::post;
use gcs_benches::server::Checked;
use gcs_benches::server::Server;
use gcs_benches::timing::Times;

/// Reports of each client in a turn.
const EACH: usize = 40;

/// Servers that work on one log together.
const NODES: usize = 3;

/// One way to keep the log: its reports a second, and how long each took.
pub(crate) struct Side {
    pub(crate) name: String,
    /// The share of another side's rate that is wanted, and the place of that side in the list.
    pub(crate) wanted: Option<(f64, usize)>,
    /// Reports a second of each turn.
    pub(crate) rates: Vec<f64>,
    pub(crate) times: Times,
}

impl Side {
    /// Reports a second, the median of all turns.
    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates)
    }
}

/// Rates of reports with the log in a file and in PostgreSQL.
pub(crate) struct Several {
    /// Version of PostgreSQL.
    pub(crate) version: String,
    pub(crate) sides: Vec<Side>,
}

/// `None` if PostgreSQL is not installed.
pub(crate) fn measure(options: &Options, file: &Server, folder: &Path) -> Checked<Option<Several>> {
    if !"reports over PostgreSQL".contains(&options.only) {
        return Ok(None);
    }
    // Not in the folder of the others, which only its owner may enter.
    let here = Path::new(".");
    let Some(alone) = Postgres::start(here)? else {
        eprintln!("NOT MEASURED: PostgreSQL. To measure it: apt-get install postgresql");
        return Ok(None);
    };
    let Some(pair) = Postgres::start(here)? else { return Ok(None) };
    let _standby = pair.add_standby(here)?;
    let node = |name: &str, url: &str| -> Checked<_> {
        let flags = ["--store", url];
        Ok(crate::processes::start(&options.server, &folder.join(name), &flags)?.0)
    };
    let one = node("postgres", &alone.database("one")?)?;
    let with_standby = node("standby", &pair.database("one")?)?;
    let url = alone.database("three")?;
    let first = node("three-1", &url)?;
    let mut three = vec![&first];
    let others = (2..=NODES)
        .map(|number| {
            let data = folder.join(format!("three-{number}"));
            first.join(&options.server, &data, &folder.join("three-1"), &["--store", &url])
        })
        .collect::<Checked<Vec<Server>>>()?;
    three.extend(&others);
    let plan = [
        Setup { name: "a file".into(), servers: vec![file], wanted: None },
        Setup { name: "PostgreSQL".into(), servers: vec![&one], wanted: Some((0.5, 0)) },
        Setup {
            name: "PostgreSQL, and a standby for which it waits".into(),
            servers: vec![&with_standby],
            wanted: Some((0.25, 0)),
        },
        Setup {
            name: format!("PostgreSQL, {NODES} nodes"),
            servers: three,
            wanted: Some((1.0, 1)),
        },
    ];
    Ok(Some(Several { version: alone.version()?, sides: turns(options, &plan)? }))
}

/// Servers that work on one log.
struct Setup<'s> {
    name: String,
    servers: Vec<&'s Server>,
    wanted: Option<(f64, usize)>,
}

/// Lets all sides take turns.
fn turns(options: &Options, plan: &[Setup<'_>]) -> Checked<Vec<Side>> {
    let begin = |setup: &Setup<'_>| {
        let (name, wanted) = (setup.name.clone(), setup.wanted);
        Side { name, wanted, rates: Vec::new(), times: Times::new(Vec::new()) }
    };
    let mut sides: Vec<Side> = plan.iter().map(begin).collect();
    // The first turn is to warm up.
    for turn in 0..=options.rounds {
        for (side, Setup { name, servers, .. }) in sides.iter_mut().zip(plan) {
            eprintln!("reports, the log in {name}");
            let bodies = bodies(servers[0], CLIENTS * EACH)?;
            let requests = bodies.iter().map(|body| post("/v1/reports", "", body)).collect();
            let addresses: Vec<_> = servers.iter().map(|server| server.public).collect();
            let began = Instant::now();
            let times = crowd(&addresses, requests)?;
            if turn > 0 {
                side.rates.push(times.len() as f64 / began.elapsed().as_secs_f64());
                side.times.0.extend(times);
            }
        }
    }
    sides.iter_mut().for_each(|side| side.times.0.sort_by(f64::total_cmp));
    Ok(sides)
}
