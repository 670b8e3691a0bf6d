//! The log of request ids: proof of what was executed here, and how often.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Method;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tokio::sync::watch;
use tracing::error;

/// Ids that are remembered; the oldest is forgotten first. At most about 60 MB.
const IDS_MAX: usize = 200_000;

/// A longer id is nobody's request id; its request counts in the totals only.
const ID_BYTES_MAX: usize = 256;

/// What is known of one request id.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Executed {
    /// How often it was executed: it reached the application, whatever came of the answer.
    pub count: u64,
    /// How often it arrived; more than `count` when some were left hanging unexecuted.
    pub received: u64,
    /// The methods it came with, each once, in order of arrival.
    pub methods: Vec<String>,
}

/// Whether a request that arrives is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    Out,
    /// Left hanging before it reached the application.
    Never,
}

/// The log at one moment, as `/requests` shows it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Page {
    pub(crate) backend: String,
    pub(crate) total: u64,
    pub(crate) received: u64,
    pub(crate) health_checks: u64,
    pub(crate) forgotten_ids: u64,
    pub(crate) executed: Entries,
}

/// Ids with what is known of them, oldest first.
#[derive(Debug)]
pub(crate) struct Entries(Vec<(Arc<str>, Executed)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, executed) in &self.0 {
            map.serialize_entry(id.as_ref(), executed)?;
        }
        map.end()
    }
}

#[derive(Debug)]
pub(crate) struct Ledger {
    /// Held for single map operations, or while the entries are copied out; never across a wait.
    book: Mutex<Book>,
    received: watch::Sender<u64>,
    /// Where each execution is written down as well, for those who ask after this process is dead.
    file: Option<File>,
}

#[derive(Debug)]
struct Book {
    limit: usize,
    total: u64,
    received: u64,
    health_checks: u64,
    forgotten: u64,
    entries: HashMap<Arc<str>, Executed>,
    oldest_first: VecDeque<Arc<str>>,
}

impl Ledger {
    /// With a file that is open for appending, each execution of a request with an id is a line in
    /// it: `METHOD ID`.
    pub(crate) fn new(file: Option<File>) -> Ledger {
        Ledger { book: Mutex::new(Book::new(IDS_MAX)), received: watch::Sender::new(0), file }
    }

    pub(crate) fn record(&self, id: Option<&str>, method: &Method, carried: Carried) {
        self.write_down(id, method, carried);
        self.book().record(id, method, carried);
        self.received.send_modify(|received| *received += 1);
    }

    /// One write, straight to the kernel: it outlives a process that is killed right after it.
    fn write_down(&self, id: Option<&str>, method: &Method, carried: Carried) {
        let Some((mut file, id)) = self.file.as_ref().zip(id) else { return };
        if carried == Carried::Out
            && let Err(error) = file.write_all(format!("{method} {id}\n").as_bytes())
        {
            error!(%error, "cannot write to the ledger's file");
        }
    }

    pub(crate) fn record_health_check(&self) {
        self.book().health_checks += 1;
    }

    pub(crate) fn clear(&self) {
        let mut book = self.book();
        *book = Book::new(book.limit);
    }

    pub(crate) fn executed(&self, id: &str) -> Executed {
        self.book().entries.get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> u64 {
        self.book().total
    }

    /// Waits until that many requests have arrived since the start, cleared ones included.
    pub(crate) async fn received_at_least(&self, count: u64) {
        // The sender is `self`, so the wait can only end by being fulfilled.
        let _ = self.received.subscribe().wait_for(|received| count <= *received).await;
    }

    /// The log, of one id or of all.
    pub(crate) fn page(&self, backend: &str, id: Option<&str>) -> Page {
        let book = self.book();
        Page {
            backend: backend.to_owned(),
            total: book.total,
            received: book.received,
            health_checks: book.health_checks,
            forgotten_ids: book.forgotten,
            executed: Entries(book.entries(id)),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn new(limit: usize) -> Book {
        Book {
            limit,
            total: 0,
            received: 0,
            health_checks: 0,
            forgotten: 0,
            entries: HashMap::new(),
            oldest_first: VecDeque::new(),
        }
    }

    fn record(&mut self, id: Option<&str>, method: &Method, carried: Carried) {
        let count = match carried {
            Carried::Out => 1,
            Carried::Never => 0,
        };
        self.received += 1;
        self.total += count;
        let Some(id) = id.filter(|id| id.len() <= ID_BYTES_MAX) else { return };
        let entry = self.entry(id);
        entry.received += 1;
        entry.count += count;
        if !entry.methods.iter().any(|known| known == method.as_str()) {
            entry.methods.push(method.to_string());
        }
    }

    fn entry(&mut self, id: &str) -> &mut Executed {
        let id: Arc<str> = Arc::from(id);
        if !self.entries.contains_key(&id) {
            if self.limit <= self.entries.len()
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.entries.remove(&oldest);
                self.forgotten += 1;
            }
            self.oldest_first.push_back(id.clone());
        }
        self.entries.entry(id).or_default()
    }

    fn entries(&self, id: Option<&str>) -> Vec<(Arc<str>, Executed)> {
        let known = |id: &Arc<str>| Some((id.clone(), self.entries.get(id)?.clone()));
        match id {
            Some(id) => known(&Arc::from(id)).into_iter().collect(),
            None => self.oldest_first.iter().filter_map(known).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(limit: usize, ids: &[&str]) -> Book {
        let mut book = Book::new(limit);
        for id in ids {
            book.record(Some(id), &Method::GET, Carried::Out);
        }
        book
    }

    fn ids(book: &Book) -> Vec<String> {
        book.entries(None).iter().map(|(id, _)| id.to_string()).collect()
    }

    #[test]
    fn an_id_is_counted_each_time_it_is_executed() {
        let mut book = book(10, &["a", "b", "a"]);
        book.record(Some("a"), &Method::POST, Carried::Out);
        let expected =
            Executed { count: 3, received: 3, methods: vec!["GET".into(), "POST".into()] };
        assert_eq!(book.entries(Some("a"))[0].1, expected);
        assert_eq!((book.total, ids(&book)), (4, vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_hung_request_is_received_but_not_executed() {
        let mut book = Book::new(10);
        book.record(Some("a"), &Method::GET, Carried::Never);
        let entry = &book.entries(Some("a"))[0].1;
        assert_eq!((entry.count, entry.received, book.total, book.received), (0, 1, 0, 1));
    }

    #[test]
    fn the_oldest_id_is_forgotten_when_the_log_is_full() {
        let book = book(2, &["a", "b", "a", "c"]);
        assert_eq!((ids(&book), book.forgotten), (vec!["b".to_owned(), "c".to_owned()], 1));
        assert_eq!((book.entries.len(), book.oldest_first.len()), (2, 2));
    }

    #[test]
    fn requests_without_an_id_or_with_an_absurd_one_count_in_the_total_only() {
        let mut book = Book::new(10);
        book.record(None, &Method::GET, Carried::Out);
        book.record(Some(&"x".repeat(ID_BYTES_MAX + 1)), &Method::GET, Carried::Out);
        assert_eq!((book.total, book.entries.len()), (2, 0));
    }
}
