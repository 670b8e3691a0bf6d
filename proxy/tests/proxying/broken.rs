//! Backends that do not speak HTTP, or stop in the middle of it.

use std::time::Duration;

use bascule_backend::{Fault, FaultKind, Scope};

use crate::{
    client::{content_length, try_ask},
    setup::{Setup, backend},
    stub::{Habit, Stub},
};

#[tokio::test]
async fn a_backend_that_talks_nonsense_closes_or_is_silent_costs_no_get() {
    for habit in [
        Habit::Close,
        Habit::Keep,
        Habit::Say("\0\u{1}nonsense\r\n\r\n"),
        Habit::Say("SSH-2.0-OpenSSH_9.2\r\n"),
        Habit::Say("HTTP/1.1 "),
        Habit::Say("HTTP/1.1 200 OK\r\nContent-Le"),
        Habit::SayAndKeep("HTTP/1.1 200 OK\r\nContent-Le"),
    ] {
        let (stub, secondary) = (Stub::new(habit).await, backend("secondary"));
        let proxy = Setup::addresses(&[("stub", stub.addr), ("secondary", secondary.addr())])
            .with("pools.api.retries.per_try_timeout", "200ms")
            .start()
            .await;
        let answer = proxy.echo("GET", "get").await;
        assert_eq!((answer.status, answer.backend()), (200, "secondary"), "{habit:?}");
        assert_eq!(stub.asked(), 1, "{habit:?}");
    }
}

#[tokio::test]
async fn a_post_to_a_backend_that_talks_nonsense_is_an_error_and_not_repeated() {
    for habit in [Habit::Close, Habit::Say("nonsense\r\n\r\n")] {
        let (stub, secondary) = (Stub::new(habit).await, backend("secondary"));
        let proxy =
            Setup::addresses(&[("stub", stub.addr), ("secondary", secondary.addr())]).start().await;
        let answer = proxy.echo("POST", "post").await;
        assert_eq!((answer.status, stub.asked(), secondary.total()), (502, 1, 0), "{habit:?}");
    }
}

#[tokio::test]
async fn a_short_body_that_breaks_off_is_asked_for_again() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    // A proxy for each request: the first that breaks off makes its backend suspected.
    let start = || Setup::tiers(&[&primary, &secondary]).start();
    let fault = Fault::new(FaultKind::Truncate, Duration::from_secs(60)).in_scope(Scope::Traffic);
    primary.inject(fault).await.unwrap();
    for path in ["/api/data", "/blob?size=60000", "/blob?size=60000&chunked=true"] {
        let proxy = start().await;
        let answer = proxy.get(path).await;
        assert_eq!((answer.status, answer.backend()), (200, "secondary"), "{path}");
    }
    let answer = start().await.ask("POST", "/api/data", &[], "").await;
    assert_eq!(answer.status, 502, "an error, not a part of an answer");
}

/// Bodies longer than what is held back, and all bodies where nothing is.
#[tokio::test]
async fn a_long_body_that_breaks_off_is_visibly_broken() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    // A proxy for each request: the first that breaks off makes its backend suspected.
    let start =
        || Setup::tiers(&[&primary, &secondary]).with("pools.api.hold_back.size", "0B").start();
    let fault = Fault::new(FaultKind::Truncate, Duration::from_secs(60)).in_scope(Scope::Traffic);
    primary.inject(fault).await.unwrap();
    for path in ["/api/data", "/blob?size=300000", "/blob?size=300000&chunked=true"] {
        let proxy = start().await;
        let broken = try_ask(proxy.public, "GET", path, &[], "").await;
        assert!(broken.is_err(), "{path}");
    }
    // To the byte: less than was promised, then the end.
    let proxy = start().await;
    let mut raw = proxy.connect().await;
    raw.get("/blob?size=1000", "").await;
    let promised = content_length(&raw.head().await);
    let delivered = raw.rest().await.map_or(0, |bytes| bytes.len());
    assert!(promised == 1000 && delivered < 1000, "{delivered} of {promised}");
    // Chunked: the chunk that ends a body never comes.
    let proxy = start().await;
    let mut raw = proxy.connect().await;
    raw.get("/blob?size=1000&chunked=true", "").await;
    assert!(raw.head().await.contains("transfer-encoding: chunked"));
    let delivered = raw.rest().await.unwrap_or_default();
    assert!(!delivered.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&delivered));
    assert_eq!(secondary.total(), 0, "nothing is asked of another backend after a byte was sent");
}

#[tokio::test]
async fn responses_that_break_off_take_a_backend_out() {
    let (primary, secondary) = (backend("primary"), backend("secondary"));
    let proxy = Setup::tiers(&[&primary, &secondary])
        .with("pools.api.outlier_detection.eject_for.base", "60s")
        .start()
        .await;
    let fault = Fault::new(FaultKind::Truncate, Duration::from_secs(60)).in_scope(Scope::Traffic);
    primary.inject(fault).await.unwrap();
    // The first makes it suspected; of those that then try it, one at a time, two take it out. No
    // client sees any of them.
    let is_out = async || {
        assert_eq!(proxy.get("/api/data").await.backend(), "secondary");
        !proxy.incidents().await.is_empty()
    };
    while !is_out().await {}
    let incident = proxy.incident_until(1, |_| true).await;
    assert_eq!(
        (&incident["cause"], &incident["detected_by"]),
        (&"truncation".into(), &"traffic".into())
    );
    assert_eq!(proxy.get("/api/data").await.backend(), "secondary");
}
