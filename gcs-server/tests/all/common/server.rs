//! A server in this process that is asked over HTTP: the real one, on ports of its own, with a clock
//! that stands still and randomness that is the same in every run.

use std::ops::Deref;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use gcs_core::Date;
use gcs_server::app::StartError;
use gcs_server::app::config::Config;

use super::api::Api;
use super::home::{Home, Running};
use super::wait::PATIENCE;

pub use super::api::{Answer, ask, bearer, raw, seed};

/// The server's time at first: noon of a day.
pub fn noon() -> u64 {
    today().start() + 43_200
}

pub fn today() -> Date {
    "2026-01-20".parse().unwrap()
}

/// The date `days` before today.
pub fn ago(days: u32) -> Date {
    Date::from_days(today().days() - days).unwrap()
}

/// A running server, in a thread of its own.
pub struct Server {
    pub home: Arc<Home>,
    pub api: Api,
    config: Config,
    handles: [ServerHandle; 2],
    thread: Option<JoinHandle<()>>,
}

impl Deref for Server {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Server {
    /// A new deployment.
    pub fn new() -> Server {
        let mut server = Server::start(Arc::new(Home::at(noon())), "");
        server.api.backend = server.backend_token();
        server
    }

    /// On a folder that may have a deployment, whose operator's token this is.
    pub fn start(home: Arc<Home>, operator: &str) -> Server {
        let config = home.config();
        Server::start_with(home, operator, config)
    }

    /// With these settings.
    pub fn start_with(home: Arc<Home>, operator: &str, config: Config) -> Server {
        let config = Config { body_seconds: 1, ..config };
        let (of, its) = (Arc::clone(&home), config.clone());
        let operator = operator.to_owned();
        let (started, start) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = start_once_free(&of, &its).await.unwrap();
                let api = running.api(&operator);
                started.send((api, running.handles.clone())).unwrap();
                running.until_stopped().await;
            });
        });
        let (api, handles) = start.recv().unwrap();
        Server { home, api, config, handles, thread: Some(thread) }
    }

    /// The settings that it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Stops and starts again on the same folder.
    pub fn restart(mut self) -> Server {
        self.stop();
        let (home, config) = (Arc::clone(&self.home), self.config.clone());
        let mut started = Server::start_with(home, &self.operator, config);
        started.api.backend.clone_from(&self.backend);
        started
    }

    fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let handles = self.handles.clone();
        let stop = async move {
            for handle in handles {
                handle.stop(false).await;
            }
        };
        actix_web::rt::System::new().block_on(stop);
        thread.join().unwrap();
    }

    pub fn pass(&self, seconds: u64) {
        self.home.pass(seconds);
    }
}

/// Starts a server, once the addresses that it may have had before are free: another test may have got one meanwhile.
async fn start_once_free(home: &Home, config: &Config) -> Result<Running, StartError> {
    let begun = Instant::now();
    loop {
        match home.start_with(config).await {
            Err(StartError::Listen { .. }) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            started => return started,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}
