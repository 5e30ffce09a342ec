//! Phones: they register, and fetch TempIDs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gcs_benches::client::{SharingClient, expect, get, post};
use gcs_benches::server::{Checked, Deployment, Server};
use gcs_benches::timing::Times;
use serde_json::json;

/// The authority's HAI.
pub(crate) const HAI: &str = "SG_OTC";

/// Flags of a server whose passwords go to a sender.
pub(crate) fn flags(sender: &str) -> [String; 4] {
    ["--bluetrace".into(), HAI.into(), "--bluetrace-sender".into(), sender.into()]
}

/// A new deployment whose passwords go to a sender, and its server.
pub(crate) fn start(program: &Path, data: &Path, sender: &str) -> Checked<Server> {
    let flags = flags(sender);
    Deployment::make(program, data, &flags.each_ref().map(String::as_str))?.serve()
}

/// The passwords that were sent.
pub(crate) struct Sent {
    path: PathBuf,
    read: RefCell<Read>,
}

#[derive(Default)]
struct Read {
    file: Option<File>,
    /// The beginning of a line of the file whose end is not written yet.
    new: String,
    passwords: HashMap<String, String>,
}

impl Sent {
    pub(crate) fn to(path: &Path) -> Sent {
        Sent { path: path.to_owned(), read: RefCell::default() }
    }

    /// The password of a number, once.
    fn take(&self, number: &str) -> Checked<String> {
        let mut read = self.read.borrow_mut();
        let Read { file, new, passwords } = &mut *read;
        if file.is_none() {
            *file = Some(File::open(&self.path)?);
        }
        // The last line may still be being written.
        file.iter_mut().try_for_each(|file| file.read_to_string(new).map(drop))?;
        let whole = new.rfind('\n').map_or(0, |end| end + 1);
        for line in new.drain(..whole).as_str().lines() {
            let (number, password) = line.split_once(' ').ok_or("no password")?;
            passwords.insert(number.to_owned(), password.to_owned());
        }
        Ok(passwords.remove(number).ok_or("no password was sent")?)
    }
}

/// How long the steps of a registration took, in seconds.
pub(crate) struct Visit {
    pub(crate) password: f64,
    pub(crate) user: f64,
    pub(crate) temp_ids: f64,
}

/// Registers a phone that comes at a time, over a connection of its own, and fetches its TempIDs.
pub(crate) async fn register(
    address: SocketAddr,
    sent: &Sent,
    number: u64,
    due: Instant,
) -> Checked<Visit> {
    let number = format!("+{number}");
    let mut client = SharingClient::connect(address).await?;
    let body = json!({ "number": number }).to_string();
    let answer = expect(client.send(&post("/bluetrace/v1/passwords", "", &body)).await?)?;
    let password = due.elapsed();
    let body = json!({ "number": number, "challenge": answer["challenge"], "password": sent.take(&number)? });
    let began = Instant::now();
    let answer = expect(client.send(&post("/bluetrace/v1/users", "", &body.to_string())).await?)?;
    let user = began.elapsed();
    let began = Instant::now();
    fetch(&mut client, answer["token"].as_str().ok_or("no token")?).await?;
    let temp_ids = began.elapsed();
    let [password, user, temp_ids] = [password, user, temp_ids].map(|time| time.as_secs_f64());
    Ok(Visit { password, user, temp_ids })
}

/// Fetches TempIDs for a user who comes at a time, over a connection of its own. Gives the seconds.
pub(crate) async fn refresh(address: SocketAddr, token: &str, due: Instant) -> Checked<f64> {
    fetch(&mut SharingClient::connect(address).await?, token).await?;
    Ok(due.elapsed().as_secs_f64())
}

async fn fetch(client: &mut SharingClient, token: &str) -> Checked<()> {
    let answer = expect(client.send(&get("/bluetrace/v1/temp-ids", token)).await?)?;
    match answer["tempIDs"].as_array().map(Vec::len) {
        Some(100) => Ok(()),
        _ => Err("not 100 TempIDs".into()),
    }
}

/// The times of each step.
pub(crate) fn steps(visits: &[Visit]) -> [(&'static str, Times); 3] {
    let times = |of: fn(&Visit) -> f64| Times::new(visits.iter().map(of).collect());
    [
        ("a password is asked for, and sent", times(|visit| visit.password)),
        ("the user is registered, on disk", times(|visit| visit.user)),
        ("100 TempIDs are fetched", times(|visit| visit.temp_ids)),
    ]
}

/// The processor time that a server has used since a moment.
pub(crate) struct Load<'s> {
    server: &'s Server,
    seconds: f64,
    began: Instant,
}

impl<'s> Load<'s> {
    pub(crate) fn begin(server: &'s Server) -> Checked<Load<'s>> {
        Ok(Load { server, seconds: server.process.seconds()?, began: Instant::now() })
    }

    /// Processor time since then.
    pub(crate) fn seconds(&self) -> Checked<f64> {
        Ok(self.server.process.seconds()? - self.seconds)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
