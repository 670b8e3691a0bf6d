//! A minute as bytes: what is stored, in memory and on the disk.
//!
//! Columns of small numbers, each in as few bytes as it needs (LEB128); a column of zeros is one byte,
//! so that an idle minute weighs some twenty. A block names its backends itself: it can be read whatever
//! has been configured since, and nothing else must be intact for it.

use crate::{
    history::minute::{Minute, SECONDS, Second},
    snapshot::Latencies,
};

/// The first byte. Rises when the rest changes its meaning.
const FORMAT: u8 = 1;
/// Longest name of a backend that is read: a sanity check on bytes that may be anybody's.
const NAME_BYTES_MAX: u64 = 1024;

/// Returns the bytes of `minute`.
pub(crate) fn encoded(minute: &Minute) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    let ran = |index: &usize| minute.seconds[*index].is_some();
    let present = (0..SECONDS).filter(ran).fold(0, |bits, index| bits | 1 << index);
    put(&mut bytes, present);
    let seconds: Vec<Second> = minute.seconds.iter().flatten().copied().collect();
    // 0 stands for none.
    let optional = |value: Option<u64>| value.map_or(0, |it| it.saturating_add(1));
    put_column(&mut bytes, seconds.iter().map(|it| it.requests));
    put_column(&mut bytes, seconds.iter().map(|it| it.lost));
    put_column(&mut bytes, seconds.iter().map(|it| it.rescued));
    put_column(&mut bytes, seconds.iter().map(|it| optional(it.p50)));
    put_column(&mut bytes, seconds.iter().map(|it| optional(it.p99)));
    for latencies in &minute.latencies {
        put(&mut bytes, count(latencies.filled().count()));
        let mut next = 0;
        for (bucket, sum) in latencies.filled() {
            put(&mut bytes, count(bucket - next));
            put(&mut bytes, sum);
            next = bucket + 1;
        }
    }
    put(&mut bytes, count(minute.answers.len()));
    for (name, column) in &minute.answers {
        put(&mut bytes, count(name.len()));
        bytes.extend_from_slice(name.as_bytes());
        put_column(&mut bytes, (0..SECONDS).filter(ran).map(|index| column[index]));
    }
    bytes
}

/// Returns the minute that `bytes` are of; `None` if they are of none, or of a later format.
pub(crate) fn decoded(bytes: &[u8]) -> Option<Minute> {
    let mut bytes = bytes.strip_prefix(&[FORMAT])?;
    let present = take(&mut bytes)?;
    if present >> SECONDS != 0 {
        return None;
    }
    let places: Vec<usize> = (0..SECONDS).filter(|index| present >> index & 1 == 1).collect();
    let mut columns = [[0; SECONDS]; 5];
    for column in &mut columns {
        take_column(&mut bytes, &places, column)?;
    }
    let [requests, lost, rescued, p50, p99] = columns;
    let mut minute = Minute::default();
    for &index in &places {
        minute.seconds[index] = Some(Second {
            requests: requests[index],
            lost: lost[index],
            rescued: rescued[index],
            p50: p50[index].checked_sub(1),
            p99: p99[index].checked_sub(1),
        });
    }
    for latencies in &mut minute.latencies {
        *latencies = take_latencies(&mut bytes)?;
    }
    for _ in 0..take(&mut bytes)? {
        let length = take(&mut bytes).filter(|it| *it <= NAME_BYTES_MAX)?;
        let (name, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
        bytes = rest;
        let mut column = [0; SECONDS];
        take_column(&mut bytes, &places, &mut column)?;
        minute.answers.insert(String::from_utf8(name.to_vec()).ok()?, column);
    }
    bytes.is_empty().then_some(minute)
}

fn take_latencies(bytes: &mut &[u8]) -> Option<Latencies> {
    let mut latencies = Latencies::default();
    let mut next = 0_usize;
    for _ in 0..take(bytes)? {
        let bucket = next.checked_add(usize::try_from(take(bytes)?).ok()?)?;
        latencies.fill(bucket, take(bytes)?);
        next = bucket.checked_add(1)?;
    }
    Some(latencies)
}

/// Puts one number for each second that there was; or a single 0, if all are.
fn put_column(bytes: &mut Vec<u8>, column: impl Iterator<Item = u64> + Clone) {
    if column.clone().all(|it| it == 0) {
        return put(bytes, 0);
    }
    put(bytes, 1);
    column.for_each(|it| put(bytes, it));
}

fn take_column(bytes: &mut &[u8], places: &[usize], column: &mut [u64; SECONDS]) -> Option<()> {
    match take(bytes)? {
        0 => {}
        1 => {
            for &index in places {
                column[index] = take(bytes)?;
            }
        }
        _ => return None,
    }
    Some(())
}

/// Puts a number, seven bits a byte, the least significant first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while 0x80 <= number {
        // The rest follows.
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits.leading_zeros() < shift {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
