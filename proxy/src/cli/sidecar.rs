//! The one client of every command that asks a running proxy, and how its refusals are explained.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use crate::{
    cli::{
        console::{Console, ReaderGone},
        failure::{Exit, Failure},
        text::Line,
    },
    token,
    web::{self, Duplex, HttpClient, HttpClientError, Trust, under},
};

/// Somebody at a terminal waits, or a container's health check does.
const PATIENCE: Duration = Duration::from_secs(5);
/// What an answer may take beyond the wait that was asked for.
const BEYOND_WAIT: Duration = Duration::from_secs(10);

/// Which proxy is asked, and who asks.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which proxy")]
pub(crate) struct Remote {
    /// The proxy's sidecar
    #[arg(
        long,
        env = "BASCULE_ADMIN",
        default_value = "http://127.0.0.1:9901",
        value_name = "URL"
    )]
    pub(crate) admin: Uri,
    /// A file with the token to show; tokens are never taken from the command line, which everybody
    /// on the machine can read
    #[arg(long, env = "BASCULE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: Tls,
}

/// Whom the sidecar is believed to be, and what is shown to it, over TLS.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "TLS (https:// addresses)")]
pub(crate) struct Tls {
    /// A PEM file with the authority of the sidecar's certificate, in place of the system's
    #[arg(long, env = "BASCULE_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// A PEM file with a certificate to show
    #[arg(long, env = "BASCULE_CERT", value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// A PEM file with its private key
    #[arg(long, env = "BASCULE_KEY", value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

impl Tls {
    /// Returns what a client needs to know.
    pub(crate) fn trust(&self) -> Trust {
        Trust { ca: self.ca.clone(), identity: self.cert.clone().zip(self.key.clone()) }
    }
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: one object, with `"schema":1`
    Json,
}

/// How much is printed, and in which form.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// The form of the answer
    #[arg(long, env = "BASCULE_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Print nothing but errors; the exit code answers
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl Output {
    /// Prints an answer: as it is for programs, as lines for people, or not at all.
    pub(crate) fn print(
        self,
        console: Console,
        answer: &Value,
        lines: impl FnOnce() -> Vec<Line>,
    ) -> Result<(), ReaderGone> {
        match self.format {
            _ if self.quiet => Ok(()),
            Format::Json => console.print(&format!("{}\n", with_schema(answer))),
            Format::Text => console.lines(lines()),
        }
    }
}

/// Every object that is printed says which release of the shapes it has.
fn with_schema(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Value::Object(keys) = &mut answer {
        keys.entry("schema").or_insert_with(|| 1.into());
    }
    answer
}

/// A sidecar that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Sidecar {
    admin: Uri,
    token: Option<String>,
    client: HttpClient,
    trust: Trust,
}

impl Sidecar {
    /// Reads the token, if there shall be one.
    pub(crate) fn new(remote: &Remote) -> Result<Self, Failure> {
        let token = remote.token_file.as_deref().map(token::read).transpose();
        let token = token.map_err(|error| Failure::new(Exit::NotAllowed, error.to_string(), ""))?;
        // An address that cannot be one is said to be wrong before anything is asked.
        under(&remote.admin, "/").map_err(|error| unreachable(&error))?;
        let trust = remote.tls.trust();
        let client = HttpClient::of(&remote.admin, &trust).map_err(|error| unreachable(&error))?;
        Ok(Self { admin: remote.admin.clone(), token, client, trust })
    }

    /// Where it listens, as messages say it.
    pub(crate) fn place(&self) -> String {
        let authority = self.admin.authority().map_or("", http::uri::Authority::as_str);
        authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
    }

    /// The address of `path` below it.
    pub(crate) fn address_of(&self, path: &str) -> Result<Uri, Failure> {
        under(&self.admin, path).map_err(|error| unreachable(&error))
    }

    /// Speaks TLS on a connection to it, if its address says so.
    pub(crate) async fn secure(
        &self,
        stream: TcpStream,
    ) -> Result<Box<dyn Duplex>, HttpClientError> {
        web::secure(stream, &self.admin, &self.trust).await
    }

