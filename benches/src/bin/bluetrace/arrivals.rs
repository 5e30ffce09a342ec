//! Visits that begin at random times, whether or not those before have ended: an open loop.

use std::future::Future;
use std::time::{Duration, Instant};

use actix_web::rt;
use gcs_benches::SplitMix64;
use gcs_benches::server::Checked;
use tokio::sync::mpsc;

/// Begins so many visits, so many a second on average. Each gets its number and the time at which it is due: a
/// visitor counts from that.
pub(crate) async fn arrive<T: 'static, V: Future<Output = Checked<T>> + 'static>(
    count: usize,
    per_second: f64,
    visit: impl Fn(usize, Instant) -> V,
) -> Checked<Vec<T>> {
    let (due, mut arrivals) = mpsc::unbounded_channel();
    // A thread of its own, since the timers of the other one are coarse.
    let clock = std::thread::spawn(move || {
        let mut random = SplitMix64::new(1);
        let mut next = Instant::now();
        for number in 0..count {
            next += Duration::from_secs_f64(gap(random.next_u64()) / per_second);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            if due.send((number, next)).is_err() {
                return;
            }
        }
    });
    let mut visits = Vec::with_capacity(count);
    while let Some((number, due)) = arrivals.recv().await {
        let visit = visit(number, due);
        visits.push(rt::spawn(async { visit.await.map_err(|error| error.to_string()) }));
    }
    clock.join().map_err(|_| "the clock has failed")?;
    let mut done = Vec::with_capacity(count);
    for visit in visits {
        done.push(visit.await??);
    }
    Ok(done)
}

/// The gap to the next one, of exponential distribution with mean 1.
fn gap(random: u64) -> f64 {
    -(((random >> 11) as f64 + 0.5) / (1_u64 << 53) as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_a_mean_of_1_and_are_as_often_long_as_they_should() {
        let mut random = SplitMix64::new(2);
        let gaps: Vec<f64> = (0..100_000).map(|_| gap(random.next_u64())).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let long = gaps.iter().filter(|gap| **gap > 3.0).count() as f64 / gaps.len() as f64;
        assert!((long - (-3.0_f64).exp()).abs() < 0.005, "{long}");
        assert!(gap(0).is_finite() && gap(u64::MAX) >= 0.0);
    }
}
