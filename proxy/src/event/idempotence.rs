//! Whether a request may be made twice.

/// Whether executing a request twice does no more than executing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotence {
    /// It does no more.
    Idempotent,
    /// It may.
    NotIdempotent,
}

impl Idempotence {
    /// Judges a request by its method (RFC 9110 §9.2.2; case matters) and its `Idempotency-Key`.
    ///
    /// The key, if not blank, is the client's word that the backend recognises repetitions.
    pub fn of(method: &str, idempotency_key: Option<&[u8]>) -> Self {
        let has_key = idempotency_key.is_some_and(|key| !key.trim_ascii().is_empty());
        match method {
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" => Self::Idempotent,
            _ if has_key => Self::Idempotent,
            _ => Self::NotIdempotent,
        }
    }
}