    /// What proves who asks.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Asks for what is at `path`, an object.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None, PATIENCE).await
    }

    /// Asks for what is at `path`, as text.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String, Failure> {
        let (status, body) = self.send(Method::GET, path, Bytes::new(), "", PATIENCE).await?;
        if !status.is_success() {
            return Err(self.refused(path, status, &body));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Asks, and returns the status as well: for answers that say no by it.
    pub(crate) async fn get_with_status(&self, path: &str) -> Result<(StatusCode, Value), Failure> {
        let (status, body) = self.send(Method::GET, path, Bytes::new(), "", PATIENCE).await?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
        ) {
            return Err(self.refused(path, status, &body));
        }
        Ok((status, value))
    }

    /// Asks for a change; `wait` is how long the sidecar may take for it.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: Map<String, Value>,
        wait: Option<Duration>,
    ) -> Result<Value, Failure> {
        let within = wait.map_or(PATIENCE, |wait| wait + BEYOND_WAIT);
        self.ask(Method::POST, path, Some(Value::Object(body)), within).await
    }

    /// Asks for something, with a body or without.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        within: Duration,
    ) -> Result<Value, Failure> {
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let (status, body) = self.send(method, path, body, "application/json", within).await?;
        if !status.is_success() {
            return Err(self.refused(path, status, &body));
        }
        if body.trim_ascii().is_empty() {
            return Ok(Value::Object(Map::new()));
        }
        serde_json::from_slice(&body).map_err(|_| self.not_understood(path))
    }

    /// Sends text, and returns the status and the answer, whatever they are.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        content_type: &str,
        within: Duration,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut request = Request::builder().method(method).uri(self.address_of(path)?);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request =
            request.body(Full::new(body)).map_err(|error| Failure::usage(error.to_string(), ""))?;
        let answer =
            self.client.send(request, within).await.map_err(|error| unreachable(&error))?;
        Ok((answer.status(), answer.into_body()))
    }

    /// Explains an answer that says no.
    pub(crate) fn refused(&self, path: &str, status: StatusCode, body: &[u8]) -> Failure {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let word = |key: &str| body["error"][key].as_str().unwrap_or_default().to_owned();
        let (code, message, remedy) = (word("code"), word("message"), word("remedy"));
        let place = self.place();
        match status {
            StatusCode::UNAUTHORIZED => Failure::new(
                Exit::NotAllowed,
                format!("not allowed at {place}: {}", or(&message, "a token is asked for")),
                self.how_to_prove(&remedy),
            ),
            StatusCode::FORBIDDEN => Failure::new(
                Exit::NotAllowed,
                format!("not allowed at {place}: {}", or(&message, "this role may not do that")),
                or(&remedy, "show an operator's token: --token-file FILE or BASCULE_TOKEN_FILE"),
            ),
            StatusCode::CONFLICT => Failure::new(
                Exit::No,
                format!("refused by {place}: {}", or(&message, "something else is the case")),
                after_conflict(&code, &remedy),
            ),
            StatusCode::NOT_FOUND if code.is_empty() || code == "unknown_path" => Failure::new(
                Exit::No,
                format!("the proxy at {place} does not know {path}"),
                "it is of another release than this program: compare `bascule version` with the \
                 version that `bascule status` shows",
            ),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if !message.is_empty() => {
                Failure::new(Exit::Usage, message, remedy)
            }
            status => Failure::new(
                Exit::No,
                format!("{place} answered {status}: {}", or(&message, "no reason is given")),
                remedy,
            ),
        }
    }

    fn how_to_prove(&self, remedy: &str) -> String {
        match &self.token {
            None => "show a token: --token-file FILE or BASCULE_TOKEN_FILE=FILE".to_owned(),
            Some(_) => or(remedy, "the token in the file is not one of this proxy's"),
        }
    }

    /// An answer that is not what this release expects.
    pub(crate) fn not_understood(&self, path: &str) -> Failure {
        Failure::new(
            Exit::No,
            format!("what {} answers at {path} is not understood", self.place()),
            "is that the address of a sidecar, and of this release? `bascule version`",
        )
    }

    /// Reads an answer into its shape.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &str, value: Value) -> Result<T, Failure> {
        serde_json::from_value(value).map_err(|_| self.not_understood(path))
    }
}

