//! The ticker: makes a tick in every slot of time, and purges old reports after it.

use std::time::Duration;

use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::service::Service;

/// How long the ticker waits before it looks at the clock again.
const LOOK: Duration = Duration::from_secs(1);

/// Seconds until a problem that lasts is logged again.
const LOG_AGAIN_SECONDS: u64 = 600;

/// Makes a tick whenever a new slot has begun.
pub(super) async fn run(service: Service) {
    let mut logged_at = 0;
    loop {
        if is_due(&service.node.state(), service.clock.now()) {
            match service.tick_if(is_due).await {
                Ok(Some(_)) => upkeep(&service).await,
                // Another node has made it.
                Ok(None) | Err(Problem::TickPending { .. }) => {}
                Err(problem) => {
                    let now = service.clock.now();
                    if now.abs_diff(logged_at) >= LOG_AGAIN_SECONDS {
                        tracing::error!(%problem, "no tick was made");
                        logged_at = now;
                    }
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether it is time for a tick. Slots begin at multiples of the interval. A slot that was missed
/// is not made up for. The first tick of a new series is made at once. When the clock is far behind the
/// last tick, the tick that is tried says so.
fn is_due(state: &State, now: u64) -> bool {
    let interval = state.policy.interval.max(1);
    let slot = |time: u64| time / interval;
    state.last_tick.is_none_or(|last| {
        last.version.series < state.series
            || slot(now) > slot(last.time)
            || now.saturating_add(judge::SMALL_STEP) < last.time
    })
}

async fn upkeep(service: &Service) {
    match service.purge().await {
        Ok(0) => {}
        Ok(reports) => tracing::info!(reports, "erased reports that are not needed any more"),
        Err(problem) => tracing::error!(%problem, "nothing was purged"),
    }
}
