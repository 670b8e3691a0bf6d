//! Somebody who reads over a WebSocket, for as long as it likes, and says little.
//!
//! One that takes nothing for five seconds, or does not answer three pings, is cut. One that would not be
//! let in any more is told so, and let go.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::ws::{
        CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
        rejection::WebSocketUpgradeRejection,
    },
    response::Response,
};
use http::{HeaderValue, StatusCode, header};
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use crate::{
    access::{Identity, Pass},
    admin::Gate,
    web::{self, HttpError},
};

/// A reader that takes nothing for so long will not catch up.
const SEND_WITHIN: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(20);
/// How often it is looked whether it may still read.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const PINGS_UNANSWERED_MAX: u32 = 3;
/// What it says has a few short values.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// What the protocol leaves for a reason in a control frame.
const REASON_BYTES_MAX: usize = 123;

/// Why a reader's connection ends; there is nothing to do about any of it.
pub(crate) struct Gone;

/// A reader's connection.
pub(crate) struct Reader {
    socket: WebSocket,
    is_closing: watch::Receiver<bool>,
    admission: Admission,
    look: Interval,
    ping: Interval,
    /// Pings since it was last heard of.
    unanswered: u32,
}

impl Reader {
    fn new(socket: WebSocket, is_closing: watch::Receiver<bool>, admission: Admission) -> Self {
        let every = |period| {
            let mut turns = interval(period);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            turns.reset();
            turns
        };
        let (look, ping) = (every(LOOK_EVERY), every(PING_EVERY));
        Self { socket, is_closing, admission, look, ping, unanswered: 0 }
    }

    /// Waits for the next message that it sends, and keeps the connection alive meanwhile. It may be
    /// dropped and called again at any time.
    pub(crate) async fn hear(&mut self) -> Result<Utf8Bytes, Gone> {
        loop {
            tokio::select! {
                biased;
                () = web::closed(&mut self.is_closing) => {
                    return Err(self.close(close_code::AWAY, "the proxy is ending").await);
                }
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        self.unanswered = 0;
                        return Ok(text);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.unanswered = 0,
                    Some(Ok(Message::Binary(_))) => {
                        return Err(self.close(close_code::UNSUPPORTED, "text frames only").await);
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                },
                _ = self.look.tick() => if !self.admission.holds() {
                    let reason = "what let you in has been replaced or revoked";
                    return Err(self.close(close_code::POLICY, reason).await);
                },
                _ = self.ping.tick() => {
                    self.unanswered += 1;
                    if PINGS_UNANSWERED_MAX < self.unanswered {
                        return Err(Gone);
                    }
                    self.send(Message::Ping(bytes::Bytes::new())).await?;
                }
            }
        }
    }

    /// Sends a frame.
    pub(crate) async fn say(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), Gone> {
        self.send(Message::Text(text.into())).await
    }

    /// Ends the connection because of a message that is not understood. There is no frame for errors,
    /// and silence would leave it believing what is not so.
    pub(crate) async fn refuse(&mut self, error: &HttpError) -> Gone {
        let reason = format!("{}: {}", error.message, error.remedy);
        self.close(close_code::POLICY, &reason).await
    }

    /// Ends the connection with a reason.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) -> Gone {
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        let frame = CloseFrame { code, reason: reason[..end].into() };
        // However it ends, the client knows: it has a close frame, or its connection is gone.
        _ = self.send(Message::Close(Some(frame))).await;
        Gone
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// By what a reader was let in.
pub(crate) struct Admission {
    gate: Arc<Gate>,
    pass: Pass,
}

impl Admission {
    /// Makes one for `identity`, whom `gate` has just let in.
    pub(crate) fn new(gate: &Arc<Gate>, identity: Identity) -> Self {
        Self { gate: Arc::clone(gate), pass: gate.pass(identity) }
    }

    fn holds(&self) -> bool {
        self.gate.admits(&self.pass)
    }
}

/// A request that may become a reader's connection.
pub(crate) type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Returns the upgrade that was asked for; `what` is read, or can be had by `remedy`.
pub(crate) fn wanted(
    upgrade: Upgrade,
    what: &str,
    remedy: &str,
) -> Result<WebSocketUpgrade, HttpError> {
    upgrade.map_err(|_| {
        HttpError::new(
            StatusCode::UPGRADE_REQUIRED,
            "websocket_required",
            format!("{what} is a WebSocket"),
            remedy,
        )
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
    })
}

/// Makes the connection one of a reader, with which `talk` goes on.
pub(crate) fn begin<F: Future<Output = ()> + Send + 'static>(
    upgrade: WebSocketUpgrade,
    is_closing: watch::Receiver<bool>,
    admission: Admission,
    talk: impl FnOnce(Reader) -> F + Send + 'static,
) -> Response {
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| talk(Reader::new(socket, is_closing, admission)))
}
