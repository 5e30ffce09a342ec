//! The command `serve`.

use std::io::IsTerminal as _;
use std::process::ExitCode;
#[cfg(unix)]
use std::sync::Arc;

use gcs_core::report::Kind;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(unix)]
use tokio::sync::Notify;
use tracing::Level;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::CommandResult;
use super::connection::SMALL;
use super::output::{Output, note};
#[cfg(unix)]
use crate::app::Certificates;
use crate::app::config::{Config, LogFormat, LogLevel, Options};
use crate::app::{App, DataFolder};
use crate::domain::policy::Policy;
use crate::random::Random;
#[cfg(unix)]
use crate::request_log::RequestLog;

pub(super) fn serve(settings: &Options) -> CommandResult {
    let config = &Config::load(settings)?;
    #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no SIGHUP"))]
    let (levels, _written_at_the_end) = log_to_stderr(config);
    if DataFolder::will_show_token(config) {
        // The operator's token is shown only once, so standard output must be usable.
        drop(Output::stdout(SMALL)?);
    }
    actix_web::rt::System::new().block_on(async {
        // Before a log is read, which takes its time: a hangup must not end the start.
        #[cfg(unix)]
        let hangups = signal(SignalKind::hangup()).ok();
        let app = App::build(config, config.clock(), Random::System).await?;
        // Before anybody is told that the server runs, and may stop it.
        let stop = stop_signal();
        greet(config, &app);
        warn(config, &app);
        #[cfg(unix)]
        if let Some(hangups) = hangups {
            let changeable = Changeable {
                levels,
                request_log: Arc::clone(&app.service().request_log),
                certificates: app.certificates().clone(),
                hurry: app.hurry(),
            };
            actix_web::rt::spawn(reload_at(hangups, settings.clone(), changeable));
        }
        let handles = app.handles();
        actix_web::rt::spawn(async move {
            stop.await;
            tracing::info!("stopping");
            futures_util::future::join_all(handles.iter().map(|handle| handle.stop(true))).await;
        });
        app.run().await?;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// The levels of log lines, while the server runs.
type Levels = reload::Handle<Targets, Registry>;

/// Writes log lines to standard error from a thread of their own: a reader that stalls must not stop the server.
/// What is returned second writes the last lines when it is dropped.
fn log_to_stderr(config: &Config) -> (Levels, WorkerGuard) {
    let is_terminal = std::io::stderr().is_terminal();
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(is_terminal)
        .with_target(false)
        // A log line that cannot be written is dropped.
        .log_internal_errors(false);
    let (levels, handle) = reload::Layer::new(levels(config.log_level));
    let registry = tracing_subscriber::registry().with(levels);
    match config.log_format {
        LogFormat::Text => registry.with(lines).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    (handle, guard)
}

/// Libraries log addresses at lower levels, and one that parses requests whatever clients make it.
fn levels(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("gcs_server", level)
        .with_target("actix_http", LevelFilter::OFF)
}

/// What a SIGHUP changes while the server runs.
#[cfg(unix)]
struct Changeable {
    levels: Levels,
    request_log: Arc<RequestLog>,
    certificates: Certificates,
    /// Has a log tried again that could not be used.
    hurry: Arc<Notify>,
}

/// Reads the settings again at each SIGHUP, and does what can be done while the server runs. The others
/// need a restart.
#[cfg(unix)]
async fn reload_at(mut hangups: Signal, settings: Options, changeable: Changeable) {
    let Changeable { levels: handle, request_log, certificates, hurry } = changeable;
    while hangups.recv().await.is_some() {
        hurry.notify_one();
        match Config::load(&settings) {
            Ok(config) => {
                let _gone = handle.reload(levels(config.log_level));
                request_log.set(config.log_requests);
                let (level, requests) = (config.log_level, config.log_requests);
                tracing::warn!(
                    ?level,
                    ?requests,
                    "log level, logged requests and certificates read again; other settings need a restart"
                );
                if let Err(error) = certificates.reload(&config) {
                    tracing::error!(%error, "certificate not read again; the one before stays");
                }
            }
            Err(error) => {
                tracing::error!(%error, "settings not read again; all stay as they are");
            }
        }
    }
}

/// Shows addresses, root key and, at the first start, the operator's token. If they cannot be
/// shown, the server serves all the same.
fn greet(config: &Config, app: &App) {
    let done = match app.new_token() {
        Some(_) => "The server runs all the same, and its next start shows the operator's token.",
        None => "The server runs all the same.",
    };
    match Output::unchecked().write_after(&greeting(config, app), done) {
        Err(error) => note(error),
        Ok(_) => {
            if let Err(error) = app.token_is_shown() {
                tracing::warn!(%error, "the folder `starting` cannot be deleted: the next start tries again");
            }
        }
    }
}

/// The text that a start shows on standard output.
fn greeting(config: &Config, app: &App) -> String {
    let [public, private] = app.urls();
    let root = data_encoding::HEXLOWER.encode(&app.service().keys.root().0);
    let mut text = format!("public:  {public}\nprivate: {private}\nroot key: {root}\n");
    let Some(token) = app.new_token() else { return text };
    text += &format!("operator token: {token}\n");
    text += &format!(
        "\nThis is a new deployment in {data}. The operator token is shown only now: keep it.\n\
         Keep a copy of {keys} in a safe place: without it nothing can be restored.\n\n\
         Next:\n  \
           export GCS_SERVER_TOKEN={token} GCS_SERVER_URL={private}\n  \
           gcs-server provider add 'City hospital'    # gives a provider token\n  \
           gcs-server --help\n",
        data = config.data_dir.display(),
        keys = config.key_file.display(),
    );
    text
}

/// Logs warnings about settings that are unsafe in real use.
fn warn(config: &Config, app: &App) {
    let policy: Policy = app.service().node.state().policy.clone();
    if policy.min_reports == 1 {
        tracing::warn!(
            "min_reports is 1: every report is published at once, and anyone who watches the files \
             can see which identifiers belong to one patient. Before real use, run: \
             gcs-server policy set min_reports=10"
        );
    }
    if policy.kinds.has(Kind::Raw) {
        tracing::warn!("raw elements are accepted: anyone who heard an identifier can report it");
    }
    if !config.private_listen.ip().is_loopback() && config.private_tls().is_none() {
        tracing::warn!(
            "the private listener is not on loopback and has no TLS: set private_tls_cert and \
             private_tls_key, or put a proxy in front of it"
        );
    }
    #[cfg(unix)]
    if let Ok(meta) = std::fs::metadata(&config.key_file)
        && std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o077 != 0
    {
        let file = config.key_file.display();
        tracing::warn!("other users can read the key file; run: chmod 600 {file}");
    }
    if config.clock_file.is_some() {
        tracing::warn!("the time comes from a file: this is a demonstration");
    }
}

/// Waits for SIGTERM or SIGINT, which no longer end the process by themselves from now on.
#[cfg(unix)]
fn stop_signal() -> impl Future<Output = ()> {
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        // Without signals the server runs until it is killed. That loses nothing either.
        let received = signals.into_iter().flatten().map(|mut signal| {
            Box::pin(async move {
                signal.recv().await;
            })
        });
        let received: Vec<_> = received.collect();
        if received.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(received).await;
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn stop_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
