//! Connections to a running server: its private listener for operators, providers and
//! backends, its public one for reports.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use ureq::http::{Method, Request, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use super::ask_error::AskError;
use super::output::{OutputArgs, Readers};
use super::{CommandResult, Error};
use crate::app::config::{Config, Options};
use crate::http::Listener;
use crate::secret::Secret;

/// Longest answer that is read, in bytes.
const MOST: u64 = 64 << 20;

/// Bytes that an answer other than codes may have.
pub(super) const SMALL: usize = 4 << 10;

/// Options that the connections to both listeners have.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
struct Transport {
    /// The server's configuration file, for the addresses and the TLS of its listeners
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// For https: trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_CA", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// Connect through this HTTP proxy; HTTP_PROXY and similar variables are ignored
    #[arg(long, value_name = "URL")]
    proxy: Option<Secret>,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 100)]
    timeout: u16,
}

/// Options for the private listener, with the token.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(super) struct Private {
    /// URL of the private listener [default: as --config says, or http://127.0.0.1:8081]
    #[arg(long, value_name = "URL", env = "GCS_SERVER_URL", hide_env_values = true)]
    url: Option<Secret>,
    /// The operator's, a provider's or the backends' token, as the command needs
    #[arg(long, env = "GCS_SERVER_TOKEN", hide_env_values = true)]
    token: Option<Secret>,
    #[arg(long, hide = true, value_name = "ADDRESS", env = "GCS_SERVER_PRIVATE_LISTEN")]
    private_listen: Option<SocketAddr>,
    #[arg(long, hide = true, value_name = "FILE", env = "GCS_SERVER_PRIVATE_TLS_CERT")]
    private_tls_cert: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "FILE", env = "GCS_SERVER_PRIVATE_TLS_KEY")]
    private_tls_key: Option<PathBuf>,
    #[command(flatten)]
    transport: Transport,
}

/// Options for the public listener, which needs no token.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(super) struct Public {
    /// URL of the public listener [default: as --config says, or http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "GCS_SERVER_PUBLIC_URL", hide_env_values = true)]
    public_url: Option<Secret>,
    #[arg(long, hide = true, value_name = "ADDRESS", env = "GCS_SERVER_PUBLIC_LISTEN")]
    public_listen: Option<SocketAddr>,
    #[arg(long, hide = true, value_name = "FILE", env = "GCS_SERVER_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "FILE", env = "GCS_SERVER_TLS_KEY")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    transport: Transport,
}

impl Private {
    pub(super) fn connect(&self) -> Result<Client, Error> {
        let token = self.token.clone().ok_or("a token is needed: --token, or GCS_SERVER_TOKEN")?;
        if token.0.trim().is_empty() {
            return Err("the token is empty: what gave --token or GCS_SERVER_TOKEN its value, a \
                        file perhaps, has nothing in it"
                .into());
        }
        let listen = Options {
            private_listen: self.private_listen,
            private_tls_cert: self.private_tls_cert.clone(),
            private_tls_key: self.private_tls_key.clone(),
            ..Options::default()
        };
        self.transport.connect(Listener::Private, self.url.clone(), listen, Some(token))
    }
}

impl Public {
    pub(super) fn connect(&self) -> Result<Client, Error> {
        let listen = Options {
            public_listen: self.public_listen,
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            ..Options::default()
        };
        self.transport.connect(Listener::Public, self.public_url.clone(), listen, None)
    }
}

impl Transport {
    /// A connection to a URL, or to where the server's configuration says that it listens.
    fn connect(
        &self,
        listener: Listener,
        url: Option<Secret>,
        listen: Options,
        token: Option<Secret>,
    ) -> Result<Client, Error> {
        let flag = match listener {
            Listener::Private => "--url",
            Listener::Public => "--public-url",
        };
        let url = match url {
            Some(Secret(url)) => parse_url(&url).map_err(|what| format!("{flag}: {what}"))?,
            None => {
                let config = Config::load(&Options { config: self.config.clone(), ..listen })?;
                let (listen, tls) = match listener {
                    Listener::Private => (config.private_listen, config.private_tls()),
                    Listener::Public => (config.public_listen, config.public_tls()),
                };
                url_of(listen, tls.is_some(), flag)?
            }
        };
        Ok(Client { agent: self.agent()?, url, token, listener })
    }

