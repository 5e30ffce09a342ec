//! Keeps BlueTrace's promises as time goes by: erases what is over, and destroys day keys.

use std::sync::Arc;
use std::time::Duration;

use super::Authority;
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::node::Node;

/// How long it waits before it looks again.
const LOOK: Duration = Duration::from_secs(1);

/// Seconds until a problem that lasts is logged again.
const LOG_AGAIN: u32 = 600;

const NO_SETTING: &str = "the log has BlueTrace, and the setting `bluetrace` is missing";

const OTHER_KEYS: &str = "bluetrace.key in the data folder is not the one that this log was begun with, or \
                          `bluetrace` names another authority; put the right file in its place, and start again";

/// Destroys day keys again and again, until it is dropped. Without an authority it only says that none
/// are destroyed, if the log has BlueTrace.
pub async fn run(authority: Option<Arc<Authority>>, node: Node) {
    let mut quiet = 0;
    loop {
        match destroy_old_keys(authority.as_deref(), &node) {
            Ok(()) => quiet = 0,
            Err(reason) if quiet == 0 => {
                tracing::error!("this server destroys no old day keys of BlueTrace: {reason}");
                quiet = LOG_AGAIN;
            }
            Err(_) => quiet -= 1,
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Destroys the day keys that are too old by the log.
///
/// # Errors
/// When the key file cannot be written, or is not the log's, or the setting is missing.
fn destroy_old_keys(authority: Option<&Authority>, node: &Node) -> Result<(), String> {
    // A log that is away is told elsewhere.
    if node.expect_current().is_err() {
        return Ok(());
    }
    let due = {
        let state = node.state();
        if let Some(fault) = fault(authority, &state) {
            return Err(fault.to_owned());
        }
        let date = state.bluetrace.as_ref().and_then(|bluetrace| bluetrace.keys_date);
        authority.zip(date)
    };
    let Some((authority, date)) = due else { return Ok(()) };
    authority.keys().advance(date).map_err(|error| error.to_string())
}

/// What keeps day keys from being destroyed, if the log has BlueTrace.
pub fn fault(authority: Option<&Authority>, state: &State) -> Option<&'static str> {
    state.bluetrace.as_ref()?;
    let Some(authority) = authority else { return Some(NO_SETTING) };
    judge::expect_authority(state, authority.identity()).err().map(|_| OTHER_KEYS)
}

/// Erases what is over. It needs no keys. Each time a server forgets the state that it has stored for its
/// next start; so this is done right before a tick, after which that is stored anew.
///
/// # Errors
/// When the log cannot be written.
pub async fn purge(node: &Node) -> Result<(), Problem> {
    // Judged again each time, since another node may have been faster.
    while is_due(node)? && node.act(|state, _| judge::purge_bluetrace(state)).await? > 0 {}
    Ok(())
}

fn is_due(node: &Node) -> Result<bool, Problem> {
    Ok(!judge::purge_bluetrace(&node.state())?.events.is_empty())
}