/// Runs what asks a sidecar to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Explains that there is no answer.
pub(crate) fn unreachable(error: &HttpClientError) -> Failure {
    let (exit, remedy) = match error {
        HttpClientError::BadAddress { .. } => {
            (Exit::Usage, "give the sidecar's address: --admin URL or BASCULE_ADMIN")
        }
        HttpClientError::Distrusted { .. } | HttpClientError::Trust(_) => (Exit::Unreachable, ""),
        HttpClientError::Unreachable { .. } => (
            Exit::Unreachable,
            "start the proxy (`bascule run -c FILE`, `systemctl start bascule`), or say where its \
             sidecar is: --admin URL or BASCULE_ADMIN",
        ),
        HttpClientError::TimedOut { .. } => {
            (Exit::Unreachable, "the machine is overloaded, or that is not a sidecar's address")
        }
        HttpClientError::Broken { .. } | HttpClientError::TooLarge { .. } => {
            (Exit::Unreachable, "is that the address of a sidecar? its default port is 9901")
        }
    };
    Failure::new(exit, format!("the sidecar at {error}"), remedy)
}

/// Names the option that the refused command would have to be given.
fn after_conflict(code: &str, remedy: &str) -> String {
    match code {
        "last_eligible" => "--force does it all the same".to_owned(),
        "changed" => "look again (`bascule status`), then repeat it with what is the case now in \
                      --expect, or without --expect"
            .to_owned(),
        _ => remedy.to_owned(),
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, exit: Exit, message: &str, remedy: &str) {
        let remote = Remote {
            admin: "http://user:secret@proxy:9901".parse().unwrap(),
            token_file: None,
            tls: Tls::default(),
        };
        let sidecar = Sidecar::new(&remote).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let failure = sidecar.refused("/x", status, body.as_bytes());
        assert_eq!(failure.exit, exit, "{failure:?}");
        assert!(failure.message.contains(message), "{failure:?}");
        assert!(failure.remedy.contains(remedy), "{failure:?}");
        assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
    }

    #[test]
    fn each_refusal_has_its_exit_code_and_its_remedy() {
        check(401, "", Exit::NotAllowed, "not allowed at proxy:9901", "--token-file");
        let error = r#"{"error":{"code":"role","message":"viewers may not","remedy":"r"}}"#;
        check(403, error, Exit::NotAllowed, "viewers may not", "r");
        let error = r#"{"error":{"code":"last_eligible","message":"`a` is the last","remedy":""}}"#;
        check(409, error, Exit::No, "refused by proxy:9901: `a` is the last", "--force");
        let error = r#"{"error":{"code":"changed","message":"weight is 5","remedy":""}}"#;
        check(409, error, Exit::No, "weight is 5", "--expect");
        let error = r#"{"error":{"code":"unknown_pool","message":"no pool","remedy":"pools: a"}}"#;
        check(404, error, Exit::Usage, "no pool", "pools: a");
        check(404, "<html>", Exit::No, "does not know /x", "another release");
        check(500, "oops", Exit::No, "answered 500", "");
    }

    #[test]
    fn a_proxy_that_does_not_run_is_explained_by_how_to_start_it() {
        let error = HttpClientError::Unreachable {
            authority: "127.0.0.1:9901".to_owned(),
            reason: "connection refused".to_owned(),
        };
        let failure = unreachable(&error);
        assert_eq!(failure.exit, Exit::Unreachable);
        assert_eq!(
            failure.message,
            "the sidecar at 127.0.0.1:9901 cannot be reached: connection refused"
        );
        assert!(failure.remedy.contains("bascule run") && failure.remedy.contains("--admin"));
    }
}
