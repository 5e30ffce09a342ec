//! Configuration: addresses, paths and local limits. Everything that changes what is
//! accepted or published is policy, and lives in the log.
//!
//! A flag takes precedence over an environment variable, a variable over the configuration file,
//! and the file over the default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use gcs_core::identifiers::bluetrace::{Hai, HaiError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::repair::LOG;
use crate::bluetrace::SenderSetting;
use crate::clock::Clock;
use crate::http::TlsFiles;
use crate::publishing::Bucket;
use crate::request_log::LoggedRequests;
use crate::secret::Secret;
use crate::store::{LogPlace, PostgresUrl, UrlError};

/// The settings as flags, environment variables and a configuration file have them. Each may be
/// left out.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "Settings")]
pub struct Options {
    /// TOML file with settings, named as below but with underscores [default: none]
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_CONFIG", hide_env_values = true)]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Folder of the log and of what is computed from it [default: gcs-data]
    #[arg(long, value_name = "FOLDER", env = "GCS_SERVER_DATA_DIR", hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// File with the secret keys [default: keys.json in the data folder]
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_KEY_FILE", hide_env_values = true)]
    pub key_file: Option<PathBuf>,
    /// PostgreSQL database of the log, for several nodes: postgres://user:password@host1,host2/database [default: log.sqlite in the data folder]
    #[arg(long, value_name = "URL", env = "GCS_SERVER_STORE", hide_env_values = true)]
    pub store: Option<Secret>,
    /// Folder for reports that come while the database of the log cannot be reached [default: spool in the data folder]
    #[arg(long, value_name = "FOLDER", env = "GCS_SERVER_SPOOL", hide_env_values = true)]
    pub spool: Option<PathBuf>,
    /// Where phones and CDNs connect [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "GCS_SERVER_PUBLIC_LISTEN", hide_env_values = true)]
    pub public_listen: Option<SocketAddr>,
    /// Where operators, providers and backends connect [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS", env = "GCS_SERVER_PRIVATE_LISTEN", hide_env_values = true)]
    pub private_listen: Option<SocketAddr>,
    /// PEM file with the public listener's certificate and those after it, for TLS [default: none]
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_TLS_CERT", hide_env_values = true)]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the key of that certificate [default: none]
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_TLS_KEY", hide_env_values = true)]
    pub tls_key: Option<PathBuf>,
    /// PEM file with the private listener's certificate and those after it, for TLS [default: none]
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_PRIVATE_TLS_CERT", hide_env_values = true)]
    pub private_tls_cert: Option<PathBuf>,
    /// PEM file with the key of that certificate [default: none]
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_PRIVATE_TLS_KEY", hide_env_values = true)]
    pub private_tls_key: Option<PathBuf>,
    /// Form of the log lines on standard error: text or json [default: text]
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        hide_possible_values = true,
        env = "GCS_SERVER_LOG_FORMAT",
        hide_env_values = true
    )]
    pub log_format: Option<LogFormat>,
    /// Least important log lines that are written: error, warn, info or debug [default: info]
    #[arg(
        long,
        value_enum,
        value_name = "LEVEL",
        hide_possible_values = true,
        env = "GCS_SERVER_LOG_LEVEL",
        hide_env_values = true
    )]
    pub log_level: Option<LogLevel>,
    /// Requests that have a log line: none, some (at most 10 a second) or all [default: some]
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        hide_possible_values = true,
        env = "GCS_SERVER_LOG_REQUESTS",
        hide_env_values = true
    )]
    pub log_requests: Option<LoggedRequests>,
    /// Longest pause in the body of a request, in seconds, and the grace before 1024 bytes a second must arrive: 1 to 600 [default: 10]
    #[arg(long, value_name = "SECONDS", env = "GCS_SERVER_BODY_SECONDS", hide_env_values = true)]
    pub body_seconds: Option<u32>,
    /// Memory for published files, in MiB; those that do not fit are read from the disk for each request [default: 256]
    #[arg(long, value_name = "MIB", env = "GCS_SERVER_FILE_MEMORY", hide_env_values = true)]
    pub file_memory: Option<u32>,
    /// Where the published files are kept, not the log: s3://BUCKET/PREFIX [default: the folder public in the data folder]
    #[arg(long, value_name = "BUCKET", env = "GCS_SERVER_PUBLIC_FILES", hide_env_values = true)]
    pub public_files: Option<Bucket>,
    /// Serve BlueTrace, as the authority with this HAI, such as SG_OTC [default: none]
    #[arg(long, value_name = "HAI", env = "GCS_SERVER_BLUETRACE", hide_env_values = true)]
    pub bluetrace: Option<String>,
    /// Who sends BlueTrace's one-time passwords: command:PROGRAM, or file:FILE to try out [default: none]
    #[arg(
        long,
        value_name = "SENDER",
        env = "GCS_SERVER_BLUETRACE_SENDER",
        hide_env_values = true
    )]
    pub bluetrace_sender: Option<SenderSetting>,
    /// For demonstrations: read the time from this file, and make ticks only on command
    #[arg(long, hide = true, value_name = "FILE")]
    #[serde(skip)]
    pub clock_file: Option<PathBuf>,
}

