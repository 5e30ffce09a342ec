//! Advice for an operator when the server cannot listen on an address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ureq::tls::TlsConfig;

/// The likely cause, and the next step.
pub(super) fn on_listening(address: SocketAddr, flag: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let port = address.port();
            let who = if is_gcs_server(address) {
                "A gcs-server of another data folder listens there already"
            } else {
                "Another program listens there already"
            };
            format!(
                "{who} (`lsof -i :{port}` names the process): stop it, or choose another address \
                 with {flag}."
            )
        }
        io::ErrorKind::PermissionDenied => format!(
            "Only privileged programs may use ports below 1024: choose another port with {flag}, \
             and let a proxy listen there."
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("This machine does not have that address: choose one that it has with {flag}.")
        }
        _ => format!("Choose another address with {flag}."),
    }
}

/// Whether a gcs-server listens on an address: it answers a path that it does not have with the
/// problem `not_found`.
fn is_gcs_server(address: SocketAddr) -> bool {
    // Nothing depends on who it really is.
    let tls = TlsConfig::builder().disable_verification(true).build();
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .tls_config(tls)
        .timeout_global(Some(Duration::from_secs(1)));
    let agent: ureq::Agent = config.build().into();
    ["http", "https"].into_iter().any(|scheme| {
        let Ok(mut answer) = agent.get(format!("{scheme}://{address}/")).call() else {
            return false;
        };
        let body = answer.body_mut().with_config().limit(4096).read_to_string();
        let problem: serde_json::Value =
            serde_json::from_str(&body.unwrap_or_default()).unwrap_or_default();
        problem["code"] == "not_found"
    })
}
