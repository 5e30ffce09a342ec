//! Connections to a running server: its private listener for operators, providers and
//! backends, its public one for reports.

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
use super::output::{Output, OutputArgs, Readers};
use super::{CommandResult, Error};
use crate::app::config::{Config, Options};
use crate::http::Listener;

/// Longest answer that is read, in bytes.
const MOST: u64 = 64 << 20;

/// Bytes that an answer other than codes may have.
pub(super) const SMALL: usize = 4 << 10;

/// Options for the connection to a server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
struct Transport {
    /// For https: trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_CA", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// Connect through this HTTP proxy; HTTP_PROXY and similar variables are ignored
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 100)]
    timeout: u16,
}

/// Options for the private listener, with the token.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(super) struct Private {
    /// URL of the private listener [default: as --config says, or http://127.0.0.1:8081]
    #[arg(long, value_name = "URL", env = "GCS_SERVER_URL", hide_env_values = true, value_parser = parse_url)]
    url: Option<String>,
    /// The operator's, a provider's or the backends' token, as the command needs
    #[arg(long, env = "GCS_SERVER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The server's configuration file, which may name its private listener
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    #[arg(
        long,
        hide = true,
        value_name = "ADDRESS",
        env = "GCS_SERVER_PRIVATE_LISTEN",
        hide_env_values = true
    )]
    private_listen: Option<SocketAddr>,
    #[command(flatten)]
    transport: Transport,
}

/// Options for the public listener, which needs no token.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(super) struct Public {
    /// URL of the public listener [default: as --config says, or http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "GCS_SERVER_PUBLIC_URL", hide_env_values = true, value_parser = parse_url)]
    public_url: Option<String>,
    /// The server's configuration file, which may name its public listener
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    #[arg(
        long,
        hide = true,
        value_name = "ADDRESS",
        env = "GCS_SERVER_PUBLIC_LISTEN",
        hide_env_values = true
    )]
    public_listen: Option<SocketAddr>,
    #[command(flatten)]
    transport: Transport,
}

impl Private {
    pub(super) fn connect(&self) -> Result<Client, Error> {
        let Private { url, token, config, private_listen, transport } = self;
        let url = match url {
            Some(url) => url.clone(),
            None => {
                let (config, private_listen) = (config.clone(), *private_listen);
                let options = Options { config, private_listen, ..Options::default() };
                url_of(Config::load(&options)?.private_listen, "--url")?
            }
        };
        let token = token.clone();
        let token = Some(token.ok_or("a token is needed: --token, or GCS_SERVER_TOKEN")?);
        Ok(Client { agent: transport.agent()?, url, token, listener: Listener::Private })
    }
}

impl Public {
    pub(super) fn connect(&self) -> Result<Client, Error> {
        let Public { public_url, config, public_listen, transport } = self;
        let url = match public_url {
            Some(url) => url.clone(),
            None => {
                let (config, public_listen) = (config.clone(), *public_listen);
                let options = Options { config, public_listen, ..Options::default() };
                url_of(Config::load(&options)?.public_listen, "--public-url")?
            }
        };
        Ok(Client { agent: transport.agent()?, url, token: None, listener: Listener::Public })
    }
}

impl Transport {
    fn agent(&self) -> Result<Agent, Error> {
        let proxy = self.proxy.as_deref().map(Proxy::new).transpose();
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
    let named = |what: &dyn std::fmt::Display| format!("--ca {}: {what}", path.display());
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
fn url_of(listen: SocketAddr, flag: &str) -> Result<String, Error> {
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
    Ok(format!("http://{}", SocketAddr::new(here, listen.port())))
}

/// Reads the URL of a server.
fn parse_url(text: &str) -> Result<String, String> {
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
    if !has_host || rest.contains(['?', '#', '@']) {
        return Err(format!("say host and port, as in {scheme}://127.0.0.1:8081"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A connection to one listener.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    pub(super) url: String,
    token: Option<String>,
    pub(super) listener: Listener,
}

impl Client {
    /// Sends a GET request, and shows the answer.
    pub(super) fn show(&self, path: &str) -> CommandResult {
        let answer = self.ask(&Method::GET, path, None)?;
        OutputArgs::default().write(Readers::Anyone, &pretty(&answer)?)
    }

    /// Sends a request that changes something, and shows the answer. If standard output cannot be
    /// written, the request is not sent.
    pub(super) fn act(&self, method: &Method, path: &str, body: Option<&Value>) -> CommandResult {
        let output = Output::stdout(SMALL)?;
        let answer = pretty(&self.ask(method, path, body)?)?;
        output.write_after(&answer, "It has been done, but the answer could not be shown.")?;
        Ok(ExitCode::SUCCESS)
    }

    /// Sends a request whose answer is a secret, and shows it. `again` says how to get another
    /// answer if this one cannot be written.
    pub(super) fn act_for_secret(
        &self,
        path: &str,
        body: Option<&Value>,
        output: &OutputArgs,
        again: impl FnOnce(&Value) -> String,
    ) -> CommandResult {
        let output = output.open(Readers::Owner, SMALL)?;
        let answer = self.ask_json(&Method::POST, path, body)?;
        output.write_after(&format!("{answer:#}\n"), again(&answer))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Sends a request, and returns the answer as JSON.
    pub(super) fn ask_json(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AskError> {
        let answer = self.ask(method, path, body)?;
        serde_json::from_str(&answer).map_err(|_| AskError::foreign(self, 200, &answer))
    }

    /// Sends a request, and returns the text of the answer if it succeeded.
    pub(super) fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<String, AskError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(body).map_err(|_| AskError::Unsendable)?;
        let failed = |error| AskError::failed(self, method, error);
        let mut answer = self.agent.run(request).map_err(failed)?;
        let text = answer.body_mut().with_config().limit(MOST).lossy_utf8(true).read_to_string();
        let text = text.map_err(failed)?;
        let is_page = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if answer.status().is_success() && !is_page {
            return Ok(text);
        }
        let moved = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        Err(AskError::unsuccessful(self, answer.status().as_u16(), &text, moved))
    }
}

fn pretty(answer: &str) -> Result<String, serde_json::Error> {
    if answer.is_empty() {
        return Ok("done\n".to_owned());
    }
    let json: Value = serde_json::from_str(answer)?;
    Ok(format!("{json:#}\n"))
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
        for bad in ["http://", "http:// x", "http://x.example/?a=b", "http://me:secret@x.example"] {
            assert!(parse_url(bad).unwrap_err().contains("host and port"), "{bad}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        let url = |listen: &str| url_of(listen.parse().unwrap(), "--url");
        assert_eq!(url("0.0.0.0:81").unwrap(), "http://127.0.0.1:81");
        assert_eq!(url("[::]:81").unwrap(), "http://[::1]:81");
        assert_eq!(url("192.0.2.7:81").unwrap(), "http://192.0.2.7:81");
        assert!(url("127.0.0.1:0").unwrap_err().to_string().contains("--url"));
    }
}
