use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use http::{HeaderName, Method, Version};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::{
    clock::Timestamp,
    event::{AttemptOutcome, Fate, Rescue, Symptom},
    model::{
        AccessField, AccessFormat, Always, BackendId, ClientDetail, PoolId, Redaction, Target,
        Topology, sample,
    },
    retry::Connection,
    snapshot::Live,
    telemetry::{
        metrics::Answer,
        requests::{
            attempts::Role,
            record::{Kept, Text, Texts},
            trail::{Mark, Trail},
        },
    },
};

fn log(format: AccessFormat, fields: &[AccessField]) -> AccessLog {
    AccessLog {
        format,
        file: None,
        fields: fields.to_vec(),
        request_headers: vec![
            HeaderName::from_static("x-tenant"),
            HeaderName::from_static("authorization"),
        ],
        response_headers: vec![HeaderName::from_static("set-cookie")],
        sample: 1.0,
        always: Always::default(),
        slow: Duration::from_secs(1),
        redact: Redaction {
            headers: ["authorization", "set-cookie"].map(str::to_owned).to_vec(),
            query: vec!["token".to_owned()],
        },
        client: ClientDetail::Address,
    }
}

fn texts(target: &[u8], agent: &[u8]) -> Texts {
    let mut texts = Texts::new();
    texts.push(Text::RequestId, b"id-1");
    texts.push(Text::Host, b"api.example.com");
    texts.push(Text::Target, target);
    texts.push(Text::UserAgent, agent);
    texts.push(Text::RequestHeader(0), b"acme");
    texts.push(Text::RequestHeader(1), b"Bearer secret");
    texts.push(Text::ResponseHeader(0), b"id=secret");
    texts
}

/// A request that failed at the first backend and was answered by the second.
fn record(topology: Arc<Topology>, texts: Texts) -> Record {
    let at = Timestamp::from_millis;
    let trail = Arc::new(Trail::new(None));
    let id = |index| BackendId { pool: PoolId(0), index };
    let first = Mark::begin(&trail, (id(0), 1), Role::First, false, at(10));
    first.ended(AttemptOutcome::Failed(Symptom::ConnectionRefused));
    let second = Mark::begin(&trail, (id(1), 2), Role::Retry, false, at(11));
    second.connected(Connection::Reused);
    second.ended(AttemptOutcome::Answered { status: 200 });
    let live = Arc::new(Live::new(&topology));
    Record {
        topology,
        live,
        listener: 0,
        route: Some(0),
        target: Some(Target::Pool(PoolId(0))),
        began: at(10),
        first_byte: Some(at(15)),
        ended: at(22),
        client: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        peer: None,
        method: Method::GET,
        version: Version::HTTP_11,
        tls: None,
        answer: Answer::Upstream(200),
        status: Some(200),
        grpc_status: None,
        fate: Fate::Rescued(Rescue::Retry),
        rescue: Some(Rescue::Retry),
        failure: None,
        symptom: Some(Symptom::ConnectionRefused),
        attempt_count: 2,
        attempts: trail.seen().0,
        place: None,
        bytes_in: 0,
        bytes_out: 12,
        is_uncertain: true,
        kept: Kept::Retried,
        texts,
    }
}

fn line(log: &AccessLog, record: &Record) -> String {
    let mut out = Vec::new();
    line::write(record, log, record.incident().as_deref(), &mut out);
    let line = String::from_utf8(out).unwrap();
    line.strip_suffix('\n').unwrap().to_owned()
}

fn example() -> Record {
    record(sample::tiers(&[0, 1]), texts(b"/a?b=c&token=secret", b"curl \"8\"\n"))
}

#[test]
fn a_line_of_json_has_every_field_and_no_secret() {
    let line = line(&log(AccessFormat::Json, AccessField::ALL), &example());
    assert!(!line.contains("secret"), "{line}");
    let json: Json = serde_json::from_str(&line).unwrap();
    let check = |name: &str, value: Json| assert_eq!(json[name], value, "{name} of {line}");
    check("path", "/a".into());
    check("query", "b=c&token=[redacted]".into());
    check("user_agent", "curl \"8\"\n".into());
    check("client", "192.0.2.7".into());
    check("status", 200.into());
    check("duration", 0.012.into());
    check("first_byte", 0.005.into());
    check("fate", "rescued".into());
    check("rescue", "retry".into());
    check("retry_reason", "connection refused".into());
    check("attempts", 2.into());
    check("hedged", false.into());
    check("backend", "b1".into());
    check("kept", "retried".into());
    check("request_header.x-tenant", "acme".into());
    check("request_header.authorization", "[redacted]".into());
    check("response_header.set-cookie", "[redacted]".into());
    check("incident_id", Json::Null);
    let attempts = json["attempt_details"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0]["symptom"], "connection refused");
    assert_eq!(
        (&attempts[0]["outcome"], &attempts[1]["outcome"]),
        (&"failed".into(), &"answered".into())
    );
    assert_eq!((&attempts[1]["status"], &attempts[1]["reused"]), (&200.into(), &true.into()));
}

