//! Writes log lines on a thread of its own, so that nobody who logs waits for standard error.
//!
//! A pipe that nobody empties (a stopped terminal, a stuck collector) blocks whoever writes to it.
//! That must not be a thread that forwards requests: lines wait in a bounded queue, and when that
//! is full they are dropped, counted, and the count is written as soon as there is room.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use crate::clock;

/// Lines that may wait: most of a second at 10,000 lines a second.
const QUEUE_LINES: usize = 8_192;
/// How long the end of the process may be held up by a reader of standard error.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

enum Order {
    Write(Vec<u8>),
    /// Write what is left, then answer.
    Flush(SyncSender<()>),
}

/// Hands lines to the thread. Clones hand them to the same.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    orders: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

/// Waits, when dropped, for the lines that are still to be written; for a second at most.
#[derive(Debug)]
pub struct LogGuard {
    orders: SyncSender<Order>,
}

impl LogWriter {
    /// Starts the thread, which writes to `output` until the process ends.
    pub(crate) fn start(output: impl Write + Send + 'static) -> io::Result<(Self, LogGuard)> {
        let (orders, inbox) = sync_channel(QUEUE_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write_all(&inbox, &count, output))?;
        Ok((Self { orders: orders.clone(), dropped }, LogGuard { orders }))
    }
}

fn write_all(inbox: &Receiver<Order>, dropped: &AtomicU64, output: impl Write) {
    let mut output = io::BufWriter::new(output);
    // Nobody is left to tell of an error in writing to standard error.
    while let Ok(order) = inbox.recv() {
        carry_out(order, dropped, &mut output);
        while let Ok(order) = inbox.try_recv() {
            carry_out(order, dropped, &mut output);
        }
        flush(dropped, &mut output);
    }
}

fn carry_out(order: Order, dropped: &AtomicU64, output: &mut impl Write) {
    match order {
        Order::Write(line) => _ = output.write_all(&line),
        Order::Flush(done) => {
            flush(dropped, output);
            _ = done.try_send(());
        }
    }
}

fn flush(dropped: &AtomicU64, output: &mut impl Write) {
    let missed = dropped.swap(0, Relaxed);
    if 0 < missed {
        let time = clock::rfc3339_of(clock::now());
        // Can be read as a line of text, and as a line of JSON.
        _ = writeln!(
            output,
            "{{\"timestamp\":\"{time}\",\"level\":\"WARN\",\"message\":\"log lines dropped: \
             standard error is not read fast enough\",\"count\":{missed}}}"
        );
    }
    _ = output.flush();
}

impl<'w> MakeWriter<'w> for LogWriter {
    type Writer = &'w Self;

    fn make_writer(&'w self) -> Self::Writer {
        self
    }
}

impl Write for &LogWriter {
    /// Takes one whole line: the formatter writes each event at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.orders.try_send(Order::Write(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        const STEP: Duration = Duration::from_millis(10);
        let (done, is_done) = sync_channel(1);
        let deadline = clock::now() + FLUSH_WITHIN;
        let mut order = Order::Flush(done);
        loop {
            order = match self.orders.try_send(order) {
                Ok(()) => break,
                Err(TrySendError::Full(order)) if clock::now() < deadline => order,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
            };
            thread::sleep(STEP);
        }
        _ = is_done.recv_timeout(deadline.since(clock::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Blocks every write while the test holds the lock.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_guard_waits_for_every_line() {
        let output = Output::default();
        let (writer, guard) = LogWriter::start(output.clone()).unwrap();
        for number in 0..1_000 {
            writeln!(&writer, "{number}").unwrap();
        }
        drop(guard);
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().last(), Some("999"));
        assert!(!text.contains("dropped"), "{text}");
    }

    #[test]
    fn a_blocked_output_blocks_nobody_who_logs_and_is_told_the_loss() {
        let output = Output::default();
        let (writer, guard) = LogWriter::start(output.clone()).unwrap();
        let blocked = output.0.lock().unwrap();
        let line = [b'x'; 100];
        for _ in 0..3 * QUEUE_LINES {
            assert_eq!((&writer).write(&line).unwrap(), line.len());
        }
        let missed = writer.dropped.load(Relaxed);
        assert!(QUEUE_LINES as u64 <= missed, "{missed}");
        drop(blocked);
        drop(guard);
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains(&format!("\"count\":{missed}")), "{missed}");
    }
}
