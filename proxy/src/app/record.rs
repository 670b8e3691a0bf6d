//! What a process and the one that takes over from it tell each other, over the connection between
//! them: one record, then one word, each a line of JSON.
//!
//! The two may be of different versions, in either order. So the record says by which schema it was
//! written, and one of an unknown schema is left alone but for the sockets that came with it: its
//! reader then begins as if it had been started by anybody.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fleet::FleetRecord;

/// The schema of [`Record`]. Keys may be added to it; it changes when one changes its meaning.
pub(crate) const SCHEMA: u64 = 1;
/// Longest record that is read: of some 50,000 backends.
const LONGEST: u64 = 16 << 20;
/// Longest wait for it. It is written at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest reason that is passed on.
const REASON_CHARS: usize = 2000;

/// What a process tells the one that takes over from it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) schema: u64,
    /// The program's.
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// How many processes there have been, the first included.
    pub(crate) generation: u64,
    /// By which the sidecar knows requests that the data plane relays: those of the process before
    /// reach this one's sidecar.
    pub(crate) relay_key: String,
    pub(crate) fleet: FleetRecord,
    /// The highest number of an incident, by the pool's name.
    #[serde(default)]
    pub(crate) incidents: BTreeMap<String, u64>,
}

/// What a process answers the one that it takes over from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// It accepts clients.
    Ready {
        pid: u32,
        /// The program's.
        version: String,
    },
    /// It cannot, and ends.
    Failed { reason: String },
}

/// The process that this one was started by to replace it.
#[derive(Debug)]
pub(crate) struct Predecessor {
    connection: UnixStream,
    /// `None` if it is of an unknown schema.
    pub(crate) record: Option<Record>,
}

impl Predecessor {
    /// Hears what it has to tell.
    ///
    /// # Errors
    /// When it has ended, or says what no version of this program says.
    pub(crate) fn hear(connection: UnixStream) -> io::Result<Self> {
        connection.set_nonblocking(false)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let mut line = String::new();
        let length = BufReader::new((&connection).take(LONGEST)).read_line(&mut line)?;
        if length == 0 || !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let record: Value = serde_json::from_str(&line)?;
        let is_known = record["schema"].as_u64() == Some(SCHEMA);
        // One that calls itself by our schema and is not of it is as good as one of another.
        let record = is_known.then(|| serde_json::from_value(record).ok()).flatten();
        Ok(Self { connection, record })
    }

    /// Tells it that clients are accepted. It then lets its own go, and ends.
    pub(crate) fn ready(&self) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.say(&Word::Ready { pid: std::process::id(), version })
    }

    /// Tells it that this process ends, and why. It then goes on.
    pub(crate) fn failed(&self, reason: &str) -> io::Result<()> {
        let reason = reason.chars().take(REASON_CHARS).collect();
        self.say(&Word::Failed { reason })
    }

    fn say(&self, word: &Word) -> io::Result<()> {
        (&self.connection).write_all(&line_of(word)?)
    }
}

/// Returns a record or a word as it is sent.
pub(crate) fn line_of(it: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(it)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(line: &[u8]) -> io::Result<Predecessor> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(line).unwrap();
        drop(ours);
        Predecessor::hear(theirs)
    }

    #[test]
    fn a_record_arrives_as_it_was_sent() {
        let record = Record {
            schema: SCHEMA,
            version: "0.0.9".to_owned(),
            pid: 7,
            generation: 3,
            relay_key: "key".to_owned(),
            fleet: FleetRecord::default(),
            incidents: BTreeMap::from([("api".to_owned(), 4)]),
        };
        let heard = heard(&line_of(&record).unwrap()).unwrap().record.unwrap();
        assert_eq!(heard.incidents["api"], 4);
        assert_eq!((heard.pid, heard.generation, &heard.relay_key[..]), (7, 3, "key"));
    }

    #[test]
    fn a_record_of_an_unknown_schema_is_left_alone() {
        for line in [r#"{"schema":2,"fleet":7}"#, r#"{"schema":1,"fleet":7}"#, "{}", "[]"] {
            assert!(heard(format!("{line}\n").as_bytes()).unwrap().record.is_none(), "{line}");
        }
    }

    #[test]
    fn a_process_that_is_gone_hands_nothing_over() {
        for line in [&b""[..], b"{\"schema\":1", b"what?\n"] {
            assert!(heard(line).is_err(), "{line:?}");
        }
    }
}
