//! Where a log in PostgreSQL is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::{Serialize, Serializer};
use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where a log in PostgreSQL is, and how to connect to it.
///
/// Not through a pooler that gives a connection to another client after each transaction: what this store
/// makes sure of holds for one connection.
///
/// Written as libpq has it: `postgres://user:password@host1:5432,host2:5432/database`. Of several hosts
/// the one is used that accepts writes. `sslrootcert=FILE` names the certificate authorities that are
/// trusted, in place of the system's. Connections to another machine use TLS unless `sslmode` says
/// something else. `Debug` and `Display` show no password.
#[derive(Clone)]
pub struct PostgresUrl {
    /// How to connect to each host.
    pub(super) hosts: Vec<Config>,
    pub(super) tls: MakeRustlsConnect,
}

/// Why a text is no [`PostgresUrl`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text is not what libpq would accept.
    #[error("expected postgres://user:password@host:port/database: {0}")]
    Syntax(#[source] tokio_postgres::Error),
    /// The text names no host.
    #[error("no host is named: expected postgres://user:password@host:port/database")]
    NoHost,
    /// The file that `sslrootcert` names has no certificates.
    #[error("no certificates can be read from sslrootcert {path}: {reason}")]
    Certificates {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refused its settings.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresUrl").field(&self.hosts).finish()
    }
}

/// As a URL with user, hosts and database.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.hosts.first();
        f.write_str("postgres://")?;
        if let Some(user) = first.and_then(Config::get_user) {
            write!(f, "{}@", encoded(user))?;
        }
        let hosts: Vec<String> = self.hosts.iter().map(address).collect();
        f.write_str(&hosts.join(","))?;
        first.and_then(Config::get_dbname).map_or(Ok(()), |name| write!(f, "/{}", encoded(name)))
    }
}

/// What stands for itself in no part of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A host as a URL has it.
fn address(host: &Config) -> String {
    let name = match (host.get_hosts().first(), host.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) => name.clone(),
        #[cfg(unix)]
        (Some(Host::Unix(path)), _) => encoded(&path.to_string_lossy()),
        (None, Some(address)) => address.to_string(),
        (None, None) => String::new(),
    };
    match host.get_ports().first() {
        Some(port) if *port != 5432 => format!("{name}:{port}"),
        _ => name,
    }
}

impl Serialize for PostgresUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<PostgresUrl, UrlError> {
        let mut words = Words::of(text);
        let authorities = words.take("sslrootcert");
        let mut config: Config = words.to_string().parse().map_err(UrlError::Syntax)?;
        if !words.has("sslmode") && !stays_here(&config) {
            config.ssl_mode(SslMode::Require);
        }
        if !words.has("target_session_attrs") {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if !words.has("application_name") {
            config.application_name("gcs-server");
        }
        // A server that is gone without a word is noticed in some ten seconds.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(10));
        }
        if !words.has("keepalives_idle") {
            config.keepalives_idle(Duration::from_secs(5));
            config.keepalives_interval(Duration::from_secs(2));
            config.keepalives_retries(3);
        }
        let hosts = each_host(&config);
        if hosts.is_empty() {
            return Err(UrlError::NoHost);
        }
        Ok(PostgresUrl { hosts, tls: MakeRustlsConnect::new(client(authorities.as_deref())?) })
    }
}

/// The settings of a text for libpq, apart from each other.
struct Words<'a> {
    /// What comes before the settings of a URL.
    start: Option<&'a str>,
    settings: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Words<'a> {
        if text.contains("://") {
            let (start, settings) = text.split_once('?').unwrap_or((text, ""));
            let settings = settings.split('&').filter(|setting| !setting.is_empty()).collect();
            return Words { start: Some(start), settings };
        }
        // A value in quotes may have spaces.
        let (mut is_quoted, mut is_escaped) = (false, false);
        let ends = |symbol: char| {
            is_quoted ^= symbol == '\'' && !is_escaped;
            is_escaped = symbol == '\\' && !is_escaped;
            symbol.is_whitespace() && !is_quoted
        };
        let settings = text.split(ends).filter(|setting| !setting.is_empty()).collect();
        Words { start: None, settings }
    }

    fn has(&self, name: &str) -> bool {
        self.settings.iter().any(|setting| value(setting, name).is_some())
    }

    /// Takes a setting out, and gives its value.
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.settings.iter().position(|setting| value(setting, name).is_some())?;
        let found = value(self.settings.remove(at), name)?;
        Some(match self.start {
            Some(_) => percent_decode_str(found).decode_utf8_lossy().into_owned(),
            None => found.trim_matches('\'').to_owned(),
        })
    }
}

/// The value of a setting, if it has this name.
fn value<'a>(setting: &'a str, name: &str) -> Option<&'a str> {
    setting.strip_prefix(name)?.trim_start().strip_prefix('=')
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Some(start) if self.settings.is_empty() => f.write_str(start),
            Some(start) => write!(f, "{start}?{}", self.settings.join("&")),
            None => f.write_str(&self.settings.join(" ")),
        }
    }
}

/// The same for each host alone: so that each has its own time to answer in.
fn each_host(config: &Config) -> Vec<Config> {
    let count = config.get_hosts().len().max(config.get_hostaddrs().len());
    let host = |at: usize| {
        let mut one = without_hosts(config);
        match config.get_hosts().get(at) {
            Some(Host::Tcp(name)) => drop(one.host(name)),
            #[cfg(unix)]
            Some(Host::Unix(path)) => drop(one.host_path(path)),
            None => {}
        }
        config.get_hostaddrs().get(at).map(|address| one.hostaddr(*address));
        let ports = config.get_ports();
        ports.get(at).or(ports.first()).map(|port| one.port(*port));
        one
    };
    (0..count).map(host).collect()
}

