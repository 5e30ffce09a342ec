//! What is asked of a running server, over its private listener.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::Outcome;
use crate::app::config::Config;
use crate::code_sheet::Format;

/// Where the server is, and who asks.
#[derive(Args, Clone, Debug)]
pub(super) struct Server {
    /// The private listener [default: as configured]
    #[arg(long, global = true, value_name = "URL", env = "GCS_SERVER_URL")]
    url: Option<String>,
    /// The operator's or a provider's token
    #[arg(long, global = true, env = "GCS_SERVER_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Operator: add, list and change providers
    Provider {
        #[command(flatten)]
        server: Server,
        #[command(subcommand)]
        act: ProviderAct,
    },
    /// Provider: open ranges of codes and print them
    Codes {
        #[command(flatten)]
        server: Server,
        #[command(subcommand)]
        act: CodesAct,
    },
    /// Operator: revoke one unused code
    RevokeCode {
        #[command(flatten)]
        server: Server,
        /// The code as printed
        code: String,
    },
    /// Operator: retract reports; shows what would change unless --yes
    Retract {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        correction: Correction,
    },
    /// Operator: reinstate retracted reports; shows what would change unless --yes
    Reinstate {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        correction: Correction,
    },
    /// Operator: show or change the settings
    Policy {
        #[command(flatten)]
        server: Server,
        #[command(subcommand)]
        act: PolicyAct,
    },
    /// Operator: publish now
    Tick {
        #[command(flatten)]
        server: Server,
    },
    /// Operator: show where the server stands
    Status {
        #[command(flatten)]
        server: Server,
    },
    /// Operator: take the clock for right, after a leap
    Clock {
        #[command(flatten)]
        server: Server,
        #[command(subcommand)]
        act: ClockAct,
    },
    /// Operator: raise the series, so that phones fetch whole whatever differs
    StartSeries {
        #[command(flatten)]
        server: Server,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Operator: show the digest of the state, to compare with a rebuild
    Digest {
        #[command(flatten)]
        server: Server,
    },
    /// Operator: replace the token of backends, which may ask for exact matches
    BackendToken {
        #[command(flatten)]
        server: Server,
    },
    /// Operator: replace the operator token
    NewToken {
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ProviderAct {
    /// Add a provider; prints its token, which is shown only now
    Add {
        /// Its name
        name: String,
    },
    /// List all providers
    List,
    /// Let its codes wait
    Suspend {
        /// Its number
        provider: u16,
    },
    /// Make it active again
    Resume {
        /// Its number
        provider: u16,
    },
    /// Revoke its codes, for good
    Revoke {
        /// Its number
        provider: u16,
    },
    /// Replace its token
    Token {
        /// Its number
        provider: u16,
    },
    /// Replace its key: unused codes become void
    Rotate {
        /// Its number
        provider: u16,
    },
    /// Show its key, to print codes offline
    Key {
        /// Its number
        provider: u16,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum CodesAct {
    /// Open a range and print its codes
    Open {
        /// Number of codes, 1 to 10000
        #[arg(long)]
        count: u32,
        /// Days for which they are valid
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// Form of the sheet
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Show the range instead of its codes, to print them offline
        #[arg(long)]
        no_codes: bool,
    },
    /// List one's ranges
    List,
    /// Print the unspent codes of a range again
    Print {
        /// Its first serial number
        first: u32,
        /// Form of the sheet
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Revoke the unused codes of a range
    Close {
        /// Its first serial number
        first: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyAct {
    /// Show all settings
    Show,
    /// Change settings, as in `min_reports=10 raw=false`
    Set {
        /// Setting and value
        #[arg(required = true, value_name = "SETTING=VALUE")]
        settings: Vec<String>,
        /// Even if dates are dropped, for good
        #[arg(long)]
        drop_dates: bool,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum ClockAct {
    /// Let ticks go on
    Resume {
        /// Even if dates are dropped, for good
        #[arg(long)]
        drop_dates: bool,
    },
}

/// Which reports, and whether to act.
#[derive(Args, Debug)]
pub(super) struct Correction {
    /// The report of this tracking id
    #[arg(long, value_name = "ID")]
    report: Option<String>,
    /// The report that this code brought
    #[arg(long)]
    code: Option<String>,
    /// Reports of this provider
    #[arg(long, value_name = "NUMBER")]
    provider: Option<u16>,
    /// Reports of the provider's range that begins with this serial number
    #[arg(long, value_name = "FIRST", requires = "provider")]
    range: Option<u32>,
    /// Reports of this generation of the provider's key; with --range, the present one by default
    #[arg(long, requires = "provider")]
    generation: Option<u32>,
    /// Reports accepted at this UTC time or later, as 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = crate::time::parse)]
    from: Option<u64>,
    /// Reports accepted before this UTC time
    #[arg(long, value_name = "TIME", value_parser = crate::time::parse)]
    until: Option<u64>,
    /// Act on what the preview showed at this position of the log
    #[arg(long)]
    position: Option<u64>,
    /// Do it
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::Provider { server, act } => provider(&Client::new(config, &server)?, act),
        Command::Codes { server, act } => codes(&Client::new(config, &server)?, act),
        Command::RevokeCode { server, code } => {
            let client = Client::new(config, &server)?;
            client.show(&Method::POST, "/v1/admin/codes/revoke", Some(json!({ "code": code })))
        }
        Command::Retract { server, correction } => {
            correct(&Client::new(config, &server)?, "retract", correction)
        }
        Command::Reinstate { server, correction } => {
            correct(&Client::new(config, &server)?, "reinstate", correction)
        }
        Command::Policy { server, act } => policy(&Client::new(config, &server)?, act),
        Command::Tick { server } => {
            Client::new(config, &server)?.show(&Method::POST, "/v1/admin/tick", None)
        }
        Command::Status { server } => {
            Client::new(config, &server)?.show(&Method::GET, "/v1/admin/status", None)
        }
        Command::Clock { server, act: ClockAct::Resume { drop_dates } } => {
            let path = format!("/v1/admin/clock/resume?drop_dates={drop_dates}");
            Client::new(config, &server)?.show(&Method::POST, &path, None)
        }
        Command::StartSeries { server: _, yes: false } => {
            Err("every phone will compare all its sets and fetch what differs: say --yes".into())
        }
        Command::StartSeries { server, yes: true } => {
            Client::new(config, &server)?.show(&Method::POST, "/v1/admin/series", None)
        }
        Command::Digest { server } => {
            Client::new(config, &server)?.show(&Method::GET, "/v1/admin/digest", None)
        }
        Command::BackendToken { server } => {
            Client::new(config, &server)?.show(&Method::POST, "/v1/admin/backend-token", None)
        }
        Command::NewToken { server } => {
            Client::new(config, &server)?.show(&Method::POST, "/v1/admin/token", None)
        }
    }
}

fn provider(client: &Client, act: ProviderAct) -> Outcome {
    let (provider, act) = match act {
        ProviderAct::Add { name } => {
            let body = Some(json!({ "name": name }));
            return client.show(&Method::POST, "/v1/admin/providers", body);
        }
        ProviderAct::List => return client.show(&Method::GET, "/v1/admin/providers", None),
        ProviderAct::Suspend { provider } => (provider, "suspend"),
        ProviderAct::Resume { provider } => (provider, "resume"),
        ProviderAct::Revoke { provider } => (provider, "revoke"),
        ProviderAct::Token { provider } => (provider, "token"),
        ProviderAct::Rotate { provider } => (provider, "rotate"),
        ProviderAct::Key { provider } => (provider, "key"),
    };
    client.show(&Method::POST, &format!("/v1/admin/providers/{provider}/{act}"), None)
}

fn codes(client: &Client, act: CodesAct) -> Outcome {
    let print = |first: u64, format: Format| {
        let format = match format {
            Format::Text => "text",
            Format::Csv => "csv",
            Format::Json => "json",
        };
        let path = format!("/v1/provider/ranges/{first}/codes?format={format}");
        print!("{}", client.ask(&Method::GET, &path, None)?);
        Ok(ExitCode::SUCCESS)
    };
    match act {
        CodesAct::Open { count, days, format, no_codes } => {
            let body = json!({ "count": count, "valid_days": days });
            let range = client.ask(&Method::POST, "/v1/provider/ranges", Some(body))?;
            let range: Value = serde_json::from_str(&range)?;
            if no_codes {
                println!("{range:#}");
                return Ok(ExitCode::SUCCESS);
            }
            print(range["first"].as_u64().ok_or("no serial number in the answer")?, format)
        }
        CodesAct::List => client.show(&Method::GET, "/v1/provider/ranges", None),
        CodesAct::Print { first, format } => print(first.into(), format),
        CodesAct::Close { first } => {
            client.show(&Method::POST, &format!("/v1/provider/ranges/{first}/close"), None)
        }
    }
}

fn correct(client: &Client, act: &str, correction: Correction) -> Outcome {
    let Correction { report, code, provider, range, generation, from, until, position, yes } =
        correction;
    let select = json!({
        "report": report, "code": code, "provider": provider, "range": range,
        "generation": generation, "received_from": from, "received_until": until,
    });
    let mut body = json!({ "act": act, "select": select });
    if yes {
        let position = position.ok_or(
            "look first, without --yes: that shows what changes, and the --position to act on",
        )?;
        body["position"] = position.into();
        client.show(&Method::POST, "/v1/admin/corrections", Some(body))?;
        eprintln!("done; the next tick takes it to phones");
        return Ok(ExitCode::SUCCESS);
    }
    let preview = client.ask(&Method::POST, "/v1/admin/corrections/preview", Some(body))?;
    let preview: Value = serde_json::from_str(&preview)?;
    println!("{preview:#}");
    println!("nothing has changed yet; add `--position {} --yes` to do it", preview["position"]);
    Ok(ExitCode::SUCCESS)
}

fn policy(client: &Client, act: PolicyAct) -> Outcome {
    let path = "/v1/admin/policy";
    let PolicyAct::Set { settings, drop_dates } = act else {
        return client.show(&Method::GET, path, None);
    };
    let mut policy: Map<String, Value> =
        serde_json::from_str(&client.ask(&Method::GET, path, None)?)?;
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or("say SETTING=VALUE")?;
        let known = policy.get_mut(name);
        let known =
            known.ok_or_else(|| format!("there is no setting {name}; see `policy show`"))?;
        *known = serde_json::from_str(value)
            .map_err(|_| format!("{name}: {value} is neither a number nor true or false"))?;
    }
    let path = format!("{path}?drop_dates={drop_dates}");
    client.show(&Method::PUT, &path, Some(policy.into()))
}

/// A connection to the private listener.
struct Client {
    agent: ureq::Agent,
    url: String,
    token: String,
}

impl Client {
    fn new(config: &Config, server: &Server) -> Result<Client, Box<dyn std::error::Error>> {
        let token = server.token.clone();
        let token = token.ok_or("a token is needed: --token, or GCS_SERVER_TOKEN")?;
        let url = server.url.clone();
        let url = url.unwrap_or_else(|| format!("http://{}", config.private_listen));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Ok(Client { agent, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// Asks, and prints the answer.
    fn show(&self, method: &Method, path: &str, body: Option<Value>) -> Outcome {
        let answer = self.ask(method, path, body)?;
        match serde_json::from_str::<Value>(&answer) {
            Ok(json) => println!("{json:#}"),
            Err(_) if answer.is_empty() => println!("done"),
            Err(_) => print!("{answer}"),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let url = format!("{}{path}", self.url);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body)?;
        let mut answer = self.agent.run(request).map_err(|error| format!("{url}: {error}"))?;
        let text = answer.body_mut().read_to_string()?;
        if answer.status().is_success() {
            return Ok(text);
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("no reason given");
        let code = problem["code"].as_str().unwrap_or("unknown");
        Err(format!("refused: {detail} ({}, {code})", answer.status().as_u16()).into())
    }
}
