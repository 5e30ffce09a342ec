//! What is done without a server: on the data folder itself, or on no folder at all.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use gcs_core::files::Path as FilePath;
use serde::de::DeserializeOwned;

use super::{Outcome, PrintCodes};
use crate::app::config::Config;
use crate::app::{CaughtUp, Folder, Opened, StartError, catch_up, publishing};
use crate::code_sheet::Sheet;
use crate::domain::events::{Event, OperatorTokenSet, SeriesStarted};
use crate::domain::judge::MAX_RANGE;
use crate::domain::state::State;
use crate::domain::token::{Role, Token};
use crate::http::{ExportedKey, OpenedRange};
use crate::node::{replay, seal};
use crate::publishing::{Comparison, Outbox, PublicationBuilder, Publishing};
use crate::random::Random;
use crate::store::{SqliteStore, Store};
use gcs_core::report::{Code, ProviderKey};

type Error = Box<dyn std::error::Error>;

pub(super) fn verify_log(config: &Config, file: Option<PathBuf>) -> Outcome {
    let path = file.unwrap_or_else(|| config.data_dir.join("log.sqlite"));
    let named = |error: &dyn std::fmt::Display| format!("log {}: {error}", path.display());
    let mut store = SqliteStore::open_read_only(&path).map_err(|error| named(&error))?;
    let began = Instant::now();
    let replayed = replay(&mut store, None, |_, _| Ok(())).map_err(|error| named(&error))?;
    let state = replayed.whole().map_err(|error| named(&error))?;
    println!("{} events, every one follows from those before", state.position);
    println!("head {}", HEXLOWER.encode(&state.head));
    println!("{}", rate(state.position, "events", began.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// Most wrong files that are named.
const SHOWN: usize = 20;

fn rate(count: u64, what: &str, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!("{count} {what} in {seconds:.2} s: {:.0} a second", count as f64 / seconds.max(1e-9))
}

pub(super) fn rebuild(config: &Config, write: bool) -> Outcome {
    let Opened { folder, mut store, keys, .. } = Folder::open_existing(config)?;
    let began = Instant::now();
    let caught_up = catch_up(&mut *store, &keys, PublicationBuilder::new(&keys, None), None)?;
    let replaying = began.elapsed().saturating_sub(caught_up.computing);
    caught_up.expect_computed()?;
    let CaughtUp { replayed, outbox, ticks, computing, .. } = caught_up;
    let state = replayed.whole()?;
    println!("{}", rate(state.position, "events", replaying));
    println!("{}", rate(ticks, "publications", computing));
    println!("position {}\nhead {}", state.position, HEXLOWER.encode(&state.head));
    println!("state {}", state.digest());
    block_on(async {
        let publishing = publishing(&folder)?;
        match publishing.newest().await?.filter(|newest| state.lacks(*newest)) {
            Some(newest) => Err(StartError::Behind { tick: newest.tick }.into()),
            None => compare(&publishing, &outbox, write).await,
        }
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}

async fn compare(publishing: &Publishing, outbox: &Outbox, write: bool) -> Outcome {
    let Comparison { equal, missing, different, extra } = publishing.compare(outbox).await?;
    println!(
        "files: {equal} equal, {} missing, {} different, {} extra",
        missing.len(),
        different.len(),
        extra.len()
    );
    let wrong: Vec<&FilePath> = missing.iter().chain(&different).collect();
    wrong.iter().take(SHOWN).for_each(|path| println!("  wrong: {path}"));
    if wrong.len() > SHOWN {
        println!("  and {} more", wrong.len() - SHOWN);
    }
    if wrong.is_empty() && (!write || extra.is_empty()) {
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
    let builder = PublicationBuilder::new(&keys, None);
    let state = catch_up(&mut *store, &keys, builder, None)?.replayed.whole()?;
    let reports = state.reports.len();
    let tick = state.last_tick.map_or(0, |last| last.version.tick);
    println!(
        "the log is sound up to event {}: {reports} reports, last tick {tick}",
        state.position
    );
    let newest = block_on(async { publishing(&folder)?.newest().await.map_err(Error::from) })?;
    match newest {
        Some(newest) if !state.lacks(newest) => {
            println!("nothing that was published is missing from it: start the server");
            return Ok(ExitCode::SUCCESS);
        }
        Some(newest) => println!("tick {} was published: what lies between is lost", newest.tick),
        None => println!("what was published is not here: anything after it is lost"),
    }
    if !yes {
        println!(
            "lost means: reports, but also corrections, revocations, suspensions and new tokens \
             since; do those again.\n`gcs-server recover --yes` goes on from here; phones begin a \
             new series"
        );
        return Ok(ExitCode::FAILURE);
    }
    let published = block_on(async { publishing(&folder)?.forget().await.map_err(Error::from) })?;
    // By the time, in minutes: a second recovery, which may know nothing of the first, must
    // not use the same number for something else.
    let now = u32::try_from(config.clock().now() / 60).unwrap_or(0);
    let series = published.max(state.series).saturating_add(1).max(now);
    append(config, &mut *store, &state, SeriesStarted { series })?;
    println!("series {series} begins with the next tick; start the server");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn reset_token(config: &Config) -> Outcome {
    let Opened { folder: _folder, mut store, keys, .. } = Folder::open_existing(config)?;
    let state = replay(&mut *store, Some(&keys), |_, _| Ok(()))?.whole()?;
    let token = Token::new(Role::Operator, &Random::System.bytes()?);
    append(config, &mut *store, &state, OperatorTokenSet { token: token.hash() })?;
    println!("operator token: {token}");
    Ok(ExitCode::SUCCESS)
}

/// Appends one event to a log that no server uses.
fn append(
    config: &Config,
    store: &mut dyn Store,
    state: &State,
    event: impl Into<Event>,
) -> Result<(), Error> {
    let sealed = seal(state.chain(), &[event.into()], config.clock().now(), &Random::System)?;
    Ok(sealed.map_or(Ok(()), |sealed| store.append(&sealed.batch))?)
}

pub(super) fn print_codes(codes: &PrintCodes) -> Outcome {
    let ExportedKey { provider, generation, key } = read(&codes.key, "provider key")?;
    let range: OpenedRange = read(&codes.range, "codes open --no-codes")?;
    if (range.provider, range.generation) != (provider, generation) {
        return Err(format!(
            "the range is of provider {} and key generation {}, the key of {provider} and {generation}",
            range.provider, range.generation
        )
        .into());
    }
    let key = HEXLOWER.decode(key.as_bytes()).ok().and_then(|key| key.try_into().ok());
    let key = ProviderKey::from_bytes(key.ok_or("the key is not 64 hexadecimal digits")?);
    if !(1..=MAX_RANGE).contains(&range.count) {
        return Err(format!("a range has 1 to {MAX_RANGE} codes, got {}", range.count).into());
    }
    let serials = range.first..range.first.saturating_add(range.count);
    let issued: Option<Vec<Code>> =
        serials.map(|serial| Code::issue(&key, provider, serial)).collect();
    let issued = issued.ok_or("no code has such a provider or serial number")?;
    print!("{}", Sheet::new(issued.into_iter(), range.expires).print(codes.format));
    Ok(ExitCode::SUCCESS)
}

/// Reads what a command gave.
fn read<T: DeserializeOwned>(path: &Path, command: &str) -> Result<T, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let read = serde_json::from_str(&text);
    Ok(read.map_err(|_| format!("{}: not what `{command}` gives", path.display()))?)
}
