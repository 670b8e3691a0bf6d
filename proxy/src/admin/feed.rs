//! `GET /feed`: the state, and what changes of it, over a WebSocket.
//!
//! A reader gets a snapshot, then changes, each with its number; and the points of one pool's series. One
//! that comes again says the number that it knows last, and is told what it missed, if that is still
//! there; otherwise it gets a snapshot. So does one that is too slow. Nothing is kept for a single
//! reader; one that takes nothing for five seconds, or does not answer three pings, is cut.

mod hub;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        State,
        ws::{
            CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    response::Response,
};
use http::{HeaderValue, StatusCode, Uri, header};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{MissedTickBehavior, interval, timeout},
};

pub(crate) use hub::Hub;
use hub::Next;

use crate::{
    admin::{
        Sidecar, api,
        query::{Parameters, bad_request},
        wire,
    },
    clock,
    web::{self, HttpError},
};

/// Readers at a time.
pub(crate) const READERS_MAX: usize = 64;
/// How often it is looked whether anything has changed: soon enough for people.
const LOOK: Duration = Duration::from_millis(100);
/// A reader that takes nothing for so long will not catch up.
const SEND_WITHIN: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(20);
const PINGS_UNANSWERED_MAX: u32 = 3;
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// The longest tail of a series, and what it is without a wish.
const SECONDS_MAX: usize = 900;
const SECONDS: usize = 300;

pub(crate) async fn feed(
    State(sidecar): State<Arc<Sidecar>>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, HttpError> {
    let upgrade = upgrade.map_err(|_| {
        HttpError::new(
            StatusCode::UPGRADE_REQUIRED,
            "websocket_required",
            "the feed is a WebSocket",
            "connect with a WebSocket client, or poll /proxy/health, /incidents and /series",
        )
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
    })?;
    let parameters = Parameters::of(&uri, &["pool", "seconds", "after"])?;
    let pool = watched(&sidecar, parameters.text("pool"))?;
    let seconds = parameters.count("seconds", SECONDS_MAX)?.unwrap_or(SECONDS);
    let known = parameters.count("after", usize::MAX)?.map(|it| it as u64);
    let place = Arc::clone(&sidecar.feed_readers).try_acquire_owned().map_err(|_| {
        HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_readers",
            format!("{READERS_MAX} readers have the feed already"),
            "close one, or poll /proxy/health, /incidents and /series",
        )
    })?;
    Ok(upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX).on_upgrade(
        move |socket| {
            let watched = Watched { pool, next: None, seconds: seconds as u64 };
            let reader = Reader { socket, sidecar, known, watched, unanswered: 0, _place: place };
            reader.run()
        },
    ))
}

/// Returns the name of the pool that is meant; `None` where there is none.
fn watched(sidecar: &Sidecar, name: Option<&str>) -> Result<Option<String>, HttpError> {
    let generation = sidecar.state.generation();
    let topology = &generation.topology;
    match name {
        Some(name) => api::pool_named(topology, name).map(|_| Some(name.to_owned())),
        None => Ok(api::first_pool(topology).ok().map(|it| topology.pool(it).name.clone())),
    }
}

/// Why a reader's connection ends; there is nothing to do about any of it.
struct Gone;

/// The pool whose points a reader gets.
struct Watched {
    pool: Option<String>,
    /// The Unix time of the point that comes next; `None` before the first.
    next: Option<u64>,
    /// How far the first points reach back.
    seconds: u64,
}

struct Reader {
    socket: WebSocket,
    sidecar: Arc<Sidecar>,
    /// The number of the change that it knows last.
    known: Option<u64>,
    watched: Watched,
    unanswered: u32,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    async fn run(mut self) {
        // However it ends, the client knows: it has a close frame, or its connection is gone.
        _ = self.talk().await;
    }

