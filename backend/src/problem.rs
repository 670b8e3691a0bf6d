//! The one shape of every error answer: `{"error":{"code","message","remedy"}}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What was wrong with a request, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem { status, code, message: message.into(), remedy: remedy.into() }
    }

    /// A 400 about one value of the query or the path.
    pub(crate) fn value(name: &str, found: &str, allowed: &str) -> Problem {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_value",
            format!("`{name}` is `{found}`"),
            format!("give `{name}` {allowed}"),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem { status, code, message, remedy } = self;
        let body = json!({"error": {"code": code, "message": message, "remedy": remedy}});
        (status, Json(body)).into_response()
    }
}
