//! Mutations: valid requests, changed at random, before a backend that misses nothing.
//!
//! A mutated request is still a request, or several, or none: `message.rs` says which, read as
//! strictly as RFC 9112 allows. The backend must get those and no others: not one that the client
//! only hid in a body or a field, nor one that needed leniency to be read. It must get them whole and
//! well-formed; the client must get a response to each at most; and the proxy must go on answering.
//!
//! `BASCULE_MUTATIONS` says how many (ten thousand in a release build, a fifth of that otherwise),
//! `BASCULE_MUTATION_SEED` where to begin: one seed stands for one mutation.

mod change;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::{
    groups::setup,
    known::MUTATIONS_FORWARDED,
    message::{self, Extent, Message, Reading},
    mutation::change::{Marker, mutated},
    proxy::Proxy,
    stage::PATIENCE,
};

/// Mutations under way at the same time.
const AT_A_TIME: usize = 16;
/// How long a client waits for what it need not get: an answer to what is no request. Whoever waits
/// too short overlooks something now and then, and never fails for it.
const CURIOSITY: Duration = Duration::from_millis(150);
/// Violations shown.
const SHOWN: usize = 12;

/// What makes a request the one that was sent.
type Key = (Vec<u8>, Vec<u8>, Vec<u8>);

/// What all mutations have met.
#[derive(Debug, Default)]
struct Ledger {
    /// What clients have sent, and how often the backend has got it.
    sent: BTreeMap<Key, (u32, u32)>,
    /// Requests that were hidden in others and arrived.
    smuggled: Vec<String>,
    /// Requests that nobody sent, with what they were.
    unsent: Vec<String>,
    /// What is wrong otherwise.
    violations: Vec<String>,
}

