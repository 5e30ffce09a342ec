//! The command `serve`.

use std::io::IsTerminal as _;
use std::pin::pin;
use std::process::ExitCode;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::CommandResult;
use super::connection::SMALL;
use super::output::{Output, note};
use crate::app::config::{Config, LogFormat};
use crate::app::{App, DataFolder};
use crate::domain::policy::Policy;
use crate::random::Random;

pub(super) fn serve(config: &Config) -> CommandResult {
    log_to_stderr(config.log_format);
    if DataFolder::is_new(config) {
        // The operator's token is shown only once, so standard output must be usable.
        drop(Output::stdout(SMALL)?);
    }
    actix_web::rt::System::new().block_on(async {
        let app = App::build(config, config.clock(), Random::System).await?;
        greet(config, &app);
        warn(config, &app);
        let handles = app.handles();
        actix_web::rt::spawn(async move {
            stop_signal().await;
            tracing::info!("stopping");
            for handle in handles {
                handle.stop(true).await;
            }
        });
        app.run().await?;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

fn log_to_stderr(format: LogFormat) {
    // The level is fixed, because libraries log addresses at lower levels.
    let is_terminal = std::io::stderr().is_terminal();
    let levels = Targets::new().with_default(Level::INFO).with_target("actix_server", Level::WARN);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .with_target(false)
        // A log line that cannot be written is dropped.
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(levels);
    match format {
        LogFormat::Text => registry.with(lines).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
}

/// Shows addresses, root key and, at the first start, the operator's token. If they cannot be
/// shown, the server serves all the same.
fn greet(config: &Config, app: &App) {
    let done = match app.new_token() {
        Some(_) => {
            "The operator's token is lost: stop the server, then run `gcs-server reset-token`."
        }
        None => "The server runs all the same.",
    };
    if let Err(error) = Output::unchecked().write_after(&greeting(config, app), done) {
        note(error);
    }
}

/// The text that a start shows on standard output.
fn greeting(config: &Config, app: &App) -> String {
    let (public, private) = (app.public(), app.private());
    let root = data_encoding::HEXLOWER.encode(&app.service().keys.root().0);
    let mut text =
        format!("public:  http://{public}\nprivate: http://{private}\nroot key: {root}\n");
    let Some(token) = app.new_token() else { return text };
    text += &format!("operator token: {token}\n");
    text += &format!(
        "\nThis is a new deployment in {data}. The operator token is shown only now: keep it.\n\
         Keep a copy of {keys} in a safe place: without it nothing can be restored.\n\n\
         Next:\n  \
           export GCS_SERVER_TOKEN={token} GCS_SERVER_URL=http://{private}\n  \
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
    if policy.raw {
        tracing::warn!("raw elements are accepted: anyone who heard an identifier can report it");
    }
    if !config.private_listen.ip().is_loopback() {
        tracing::warn!("the private listener is not on loopback: put TLS in front of it");
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

/// SIGTERM or SIGINT.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            let (terminate, interrupt) = (pin!(terminate.recv()), pin!(tokio::signal::ctrl_c()));
            futures_util::future::select(terminate, interrupt).await;
            return;
        }
    }
    // Without signals the server runs until it is killed. That loses nothing either.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
