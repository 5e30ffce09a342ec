//! The clock: a tick in every slot, and the upkeep that follows.

use std::time::Duration;

use crate::domain::problem::Problem;
use crate::service::Service;

/// How often the clock looks.
const LOOK: Duration = Duration::from_secs(1);

/// How often a problem that stays is told, in seconds.
const TELL_AGAIN: u64 = 600;

/// Makes a tick whenever a new slot has begun.
pub(super) async fn run(service: Service) {
    let mut told = 0;
    loop {
        if is_due(&service) {
            match service.tick().await {
                Ok(_) => upkeep(&service).await,
                Err(Problem::TickPending { .. }) => {}
                Err(problem) => {
                    let now = service.clock.now();
                    if now.abs_diff(told) >= TELL_AGAIN {
                        tracing::error!(%problem, "no tick");
                        told = now;
                    }
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Slots begin at multiples of the interval. One that was missed is not made up for; a new
/// series begins at once.
fn is_due(service: &Service) -> bool {
    let state = service.node.state();
    let interval = state.policy.interval.max(1);
    let slot = |time: u64| time / interval;
    state.last_tick.is_none_or(|last| {
        last.version.series < state.series || slot(service.clock.now()) != slot(last.time)
    })
}

async fn upkeep(service: &Service) {
    match service.purge().await {
        Ok(0) => {}
        Ok(reports) => tracing::info!(reports, "erased what is not needed any more"),
        Err(problem) => tracing::error!(%problem, "nothing was purged"),
    }
}
