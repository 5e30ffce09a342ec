//! Errors of a request to a server: the likely cause, and what to do next.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;

use serde_json::Value;
use thiserror::Error;
use ureq::Timeout;
use ureq::http::Method;

use super::connection::Client;
use crate::http::Listener;

/// A request to a server that did not succeed.
#[derive(Debug, Error)]
pub(super) enum AskError {
    /// The server answered with a problem.
    #[error("{detail} ({status}, {code}){hint}")]
    Problem { status: u16, code: String, detail: String, retry: bool, hint: String },
    /// Something that is not a gcs-server answered.
    #[error("{url} answered, but not as a gcs-server does (status {status}).\n{hint}")]
    Foreign { url: String, status: u16, hint: String },
    /// The server did not answer.
    #[error("{url}: {what}\n{hint}{}", doubt(*.in_doubt))]
    Failed { url: String, what: String, hint: String, in_doubt: Option<Listener> },
    /// The token has characters that no token has.
    #[error("the token has characters that no token has; copy the whole token again")]
    Unsendable,
}

/// What is added to the message when the connection broke after a change may have been made.
fn doubt(of: Option<Listener>) -> &'static str {
    match of {
        None => "",
        Some(Listener::Private) => {
            "\nWhether it has been done is not known: see `status` or `list` before you do it again."
        }
        Some(Listener::Public) => {
            "\nWhether the report has arrived is not known: send the same report again. If it has \
             arrived, you get the first answer."
        }
    }
}

/// Text from the network, safe to print: a terminal takes control characters as commands.
fn printable(text: &str) -> String {
    let shown = |symbol: char| if symbol.is_control() { '\u{fffd}' } else { symbol };
    text.chars().map(shown).collect()
}

impl AskError {
    /// Whether the same request may succeed later.
    pub(super) fn may_succeed_later(&self) -> bool {
        match self {
            AskError::Problem { retry, .. } => *retry,
            AskError::Failed { in_doubt, .. } => in_doubt.is_some(),
            AskError::Foreign { .. } | AskError::Unsendable => false,
        }
    }

    /// An answer whose status is no success.
    pub(super) fn unsuccessful(
        client: &Client,
        status: u16,
        text: &str,
        moved: Option<&str>,
    ) -> Self {
        let problem: Value = serde_json::from_str(text).unwrap_or_default();
        let (Some(code), Some(detail)) = (problem["code"].as_str(), problem["detail"].as_str())
        else {
            return match moved.filter(|_| (300..400).contains(&status)) {
                Some(to) => {
                    let hint = format!("It redirects to {to}: perhaps that is the right URL.");
                    AskError::Foreign { url: client.url.clone(), status, hint }
                }
                None => AskError::foreign(client, status, text),
            };
        };
        let hint: &str = match code {
            "not_found" => {
                let (flag, name, other) = names(client.listener);
                &format!(
                    "\nThis is not the {name} listener; perhaps it is the {other} one. The server \
                     shows both URLs when it starts: use the one called {name} for {flag}."
                )
            }
            "unauthorized" => {
                "\nThe server does not know this token. Perhaps it was not copied whole, belongs \
                 to another server, or has been replaced. The operator makes a new token for a \
                 provider with `provider token`, and for the operator with `reset-token`."
            }
            "forbidden" => {
                "\nThis token is another role's. `gcs-server --help` names the role that each command \
                 is for. The operator's token was shown at the first start, a provider's by `provider \
                 add`, the backends' by `backend-token`."
            }
            _ => "",
        };
        let (code, detail) = (printable(code), printable(detail));
        let retry = problem["retry"].as_bool().unwrap_or(false);
        AskError::Problem { status, code, detail, retry, hint: hint.to_owned() }
    }

    /// An answer that no gcs-server gives.
    pub(super) fn foreign(client: &Client, status: u16, text: &str) -> Self {
        let speaks_tls = client.url.starts_with("http:") && text.to_lowercase().contains("https");
        let hint = if speaks_tls {
            format!("The port seems to speak TLS: say {}.", client.url.replacen("http", "https", 1))
        } else {
            format!(
                "Perhaps another program has this port, or a proxy in front of the server \
                 answers. See whether {} is right.",
                names(client.listener).0
            )
        };
        AskError::Foreign { url: client.url.clone(), status, hint }
    }

