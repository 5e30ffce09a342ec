//! Who brings passwords to phones. The gateway for text messages is the operator's.

use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::domain::phone_number::PhoneNumber;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Number of commands that run at once.
const AT_ONCE: usize = 16;

/// Brings a password to the phone with a number.
pub trait Sender: Send + Sync + fmt::Debug {
    /// Sends a password.
    fn send(&self, number: PhoneNumber, password: String) -> BoxFuture<'static, io::Result<()>>;
}

/// The setting that says who sends passwords.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SenderSetting {
    /// A file to which number and password are appended, a line each time: for trying out.
    File(PathBuf),
    /// A program that is run each time, with a line of number and password on its standard input.
    Command(PathBuf),
}

impl FromStr for SenderSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<SenderSetting, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(SenderSetting::File(path.into())),
            Some(("command", path)) if !path.is_empty() => Ok(SenderSetting::Command(path.into())),
            _ => Err("say file:PATH or command:PATH".to_owned()),
        }
    }
}

impl TryFrom<String> for SenderSetting {
    type Error = String;

    fn try_from(text: String) -> Result<SenderSetting, String> {
        text.parse()
    }
}

impl From<SenderSetting> for String {
    fn from(setting: SenderSetting) -> String {
        match setting {
            SenderSetting::File(path) => format!("file:{}", path.display()),
            SenderSetting::Command(path) => format!("command:{}", path.display()),
        }
    }
}

impl SenderSetting {
    /// The sender of this setting.
    pub(super) fn sender(&self) -> Arc<dyn Sender> {
        match self.clone() {
            SenderSetting::File(path) => Arc::new(ToFile(path)),
            SenderSetting::Command(program) => {
                Arc::new(ByCommand { program, places: Arc::new(Semaphore::new(AT_ONCE)) })
            }
        }
    }
}

fn line(number: PhoneNumber, password: &str) -> String {
    format!("{number} {password}\n")
}

#[derive(Debug)]
struct ToFile(PathBuf);

impl Sender for ToFile {
    fn send(&self, number: PhoneNumber, password: String) -> BoxFuture<'static, io::Result<()>> {
        let path = self.0.clone();
        let append = move || {
            let mut options = std::fs::File::options();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path)?;
            io::Write::write_all(&mut file, line(number, &password).as_bytes())
        };
        Box::pin(async { spawn_blocking(append).await.map_err(io::Error::other)? })
    }
}

#[derive(Debug)]
struct ByCommand {
    program: PathBuf,
    places: Arc<Semaphore>,
}

impl Sender for ByCommand {
    fn send(&self, number: PhoneNumber, password: String) -> BoxFuture<'static, io::Result<()>> {
        let (program, places) = (self.program.clone(), Arc::clone(&self.places));
        let run = async move {
            let _place = places.acquire_owned().await.map_err(io::Error::other)?;
            let mut command = Command::new(program);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            // Given up, it is killed.
            let mut child = command.kill_on_drop(true).spawn()?;
            if let Some(mut input) = child.stdin.take() {
                let written = input.write_all(line(number, &password).as_bytes()).await;
                // A program that does not read all may have done its work.
                if written.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
                    return Err(io::Error::other("its standard input cannot be written"));
                }
            }
            let status = child.wait().await?;
            if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
        };
        Box::pin(async {
            let ran = tokio::time::timeout(PATIENCE, run).await;
            ran.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_one_spelling() {
        for text in ["file:/a b", "command:c"] {
            assert_eq!(String::from(text.parse::<SenderSetting>().unwrap()), text);
        }
        for text in ["", "file:", "command", "sms:1", "/path"] {
            assert!(text.parse::<SenderSetting>().is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    fn script(folder: &std::path::Path, text: &str) -> Arc<dyn Sender> {
        let path = folder.join("send");
        // Another process writes it: while this one has it open, a child that another test begins has it too, and
        // nobody may execute a file that somebody writes.
        let write = r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod 700 "$1""#;
        let mut shell = std::process::Command::new("sh");
        let written = shell.args(["-c", write, "sh"]).arg(&path).arg(text).status();
        assert!(written.unwrap().success());
        SenderSetting::Command(path).sender()
    }

    #[cfg(unix)]
    #[actix_web::test]
    async fn a_command_gets_a_line_and_says_whether_it_succeeded() {
        let folder = tempfile::tempdir().unwrap();
        let number = "+6591234567".parse().unwrap();
        let sent = folder.path().join("sent");
        let sender = script(folder.path(), &format!("cat >> {}", sent.display()));
        sender.send(number, "123456".into()).await.unwrap();
        sender.send(number, "000000".into()).await.unwrap();
        assert_eq!(
            std::fs::read_to_string(&sent).unwrap(),
            "+6591234567 123456\n+6591234567 000000\n"
        );
        let failing = script(folder.path(), "exit 3");
        assert!(failing.send(number, "123456".into()).await.is_err());
        let missing = SenderSetting::Command(folder.path().join("missing")).sender();
        assert!(missing.send(number, "123456".into()).await.is_err());
    }

    /// The time does not pass for the command: it is given up at once.
    #[cfg(unix)]
    #[actix_web::test]
    async fn a_command_that_hangs_is_given_up_and_killed() {
        let folder = tempfile::tempdir().unwrap();
        let id = folder.path().join("id");
        let sender = script(folder.path(), &format!("echo $$ > {}; exec sleep 1000", id.display()));
        let number = "+6591234567".parse().unwrap();
        let began = std::time::Instant::now();
        let error = sender.send(number, "123456".into()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE);
        let process = std::fs::read_to_string(&id).unwrap();
        let process = std::path::Path::new("/proc").join(process.trim());
        while process.join("exe").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
