//! `bascule status`: how is the proxy that runs there?

use std::time::Duration;

use http::Uri;
use serde_json::Value;

use crate::web::{HttpClientError, ask_admin};

/// Somebody at a terminal waits, or a container's health check does.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the sidecar says.
pub(crate) struct Status {
    pub(crate) is_well: bool,
    pub(crate) text: String,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Does it want traffic?
    IsReady,
    /// How are its pools? Well means that each of them is served.
    Health,
}

/// Asks the sidecar at `admin`.
pub(crate) async fn ask(admin: &Uri, question: Question) -> Result<Status, HttpClientError> {
    match question {
        Question::IsReady => {
            let (status, body) = ask_admin(admin, "/readyz", PATIENCE).await?;
            let text = String::from_utf8_lossy(&body).into_owned();
            Ok(Status { is_well: status.is_success(), text })
        }
        Question::Health => {
            let (status, body) = ask_admin(admin, "/proxy/health", PATIENCE).await?;
            let health: Value = serde_json::from_slice(&body).unwrap_or_default();
            let pools = health["pools"].as_array().cloned().unwrap_or_default();
            let is_served = |pool: &Value| !pool["active_tier"].is_null();
            Ok(Status {
                is_well: status.is_success() && pools.iter().all(is_served),
                text: pools.iter().map(pool_text).collect(),
            })
        }
    }
}

/// One line a pool, and one a backend.
fn pool_text(pool: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let mut text = format!(
        "pool {}: {}, served by {}; last minute: {} requests, {} lost\n",
        word(&pool["name"]),
        word(&pool["status"]).replace('_', " "),
        word(&pool["active_backend"]),
        pool["last_minute"]["requests"],
        pool["last_minute"]["lost"],
    );
    for backend in pool["backends"].as_array().into_iter().flatten() {
        let reason = backend["reason"].as_str().map_or_else(String::new, |it| format!(" ({it})"));
        text.push_str(&format!(
            "  {:<16} tier {}  {}{reason} since {}  {}\n",
            word(&backend["name"]),
            backend["tier"],
            word(&backend["state"]),
            word(&backend["since"]),
            word(&backend["url"]),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_is_a_line_and_so_is_a_backend() {
        let pool = json!({
            "name": "api", "status": "failed_over", "active_backend": "b",
            "last_minute": { "requests": 7, "lost": 0 },
            "backends": [{
                "name": "a", "tier": 0, "state": "down", "reason": "connection refused",
                "since": "2026-11-23T10:00:00.000Z", "url": "http://127.0.0.1:3001",
            }],
        });
        assert_eq!(
            pool_text(&pool),
            "pool api: failed over, served by b; last minute: 7 requests, 0 lost\n  \
             a                tier 0  down (connection refused) since 2026-11-23T10:00:00.000Z  \
             http://127.0.0.1:3001\n"
        );
    }
}
