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
use super::output::{Output, OutputArgs, Readers};
use super::{CommandResult, Error};
use crate::app::config::{Config, Options};
use crate::http::Listener;

/// Longest answer that is read, in bytes.
const MOST: u64 = 64 << 20;

/// Bytes that an answer other than codes may have.
pub(super) const SMALL: usize = 4 << 10;

/// Options that the connections to both listeners have.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
struct Transport {
    /// The server's configuration file, which may name its listeners
    #[arg(long, value_name = "FILE", env = "GCS_SERVER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
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
    token: Option<Secret>,
    #[arg(long, hide = true, value_name = "ADDRESS", env = "GCS_SERVER_PRIVATE_LISTEN")]
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
    #[arg(long, hide = true, value_name = "ADDRESS", env = "GCS_SERVER_PUBLIC_LISTEN")]
    public_listen: Option<SocketAddr>,
    #[command(flatten)]
    transport: Transport,
}

/// A token. `Debug` does not show it.
#[derive(Clone)]
struct Secret(String);

impl From<String> for Secret {
    fn from(token: String) -> Secret {
        Secret(token)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Private {
    pub(super) fn connect(&self) -> Result<Client, Error> {
        let Private { url, token, private_listen, transport } = self;
        let url = url.clone().map_or_else(
            || {
                let (config, private_listen) = (transport.config.clone(), *private_listen);
                let options = Options { config, private_listen, ..Options::default() };
                url_of(Config::load(&options)?.private_listen, "--url")
            },
            Ok,
        )?;
        let token = token.clone().ok_or("a token is needed: --token, or GCS_SERVER_TOKEN")?;
        if token.0.trim().is_empty() {
            return Err("the token is empty: what gave --token or GCS_SERVER_TOKEN its value, a \
                        file perhaps, has nothing in it"
                .into());
        }
        Ok(Client {
            agent: transport.agent()?,
            url,
            token: Some(token),
            listener: Listener::Private,
        })
    }
}

impl Public {
    pub(super) fn connect(&self) -> Result<Client, Error> {
        let Public { public_url, public_listen, transport } = self;
        let url = public_url.clone().map_or_else(
            || {
                let (config, public_listen) = (transport.config.clone(), *public_listen);
                let options = Options { config, public_listen, ..Options::default() };
                url_of(Config::load(&options)?.public_listen, "--public-url")
            },
            Ok,
        )?;
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
    token: Option<Secret>,
    pub(super) listener: Listener,
}

impl Client {
    /// Sends a request that changes nothing, and shows the answer.
    pub(super) fn show(&self, method: &Method, path: &str, body: Option<&Value>) -> CommandResult {
        let answer = self.ask(method, path, body)?;
        OutputArgs::default().write(Readers::Anyone, &pretty(&answer))
    }

    /// Sends a request that changes something, and shows the answer. If standard output cannot be
    /// written, the request is not sent. `done` says what has been done, and how to see that, if
    /// the answer cannot be written after all.
    pub(super) fn act(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        done: &str,
    ) -> CommandResult {
        let output = Output::stdout(SMALL)?;
        let answer = self.ask(method, path, body)?;
        output.write_after(&pretty(&answer), done)?;
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
        let answer = self.ask(&Method::POST, path, body)?;
        output.write_after(&pretty(&answer), again(&answer))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Sends a request, and returns the answer as JSON; `null` if it has no content.
    pub(super) fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AskError> {
        let (status, text) = self.send(method, path, body)?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|_| AskError::foreign(self, status, &text))
    }

    /// Asks for text, and returns it.
    pub(super) fn ask_text(&self, path: &str) -> Result<String, AskError> {
        Ok(self.send(&Method::GET, path, None)?.1)
    }

    /// Sends a request, and returns the status and the text of the answer if it succeeded.
    fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), AskError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(Secret(token)) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(body).map_err(|_| AskError::Unsendable)?;
        let failed = |error| AskError::failed(self, method, error);
        let mut answer = self.agent.run(request).map_err(failed)?;
        let text = answer.body_mut().with_config().limit(MOST).lossy_utf8(true).read_to_string();
        let text = text.map_err(failed)?;
        let status = answer.status();
        let is_page = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if status.is_success() && !is_page {
            return Ok((status.as_u16(), text));
        }
        let moved = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
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
        for bad in ["http://", "http:// x", "http://x.example/?a=b", "http://me:secret@x.example"] {
            assert!(parse_url(bad).unwrap_err().contains("host and port"), "{bad}");
        }
    }

    #[test]
    fn no_debug_line_has_the_token() {
        #[derive(Debug, clap::Parser)]
        struct Command {
            #[command(flatten)]
            server: Private,
        }
        let command = ["status", "--token", "secret-token", "--url", "http://127.0.0.1:1"];
        let Command { server } = clap::Parser::parse_from(command);
        let client = server.connect().unwrap();
        assert!(matches!(&client.token, Some(Secret(token)) if token == "secret-token"));
        let shown = format!("{server:?} {client:?}");
        assert!(shown.contains("127.0.0.1:1") && !shown.contains("secret-token"), "{shown}");
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
