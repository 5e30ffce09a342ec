//! `--keep`: leaves the server running, and prints commands to try.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use gcs_examples::Checked;

use crate::belongings::Belongings;
use crate::story::Story;
use crate::voice::say;

/// Name of the file with what a phone heard.
const HEARD: &str = "heard.txt";

/// Leaves server and folder, and prints what to do with them.
pub(crate) fn leave(story: &Story, belongings: &Belongings) -> Checked<()> {
    let Story { server, phones, .. } = story;
    let mut heard = String::new();
    for heard_one in phones.iter().take(1).flat_map(|phone| &phone.heard) {
        let element = HEXLOWER.encode(&heard_one.element);
        writeln!(heard, "{} {element}", heard_one.time)?;
    }
    std::fs::write(server.place(HEARD), heard)?;
    let (public, private, token) = (&server.public, &server.private, &server.token);
    let (root, now) = (HEXLOWER.encode(&server.root.0), server.now);
    let path = |name: &str| server.place(name).display().to_string();
    let (clock, heard, phone) = (path("clock"), path(HEARD), path("phone"));
    let (later, confirming) = (now + 900, now + 6 * 3600);
    let process = belongings.server().ok_or("the server has ended")?;
    say(format!(
        "
The server keeps running. Its clock does not move, and it publishes only when it is told to.

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

To set the clock a quarter of an hour later, and publish:

  echo {later} > {clock}
  curl -X POST -H 'Authorization: Bearer {token}' {private}/v1/admin/tick

To wake a phone that heard the identifiers of a file, and again six hours later, when it confirms:

  cargo build --release --bin app_client
  for now in {now} {confirming}; do target/release/app_client --server {public} \\
    --root {root} --state {phone} \\
    --heard {heard} --now $now; done

To end it: kill {process} && sleep 2 && rm -r {folder}",
        folder = belongings.folder().display(),
    ))?;
    belongings.leave();
    Ok(())
}
