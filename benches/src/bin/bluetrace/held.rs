//! Millions of users: what they take, how a server comes back with them, and what others notice.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use actix_web::rt;
use gcs_benches::log::Log;
use gcs_benches::server::{Checked, Deployment, Server};
use gcs_benches::timing::Times;
use gcs_core::DAY_SECONDS;
use gcs_core::report::Code;
use gcs_server::app::config::{Config, Options};
use gcs_server::bluetrace::Authority;
use gcs_server::clock::Clock;
use gcs_server::domain::judge::{self, Registered};
use gcs_server::domain::phone_number::PhoneNumber;
use gcs_server::random::Random;

use crate::arrivals::arrive;
use crate::day::BURST;
use crate::phones::{HAI, Load, Sent, Visit, flags, refresh, register, steps};
use crate::table;
use crate::uploads;

/// The first phone number of those who are held, without the plus.
const FIRST: u64 = 61_500_000_000;

/// One user of so many is remembered, to come again.
const KNOWN: usize = 1000;

/// Registrations in one batch, as when many come at once.
const BATCH: usize = 1000;

/// Seconds for which users come.
const SECONDS: f64 = 20.0;

/// Seconds after which a phone fetches TempIDs again.
const REFRESH: f64 = 43_200.0;

/// Rows of a table.
type Rows = Vec<(&'static str, String)>;

/// Who is held.
struct Held {
    deployment: Deployment,
    passwords: PathBuf,
    /// Some of the users.
    known: Vec<Registered>,
    codes: Vec<Code>,
    authority: Authority,
    /// Seconds that it took to make.
    made: f64,
}

/// Measures with so many users held.
pub(crate) fn measure(program: &Path, folder: &Path, count: usize) -> Checked<String> {
    eprintln!("{count} users");
    let held = make(program, folder, count)?;
    let log = fs::metadata(held.deployment.data.join("log.sqlite"))?.len();
    let mut rows =
        vec![("the log", table::megabytes(log)), ("it was made in", format!("{:.0} s", held.made))];
    without_checkpoint(&held, count, &mut rows)?;
    let server = with_checkpoint(&held, count, &mut rows)?;

    eprintln!("who comes meanwhile");
    let load = Load::begin(&server)?;
    let (visits, fetched) = come(&server, &held, count)?;
    let busy = load.seconds()? / load.elapsed().as_secs_f64() * 50.0;
    let [password, user, temp_ids] = steps(&visits);
    let fetched = ("100 TempIDs are fetched by a user who is held", Times::new(fetched));
    rows.push(("processor time while they come, of two cores", format!("{busy:.1} %")));
    rows.push(("most memory at the end", table::megabytes(server.process.most_resident()?)));

    let mut page = format!(
        "## {count} users\n\nThe log is made in batches of {BATCH} registrations, then the server is started on it.\n\n{}",
        table::figures(&rows)
    );
    page += &format!(
        "Beside each other for {SECONDS:.0} s: {BURST:.1} registrations a second as above, and {:.0} \
         requests for TempIDs a second, ten times the mean of two a day of each user.\n\n{}",
        refreshes(count),
        table::times(&[password, user, temp_ids, fetched])
    );
    eprintln!("uploads");
    let uploads = uploads::measure(&server, held.authority.keys(), &held.known, &held.codes)?;
    Ok(page + &uploads.section())
}

fn without_checkpoint(held: &Held, count: usize, rows: &mut Rows) -> Checked<()> {
    eprintln!("start without a checkpoint");
    let began = Instant::now();
    let server = held.deployment.serve()?;
    rows.push(("start without a checkpoint", spent(&server, began)?));
    rows.push(("memory after it", of_users(server.process.resident()?, count)));
    let checkpoint = held.deployment.data.join("private/checkpoint");
    let began = Instant::now();
    while !checkpoint.exists() {
        sleep(Duration::from_millis(20));
    }
    let (took, bytes) = (began.elapsed().as_secs_f64(), fs::metadata(&checkpoint)?.len());
    let written = format!("{}, written within {took:.1} s", table::megabytes(bytes));
    rows.push(("the checkpoint", written));
    rows.push(("most memory until then", table::megabytes(server.process.most_resident()?)));
    Ok(())
}

fn with_checkpoint(held: &Held, count: usize, rows: &mut Rows) -> Checked<Server> {
    eprintln!("start with a checkpoint");
    let began = Instant::now();
    let server = held.deployment.serve()?;
    rows.push(("start with a checkpoint", spent(&server, began)?));
    rows.push(("memory after it", of_users(server.process.resident()?, count)));
    rows.push(("most memory until then", table::megabytes(server.process.most_resident()?)));
    Ok(server)
}

/// Makes a deployment with so many users.
fn make(program: &Path, folder: &Path, count: usize) -> Checked<Held> {
    let began = Instant::now();
    let (data, passwords) = (folder.join("held"), folder.join("held-passwords"));
    let anywhere = "127.0.0.1:0".parse().ok();
    let options = Options {
        data_dir: Some(data.clone()),
        public_listen: anywhere,
        private_listen: anywhere,
        ..Options::default()
    };
    let mut log = Log::begin(&Config::load(&options)?, Clock::System, Random::System)?;
    // Its keys are older than what will be uploaded.
    let first = log.now() - 3 * DAY_SECONDS;
    let sender = format!("file:{}", passwords.display());
    let authority = Authority::open(&data, HAI.parse()?, &sender.parse()?, first, &Random::System)?;
    log.act(|state, _, context| judge::add_provider(state, context, "a clinic"))?;
    let range = log.act(|state, _, context| judge::open_range(state, context, 1, 100, 7))?;
    let codes = (range.first..range.first + 100)
        .map(|serial| Code::issue(&log.keys.provider(1, 1), 1, serial).ok_or("no such code"))
        .collect::<Result<_, _>>()?;
    let mut known = Vec::new();
    for number in 0..count {
        let phone = PhoneNumber::from_digits(FIRST + number as u64);
        // The first one begins BlueTrace, so it does not wait for others.
        let batch = if number == 0 { 1 } else { BATCH };
        let registered = log.add(batch, |state, _, context| {
            judge::register(state, context, authority.identity(), phone)
        })?;
        if number % KNOWN == 0 {
            known.push(registered);
        }
    }
    log.flush()?;
    drop(log);
    let flags = flags(&sender).to_vec();
    let (program, data) = (program.to_owned(), data);
    let deployment = Deployment { program, data, flags, operator: String::new() };
    let made = began.elapsed().as_secs_f64();
    Ok(Held { deployment, passwords, known, codes, authority, made })
}

/// Seconds since a server was started, and its processor time.
fn spent(server: &Server, began: Instant) -> Checked<String> {
    let wall = began.elapsed().as_secs_f64();
    Ok(format!("{wall:.1} s; processor time {:.1} s", server.process.seconds()?))
}

/// Requests for TempIDs in a second, ten times the mean.
fn refreshes(count: usize) -> f64 {
    10.0 * count as f64 / REFRESH
}

fn of_users(bytes: u64, count: usize) -> String {
    format!("{}; {} bytes a user", table::megabytes(bytes), bytes / count as u64)
}

/// New users register, and known ones fetch TempIDs, both at ten times the mean.
fn come(server: &Server, held: &Held, count: usize) -> Checked<(Vec<Visit>, Vec<f64>)> {
    let (address, sent) = (server.public, Rc::new(Sent::to(&held.passwords)));
    let tokens: Rc<Vec<String>> =
        Rc::new(held.known.iter().map(|user| user.token.to_string()).collect());
    let per_second = refreshes(count);
    let registrations = arrive((BURST * SECONDS) as usize, BURST, |number, due| {
        let sent = Rc::clone(&sent);
        async move { register(address, &sent, FIRST - 1_000_000 + number as u64, due).await }
    });
    let fetched = arrive((per_second * SECONDS) as usize, per_second, |number, due| {
        let tokens = Rc::clone(&tokens);
        async move { refresh(address, &tokens[number % tokens.len()], due).await }
    });
    rt::System::new().block_on(async {
        let (registrations, fetched) = tokio::join!(registrations, fetched);
        Ok((registrations?, fetched?))
    })
}
