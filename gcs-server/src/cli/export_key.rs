//! The command `export-key`.

use clap::Args;

use super::CommandResult;
use super::output::{OutputArgs, Readers, note};
use crate::app::config::{Config, FolderOptions};
use crate::app::key_file;

/// Options of `export-key`.
#[derive(Args, Debug)]
#[command(
    after_help = "It reads the key file alone, also while the server runs. To change keys: have Apple and\n\
    Google enter the key of the next version, then `gcs-server policy set exports.key_version=v2`."
)]
pub(super) struct ExportKey {
    /// Version of the key, as the policy's exports.key_version
    #[arg(long, value_name = "VERSION", default_value = "v1")]
    key_version: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    settings: FolderOptions,
}

pub(super) fn run(ExportKey { key_version, output, settings }: ExportKey) -> CommandResult {
    let config = Config::load(&settings.into())?;
    let keys = key_file::read(&config.key_file)?;
    // The key is the same whatever its id.
    let key = keys.export(ANY_ID, &key_version);
    let key = key.map_err(|_| "a version has 1 to 64 letters, digits or _")?;
    let written = output.write(Readers::Anyone, &key.public().to_pem())?;
    note(format_args!(
        "version {key_version}; its id is the one that the policy's exports.key_id says, the same as Apple and Google have"
    ));
    Ok(written)
}

const ANY_ID: &str = "id";
