//! Where a log in PostgreSQL is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where a log in PostgreSQL is, and how to connect to it.
///
/// Written as libpq has it: `postgres://user:password@host1:5432,host2:5432/database`. Of several hosts
/// the one is used that accepts writes. `sslrootcert=FILE` names the certificate authorities that are
/// trusted, in place of the system's. Connections to another machine use TLS unless `sslmode` says
/// something else. `Debug` shows no password.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

/// Why a text is no [`PostgresUrl`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text is not what libpq would accept.
    #[error("expected postgres://user:password@host:port/database: {0}")]
    Syntax(#[source] tokio_postgres::Error),
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
        f.debug_tuple("PostgresUrl").field(&self.config).finish()
    }
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<PostgresUrl, UrlError> {
        let (text, authorities) = take_root_cert(text);
        let mut config: Config = text.parse().map_err(UrlError::Syntax)?;
        if !text.contains("sslmode") && !config.get_hosts().iter().all(is_here) {
            config.ssl_mode(SslMode::Require);
        }
        if !text.contains("target_session_attrs") {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if !text.contains("application_name") {
            config.application_name("gcs-server");
        }
        // A server that is gone without a word is noticed in some ten seconds.
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(3));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(10));
        }
        if !text.contains("keepalives_idle") {
            config.keepalives_idle(Duration::from_secs(5));
            config.keepalives_interval(Duration::from_secs(2));
            config.keepalives_retries(3);
        }
        Ok(PostgresUrl { config, tls: MakeRustlsConnect::new(client(authorities.as_deref())?) })
    }
}

/// The text without `sslrootcert`, and the file that this names.
fn take_root_cert(text: &str) -> (String, Option<String>) {
    const NAME: &str = "sslrootcert=";
    let Some(start) = text.find(NAME) else { return (text.to_owned(), None) };
    let value = &text[start + NAME.len()..];
    let end = value.find(['&', ' ']).unwrap_or(value.len());
    let (path, rest) = value.split_at(end);
    let before = text[..start].trim_end_matches(['&', ' ']);
    let rest = if before.ends_with('?') { rest.trim_start_matches('&') } else { rest };
    (format!("{before}{rest}").trim_end_matches('?').to_owned(), Some(path.to_owned()))
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
            ("postgres://user@db.example/log?sslmode=disable", SslMode::Disable),
            ("postgres://user@localhost/log", SslMode::Prefer),
            ("postgres://user@127.0.0.1,[::1]/log", SslMode::Prefer),
            ("host=/run/postgresql user=user", SslMode::Prefer),
        ] {
            assert_eq!(url(text).config.get_ssl_mode(), mode, "{text}");
        }
    }

    #[test]
    fn of_several_hosts_the_one_that_writes_is_used() {
        let url = url("postgres://user:secret@one.example:1,two.example:2/log");
        assert_eq!(url.config.get_hosts().len(), 2);
        assert_eq!(url.config.get_ports(), [1, 2]);
        assert_eq!(url.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn the_file_of_authorities_is_taken_out() {
        for (text, rest) in [
            ("postgres://h/d?sslrootcert=/a/b", "postgres://h/d"),
            ("postgres://h/d?sslrootcert=/a/b&sslmode=require", "postgres://h/d?sslmode=require"),
            ("postgres://h/d?sslmode=require&sslrootcert=/a/b", "postgres://h/d?sslmode=require"),
            ("host=h sslrootcert=/a/b user=u", "host=h user=u"),
        ] {
            assert_eq!(take_root_cert(text), (rest.to_owned(), Some("/a/b".to_owned())), "{text}");
        }
        let error = "postgres://h/d?sslrootcert=/nowhere".parse::<PostgresUrl>().unwrap_err();
        assert!(matches!(error, UrlError::Certificates { .. }), "{error}");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["", "postgres://", "mysql://host/d", "postgres://h:port/d", "nonsense"] {
            let parsed = text.parse::<PostgresUrl>();
            assert!(parsed.is_err() || text.is_empty() || text == "postgres://", "{text}");
        }
    }
}
