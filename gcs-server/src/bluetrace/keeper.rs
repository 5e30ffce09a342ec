//! Keeps BlueTrace's promises as time goes by: erases what is over, and destroys day keys.

use std::time::Duration;

use super::Authority;
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::node::Node;

/// How long it waits before it looks again.
const LOOK: Duration = Duration::from_secs(1);

/// Seconds until a problem that lasts is logged again.
const LOG_AGAIN: u32 = 600;

/// Looks again and again, until it is dropped.
pub async fn run(authority: std::sync::Arc<Authority>, node: Node) {
    let mut quiet = 0;
    loop {
        match keep(&authority, &node).await {
            // A log that is away is told elsewhere.
            Ok(())
            | Err(Problem::StorageUnavailable | Problem::LogUnusable | Problem::ReadOnly) => {
                quiet = 0;
            }
            Err(problem) if quiet == 0 => {
                tracing::error!(%problem, "old data of BlueTrace is not erased");
                quiet = LOG_AGAIN;
            }
            Err(_) => quiet -= 1,
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Does what is due now.
///
/// # Errors
/// When the log cannot be written, or the key file cannot be, or is not the log's.
pub async fn keep(authority: &Authority, node: &Node) -> Result<(), Problem> {
    node.expect_current()?;
    loop {
        let due = {
            let state = node.state();
            judge::expect_authority(&state, authority.identity())?;
            judge::purge_bluetrace(&state)?
        };
        if due.events.is_empty() {
            break;
        }
        // Judged again, since another node may have been faster.
        if node.act(|state, _| judge::purge_bluetrace(state)).await? == 0 {
            break;
        }
    }
    let date = node.state().bluetrace.as_ref().and_then(|bluetrace| bluetrace.keys_date);
    let Some(date) = date else { return Ok(()) };
    authority.keys().advance(date).map_err(|error| {
        tracing::error!(%error, "old day keys are not destroyed");
        Problem::Internal
    })
}