    async fn talk(&mut self) -> Result<(), Gone> {
        let mut is_closing = self.sidecar.is_closing.clone();
        let mut ping = interval(PING_EVERY);
        let mut look = interval(LOOK);
        for turns in [&mut ping, &mut look] {
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        ping.reset();
        loop {
            tokio::select! {
                biased;
                () = web::closed(&mut is_closing) => {
                    return self.close(close_code::AWAY, "the proxy is ending").await;
                }
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(&message).await?,
                    Some(Err(_)) | None => return Err(Gone),
                },
                _ = ping.tick() => {
                    self.unanswered += 1;
                    if PINGS_UNANSWERED_MAX < self.unanswered {
                        return Err(Gone);
                    }
                    self.send(Message::Ping(bytes::Bytes::new())).await?;
                }
                _ = look.tick() => {
                    self.tell_changes().await?;
                    self.tell_points().await?;
                }
            }
        }
    }

    async fn tell_changes(&mut self) -> Result<(), Gone> {
        match self.sidecar.feed.next(&self.sidecar, self.known) {
            Next::Nothing => {}
            Next::Changes(frames, seq) => {
                for frame in frames {
                    self.send(Message::text(&*frame)).await?;
                }
                self.known = Some(seq);
            }
            Next::Snapshot(frame, seq) => {
                self.send(Message::text(frame)).await?;
                self.known = Some(seq);
                // What is drawn may be of another configuration.
                self.watched.next = None;
            }
        }
        Ok(())
    }

    async fn tell_points(&mut self) -> Result<(), Gone> {
        let generation = self.sidecar.state.generation();
        let history = self.sidecar.state.history.clone();
        history.sample(&generation.topology, &generation.live, clock::now());
        let known = history.known_until();
        let topology = &generation.topology;
        let Some(pool) = self.watched.pool.as_ref().and_then(|it| topology.pool_named(it)) else {
            return Ok(());
        };
        let wanted = self.watched.next.map_or(self.watched.seconds, |it| known.saturating_sub(it));
        if wanted == 0 {
            return Ok(());
        }
        let (pool, seconds) = (topology.pool(pool), wanted.min(SECONDS_MAX as u64));
        let name = pool.name.clone();
        // A disk may make it wait.
        let table = tokio::task::spawn_blocking(move || history.table(&name, seconds, Some(known)));
        let Ok(table) = table.await else { return Ok(()) };
        self.watched.next = Some(known);
        let series = wire::series(pool, &table);
        self.send(Message::text(hub::text(&wire::FeedFrame::Series { series }))).await
    }

    /// Takes in what the client says. A message that is not understood ends the connection with the
    /// reason.
    async fn hear(&mut self, message: &Message) -> Result<(), Gone> {
        self.unanswered = 0;
        let text = match message {
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(Gone),
            Message::Binary(_) => {
                return self.close(close_code::UNSUPPORTED, "text frames only").await;
            }
            Message::Text(text) => text,
        };
        match self.wish_of(text) {
            Ok(watched) => {
                self.watched = watched;
                self.tell_points().await
            }
            Err(error) => {
                let reason = format!("{}: {}", error.message, error.remedy);
                self.close(close_code::POLICY, &reason).await
            }
        }
    }

    fn wish_of(&self, text: &str) -> Result<Watched, HttpError> {
        let remedy = r#"send {"type":"watch","pool":"NAME","seconds":300}"#;
        let malformed = || bad_request("malformed_message", "the message is no wish", remedy);
        let wire::FeedRequest::Watch { pool, seconds } =
            serde_json::from_str(text).map_err(|_| malformed())?;
        if !(1..=SECONDS_MAX as u64).contains(&seconds) {
            return Err(malformed());
        }
        let pool = watched(&self.sidecar, Some(&pool))?;
        Ok(Watched { pool, next: None, seconds })
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn close(&mut self, code: u16, reason: &str) -> Result<(), Gone> {
        /// What the protocol leaves for a reason in a control frame.
        const REASON_BYTES_MAX: usize = 123;
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        let frame = CloseFrame { code, reason: reason[..end].into() };
        self.send(Message::Close(Some(frame))).await?;
        Err(Gone)
    }
}
