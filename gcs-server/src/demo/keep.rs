//! `--keep`: the server lives on, and there is something to try.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use tempfile::TempDir;

use super::{Checked, Story, say};

/// Name of the file with what a phone heard.
const HEARD: &str = "heard.txt";

/// Leaves server and folder, and says what to do with them.
pub(super) fn leave(story: Story, folder: TempDir) -> Checked<()> {
    let Story { backend, phones, .. } = story;
    let mut heard = String::new();
    for heard_one in phones.iter().take(1).flat_map(|phone| &phone.heard) {
        let element = HEXLOWER.encode(&heard_one.element);
        writeln!(heard, "{} {element}", heard_one.time)?;
    }
    std::fs::write(backend.place(HEARD), heard)?;
    let (public, private, token) = (&backend.public, &backend.private, &backend.token);
    let (root, now) = (HEXLOWER.encode(&backend.root.0), backend.now);
    let path = |name: &str| backend.place(name).display().to_string();
    let (clock, heard, phone) = (path("clock"), path(HEARD), path("phone"));
    let (later, confirming) = (now + 900, now + 6 * 3600);
    let text = format!(
        "
The server lives on. Its clock stands still, and it ticks on command only.

  public          {public}
  private         {private}
  operator token  {token}
  root key        {root}
  folder          {folder}

Some things to try:

  curl {public}/v1/manifest
  curl {public}/v1/openapi.json
  curl -H 'Authorization: Bearer {token}' {private}/v1/admin/status
  curl {private}/metrics

A quarter of an hour passes, and a tick:

  echo {later} > {clock}
  curl -X POST -H 'Authorization: Bearer {token}' {private}/v1/admin/tick

A phone that heard what is in a file, and again six hours later, to see it confirm:

  cargo build --release -p gcs-examples --bin app_client
  for now in {now} {confirming}; do target/release/app_client --server {public} \\
    --root {root} --state {phone} \\
    --heard {heard} --now $now; done
",
        folder = folder.path().display(),
    );
    say(text);
    let kept = folder.keep();
    match backend.leave() {
        Some(id) => say(format!("To end it: kill {id} && rm -r {}", kept.display())),
        None => say("The server has ended."),
    }
    Ok(())
}
