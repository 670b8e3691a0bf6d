//! An answer that says no: what is wrong, and what would put it right.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// A refusal or a failure, as JSON: `{"error":{"code","message","remedy"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// The status of the answer.
    pub status: StatusCode,
    /// For programs: one word, stable across releases.
    pub code: &'static str,
    /// What is wrong. Lower case, no full stop.
    pub message: String,
    /// What would put it right.
    pub remedy: String,
    /// How things are, where they are not as was expected.
    pub present: Option<Box<serde_json::Value>>,
    /// A header that the status asks for, such as `Allow`.
    pub header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl HttpError {
    /// Makes an answer with `status`.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            remedy: remedy.into(),
            present: None,
            header: None,
        }
    }

    /// Adds how things are.
    #[must_use]
    pub fn with_present(self, present: serde_json::Value) -> Self {
        Self { present: Some(Box::new(present)), ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some(Box::new((name, value))), ..self }
    }
}

/// In the extensions of a response that was made of an [`HttpError`]: what it says, for whoever notes
/// how requests end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The word for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

#[derive(Serialize)]
struct Body<'e> {
    error: Detail<'e>,
}

#[derive(Serialize)]
struct Detail<'e> {
    code: &'e str,
    message: &'e str,
    remedy: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<&'e serde_json::Value>,
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let detail = Detail {
            code: self.code,
            message: &self.message,
            remedy: &self.remedy,
            present: self.present.as_deref(),
        };
        // Strings and what was JSON always serialise.
        let body = serde_json::to_string(&Body { error: detail }).unwrap_or_default();
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, json, body).into_response();
        if let Some(header) = self.header {
            let (name, value) = *header;
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Rejected { code: self.code, message: self.message });
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_error_is_json_with_code_message_and_remedy() {
        let error = HttpError::new(StatusCode::CONFLICT, "nothing_active", "a \"b\"", "c")
            .with_header(header::ALLOW, HeaderValue::from_static("POST"));
        let response = error.into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["allow"], "POST");
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        let expected = r#"{"error":{"code":"nothing_active","message":"a \"b\"","remedy":"c"}}"#;
        assert_eq!(body, expected);
    }
}