    fn agent(&self) -> Result<Agent, Error> {
        let proxy = self.proxy.as_ref().map(|proxy| Proxy::new(&proxy.0)).transpose();
        let proxy = proxy.map_err(|_| "--proxy is not a URL like http://proxy.example:3128")?;
        let roots = match &self.ca {
            Some(path) => RootCerts::new_with_certs(&read_certificates(path)?),
            None => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder().root_certs(roots).build();
        let timeout = Duration::from_secs(self.timeout.into());
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A token is sent only to the server that was named: no proxy from the environment, no
            // redirects.
            .proxy(proxy)
            .max_redirects(0)
            .tls_config(tls)
            .timeout_connect(Some(timeout.min(Duration::from_secs(10))))
            .timeout_global(Some(timeout));
        Ok(config.build().into())
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let named = |what: &dyn fmt::Display| format!("--ca {}: {what}", path.display());
    let pem = std::fs::read(path).map_err(|error| named(&error))?;
    let items: Result<Vec<PemItem<'static>>, _> = parse_pem(&pem).collect();
    let items = items.map_err(|error| named(&error))?;
    let certificates = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(named(&"no certificate (-----BEGIN CERTIFICATE-----) in it").into());
    }
    Ok(certificates)
}

/// The URL of a listener on its own machine.
fn url_of(listen: SocketAddr, is_tls: bool, flag: &str) -> Result<String, Error> {
    if listen.port() == 0 {
        return Err(format!(
            "the server is configured to take any free port: give {flag} the URL that the server \
             showed when it started"
        )
        .into());
    }
    let here: IpAddr = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let scheme = if is_tls { "https" } else { "http" };
    Ok(format!("{scheme}://{}", SocketAddr::new(here, listen.port())))
}

/// Reads the URL of a server. Nothing of a text that may have a password is shown.
fn parse_url(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err("the URL of a server has no user and no password: say host and port, as in \
                    https://health.example:8081"
            .to_owned());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!(
            "a URL begins with its scheme: http://{text}, or https://{text} if it speaks TLS"
        ));
    };
    if !matches!(scheme, "http" | "https") {
        return Err(format!("a URL begins with http or https, not with {scheme}"));
    }
    let uri: Result<ureq::http::Uri, _> = text.parse();
    let has_host = uri.is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if !has_host || rest.contains(['?', '#']) {
        return Err(format!("say host and port, as in {scheme}://127.0.0.1:8081"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A question, or a change that is asked for.
pub(super) struct Ask {
    method: Method,
    path: String,
    body: String,
}

impl Ask {
    pub(super) fn get(path: impl Into<String>) -> Ask {
        Ask { method: Method::GET, path: path.into(), body: String::new() }
    }

    pub(super) fn post(path: impl Into<String>) -> Ask {
        Ask { method: Method::POST, ..Ask::get(path) }
    }

    pub(super) fn put(path: impl Into<String>) -> Ask {
        Ask { method: Method::PUT, ..Ask::get(path) }
    }

    pub(super) fn delete(path: impl Into<String>) -> Ask {
        Ask { method: Method::DELETE, ..Ask::get(path) }
    }

    pub(super) fn with(self, body: &Value) -> Ask {
        Ask { body: body.to_string(), ..self }
    }
}

/// A connection to one listener.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    pub(super) url: String,
    token: Option<Secret>,
    pub(super) listener: Listener,
}

impl Client {
    /// Asks a question, and shows the answer.
    pub(super) fn show(&self, ask: &Ask) -> CommandResult {
        OutputArgs::default().write(Readers::Anyone, &pretty(&self.ask(ask)?))
    }

    /// Asks for a change, and shows the answer. If standard output cannot be written, nothing is
    /// sent. `done` says what has been done, and how to see that, if the answer cannot be written
    /// after all.
    pub(super) fn act(&self, ask: &Ask, done: &str) -> CommandResult {
        self.act_for_secret(ask, &OutputArgs::default(), |_| done.to_owned())
    }

    /// As [`Client::act`], for an answer that is a secret, which may have a file. `done` also says
    /// how to get another answer.
    pub(super) fn act_for_secret(
        &self,
        ask: &Ask,
        output: &OutputArgs,
        done: impl FnOnce(&Value) -> String,
    ) -> CommandResult {
        let output = output.open(Readers::Owner, SMALL)?;
        let answer = self.ask(ask)?;
        output.write_after(&pretty(&answer), done(&answer))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The answer as JSON; `null` if it has no content.
    pub(super) fn ask(&self, ask: &Ask) -> Result<Value, AskError> {
        let (status, text) = self.send(ask)?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|_| AskError::foreign(self, status, &text))
    }

    /// The answer as text.
    pub(super) fn ask_text(&self, ask: &Ask) -> Result<String, AskError> {
        Ok(self.send(ask)?.1)
    }

    /// A file, which has at most `most` bytes.
    pub(super) fn download(&self, path: &str, most: u64) -> Result<Vec<u8>, AskError> {
        let request = Request::get(format!("{}{path}", self.url)).body("");
        let failed = |error| AskError::failed(self, &Method::GET, error);
        let mut answer =
            self.agent.run(request.map_err(|_| AskError::Unsendable)?).map_err(failed)?;
        let status = answer.status();
        // At its limit, the library does not look whether the body has ended.
        let limit = if status == 200 { most.saturating_add(1) } else { SMALL as u64 };
        let body = answer.body_mut().with_config().limit(limit);
        if status == 200 {
            return body.read_to_vec().map_err(failed);
        }
        let text = body.lossy_utf8(true).read_to_string().unwrap_or_default();
        let moved = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        Err(AskError::unsuccessful(self, status.as_u16(), &text, moved))
    }

    /// The status and the text of the answer to a request that succeeds.
    fn send(&self, Ask { method, path, body }: &Ask) -> Result<(u16, String), AskError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(Secret(token)) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let request = request.body(body.as_str()).map_err(|_| AskError::Unsendable)?;
        let failed = |error| AskError::failed(self, method, error);
        let mut answer = self.agent.run(request).map_err(failed)?;
        let text = answer.body_mut().with_config().limit(MOST).lossy_utf8(true).read_to_string();
        let (status, text) = (answer.status(), text.map_err(failed)?);
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let is_page =
            header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        if status.is_success() && !is_page {
            return Ok((status.as_u16(), text));
        }
        let moved = header(header::LOCATION);
        Err(AskError::unsuccessful(self, status.as_u16(), &text, moved))
    }
}

fn pretty(answer: &Value) -> String {
    if answer.is_null() { "done\n".to_owned() } else { format!("{answer:#}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_mistakes_in_them_named() {
        assert_eq!(parse_url("http://127.0.0.1:1/").unwrap(), "http://127.0.0.1:1");
        assert_eq!(parse_url("https://x.example/gcs").unwrap(), "https://x.example/gcs");
        for bare in ["127.0.0.1:8081", "localhost:8081", "health.example"] {
            assert!(parse_url(bare).unwrap_err().contains(&format!("http://{bare}")), "{bare}");
        }
        assert!(parse_url("ftp://x.example").unwrap_err().contains("http or https"));
        for bad in ["http://", "http:// x", "http://x.example/?a=b"] {
            assert!(parse_url(bad).unwrap_err().contains("host and port"), "{bad}");
        }
        for bad in ["http://me:secret@x.example", "me:secret@x.example", "secret://me@x"] {
            let said = parse_url(bad).unwrap_err();
            assert!(said.contains("host and port") && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        let url = |listen: &str| url_of(listen.parse().unwrap(), false, "--url");
        assert_eq!(url("0.0.0.0:81").unwrap(), "http://127.0.0.1:81");
        assert_eq!(url("[::]:81").unwrap(), "http://[::1]:81");
        assert_eq!(url("192.0.2.7:81").unwrap(), "http://192.0.2.7:81");
        assert!(url("127.0.0.1:0").unwrap_err().to_string().contains("--url"));
    }

    /// Options of the private listener, or of the public one, after the name of a command.
    #[derive(clap::Parser)]
    enum Command {
        Private(Private),
        Public(Public),
    }

    fn url_after(arguments: &[&str]) -> String {
        let connected = match clap::Parser::parse_from([&["x"], arguments].concat()) {
            Command::Private(server) => server.connect(),
            Command::Public(server) => server.connect(),
        };
        connected.unwrap().url
    }

    #[test]
    fn a_listener_with_tls_in_the_configuration_is_asked_by_tls() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let config = path.to_str().unwrap();
        let private = || url_after(&["private", "--token", "t", "--config", config]);
        let public = || url_after(&["public", "--config", config]);
        std::fs::write(&path, "private_tls_cert = \"c\"\nprivate_tls_key = \"k\"\n").unwrap();
        assert_eq!([private(), public()], ["https://127.0.0.1:8081", "http://127.0.0.1:8080"]);
        std::fs::write(&path, "tls_cert = \"c\"\ntls_key = \"k\"\n").unwrap();
        assert_eq!([private(), public()], ["http://127.0.0.1:8081", "https://127.0.0.1:8080"]);
        let files = ["--private-tls-cert", "c", "--private-tls-key", "k"];
        let variables = [&["private", "--token", "t"], &files[..]].concat();
        assert_eq!(url_after(&variables), "https://127.0.0.1:8081");
    }
}
