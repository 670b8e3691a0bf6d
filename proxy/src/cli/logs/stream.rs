//! The WebSocket on which the log comes.

use std::time::Duration;

use futures_util::StreamExt;
use http::{HeaderValue, header};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, error::ProtocolError},
};

use crate::cli::{
    failure::{Exit, Failure},
    logs::line::LogLine,
    sidecar::{Sidecar, unreachable},
};
use crate::web::Duplex;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The sidecar pings every twenty seconds; three pings missed, and nobody is there.
const SILENCE_MAX: Duration = Duration::from_secs(70);

/// What the sidecar says.
#[derive(Debug)]
pub(crate) enum Frame {
    Hello(Hello),
    Lines(Vec<LogLine>),
    /// So many lines were missed, because they were read too slowly.
    Dropped(u64),
    /// The connection is over, in words.
    Ended(String),
}

/// The first thing that the sidecar says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// So many recent lines follow.
    pub(crate) recent: usize,
    /// The number of the oldest line that the sidecar still has, whatever the filter.
    pub(crate) oldest: u64,
    /// The number of the newest.
    pub(crate) newest: u64,
    /// When the process was started: another one counts its lines anew.
    pub(crate) started_at: String,
}

/// The connection.
pub(crate) struct LogStream {
    socket: WebSocketStream<Box<dyn Duplex>>,
    place: String,
}

/// Opens the log at `path`.
pub(crate) async fn connect(sidecar: &Sidecar, path: &str) -> Result<LogStream, Failure> {
    let place = sidecar.place();
    let address = sidecar.address_of(path)?;
    let authority = address.authority().map_or("", http::uri::Authority::as_str).to_owned();
    let broken = |reason: String| {
        let message = format!("the sidecar at {place} cannot be reached: {reason}");
        let remedy = "start the proxy, or say where its sidecar is: --admin URL or BASCULE_ADMIN";
        Failure::new(Exit::Unreachable, message, remedy)
    };
    let target =
        format!("ws://{authority}{}", address.path_and_query().map_or("/", |it| it.as_str()));
    let mut request = target.into_client_request().map_err(|error| broken(error.to_string()))?;
    if let Some(token) = sidecar.token() {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let value = value.map_err(|_| broken("the token cannot be sent".to_owned()))?;
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let port = if address.scheme_str() == Some("https") { 443 } else { 80 };
    let host = if address.port().is_some() { authority } else { format!("{authority}:{port}") };
    let opening = async {
        let stream =
            TcpStream::connect(&host).await.map_err(|error| broken(error.kind().to_string()))?;
        let stream = sidecar.secure(stream).await.map_err(|error| unreachable(&error))?;
        client_async(request, stream).await.map_err(|error| {
            let Error::Http(answer) = error else { return broken(error.to_string()) };
            let body = answer.body().as_deref().unwrap_or_default();
            sidecar.refused("/logs", answer.status(), body)
        })
    };
    match timeout(CONNECT_WITHIN, opening).await {
        Ok(opened) => Ok(LogStream { socket: opened?.0, place }),
        Err(_) => Err(broken("it does not answer".to_owned())),
    }
}

impl LogStream {
    /// Waits for what the sidecar says next.
    pub(crate) async fn next(&mut self) -> Result<Frame, Failure> {
        loop {
            let Ok(message) = timeout(SILENCE_MAX, self.socket.next()).await else {
                return Ok(Frame::Ended(format!("{} has fallen silent", self.place)));
            };
            match message {
                Some(Ok(Message::Text(text))) => return Ok(self.frame(text.as_str())),
                Some(Ok(Message::Close(Some(close)))) if u16::from(close.code) == 1008 => {
                    return Err(Failure::usage(close.reason.as_str(), ""));
                }
                Some(Ok(Message::Close(close))) => {
                    let why = close.map_or_else(String::new, |it| format!(": {}", it.reason));
                    return Ok(Frame::Ended(format!("{} has closed the log{why}", self.place)));
                }
                // Pings are answered by the library as it reads on.
                Some(Ok(_)) => {}
                None
                | Some(Err(
                    Error::ConnectionClosed
                    | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
                )) => {
                    return Ok(Frame::Ended(format!("the connection to {} was lost", self.place)));
                }
                Some(Err(error)) => {
                    let place = &self.place;
                    return Ok(Frame::Ended(format!("the connection to {place} broke: {error}")));
                }
            }
        }
    }

    fn frame(&self, text: &str) -> Frame {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Frame::Ended(format!("what {} says is not understood", self.place));
        };
        let count = |key: &str| value[key].as_u64().unwrap_or(0);
        match value["type"].as_str() {
            Some("hello") => Frame::Hello(Hello {
                recent: usize::try_from(count("recent")).unwrap_or(0),
                oldest: count("oldest"),
                newest: count("newest"),
                started_at: value["started_at"].as_str().unwrap_or_default().to_owned(),
            }),
            Some("dropped") => Frame::Dropped(count("count")),
            // What a newer sidecar may say beside lines is passed over.
            Some(_) | None => {
                let lines = value["lines"].as_array().cloned().unwrap_or_default();
                Frame::Lines(lines.into_iter().map(LogLine::of).collect())
            }
        }
    }
}
