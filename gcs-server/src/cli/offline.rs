//! The commands that work on the data folder itself, without a running server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use data_encoding::HEXLOWER;
use gcs_core::files::Path as FilePath;

use super::connection::SMALL;
use super::output::{OutputArgs, Readers, note, say, say_done};
use super::{CommandResult, Error};
use crate::app::config::{Config, FolderOptions};
use crate::app::{
    CaughtUp, DataFolder, FolderError, OnLoss, Opened, StartError, catch_up, expect_undamaged,
    publishing,
};
use crate::domain::events::{Event, OperatorTokenSet, ProviderStatus};
use crate::domain::judge::{self, Decision, Recovery, RequestContext};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::state::{Provider, State};
use crate::domain::token::{Role, Token};
use crate::node::{ReplayError, Survey, replay, seal};
use crate::publishing::{Comparison, Outbox, Publishing};
use crate::random::Random;
use crate::store::{LogPlace, SqliteStore, Store, StoreError};
use crate::time::utc;

/// Options of `verify-log`.
#[derive(Args, Debug)]
pub(super) struct VerifyLog {
    /// File of the log [default: log.sqlite in the data folder]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: FolderOptions,
}

/// Options of `rebuild`.
#[derive(Args, Debug)]
pub(super) struct Rebuild {
    /// Write files that are missing or different, and delete those that no manifest needs
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    settings: FolderOptions,
}

/// Options of `recover`.
#[derive(Args, Debug)]
pub(super) struct Recover {
    /// Do it; without --yes, only show what is lost
    #[arg(long)]
    yes: bool,
    /// Begin a new series although nothing seems to be lost: the whole data folder was put back from
    /// a copy, so that later ticks may have been published which are not here
    #[arg(long)]
    restored: bool,
    /// Go on without what damaged events did, of a log of which there is no copy: without --yes, only show which
    /// events are damaged, which of them can be put right, and what is lost with the others
    #[arg(long, conflicts_with = "restored")]
    salvage: bool,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    settings: FolderOptions,
}

/// What is allowed when a log goes on whose end is lost.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Allow {
    /// Make void all codes that are out and have not brought a report
    #[arg(long)]
    void_codes: bool,
    /// Do it even if dates are dropped, for good, because they have expired by the clock
    #[arg(long)]
    drop_dates: bool,
    /// Do it even if users of BlueTrace who have withdrawn are registered again
    #[arg(long)]
    users_return: bool,
}

impl From<Allow> for Recovery {
    fn from(Allow { void_codes, drop_dates, users_return }: Allow) -> Recovery {
        Recovery { void_codes, drop_dates, users_return }
    }
}

impl Allow {
    /// The flags that were given, to be said again.
    pub(super) fn flags(self) -> String {
        let flags = [
            (self.void_codes, " --void-codes"),
            (self.drop_dates, " --drop-dates"),
            (self.users_return, " --users-return"),
        ];
        flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect()
    }
}

/// Options of `reset-token`.
#[derive(Args, Debug)]
pub(super) struct ResetToken {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    settings: FolderOptions,
}

