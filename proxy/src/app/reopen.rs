//! SIGUSR1: log files are opened again, because whoever rotates them has moved them away.

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::telemetry::log_file;

/// Opens log files again at each SIGUSR1.
pub(crate) async fn on_signal() {
    let mut asked = match signal(SignalKind::user_defined1()) {
        Ok(asked) => asked,
        Err(error) => {
            warn!(target: "bascule::app", %error, "SIGUSR1 opens no log file again");
            return;
        }
    };
    while asked.recv().await.is_some() {
        log_file::reopen_all();
        info!(target: "bascule::app", "log files are opened again");
    }
}