/// The settings of commands that work on the data folder and do not listen.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub struct FolderOptions {
    /// The server's configuration file, which may name folder and key file [default: none]
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Folder of the log and of what is computed from it [default: gcs-data]
    #[arg(long, value_name = "FOLDER", env = "GCS_SERVER_DATA_DIR", hide_env_values = true)]
    data_dir: Option<PathBuf>,
    /// File with the secret keys [default: keys.json in the data folder]
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// PostgreSQL database of the log, if it is in one [default: log.sqlite in the data folder]
    #[arg(long, value_name = "URL", env = "GCS_SERVER_STORE", hide_env_values = true)]
    store: Option<Secret>,
    /// Where the published files are kept, not the log: s3://BUCKET/PREFIX [default: the folder public in the data folder]
    #[arg(long, value_name = "BUCKET", env = "GCS_SERVER_PUBLIC_FILES", hide_env_values = true)]
    public_files: Option<Bucket>,
}

impl From<FolderOptions> for Options {
    fn from(options: FolderOptions) -> Options {
        let FolderOptions { config, data_dir, key_file, store, public_files } = options;
        Options { config, data_dir, key_file, store, public_files, ..Options::default() }
    }
}

/// The form of the log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines of text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed that somebody has to look at.
    Error,
    /// Something is wrong, or soon will be.
    Warn,
    /// What the server does.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
}

/// The settings in force.
#[derive(Clone, Debug, Serialize)]
pub struct Config {
    /// Folder of the log and of what is computed from it.
    pub data_dir: PathBuf,
    /// File with the secret keys.
    pub key_file: PathBuf,
    /// PostgreSQL database of the log; `None` if it is in the data folder. Shown without its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<PostgresUrl>,
    /// Folder for reports that come while the database of the log cannot be reached; `None` if it is in the
    /// data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool: Option<PathBuf>,
    /// Where phones and CDNs connect.
    pub public_listen: SocketAddr,
    /// Where operators, providers and backends connect.
    pub private_listen: SocketAddr,
    /// PEM file with the public listener's certificate; `None` if it speaks without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// PEM file with the private listener's certificate; `None` if it speaks without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_tls_cert: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_tls_key: Option<PathBuf>,
    /// Form of the log lines.
    pub log_format: LogFormat,
    /// Least important log lines that are written.
    pub log_level: LogLevel,
    /// Requests that have a log line.
    pub log_requests: LoggedRequests,
    /// Longest pause in the body of a request, in seconds, and the grace before its pace counts.
    pub body_seconds: u32,
    /// Memory for published files, in MiB.
    pub file_memory: u32,
    /// Bucket of the published files; `None` if they are in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_files: Option<Bucket>,
    /// The HAI of the BlueTrace authority; `None` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bluetrace: Option<String>,
    /// Who sends BlueTrace's one-time passwords.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bluetrace_sender: Option<SenderSetting>,
    /// File with the Unix time in seconds; `None` if the time comes from the system.
    #[serde(skip)]
    pub clock_file: Option<PathBuf>,
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file has unknown or wrong settings. The line itself is not shown: it may have a password.
    #[error("configuration file {path}, line {line}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// The place of the log is no URL of a PostgreSQL database. The text itself is not shown: it may have a
    /// password.
    #[error("store: {0}")]
    Store(#[from] UrlError),
    /// The longest pause in a body is out of its bounds.
    #[error("body_seconds is {got}; it must be 1 to 600")]
    BodySeconds {
        /// The number of seconds that was given.
        got: u32,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{given} is set, but not {missing}: TLS needs both")]
    HalfTls {
        /// The setting that has a file.
        given: &'static str,
        /// The setting that has none.
        missing: &'static str,
    },
    /// The HAI is none.
    #[error("bluetrace: {0}")]
    Hai(#[from] HaiError),
    /// Nobody sends BlueTrace's passwords, or there are none to send.
    #[error("{given} is set, but not {missing}: BlueTrace needs both")]
    HalfBlueTrace {
        /// The setting that is set.
        given: &'static str,
        /// The setting that is not.
        missing: &'static str,
    },
    /// The time comes from a file, and other machines can reach a listener.
    #[error("--clock-file is for demonstrations: both listeners must be on loopback addresses")]
    ClockFile,
    /// Both listeners have the same address, so phones could reach the private one.
    #[error("the public and the private listener must not be the same address: {address}")]
    SameListener {
        /// The address.
        address: SocketAddr,
    },
}

impl Config {
    /// Reads the configuration file, and puts flags, variables, file and defaults together.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown setting, or settings that do not go together.
    pub fn load(options: &Options) -> Result<Config, ConfigError> {
        let file = options.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let data_dir = options.data_dir.clone().or(file.data_dir);
        let data_dir = data_dir.unwrap_or_else(|| PathBuf::from("gcs-data"));
        let key_file = options.key_file.clone().or(file.key_file);
        let key_file = key_file.unwrap_or_else(|| data_dir.join("keys.json"));
        let store = options.store.clone().or(file.store);
        let listen = |flag: Option<SocketAddr>, file: Option<SocketAddr>, port| {
            flag.or(file).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)))
        };
        let config = Config {
            data_dir,
            key_file,
            store: store.map(|Secret(url)| url.parse()).transpose()?,
            spool: options.spool.clone().or(file.spool),
            public_listen: listen(options.public_listen, file.public_listen, 8080),
            private_listen: listen(options.private_listen, file.private_listen, 8081),
            tls_cert: options.tls_cert.clone().or(file.tls_cert),
            tls_key: options.tls_key.clone().or(file.tls_key),
            private_tls_cert: options.private_tls_cert.clone().or(file.private_tls_cert),
            private_tls_key: options.private_tls_key.clone().or(file.private_tls_key),
            log_format: options.log_format.or(file.log_format).unwrap_or_default(),
            log_level: options.log_level.or(file.log_level).unwrap_or_default(),
            log_requests: options.log_requests.or(file.log_requests).unwrap_or_default(),
            body_seconds: options.body_seconds.or(file.body_seconds).unwrap_or(10),
            file_memory: options.file_memory.or(file.file_memory).unwrap_or(256),
            public_files: options.public_files.clone().or(file.public_files),
            bluetrace: options.bluetrace.clone().or(file.bluetrace),
            bluetrace_sender: options.bluetrace_sender.clone().or(file.bluetrace_sender),
            clock_file: options.clock_file.clone(),
        };
        config.expect_consistent()?;
        Ok(config)
    }

