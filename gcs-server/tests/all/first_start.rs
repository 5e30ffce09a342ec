//! The first start of a new deployment is all or nothing, whenever it is cut short.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::api::{ask, bearer};
use crate::common::home::files;
use crate::common::process::{alone, complaint, program, text};

fn serve(data: &Path, keys: &Path) -> Command {
    let mut command = program();
    command.arg("--data-dir").arg(data).arg("--key-file").arg(keys);
    command.args(["--public-listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a server, and reads what it shows: the address of the private listener, and the operator's
/// token if it is shown.
fn begin(data: &Path, keys: &Path, will_show: bool) -> (Child, String, Option<String>) {
    let mut child = serve(data, keys).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (mut private, mut token) = (String::new(), None);
    for line in lines {
        if let Some(address) = line.strip_prefix("private: http://") {
            private = address.trim().to_owned();
        }
        if let Some(shown) = line.strip_prefix("operator token: ") {
            token = Some(shown.to_owned());
        }
        // Nothing comes behind this where the token has been shown already.
        let is_last = if will_show { "operator token: " } else { "root key: " };
        if line.starts_with(is_last) {
            break;
        }
    }
    if private.is_empty() {
        complaint(&child.wait_with_output().unwrap());
        panic!("it did not start");
    }
    (child, private, token)
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Starts the server until its token is shown, and makes sure that it is the operator's.
fn expect_whole(data: &Path, keys: &Path, what: &str) {
    let (child, private, token) = begin(data, keys, true);
    let token = token.unwrap_or_else(|| panic!("{what}: no token"));
    let status = ask(private.parse().unwrap(), "GET", "/v1/admin/status", &[bearer(&token)], "");
    assert_eq!(status.status, 200, "{what}");
    // The answer came after the greeting, and so after the token was forgotten.
    let left = files(data).into_keys().find(|name| name.starts_with("starting"));
    assert_eq!(left, None, "{what}");
    kill(child);
    let (child, _, again) = begin(data, keys, false);
    assert_eq!(again, None, "{what}: shown twice");
    kill(child);
}

#[test]
fn a_first_start_that_is_killed_is_gone_on_with_or_begun_anew() {
    let (mut nothing, mut made) = (0, 0);
    for round in 0..40u64 {
        let folder = tempfile::tempdir().unwrap();
        let (data, keys) = (folder.path().join("data"), folder.path().join("keys.json"));
        let child = serve(&data, &keys).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(round * 1500));
        kill(child);
        // If it showed the token to the pipe before it was killed, it has nothing left to show.
        if data.join("log.sqlite").exists() && !data.join("starting").exists() {
            continue;
        }
        if data.join("starting").exists() {
            made += 1;
        } else {
            nothing += 1;
        }
        expect_whole(&data, &keys, &format!("round {round}"));
    }
    // How many are of which kind depends on the machine; the next test has each kind.
    println!("{nothing} times nothing was made, {made} times everything");
}

/// A new deployment whose start was cut short right after everything was made.
struct Staged {
    folder: tempfile::TempDir,
}

impl Staged {
    fn new() -> Staged {
        let folder = tempfile::tempdir().unwrap();
        let staged = Staged { folder };
        // A key file cannot be made where its folder is missing, which is found after the rest is made.
        let refused = serve(&staged.data(), &staged.path("missing/keys.json")).output().unwrap();
        assert!(complaint(&refused).contains("missing"));
        let names: Vec<String> = files(&staged.data()).into_keys().collect();
        let whole = ["lock", "starting/keys.json", "starting/log.sqlite", "starting/token"];
        assert_eq!(names, [&whole[..], &["starting/witness"]].concat());
        staged
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn keys(&self) -> PathBuf {
        self.path("keys.json")
    }

    fn install(&self, name: &str, place: &Path) {
        fs::rename(self.data().join("starting").join(name), place).unwrap();
    }
}

#[test]
fn a_start_goes_on_where_a_first_start_was_cut_short() {
    for moved in 0..4 {
        let staged = Staged::new();
        let (data, keys) = (staged.data(), staged.keys());
        let places = [("keys.json", keys.clone()), ("witness", data.join("witness"))];
        let places = places.into_iter().chain([("log.sqlite", data.join("log.sqlite"))]);
        places.take(moved).for_each(|(name, place)| staged.install(name, &place));
        expect_whole(&data, &keys, &format!("{moved} files moved"));
    }
}

#[test]
fn what_was_not_made_whole_is_made_again() {
    for cut in ["keys.json", "token", "log.sqlite", "witness"] {
        let staged = Staged::new();
        let data = staged.data();
        let part = data.join("starting.part");
        fs::rename(data.join("starting"), &part).unwrap();
        fs::write(part.join(cut), "half").unwrap();
        expect_whole(&data, &staged.keys(), cut);
        assert!(!part.exists());
    }
}

#[test]
fn a_key_file_of_another_deployment_is_not_overwritten() {
    let staged = Staged::new();
    fs::write(staged.keys(), "another's").unwrap();
    let refused = serve(&staged.data(), &staged.keys()).output().unwrap();
    assert!(complaint(&refused).contains("keys.json"));
    assert_eq!(fs::read(staged.keys()).unwrap(), b"another's");
    fs::remove_file(staged.keys()).unwrap();
    expect_whole(&staged.data(), &staged.keys(), "afterwards");
}

/// A token that was never shown and is replaced is not shown any more.
#[test]
fn a_token_that_was_replaced_before_it_was_shown_is_forgotten() {
    let staged = Staged::new();
    let (data, keys) = (staged.data(), data_keys(&staged));
    for (name, place) in [("keys.json", &keys), ("log.sqlite", &data.join("log.sqlite"))] {
        staged.install(name, place);
    }
    let reset = alone(&data, &["reset-token"]);
    assert!(reset.status.success(), "{}", text(&reset.stderr));
    let (child, private, token) = begin(&data, &keys, false);
    assert_eq!(token, None);
    let fresh = text(&reset.stdout).trim().replace("operator token: ", "");
    let status = ask(private.parse().unwrap(), "GET", "/v1/admin/status", &[bearer(&fresh)], "");
    assert_eq!(status.status, 200);
    assert!(!data.join("starting").exists());
    kill(child);
}

fn data_keys(staged: &Staged) -> PathBuf {
    staged.data().join("keys.json")
}
