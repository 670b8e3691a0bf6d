//! The one place that asks for the time or waits for it; everything else is told.

#![expect(clippy::disallowed_methods, reason = "this is the module that others must go through")]

use std::time::{Duration, Instant};

/// The present moment, for measuring and for deadlines.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The present time of day in RFC 3339, UTC, with milliseconds.
pub(crate) fn timestamp() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// The present time of day in seconds since 1970.
pub(crate) fn unix_seconds() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits until `moment`; for ever when there is none.
pub(crate) async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