    fn expect_consistent(&self) -> Result<(), ConfigError> {
        if !(1..=600).contains(&self.body_seconds) {
            return Err(ConfigError::BodySeconds { got: self.body_seconds });
        }
        for [(cert, cert_name), (key, key_name)] in [
            [(&self.tls_cert, "tls_cert"), (&self.tls_key, "tls_key")],
            [
                (&self.private_tls_cert, "private_tls_cert"),
                (&self.private_tls_key, "private_tls_key"),
            ],
        ] {
            let (given, missing) =
                if cert.is_some() { (cert_name, key_name) } else { (key_name, cert_name) };
            if cert.is_some() != key.is_some() {
                return Err(ConfigError::HalfTls { given, missing });
            }
        }
        self.bluetrace()?;
        if self.clock_file.is_some() && !self.is_loopback() {
            return Err(ConfigError::ClockFile);
        }
        if self.public_listen == self.private_listen && self.public_listen.port() != 0 {
            return Err(ConfigError::SameListener { address: self.public_listen });
        }
        Ok(())
    }

    /// The HAI of the BlueTrace authority and who sends its passwords, if BlueTrace is on.
    ///
    /// # Errors
    /// What is wrong with the two settings.
    pub fn bluetrace(&self) -> Result<Option<(Hai, &SenderSetting)>, ConfigError> {
        let (hai, sender) = ("bluetrace", "bluetrace_sender");
        match (&self.bluetrace, &self.bluetrace_sender) {
            (None, None) => Ok(None),
            (Some(hai), Some(sender)) => Ok(Some((hai.parse()?, sender))),
            (Some(_), None) => Err(ConfigError::HalfBlueTrace { given: hai, missing: sender }),
            (None, Some(_)) => Err(ConfigError::HalfBlueTrace { given: sender, missing: hai }),
        }
    }

    /// Whether only this machine can reach the server.
    pub fn is_loopback(&self) -> bool {
        self.public_listen.ip().is_loopback() && self.private_listen.ip().is_loopback()
    }

    /// The files of the public listener's TLS; `None` if it speaks without.
    pub fn public_tls(&self) -> Option<TlsFiles> {
        files(&self.tls_cert, &self.tls_key)
    }