    /// No answer at all.
    pub(super) fn failed(client: &Client, method: &Method, error: ureq::Error) -> Self {
        let url = client.url.clone();
        let (flag, name, _) = names(client.listener);
        let is_plain = url.starts_with("http:");
        let other = match is_plain {
            true => format!("If this port speaks TLS, say {}", url.replacen("http", "https", 1)),
            false => {
                format!("If this port does not speak TLS, say {}", url.replacen("https", "http", 1))
            }
        };
        let running = format!(
            "Is the server running? Compare the address with the one that the server called {name} \
             when it started."
        );
        let failed = |what: &dyn Display, hint: String, is_sent: bool| {
            let in_doubt = (is_sent && *method != Method::GET).then_some(client.listener);
            AskError::Failed { url: url.clone(), what: what.to_string(), hint, in_doubt }
        };
        match error {
            error if is_unresolved(&error) => failed(
                &"there is no host of this name",
                format!("See whether {flag} is spelled right and this machine has a network."),
                false,
            ),
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => failed(
                &"no answer",
                format!("{running} Perhaps a firewall blocks the connection."),
                false,
            ),
            ureq::Error::Timeout(_) => failed(
                &"connected, but no answer in time",
                format!("The server is busy, or this is another program's port. {other}"),
                true,
            ),
            ureq::Error::Rustls(error) => failed(&error, tls_hint(&error, other), false),
            ureq::Error::Tls(error) => failed(&error, other, false),
            ureq::Error::ConnectProxyFailed(error) => {
                failed(&error, "The proxy that --proxy names does not connect.".to_owned(), false)
            }
            ureq::Error::Protocol(error) => {
                failed(&format_args!("the answer is not HTTP ({error})"), other, is_plain)
            }
            ureq::Error::Io(error) => match tls_error(&error) {
                Some(tls) => failed(tls, tls_hint(tls, other), false),
                None if error.kind() == io::ErrorKind::ConnectionRefused => {
                    failed(&"nothing listens there", running, false)
                }
                None if is_unreached(error.kind()) => failed(&error, running, false),
                None => failed(&error, other, true),
            },
            error => failed(&error, running, true),
        }
    }
}

/// Whether the host's name is unknown; the standard library has no kind for it.
fn is_unresolved(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound => true,
        ureq::Error::Io(error) => error.to_string().starts_with("failed to lookup address"),
        _ => false,
    }
}

/// The option that names a listener's URL, what the server calls the listener, and what it calls the
/// other one.
fn names(listener: Listener) -> (&'static str, &'static str, &'static str) {
    match listener {
        Listener::Private => ("--url", "private", "public"),
        Listener::Public => ("--public-url", "public", "private"),
    }
}

/// Whether the connection failed before anything was sent.
fn is_unreached(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable, PermissionDenied};
    matches!(kind, AddrNotAvailable | HostUnreachable | NetworkUnreachable | PermissionDenied)
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let inner: &(dyn StdError + 'static) = error.get_ref()?;
    inner.downcast_ref()
}

fn tls_hint(error: &rustls::Error, other: String) -> String {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "The certificate is for other names: use one of these names in the URL.".to_owned(),
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => "Renew the certificate, or correct this machine's clock.".to_owned(),
        // rustls hands this one on as the verifier names it.
        rustls::Error::InvalidCertificate(Certificate::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            "The server shows the certificate of an authority (CA:TRUE), and it needs one of its own (CA:FALSE): the \
             handbook, section TLS, says how to make one."
                .to_owned()
        }
        rustls::Error::InvalidCertificate(_) => {
            "This machine does not trust the authority that signed the certificate. If it is your \
             own authority, name its certificate with --ca FILE."
                .to_owned()
        }
        rustls::Error::General(_) | rustls::Error::NoCertificatesPresented => {
            "Install the system's certificates (ca-certificates), or name the authority's \
             certificate with --ca FILE."
                .to_owned()
        }
        _ => other,
    }
}
