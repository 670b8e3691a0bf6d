//! `/blob`: deterministic bytes, whole and in ranges.

use axum::http::StatusCode;
use bascule_backend::{Running, byte_at};

use crate::client::{Answer, Raw, ask, get, primary};

fn bytes(from: u64, to: u64) -> Vec<u8> {
    (from..to).map(byte_at).collect()
}

async fn range(running: &Running, headers: &[(&str, &str)]) -> Answer {
    ask(running, "GET", "/blob?size=1000", headers, "").await
}

#[tokio::test]
async fn a_blob_is_the_pattern_with_its_length_and_a_strong_etag() {
    let running = primary();
    let blob = get(&running, "/blob?size=200001&chunk=7777").await;
    assert_eq!((blob.status, blob.header("content-length")), (StatusCode::OK, Some("200001")));
    assert_eq!(blob.header("accept-ranges"), Some("bytes"));
    assert!(blob.header("etag").unwrap().starts_with('"'));
    assert!(blob.body == bytes(0, 200_001));
}

#[tokio::test]
async fn the_etag_is_the_same_everywhere_and_differs_by_size() {
    let (one, other) = (primary(), primary());
    let etag = async |running, path| get(running, path).await.header("etag").map(str::to_owned);
    let first = etag(&one, "/blob?size=10").await;
    assert_eq!(first, etag(&other, "/blob?size=10&chunk=3").await);
    assert_ne!(first, etag(&one, "/blob?size=11").await);
}

#[tokio::test]
async fn head_tells_the_length_without_the_bytes_and_ignores_ranges() {
    let running = primary();
    let headers = [("range", "bytes=0-1")];
    let head = ask(&running, "HEAD", "/blob?size=1000", &headers, "").await;
    assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, Some("1000")));
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn a_single_range_is_served_in_part() {
    let running = primary();
    for (asked, from, to) in
        [("bytes=100-299", 100, 300), ("bytes=990-", 990, 1000), ("bytes=-5", 995, 1000)]
    {
        let part = range(&running, &[("range", asked)]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{asked}");
        let content_range = format!("bytes {from}-{}/1000", to - 1);
        assert_eq!(part.header("content-range"), Some(content_range.as_str()));
        assert_eq!(part.header("content-length"), Some((to - from).to_string().as_str()));
        assert!(part.body == bytes(from, to), "{asked}");
    }
}

#[tokio::test]
async fn a_range_past_the_end_is_refused_with_the_size() {
    let running = primary();
    let refused = range(&running, &[("range", "bytes=1000-")]).await;
    assert_eq!(refused.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(refused.header("content-range"), Some("bytes */1000"));
    assert_eq!(refused.json()["error"]["code"], "range_not_satisfiable");
}

#[tokio::test]
async fn several_ranges_get_the_whole() {
    let running = primary();
    let whole = range(&running, &[("range", "bytes=0-1,5-6")]).await;
    assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 1000));
}

#[tokio::test]
async fn if_range_serves_the_part_only_of_the_same_version() {
    let running = primary();
    let etag = get(&running, "/blob?size=1000").await.header("etag").unwrap().to_owned();
    let weak = format!("W/{etag}");
    for (condition, expected) in [
        (etag.as_str(), StatusCode::PARTIAL_CONTENT),
        ("\"another\"", StatusCode::OK),
        (weak.as_str(), StatusCode::OK),
        ("Thu, 01 Jan 2026 00:00:00 GMT", StatusCode::OK),
    ] {
        let answer = range(&running, &[("range", "bytes=0-1"), ("if-range", condition)]).await;
        assert_eq!(answer.status, expected, "{condition}");
    }
}

#[tokio::test]
async fn a_chunked_blob_keeps_its_length_back() {
    let running = primary();
    let blob = get(&running, "/blob?size=5000&chunked=true").await;
    assert_eq!(blob.header("content-length"), None);
    assert!(blob.body == bytes(0, 5000));
}

#[tokio::test]
async fn a_paced_blob_arrives_piece_by_piece() {
    let running = primary();
    let mut raw = Raw::asking(&running, "/blob?size=20&chunk=10&pace_ms=60000").await;
    let first = raw.answer(10).await;
    assert!(first.contains("content-length: 20\r\n"), "{first}");
    assert!(raw.is_silent());
}

#[tokio::test]
async fn values_out_of_bounds_are_named() {
    let running = primary();
    for (query, message) in [
        ("", "`size` is missing"),
        ("size=-1", "`size` is `-1`"),
        ("size=1099511627777", "`size` is `1099511627777`"),
        ("size=1&chunk=0", "`chunk` is `0`"),
        ("size=1&pace_ms=60001", "`pace_ms` is `60001`"),
        ("size=1&chunked=yes", "`chunked` is `yes`"),
    ] {
        let refused = get(&running, &format!("/blob?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(refused.json()["error"]["message"], message);
    }
}
