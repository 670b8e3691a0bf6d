//! What is kept of one pool's minute.
//!
//! Counts are kept of each second. Of latency, a second keeps its quantiles, as they were read from the
//! pool's histogram, and every ten seconds keep their histogram: quantiles of longer spans come from
//! histograms that are added up, since a mean or a maximum of quantiles is a quantile of nothing. The
//! span of ten is where a histogram, some dozens of bytes, weighs less than what it stands for.

use std::{collections::BTreeMap, time::Duration};

use crate::snapshot::{Latencies, WindowCounts};

/// Seconds in one.
pub(crate) const SECONDS: usize = 60;
/// Seconds whose latencies are kept together.
pub(crate) const TEN: usize = 10;
/// Histograms in a minute.
pub(crate) const TENS: usize = SECONDS / TEN;

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Second {
    pub(crate) requests: u64,
    pub(crate) lost: u64,
    pub(crate) rescued: u64,
    /// In microseconds; `None` without requests.
    pub(crate) p50: Option<u64>,
    pub(crate) p99: Option<u64>,
}

/// One pool's minute, second by second. What the proxy did not see, because it did not run, is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Minute {
    pub(crate) seconds: [Option<Second>; SECONDS],
    pub(crate) latencies: [Latencies; TENS],
    /// Attempts answered in each second, by the backend's name; only of backends that answered any.
    pub(crate) answers: BTreeMap<String, [u64; SECONDS]>,
}

/// Sums over some seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// Requests that finished.
    pub requests: u64,
    /// Of those, the ones that ended in an error of the proxy's or a backend's making.
    pub lost: u64,
    /// Of those, the ones that were answered well after a failed or slow attempt.
    pub rescued: u64,
    /// Median latency; `None` without requests.
    pub p50: Option<Duration>,
    /// 99th percentile of latency; `None` without requests.
    pub p99: Option<Duration>,
}

impl Default for Minute {
    fn default() -> Self {
        Self {
            seconds: [None; SECONDS],
            latencies: std::array::from_fn(|_| Latencies::default()),
            answers: BTreeMap::new(),
        }
    }
}

impl Minute {
    /// Takes in what finished in a second of this minute. Said twice of the same second, both count:
    /// two processes may have served in it.
    pub(crate) fn note<'a>(
        &mut self,
        second: usize,
        counts: &WindowCounts,
        answers: impl Iterator<Item = (&'a str, u64)>,
    ) {
        if SECONDS <= second {
            return;
        }
        let quantile = |q| counts.latencies.quantile(q).map(micros);
        let found = Second {
            requests: counts.requests,
            lost: counts.lost,
            rescued: counts.rescued(),
            p50: quantile(0.5),
            p99: quantile(0.99),
        };
        self.seconds[second] = Some(self.seconds[second].map_or(found, |it| it.joined(&found)));
        self.latencies[second / TEN].add(&counts.latencies);
        for (name, count) in answers.filter(|&(_, count)| count != 0) {
            if let Some(column) = self.answers.get_mut(name) {
                column[second] += count;
            } else {
                let mut column = [0; SECONDS];
                column[second] = count;
                self.answers.insert(name.to_owned(), column);
            }
        }
    }

    /// Takes in what another process has kept of the same minute.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (mine, other) in self.seconds.iter_mut().zip(&other.seconds) {
            *mine = match (*mine, *other) {
                (Some(mine), Some(other)) => Some(mine.joined(&other)),
                (one, other) => one.or(other),
            };
        }
        for (mine, other) in self.latencies.iter_mut().zip(&other.latencies) {
            mine.add(other);
        }
        for (name, column) in &other.answers {
            let mine = self.answers.entry(name.clone()).or_insert([0; SECONDS]);
            for (sum, count) in mine.iter_mut().zip(column) {
                *sum += count;
            }
        }
    }

    /// Returns the same with all of it in the first second, which is what is kept of it in the long run:
    /// sums and latencies of the whole minute stay as they are.
    pub(crate) fn condensed(&self) -> Self {
        let mut condensed = Self::default();
        let Some(all) = self.span(0, SECONDS) else { return condensed };
        let micros = |it: Duration| u64::try_from(it.as_micros()).unwrap_or(u64::MAX);
        condensed.seconds[0] = Some(Second {
            requests: all.requests,
            lost: all.lost,
            rescued: all.rescued,
            p50: all.p50.map(micros),
            p99: all.p99.map(micros),
        });
        self.latencies.iter().for_each(|it| condensed.latencies[0].add(it));
        for (name, answered) in self.answers(0, SECONDS) {
            let mut column = [0; SECONDS];
            column[0] = answered;
            condensed.answers.insert(name.to_owned(), column);
        }
        condensed
    }

    /// Tells whether all of it is in the first second.
    pub(crate) fn is_condensed(&self) -> bool {
        self.seconds[1..].iter().all(Option::is_none)
    }

    /// Returns the sums over `length` seconds from `from` on: one second, or whole tens; `None` if the
    /// proxy ran in none of them.
    pub(crate) fn span(&self, from: usize, length: usize) -> Option<Span> {
        let to = (from + length).min(SECONDS);
        let mut span = Span::default();
        let mut has_run = false;
        for second in self.seconds.get(from..to)?.iter().flatten() {
            has_run = true;
            span.requests += second.requests;
            span.lost += second.lost;
            span.rescued += second.rescued;
            (span.p50, span.p99) = (second.p50.map(time), second.p99.map(time));
        }
        if length != 1 {
            let mut latencies = Latencies::default();
            self.latencies[from / TEN..to / TEN].iter().for_each(|it| latencies.add(it));
            let quantile = |q| latencies.quantile(q).map(|it| time(micros(it)));
            (span.p50, span.p99) = (quantile(0.5), quantile(0.99));
        }
        has_run.then_some(span)
    }

    /// Returns the attempts that each backend answered in those seconds, of those that answered any in
    /// this minute.
    pub(crate) fn answers(&self, from: usize, length: usize) -> impl Iterator<Item = (&str, u64)> {
        let to = (from + length).min(SECONDS);
        self.answers
            .iter()
            .map(move |(name, column)| (name.as_str(), column[from..to].iter().sum()))
    }
}

impl Second {
    /// Returns both together. Quantiles cannot be added: the median is that of the one with more
    /// requests, the 99th percentile the higher one.
    fn joined(&self, other: &Self) -> Self {
        let busier = if self.requests < other.requests { other } else { self };
        Self {
            requests: self.requests + other.requests,
            lost: self.lost + other.lost,
            rescued: self.rescued + other.rescued,
            p50: busier.p50,
            p99: self.p99.max(other.p99),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "latencies are not negative, and end with a minute"
)]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

fn time(micros: u64) -> Duration {
    Duration::from_micros(micros)
}
