//! Keeps the history up to date.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::{clock, exchange::GenerationCell, history::History};

/// How often what is over is taken in. Whoever asks meanwhile has it taken in himself.
const EVERY: Duration = Duration::from_secs(1);

/// Takes in what requests have counted; never ends.
pub(crate) async fn keep(history: History, current: GenerationCell) {
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let generation = current.load_full();
        history.sample(&generation.topology, &generation.live, clock::now());
    }
}