    /// The files of the private listener's TLS; `None` if it speaks without.
    pub fn private_tls(&self) -> Option<TlsFiles> {
        files(&self.private_tls_cert, &self.private_tls_key)
    }

    /// Where reports wait that come while the database of the log cannot be reached.
    pub fn spool_folder(&self) -> PathBuf {
        self.spool.clone().unwrap_or_else(|| self.data_dir.join("spool"))
    }

    /// Where the log is kept.
    pub fn log(&self) -> LogPlace {
        match &self.store {
            Some(url) => LogPlace::Postgres(url.clone()),
            None => LogPlace::File(self.data_dir.join(LOG)),
        }
    }

    /// Where the time comes from.
    pub fn clock(&self) -> Clock {
        self.clock_file.clone().map_or(Clock::System, Clock::File)
    }

    /// The settings as a configuration file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}

fn files(certificate: &Option<PathBuf>, key: &Option<PathBuf>) -> Option<TlsFiles> {
    Some(TlsFiles { certificate: certificate.clone()?, key: key.clone()? })
}

fn read(path: &Path) -> Result<Options, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Io { path: path.to_owned(), error })?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        // The message may show a value that is in the wrong place.
        let what = match error.message() {
            message if message.contains('@') => {
                "the value does not fit this setting (it may have a password, so it is not shown)"
            }
            message => message,
        };
        ConfigError::File { path: path.to_owned(), line, what: what.to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_files_and_files_before_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "data_dir = \"a\"\npublic_listen = \"127.0.0.1:1\"\n").unwrap();
        let options = Options { config: Some(path), ..Options::default() };
        let config = Config::load(&options).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("a"));
        assert_eq!(config.key_file, PathBuf::from("a/keys.json"));
        assert_eq!((config.public_listen.port(), config.private_listen.port()), (1, 8081));
        let options = Options { data_dir: Some("b".into()), ..options };
        assert_eq!(Config::load(&options).unwrap().data_dir, PathBuf::from("b"));
    }

    #[test]
    fn the_log_is_in_the_folder_or_in_a_database_whose_password_is_not_shown() {
        let config = Config::load(&Options::default()).unwrap();
        assert_eq!(config.log().to_string(), "gcs-data/log.sqlite");
        let store = Some(Secret("postgres://u:secret@localhost/log".into()));
        let config = Config::load(&Options { store, ..Options::default() }).unwrap();
        assert_eq!(config.log().to_string(), "postgres://u@localhost/log");
        assert!(config.to_toml().contains("store = \"postgres://u@localhost/log\""));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn a_mistake_in_the_file_is_named_by_its_line_and_no_password_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let options = Options { config: Some(path.clone()), ..Options::default() };
        for (wrong, what) in [
            ("store = postgres://u:secret@h/log", "line 3"),
            ("store = 'postgres://u:secret@h/log", "line 3"),
            ("stores = 'postgres://u:secret@h/log'", "stores"),
            ("store = ['postgres://u:secret@h/log']", "line 3"),
            ("file_memory = 'postgres://u:secret@h/log'", "line 3"),
            ("workers = 'postgres://u:secret@h/log'", "line 3"),
        ] {
            std::fs::write(&path, format!("data_dir = 'a'\n\n{wrong}\n")).unwrap();
            let said = Config::load(&options).unwrap_err().to_string();
            assert!(said.contains(what) && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn settings_that_do_not_go_together_are_errors() {
        let same: SocketAddr = "127.0.0.1:8081".parse().unwrap();
        let options = Options { public_listen: Some(same), ..Options::default() };
        assert!(matches!(Config::load(&options), Err(ConfigError::SameListener { .. })));
        let open = Options {
            clock_file: Some("clock".into()),
            public_listen: Some("0.0.0.0:80".parse().unwrap()),
            ..Options::default()
        };
        assert!(matches!(Config::load(&open), Err(ConfigError::ClockFile)));
        let half = Options { tls_key: Some("key.pem".into()), ..Options::default() };
        let error = Config::load(&half).unwrap_err().to_string();
        assert_eq!(error, "tls_key is set, but not tls_cert: TLS needs both");
        let elsewhere =
            Options { store: Some(Secret("postgres://u:secret@".into())), ..Options::default() };
        let error = Config::load(&elsewhere).unwrap_err().to_string();
        assert!(error.starts_with("store: ") && !error.contains("secret"), "{error}");
        let hasty = Options { body_seconds: Some(0), ..Options::default() };
        let error = Config::load(&hasty).unwrap_err().to_string();
        assert_eq!(error, "body_seconds is 0; it must be 1 to 600");
    }
}