fn without_hosts(config: &Config) -> Config {
    let mut one = Config::new();
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|name| one.dbname(name));
    config.get_options().map(|options| one.options(options));
    config.get_application_name().map(|name| one.application_name(name));
    config.get_connect_timeout().map(|timeout| one.connect_timeout(*timeout));
    config.get_tcp_user_timeout().map(|timeout| one.tcp_user_timeout(*timeout));
    config.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding());
    one
}

/// Whether nobody but this machine can read what is sent.
fn stays_here(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    match addresses.is_empty() {
        true => config.get_hosts().iter().all(is_here),
        false => addresses.iter().all(std::net::IpAddr::is_loopback),
    }
}

/// Whether nobody but this machine can read what is sent to a host.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn client(authorities: Option<&str>) -> Result<ClientConfig, UrlError> {
    let builder =
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(UrlError::Tls)?;
    let Some(path) = authorities else {
        let verified = builder.with_platform_verifier().map_err(UrlError::Tls)?;
        return Ok(verified.with_no_client_auth());
    };
    let unreadable = |reason: String| UrlError::Certificates { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("it has none".into()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> PostgresUrl {
        text.parse().unwrap()
    }

    #[test]
    fn another_machine_is_spoken_to_in_tls() {
        for (text, mode) in [
            ("postgres://user@db.example:5432/log", SslMode::Require),
            ("postgres://user@10.0.0.1,localhost/log", SslMode::Require),
            ("host=db.example user=user", SslMode::Require),
            ("hostaddr=10.0.0.1 user=user", SslMode::Require),
            ("host=localhost hostaddr=10.0.0.1 user=user", SslMode::Require),
            ("postgres://user:sslmode=disable@db.example/log", SslMode::Require),
            ("host=db.example password='a sslmode=disable'", SslMode::Require),
            ("postgres://user@db.example/log?sslmode=disable", SslMode::Disable),
            ("host=db.example sslmode=disable", SslMode::Disable),
            ("postgres://user@localhost/log", SslMode::Prefer),
            ("postgres://user@127.0.0.1,[::1]/log", SslMode::Prefer),
            ("hostaddr=127.0.0.1 user=user", SslMode::Prefer),
            ("host=/run/postgresql user=user", SslMode::Prefer),
        ] {
            let hosts = url(text).hosts;
            assert!(
                !hosts.is_empty() && hosts.iter().all(|host| host.get_ssl_mode() == mode),
                "{text}"
            );
        }
    }

    #[test]
    fn each_host_has_everything_that_is_said_of_all() {
        let text = "postgres://user:secret@one.example:1,two.example:2/log?options=-cx%3D1&connect_timeout=7";
        let url = url(text);
        for (host, (name, port)) in url.hosts.iter().zip([("one.example", 1), ("two.example", 2)]) {
            assert_eq!(host.get_hosts(), [Host::Tcp(name.to_owned())]);
            assert_eq!((host.get_ports(), host.get_user()), (&[port][..], Some("user")));
            assert_eq!((host.get_dbname(), host.get_options()), (Some("log"), Some("-cx=1")));
            assert_eq!(host.get_password(), Some(&b"secret"[..]));
            assert_eq!(host.get_connect_timeout(), Some(&Duration::from_secs(7)));
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
        assert_eq!(url.hosts.len(), 2);
        assert!(!format!("{url:?}").contains("secret"));
        let one_port = self::url("postgres://u@a.example,b.example:7/log?sslmode=disable");
        assert_eq!(
            one_port.hosts.iter().map(|host| host.get_ports()[0]).collect::<Vec<_>>(),
            [5432, 7]
        );
    }

    #[test]
    fn what_is_shown_names_the_database_and_no_password() {
        for (text, shown) in [
            (
                "postgres://u:secret@a.example,b.example:7/log",
                "postgres://u@a.example,b.example:7/log",
            ),
            ("postgres://a.example:5432/log?user=u&password=secret", "postgres://u@a.example/log"),
            ("host=/run/pg user=u dbname='a b' password=secret", "postgres://u@%2Frun%2Fpg/a%20b"),
            ("hostaddr=10.0.0.1 port=9", "postgres://10.0.0.1:9"),
        ] {
            let url = url(text);
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.to_string(), self::url(shown).to_string());
        }
    }

    #[test]
    fn the_file_of_authorities_is_taken_out() {
        for (text, rest) in [
            ("postgres://h/d?sslrootcert=/a%20b", "postgres://h/d"),
            ("postgres://h/d?sslrootcert=/a%20b&sslmode=require", "postgres://h/d?sslmode=require"),
            ("postgres://h/d?sslmode=require&sslrootcert=/a b", "postgres://h/d?sslmode=require"),
            ("host=h sslrootcert='/a b' user=u", "host=h user=u"),
        ] {
            let mut words = Words::of(text);
            assert_eq!(words.take("sslrootcert").as_deref(), Some("/a b"), "{text}");
            assert_eq!(words.to_string(), rest);
        }
        let error = "postgres://h/d?sslrootcert=/nowhere".parse::<PostgresUrl>().unwrap_err();
        assert!(matches!(error, UrlError::Certificates { .. }), "{error}");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["mysql://host/d", "postgres://h:port/d", "nonsense", "host=h colour=red"] {
            assert!(matches!(text.parse::<PostgresUrl>(), Err(UrlError::Syntax(_))), "{text}");
        }
        for text in ["", "postgres:///log", "dbname=log"] {
            assert!(matches!(text.parse::<PostgresUrl>(), Err(UrlError::NoHost)), "{text}");
        }
    }
}
