//! What a request asks for: the table of paths.

use http::Method;

use crate::model::Role;

/// What is asked for, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Whether the process lives and is ready. Open to everybody who can connect, whatever they show:
    /// what starts and watches processes has no token, or an old one.
    Greet,
    /// Who one is. Open to everybody, but what is shown must be right, as everywhere else.
    Introduce,
    /// The state: what a page or a metrics collector shows.
    ReadState,
    /// The log, the audit trail, the configuration: what tells more than the state does. Whatever is
    /// not listed is taken for this.
    ReadRecords,
    /// Anything that is not only reading.
    ChangeState,
}

/// Paths that say no more than that we are there.
const GREETINGS: [&str; 2] = ["/livez", "/readyz"];
const INTRODUCTION: &str = "/whoami";

/// Paths of the state, and what they are the beginnings of.
const STATE: [&str; 9] = [
    "/proxy",
    "/incidents",
    "/series",
    "/metrics",
    "/backends",
    "/pools",
    "/faults",
    "/process",
    "/openapi.json",
];

/// What is asked with a body and changes nothing.
const QUESTIONS: [&str; 2] = ["/config/check", "/tickets"];

impl Deed {
    /// Every deed, from the least to the most.
    pub const ALL: [Self; 5] =
        [Self::Greet, Self::Introduce, Self::ReadState, Self::ReadRecords, Self::ChangeState];

    /// Returns what a request asks for.
    ///
    /// Judged by the method first: what is added later and not listed is guarded as a change if it
    /// may be one, and as a record otherwise.
    pub fn of(method: &Method, path: &str) -> Self {
        let is_reading = method == Method::GET || method == Method::HEAD;
        if !is_reading {
            let is_question = method == Method::POST && QUESTIONS.contains(&path);
            return if is_question { Self::ReadRecords } else { Self::ChangeState };
        }
        if GREETINGS.contains(&path) {
            return Self::Greet;
        }
        if path == INTRODUCTION {
            return Self::Introduce;
        }
        let is_under = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_state = STATE.into_iter().any(is_under);
        if is_state { Self::ReadState } else { Self::ReadRecords }
    }

    /// Returns the least role that may do it; `None` where none is needed.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Greet | Self::Introduce => None,
            Self::ReadState | Self::ReadRecords => Some(Role::Viewer),
            Self::ChangeState => Some(Role::Operator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_reading_changes_state() {
        for path in ["/proxy/fail", "/proxy/health", "/logs", "/livez", "/", "/not/yet/known"] {
            for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "X"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                assert_eq!(Deed::of(&method, path), Deed::ChangeState, "{method} {path}");
            }
        }
    }

    #[test]
    fn a_question_with_a_body_changes_nothing() {
        for path in QUESTIONS {
            assert_eq!(Deed::of(&Method::POST, path), Deed::ReadRecords, "{path}");
            assert_eq!(Deed::of(&Method::DELETE, path), Deed::ChangeState, "{path}");
            let below = format!("{path}/x");
            assert_eq!(Deed::of(&Method::POST, &below), Deed::ChangeState, "{below}");
        }
    }

    #[test]
    fn reading_is_judged_by_the_path() {
        for method in [Method::GET, Method::HEAD] {
            for (path, expected) in [
                ("/livez", Deed::Greet),
                ("/readyz", Deed::Greet),
                ("/whoami", Deed::Introduce),
                ("/livez/x", Deed::ReadRecords),
                ("/proxy/health", Deed::ReadState),
                ("/proxy/fail", Deed::ReadState),
                ("/metrics", Deed::ReadState),
                ("/incidents/api-1", Deed::ReadState),
                ("/backends/api/a", Deed::ReadState),
                ("/metricsx", Deed::ReadRecords),
                ("/logs", Deed::ReadRecords),
                ("/audit", Deed::ReadRecords),
                ("/config", Deed::ReadRecords),
                ("/log-level", Deed::ReadRecords),
                ("/", Deed::ReadRecords),
                ("/not/yet/known", Deed::ReadRecords),
            ] {
                assert_eq!(Deed::of(&method, path), expected, "{method} {path}");
            }
        }
    }
}