/// Tries all mutations.
pub(crate) fn run() {
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let usual = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
    let count = number("BASCULE_MUTATIONS").unwrap_or(usual);
    let first = number("BASCULE_MUTATION_SEED").unwrap_or(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ledger = runtime.block_on(try_all(first, count));
    let Ledger { sent, smuggled, unsent, violations } = ledger;
    let arrived: u32 = sent.values().map(|it| it.1).sum();
    let shown = smuggled.iter().chain(&violations).chain(&unsent).take(SHOWN);
    for problem in shown {
        eprintln!("{problem}");
        if let Some(seed) = seed_of(problem) {
            eprintln!("    of {}", mutated(seed).0.escape_ascii());
        }
    }
    eprintln!(
        "{count} mutations from seed {first}: {} requests, {arrived} arrived, {} smuggled, {} that \
         nobody sent, {} other violations",
        sent.len(),
        smuggled.len(),
        unsent.len(),
        violations.len()
    );
    assert_eq!(violations.len(), 0, "see above");
    assert!(count / 4 < u64::from(arrived), "most mutations still hold a request");
    let is_clean = smuggled.is_empty() && unsent.is_empty();
    let is_known = MUTATIONS_FORWARDED.is_some();
    assert_eq!(!is_clean, is_known, "`known.rs` says: {MUTATIONS_FORWARDED:?}");
}

/// The seed that a marker in a text names.
fn seed_of(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("/smuggled-").or_else(|| text.split_once("/sent-"))?;
    rest.split('-').next()?.parse().ok()
}

async fn try_all(first: u64, count: u64) -> Ledger {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [("strict", listener.local_addr().unwrap())];
    let mut backend = JoinSet::new();
    backend.spawn(serve(listener, Arc::clone(&ledger)));
    let proxy = Arc::new(setup(&addresses).start().await);
    let mut clients = JoinSet::new();
    for seed in first..first + count {
        if AT_A_TIME <= clients.len() {
            clients.join_next().await.unwrap().unwrap();
        }
        clients.spawn(try_one(seed, Arc::clone(&proxy), Arc::clone(&ledger)));
        if seed % 500 == 0 {
            check_answers(&proxy, seed, &ledger).await;
        }
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    check_answers(&proxy, first + count, &ledger).await;
    drop(backend);
    std::mem::take(&mut ledger.lock().unwrap())
}

/// Asks for something plain, which must be answered.
async fn check_answers(proxy: &Proxy, seed: u64, ledger: &Mutex<Ledger>) {
    let marker = Marker { seed, number: 99 };
    let sent = format!("GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", marker.path());
    note_sent(sent.as_bytes(), ledger);
    let mut stream = TcpStream::connect(proxy.public).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    if !matches!(read, Ok(Ok(_))) || !answer.starts_with(b"HTTP/1.1 200 ") {
        let answer = answer.escape_ascii();
        let problem = format!("by seed {seed} the proxy no longer answered: {answer}");
        ledger.lock().unwrap().violations.push(problem);
    }
}

/// Notes the requests of some bytes, up to the first that is none. Returns how many they are.
fn note_sent(mut bytes: &[u8], ledger: &Mutex<Ledger>) -> usize {
    let mut count = 0;
    loop {
        while let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
        }
        let Reading::Whole(it) = message::read(bytes, Extent::Whole, false) else { return count };
        ledger.lock().unwrap().sent.entry(key_of(&it)).or_default().0 += 1;
        bytes = &bytes[it.length..];
        count += 1;
    }
}

fn key_of(request: &Message) -> Key {
    let method = request.start.split(|it| *it == b' ').next().unwrap_or(b"").to_vec();
    (method, request.second_word().to_vec(), request.body.clone())
}

/// Sends one mutation, and reads what comes back.
async fn try_one(seed: u64, proxy: Arc<Proxy>, ledger: Arc<Mutex<Ledger>>) {
    let (bytes, pieces) = mutated(seed);
    let expected = note_sent(&bytes, &ledger);
    let mut stream = TcpStream::connect(proxy.public).await.unwrap();
    _ = stream.set_nodelay(true);
    let mut rest = bytes.as_slice();
    for cut in pieces {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        rest = after;
        _ = stream.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    _ = stream.write_all(rest).await;
    let mut received = Vec::new();
    let mut is_ended = false;
    while !is_ended {
        let is_answered = expected <= responses(&received).map_or(usize::MAX, |it| it.0);
        let wait = if is_answered { CURIOSITY } else { PATIENCE };
        match timeout(wait, stream.read_buf(&mut received)).await {
            Ok(Ok(0) | Err(_)) => is_ended = true,
            Ok(Ok(_)) => {}
            Err(_) if is_answered => break,
            Err(_) => {
                let problem = format!("seed {seed}: no answer to {}", bytes.escape_ascii());
                ledger.lock().unwrap().violations.push(problem);
                return;
            }
        }
    }
    _ = stream.shutdown().await;
    _ = timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    let problem = match responses(&received) {
        Err(wrong) => format!("{wrong} in a response"),
        // One for what is no request, besides.
        Ok((count, good)) if expected + 1 < count || expected < good => {
            format!("{count} responses to {expected} requests")
        }
        Ok(_) => return,
    };
    let known = MUTATIONS_FORWARDED.is_some();
    let text = format!("{problem}, mutation /sent-{seed}-");
    let mut ledger = ledger.lock().unwrap();
    // A request that is forwarded although it is none is answered, too.
    if known { ledger.unsent.push(text) } else { ledger.violations.push(text) }
}

/// Counts the final responses among some bytes, and those of them that are good.
fn responses(mut bytes: &[u8]) -> Result<(usize, usize), &'static str> {
    let (mut count, mut good) = (0, 0);
    while !bytes.is_empty() {
        match message::read(bytes, Extent::Whole, false) {
            Reading::Whole(it) => {
                bytes = &bytes[it.length..];
                let is_final = !it.second_word().starts_with(b"1");
                count += usize::from(is_final);
                good += usize::from(it.second_word() == b"200");
            }
            Reading::Partial(_) => break,
            Reading::Wrong(wrong) => return Err(wrong),
        }
    }
    Ok((count, good))
}

async fn serve(listener: TcpListener, ledger: Arc<Mutex<Ledger>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, Arc::clone(&ledger)));
    }
}

/// Reads requests strictly, and answers each.
async fn answer(mut stream: TcpStream, ledger: Arc<Mutex<Ledger>>) {
    let mut received = Vec::new();
    loop {
        match message::read(&received, Extent::Whole, false) {
            Reading::Partial(_) => match stream.read_buf(&mut received).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
            Reading::Wrong(wrong) => {
                let text = received.escape_ascii().to_string();
                ledger.lock().unwrap().violations.push(format!("the backend got {wrong}: {text}"));
                return;
            }
            Reading::Whole(it) => {
                received.drain(..it.length);
                note_arrived(&it, &ledger);
                let is_head = it.start.starts_with(b"HEAD ");
                let body = if is_head { "" } else { "ok" };
                let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn note_arrived(request: &Message, ledger: &Mutex<Ledger>) {
    let key = key_of(request);
    let mut ledger = ledger.lock().unwrap();
    if let Some((sent, arrived)) = ledger.sent.get_mut(&key)
        && *arrived < *sent
    {
        *arrived += 1;
        return;
    }
    let (start, body) = (request.start.escape_ascii(), request.body.escape_ascii());
    let is_hidden = message::find(&key.1, b"/smuggled").is_some();
    let text = format!("the backend got what nobody sent: {start}, body {body}");
    if is_hidden { ledger.smuggled.push(text) } else { ledger.unsent.push(text) }
}
