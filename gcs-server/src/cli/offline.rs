//! What is done without a server: on the data folder itself, or on no folder at all.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use gcs_core::publish;

use super::{Outcome, PrintCodes};
use crate::app::{CaughtUp, Folder, Opened, catch_up};
use crate::code::{Code, ProviderKey};
use crate::config::Config;
use crate::http::ExportedKey;
use crate::judge::MAX_RANGE;
use crate::log::event::EpochRaised;
use crate::log::{Event, LogError, Writer};
use crate::node::{Edition, Replayed, replay};
use crate::print::Sheet;
use crate::publishing::{Comparison, Files, Outbox, Press, Publishing};
use crate::random;
use crate::store::{Batch, SqliteStore};

type Error = Box<dyn std::error::Error>;

pub(super) fn verify_log(config: &Config, file: Option<PathBuf>) -> Outcome {
    let path = file.unwrap_or_else(|| config.data_dir.join("log.sqlite"));
    let named = |error: &dyn std::fmt::Display| format!("log {}: {error}", path.display());
    let mut store = SqliteStore::open_read_only(&path).map_err(|error| named(&error))?;
    let began = Instant::now();
    let replayed = replay(&mut store, None, |_, _| Ok(())).map_err(|error| named(&error))?;
    let state = replayed.state;
    println!("{} events, every one follows from those before", state.position);
    println!("head {}", HEXLOWER.encode(&state.head));
    println!("{}", rate(state.position, "events", began.elapsed()));
    Ok(ExitCode::SUCCESS)
}

fn rate(count: u64, what: &str, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!("{count} {what} in {seconds:.2} s: {:.0} a second", count as f64 / seconds.max(1e-9))
}

pub(super) fn rebuild(config: &Config, write: bool) -> Outcome {
    let Opened { folder, mut store, keys, .. } = Folder::open_existing(config)?;
    let (mut press, mut outbox) = (Press::new(&keys, None), Outbox::default());
    let (began, mut printing, mut ticks) = (Instant::now(), Duration::ZERO, 0);
    let Replayed { state, .. } = replay(&mut *store, Some(&keys), |state, record| {
        if matches!(record.event, Some(Event::Purge(_))) {
            outbox.forget_history();
        }
        let began = Instant::now();
        let Some(edition) = Edition::of(state, record) else { return Ok(()) };
        ticks += 1;
        let printed = press.print(&edition, &mut outbox);
        printing += began.elapsed();
        printed.map_err(|error| LogError::broken(edition.position, error.to_string()))
    })?;
    println!("{}", rate(state.position, "events", began.elapsed().saturating_sub(printing)));
    println!("{}", rate(ticks, "publications", printing));
    println!("position {}\nhead {}", state.position, HEXLOWER.encode(&state.head));
    println!("state {}", state.digest());
    block_on(compare(&folder, &outbox, write))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}

fn publishing(folder: &Folder) -> Result<Publishing, Error> {
    let (public, private) = (Files::local(&folder.public())?, Files::local(&folder.private())?);
    Ok(Publishing { public, private })
}

async fn compare(folder: &Folder, outbox: &Outbox, write: bool) -> Outcome {
    let publishing = publishing(folder)?;
    let Comparison { equal, missing, different, extra } = publishing.compare(outbox).await?;
    println!(
        "files: {equal} equal, {} missing, {} different, {} extra",
        missing.len(),
        different.len(),
        extra.len()
    );
    let wrong: Vec<&publish::Path> = missing.iter().chain(&different).collect();
    wrong.iter().take(20).for_each(|path| println!("  wrong: {path}"));
    if wrong.is_empty() && !(write && !extra.is_empty()) {
        return Ok(ExitCode::SUCCESS);
    }
    if !write {
        println!("`gcs-server rebuild --write` writes them");
        return Ok(ExitCode::FAILURE);
    }
    publishing.write(outbox).await?;
    publishing.sweep(&extra).await?;
    println!("what was missing or different is written, what was extra is deleted");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn recover(config: &Config, yes: bool) -> Outcome {
    let Opened { folder, mut store, keys, .. } = Folder::open_existing(config)?;
    let press = Press::new(&keys, None);
    let CaughtUp { state, .. } = catch_up(&mut *store, &keys, press, None)?;
    let reports = state.reports.len();
    println!("the log is sound up to event {}, with {reports} reports", state.position);
    if !yes {
        println!(
            "whatever came after it is lost. `gcs-server recover --yes` goes on from there: \
             phones will be given everything anew, in a new epoch"
        );
        return Ok(ExitCode::FAILURE);
    }
    let published = block_on(async { publishing(&folder)?.forget().await.map_err(Error::from) })?;
    let epoch = published.max(state.epoch).saturating_add(1);
    let mut writer = Writer { position: state.position, head: state.head };
    let event = Event::from(EpochRaised { epoch });
    let (_, stored) = writer.seal(&event, config.clock().now())?;
    let batch = Batch { first: state.position + 1, id: random::bytes()?, events: vec![stored] };
    store.append(&batch)?;
    println!("epoch {epoch} begins with the next tick; start the server");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn print_codes(codes: &PrintCodes) -> Outcome {
    let ExportedKey { provider, generation: _, key } = read_key(&codes.key)?;
    let key = HEXLOWER.decode(key.as_bytes()).ok().and_then(|key| key.try_into().ok());
    let key = ProviderKey::from_bytes(key.ok_or("the key is not 64 hexadecimal digits")?);
    if !(1..=MAX_RANGE).contains(&codes.count) {
        return Err(format!("a range has 1 to {MAX_RANGE} codes, got {}", codes.count).into());
    }
    let serials = codes.first..codes.first.saturating_add(codes.count);
    let issued: Option<Vec<Code>> =
        serials.map(|serial| Code::issue(&key, provider, serial)).collect();
    let issued = issued.ok_or("no code has such a provider or serial number")?;
    print!("{}", Sheet::new(issued.into_iter(), codes.expires).print(codes.format));
    Ok(ExitCode::SUCCESS)
}

fn read_key(path: &Path) -> Result<ExportedKey, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("key {}: {error}", path.display()))?;
    let key = serde_json::from_str(&text);
    Ok(key.map_err(|_| format!("key {}: not what `provider key` gives", path.display()))?)
}