pub(super) fn verify_log(VerifyLog { file, settings }: VerifyLog) -> CommandResult {
    let config = Config::load(&settings.into())?;
    let place = match file {
        Some(file) => LogPlace::File(file),
        None => config.log(),
    };
    let named = |error: &dyn std::fmt::Display| format!("log {place}: {error}");
    if let LogPlace::File(path) = &place {
        if *path == config.data_dir.join("log.sqlite") {
            // What a server writes meanwhile could look like damage.
            DataFolder::expect_unused(&config)?;
        }
        if !path.exists() {
            let advice = "there is no such file; name the data folder with --data-dir, or the file of a copy";
            return Err(named(&advice).into());
        }
        expect_undamaged(path)?;
    }
    let store = place.reader();
    let mut store = store.map_err(|error| named(&format_args!("{error}\n{}", error.advice())))?;
    let began = Instant::now();
    let replayed = replay(&mut *store, None, |_, _| Ok(()));
    if let Err(ReplayError::Log(_)) = &replayed {
        say_damage(&Survey::of(&mut *store))?;
    }
    let replayed = replayed.map_err(|error| named(&error))?;
    let state = replayed.whole().map_err(|error| named(&error))?;
    say(format_args!("{} events, each follows from those before it", state.position))?;
    say(format_args!("head {}", HEXLOWER.encode(&state.head)))?;
    say(rate(state.position, "events", began.elapsed()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says which events are damaged, if not only the first one is.
fn say_damage(Survey { damaged, count, chained, end }: &Survey) -> Result<(), Error> {
    for event in damaged {
        say(event)?;
    }
    let more = count - damaged.len() as u64;
    if more > 0 {
        say(format_args!("and {more} more"))?;
    }
    let intact = chained - count;
    say(format_args!("{intact} events are as they were written, {count} are damaged"))?;
    match end {
        Some(ReplayError::Log(error)) => {
            say(format_args!("what is behind event {chained} cannot be verified: {error}"))?;
        }
        Some(error) => say(format_args!("what is behind event {chained} cannot be read: {error}"))?,
        None => {}
    }
    Ok(())
}

/// Largest number of wrong files that are listed.
const SHOWN: usize = 20;

fn rate(count: u64, what: &str, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!("{count} {what} in {seconds:.2} s: {:.0} a second", count as f64 / seconds.max(1e-9))
}

pub(super) fn rebuild(Rebuild { write, settings }: Rebuild) -> CommandResult {
    let config = Config::load(&settings.into())?;
    let Opened { folder, mut store, keys, .. } = open(&config, OnLoss::Refuse)?;
    let began = Instant::now();
    let caught_up = catch_up(&mut *store, &keys, Outbox::default())?;
    let replaying = began.elapsed().saturating_sub(caught_up.computing);
    caught_up.expect_computed()?;
    let CaughtUp { replayed, outbox, ticks, computing, .. } = caught_up;
    let state = replayed.whole()?;
    say(rate(state.position, "events", replaying))?;
    say(rate(ticks, "publications", computing))?;
    say(format_args!("position {}\nhead {}", state.position, HEXLOWER.encode(&state.head)))?;
    say(format_args!("digest {}", state.digest()))?;
    block_on(async {
        let publishing = publishing(&folder, &config, keys.root(), 0)?;
        match publishing.newest().await?.filter(|newest| state.lacks(*newest)) {
            Some(newest) => Err(StartError::Behind { tick: newest.tick }.into()),
            None => compare(&publishing, &outbox, write).await,
        }
    })
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}

async fn compare(publishing: &Publishing, outbox: &Outbox, write: bool) -> CommandResult {
    let Comparison { equal, missing, different, extra } = publishing.compare(outbox).await?;
    let (lacking, changed, more) = (missing.len(), different.len(), extra.len());
    say(format_args!(
        "files: {equal} equal, {lacking} missing, {changed} different, {more} extra"
    ))?;
    let wrong: Vec<&FilePath> = missing.iter().chain(&different).collect();
    for path in wrong.iter().take(SHOWN) {
        say(format_args!("  wrong: {path}"))?;
    }
    if wrong.len() > SHOWN {
        say(format_args!("  and {} more", wrong.len() - SHOWN))?;
    }
    if wrong.is_empty() && (!write || extra.is_empty()) {
        return Ok(ExitCode::SUCCESS);
    }
    if !write {
        say("`gcs-server rebuild --write` writes these files again")?;
        return Ok(ExitCode::FAILURE);
    }
    publishing.write(outbox).await?;
    let is_swept = publishing.sweep(&extra).await?;
    let extra = if is_swept {
        "extra files are deleted"
    } else {
        "extra files stay, since another server may be about to publish them"
    };
    say_done(&format!("files that were missing or different are written, {extra}"))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn recover(options: Recover) -> CommandResult {
    let Recover { yes, restored, salvage, allow, settings } = options;
    let config = Config::load(&settings.into())?;
    if salvage {
        return super::salvage::salvage(&config, yes, allow);
    }
    let Opened { folder, mut store, keys, loss, .. } = open_to_recover(&config, yes, allow)?;
    let state = replay(&mut *store, Some(&keys), |_, _| Ok(()))?.whole()?;
    let reports = state.reports.len();
    let tick = state.last_tick.map_or(0, |last| last.version.tick);
    say(format_args!(
        "the log is sound up to event {}: {reports} reports, last tick {tick}",
        state.position
    ))?;
    let newest = block_on(async {
        publishing(&folder, &config, keys.root(), 0)?.newest().await.map_err(Error::from)
    })?;
    match newest {
        _ if loss.is_some() => {}
        _ if restored => say("this folder is a copy: everything after the log's end is lost")?,
        Some(newest) if !state.lacks(newest) => {
            say("the log has everything that was published from this folder: start the server.\n\
                 But if the whole folder was put back from a copy, later ticks may have been published \
                 that it knows nothing of: then run `gcs-server recover --restored` first")?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(newest) => {
            let tick = newest.tick;
            say(format_args!("tick {tick} was published: everything after the log's end is lost"))?;
        }
        None => say("the published files are not here: everything after the log's end is lost")?,
    }
    if !yes {
        expect_recoverable(&config, &state, allow)?;
        say("lost are reports, but also corrections, revoked codes and providers, rotated keys, \
             suspensions and new tokens: do these again.")?;
        say_codes(&state, config.clock().now(), allow)?;
        let restored = if restored { " --restored" } else { "" };
        let command = format!("recover{restored}{} --yes", allow.flags());
        say(format_args!("`gcs-server {command}` continues with this log in a new series"))?;
        return Ok(ExitCode::FAILURE);
    }
    let series = begin_series(&config, (&folder, &keys), &mut *store, &state, allow)?;
    if loss.is_some() {
        // Not before the log says that it goes on without what is lost.
        folder.accept_loss()?;
    }
    say_done(&format!(
        "series {series} begins with the next tick; start the server if it does not run"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes sure that the clock lets a log go on.
pub(super) fn expect_recoverable(
    config: &Config,
    state: &State,
    allow: Allow,
) -> Result<(), Error> {
    let now = config.clock().now();
    expect_clock_not_behind(now, state.seen)?;
    let context = RequestContext { now, leap: None, random: [0; 32] };
    match judge::recover(state, context, 0, allow.into()) {
        Ok(_) => Ok(()),
        Err(Problem::DatesDropped { dates }) => Err(format!(
            "the clock says {}, and the log ends at {}: the next tick would drop {dates} dates with all their \
             reports, for good. If the clock is wrong, put it right first. If it is right, add --drop-dates. \
             Nothing has been changed",
            utc(now),
            utc(state.seen)
        )
        .into()),
        Err(problem) => Err(problem.into()),
    }
}

/// Makes sure that a log is not gone on with by a clock that is before it: numbers that are made from the
/// time would be out already.
fn expect_clock_not_behind(now: u64, seen: u64) -> Result<(), Error> {
    if now.saturating_add(judge::SMALL_STEP) >= seen {
        return Ok(());
    }
    let (now, seen) = (utc(now), utc(seen));
    let what = "put the clock right first. Nothing has been changed";
    Err(format!("the clock says {now}, and the log ends at {seen}: {what}").into())
}

/// Makes sure that the clock lets a damaged log go on, by what can be read of it before it is changed.
fn expect_recoverable_as_it_is(config: &Config, log: &Path, allow: Allow) -> Result<(), Error> {
    let mut expected = Ok(());
    if let Ok(mut store) = SqliteStore::open_read_only(log) {
        let _as_far_as_it_goes = replay(&mut store, None, |state, _| {
            expected = expect_recoverable(config, state, allow);
            Ok(())
        });
    }
    expected
}

/// Lets a log go on whose end is lost: in a new series, whose number is returned, and with new keys.
pub(super) fn begin_series(
    config: &Config,
    (folder, keys): (&DataFolder, &DeploymentKeys),
    store: &mut dyn Store,
    state: &State,
    allow: Allow,
) -> Result<u32, Error> {
    // Nothing is forgotten if the clock is wrong.
    expect_recoverable(config, state, allow)?;
    let published = block_on(async {
        publishing(folder, config, keys.root(), 0)?.forget().await.map_err(Error::from)
    })?;
    let now = config.clock().now();
    let context = RequestContext { now, leap: None, random: [0; 32] };
    let Decision { events, answer } = judge::recover(state, context, published, allow.into())?;
    append(config, store, state, &events)?;
    say_removed(&events)?;
    say_codes(state, now, allow)?;
    Ok(answer.series)
}

/// Says that other authorities are removed, if a recovery removes some.
pub(super) fn say_removed(events: &[Event]) -> Result<(), Error> {
    if events.iter().any(|event| matches!(event, Event::AuthorityRemoved(_))) {
        say(
            "other authorities of BlueTrace are removed: one of them may have been, or have got another key. \
             Enter them again with `gcs-server authority set`",
        )?;
    }
    Ok(())
}

/// Says which codes stay valid after a recovery.
pub(super) fn say_codes(state: &State, now: u64, allow: Allow) -> Result<(), Error> {
    if allow.void_codes {
        say("codes that are out and have brought no report are void: providers open new ranges")?;
        return Ok(());
    }
    let open = |(number, provider): (&u16, &Provider)| {
        let (open, _) = provider.code_counts(now);
        let is_active = provider.status == ProviderStatus::Active;
        (open > 0 && is_active)
            .then(|| format!("  provider {number} ({}): {open}\n", provider.name))
    };
    let open: String = state.providers.iter().filter_map(open).collect();
    if open.is_empty() {
        return Ok(());
    }
    say(format_args!(
        "codes that are out stay valid, as far as the log knows them:\n{open}\
         If the lost events rotated a provider's key or closed a range, its codes count again: make all \
         codes void with --void-codes, or those of one provider with `gcs-server provider rotate`. New \
         codes get keys that were never used."
    ))?;
    Ok(())
}

pub(super) fn reset_token(ResetToken { output, settings }: ResetToken) -> CommandResult {
    let config = Config::load(&settings.into())?;
    let Opened { folder: _folder, mut store, keys, .. } = open(&config, OnLoss::Refuse)?;
    let state = replay(&mut *store, Some(&keys), |_, _| Ok(()))?.whole()?;
    let token = Token::new(Role::Operator, &Random::System.bytes()?);
    let output = output.open(Readers::Owner, SMALL)?;
    append(&config, &mut *store, &state, &[OperatorTokenSet { token: token.hash() }.into()])?;
    let done = "The old token is void, and the new one is lost: run the command again.";
    output.write_after(&format!("operator token: {token}\n"), done)?;
    Ok(ExitCode::SUCCESS)
}

/// Opens a data folder that no server uses, and says what was repaired.
fn open(config: &Config, on_loss: OnLoss) -> Result<Opened, FolderError> {
    let opened = DataFolder::open_existing(config, on_loss)?;
    if let Some(repaired) = &opened.repaired {
        note(repaired);
    }
    Ok(opened)
}

/// Opens a data folder; if events are lost, and that is accepted, they are named first.
fn open_to_recover(config: &Config, accept: bool, allow: Allow) -> Result<Opened, Error> {
    match open(config, OnLoss::Refuse) {
        Err(FolderError::Lost { path, loss }) if accept => {
            expect_recoverable_as_it_is(config, &path, allow)?;
            say(loss.to_string().trim_end())?;
            Ok(open(config, OnLoss::Accept)?)
        }
        Err(FolderError::Store { error: StoreError::Unfinished, .. }) if accept => {
            let opened = open(config, OnLoss::Accept)?;
            opened.loss.iter().try_for_each(|loss| say(loss.to_string().trim_end()))?;
            Ok(opened)
        }
        opened => Ok(opened?),
    }
}

/// Appends events to the log of a data folder that no server uses.
pub(super) fn append(
    config: &Config,
    store: &mut dyn Store,
    state: &State,
    events: &[Event],
) -> Result<(), Error> {
    let sealed = seal(state.chain(), events, config.clock().now(), &Random::System)?;
    sealed.map_or(Ok(()), |sealed| store.append(&sealed.batch))?;
    store.settle();
    Ok(())
}
