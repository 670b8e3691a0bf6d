//! Plays what an injected fault does to one attempt or health check, as far as that is waiting.

use std::time::Duration;

use tokio::time::sleep;

use crate::event::{Strike, Symptom};

/// How long whoever is struck waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the response to begin, connecting included.
    pub response: Duration,
}

/// Plays `strike`. Returns the symptom with which it ends what was struck; `None` when that may go
/// on, after a delay.
///
/// What needs more than waiting ends at once: who can cut a response in the middle, or give an
/// answer, does so instead of calling this.
pub async fn play(strike: Strike, patience: Patience) -> Option<Symptom> {
    match strike {
        Strike::Refuse | Strike::Reset | Strike::Truncate | Strike::Error(_) => {}
        Strike::Blackhole => sleep(patience.connect.min(patience.response)).await,
        Strike::Hang => sleep(patience.response).await,
        Strike::Delay(delay) if delay < patience.response => {
            sleep(delay).await;
            return None;
        }
        Strike::Delay(_) => sleep(patience.response).await,
    }
    Some(Symptom::Injected(strike.mode()))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::event::FaultMode;

    const PATIENCE: Patience =
        Patience { connect: Duration::from_millis(250), response: Duration::from_secs(2) };

    async fn check(strike: Strike, symptom: Option<FaultMode>, took_ms: u64) {
        let began = Instant::now();
        let ended = play(strike, PATIENCE).await;
        assert_eq!(ended, symptom.map(Symptom::Injected), "{strike:?}");
        assert_eq!(began.elapsed(), Duration::from_millis(took_ms), "{strike:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_strike_takes_the_time_that_the_real_thing_takes() {
        check(Strike::Refuse, Some(FaultMode::Refuse), 0).await;
        check(Strike::Blackhole, Some(FaultMode::Blackhole), 250).await;
        check(Strike::Hang, Some(FaultMode::Hang), 2_000).await;
        check(Strike::Reset, Some(FaultMode::Reset), 0).await;
        check(Strike::Truncate, Some(FaultMode::Truncate), 0).await;
        check(Strike::Error(500), Some(FaultMode::Error), 0).await;
        check(Strike::Delay(Duration::from_millis(1_999)), None, 1_999).await;
        check(Strike::Delay(Duration::from_secs(2)), Some(FaultMode::Slow), 2_000).await;
    }
}