#[test]
fn a_line_of_text_is_pairs() {
    let fields = [
        AccessField::Time,
        AccessField::Method,
        AccessField::Path,
        AccessField::Query,
        AccessField::UserAgent,
        AccessField::Status,
        AccessField::Duration,
        AccessField::Failure,
    ];
    let line = line(&log(AccessFormat::Text, &fields), &example());
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.starts_with("time=") && time.ends_with('Z'), "{time}");
    assert_eq!(
        rest,
        r#"method=GET path=/a query="b=c&token=[redacted]" user_agent="curl \"8\"\n" status=200 duration=0.012000 request_header.x-tenant=acme request_header.authorization=[redacted] response_header.set-cookie=[redacted]"#
    );
}

#[test]
fn a_combined_line_is_apaches() {
    let line = line(&log(AccessFormat::Combined, &[]), &example());
    let (before, after) = line.split_once(" [").unwrap();
    let (time, after) = after.split_once("] ").unwrap();
    assert_eq!(before, "192.0.2.7 - -");
    assert_eq!((time.len(), &time[20..]), (26, " +0000"));
    assert_eq!(after, r#""GET /a?b=c&token=[redacted] HTTP/1.1" 200 12 "-" "curl \"8\"\x0a""#);
}

#[test]
fn the_incident_is_the_one_that_counts_the_request() {
    use crate::snapshot::IncidentWindow;

    let record = example();
    let at = Timestamp::from_millis;
    let check = |windows: Vec<IncidentWindow>, id: Option<&str>| {
        record.live.pools[0].incidents.store(Arc::new(windows));
        assert_eq!(record.incident().as_deref(), id);
    };
    let window =
        |number, from, to: Option<u64>| IncidentWindow { number, from: at(from), to: to.map(at) };
    check(vec![], None);
    check(vec![window(3, 22, None)], Some("api-3"));
    check(vec![window(3, 23, None)], None);
    check(vec![window(4, 50, None), window(3, 0, Some(23))], Some("api-3"));
    check(vec![window(3, 0, Some(22))], None);
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let lines = AccessLines::default();
    let mut topology = Topology::clone(&sample::tiers(&[0, 1]));
    let log = AccessLog {
        file: Some("/dev/full".into()),
        ..log(AccessFormat::Text, &[AccessField::Path])
    };
    topology.logging.access = Some(log);
    let mut record = record(Arc::new(topology), texts(b"/", b""));
    record.is_uncertain = false;
    lines.offer(Arc::new(record));
    lines.flush();
    assert_eq!((lines.written(), lines.dropped()), (0, 1));
}

/// Reads a line of text back: names and values.
fn pairs(mut line: &str) -> BTreeMap<String, Vec<u8>> {
    let mut pairs = BTreeMap::new();
    while let Some((name, rest)) = line.split_once('=') {
        let (value, rest) = if rest.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let value = values.next().unwrap().unwrap();
            (value.into_bytes(), &rest[values.byte_offset()..])
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            (rest.as_bytes()[..end].to_vec(), &rest[end..])
        };
        pairs.insert(name.trim_start().to_owned(), value);
        line = rest;
    }
    pairs
}

proptest! {
    #[test]
    fn every_line_is_read_back(target in "/[^?]{0,30}", agent in ".{0,30}") {
        let record = record(sample::tiers(&[0, 1]), texts(target.as_bytes(), agent.as_bytes()));
        let fields = [AccessField::Path, AccessField::UserAgent, AccessField::Status];
        let json = line(&log(AccessFormat::Json, &fields), &record);
        prop_assert!(!json.contains(['\n', '\r']));
        let json: Json = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(json["path"].as_str(), Some(&*target));
        prop_assert_eq!(json["user_agent"].as_str(), Some(&*agent));
        let text = line(&log(AccessFormat::Text, &fields), &record);
        prop_assert!(!text.contains(['\n', '\r']));
        let pairs = pairs(&text);
        prop_assert_eq!(pairs["path"].as_slice(), target.as_bytes());
        prop_assert_eq!(pairs["user_agent"].as_slice(), agent.as_bytes());
        prop_assert_eq!(pairs["status"].as_slice(), b"200");
        let combined = line(&log(AccessFormat::Combined, &[]), &record);
        prop_assert!(combined.is_ascii() && !combined.contains(['\n', '\r']));
    }
}

#[test]
fn the_documentation_has_every_field() {
    let document = include_str!("../../../docs/access-log.md");
    let reference = reference();
    assert!(
        document.contains(&reference),
        "docs/access-log.md: the table of fields must be\n{reference}"
    );
}
