//! `GET /feed`: the state, and what changes of it, over a WebSocket.
//!
//! A reader gets a snapshot, then changes, each with its number; and the points of one pool's series. One
//! that comes again says the number that it knows last, and is told what it missed, if that is still
//! there; otherwise it gets a snapshot. So does one that is too slow. Nothing is kept for a single
//! reader.

mod hub;

use std::{sync::Arc, time::Duration};

use axum::{Extension, extract::State, response::Response};
use http::{StatusCode, Uri};
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use hub::Hub;
use hub::Next;

use crate::{
    access::Identity,
    admin::{
        Sidecar, api,
        query::{Parameters, bad_request},
        reader::{self, Admission, Gone, Reader, Upgrade},
        wire,
    },
    clock,
    web::HttpError,
};

/// Readers at a time.
pub(crate) const READERS_MAX: usize = 64;
/// How often it is looked whether anything has changed: soon enough for people.
const LOOK: Duration = Duration::from_millis(100);
/// The longest tail of a series, and what it is without a wish.
const SECONDS_MAX: usize = 900;
const SECONDS: usize = 300;

pub(crate) async fn feed(
    State(sidecar): State<Arc<Sidecar>>,
    Extension(identity): Extension<Identity>,
    uri: Uri,
    upgrade: Upgrade,
) -> Result<Response, HttpError> {
    let remedy = "connect with a WebSocket client, or poll /proxy/health, /incidents and /series";
    let upgrade = reader::wanted(upgrade, "the feed", remedy)?;
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
    let watched = Watched { pool, next: None, seconds: seconds as u64 };
    let is_closing = sidecar.is_closing.clone();
    let admission = Admission::new(&sidecar.state.gate, identity);
    Ok(reader::begin(upgrade, is_closing, admission, async move |reader| {
        let _place = place;
        _ = Follower { reader, sidecar, known, watched }.follow().await;
    }))
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

/// The pool whose points a reader gets.
struct Watched {
    pool: Option<String>,
    /// The Unix time of the point that comes next; `None` before the first.
    next: Option<u64>,
    /// How far the first points reach back.
    seconds: u64,
}

/// A reader, and what it knows.
struct Follower {
    reader: Reader,
    sidecar: Arc<Sidecar>,
    /// The number of the change that it knows last.
    known: Option<u64>,
    watched: Watched,
}

impl Follower {
    async fn follow(&mut self) -> Result<(), Gone> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                said = self.reader.hear() => match self.wish_of(&said?) {
                    Ok(watched) => {
                        self.watched = watched;
                        self.tell_points().await?;
                    }
                    Err(error) => return Err(self.reader.refuse(&error).await),
                },
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
                    self.reader.say(&*frame).await?;
                }
                self.known = Some(seq);
            }
            Next::Snapshot(frame, seq) => {
                self.reader.say(frame).await?;
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
        self.reader.say(hub::text(&wire::FeedFrame::Series { series })).await
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
}
