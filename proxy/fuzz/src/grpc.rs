//! gRPC: timeouts, statuses, messages, and answers to health checks.

use std::time::Duration;

use bascule::wire::{
    grpc::{STATUS_MAX, message, status, timeout},
    grpc_health::{self, Unwell},
};

pub fn check(bytes: &[u8]) {
    if let Some(length) = timeout(bytes) {
        assert!(length <= Duration::from_secs(99_999_999 * 3600));
        assert!((2..=9).contains(&bytes.len()));
    }
    assert!(status(bytes).is_none_or(|it| it <= STATUS_MAX));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let written = message(text);
        assert!(written.bytes().all(|it| matches!(it, b' '..=b'~')));
        assert_eq!(unescaped(written.as_bytes()), bytes);
        // What is asked is itself a message with one field.
        let asked = grpc_health::request(text);
        let carried = &asked[5..];
        assert_eq!(asked[..5], [&[0][..], &u32::to_be_bytes(carried.len() as u32)].concat());
        assert_eq!(grpc_health::read(&asked), Err(Unwell::NotServing));
    }
    let verdict = grpc_health::read(bytes);
    if let Some((prefix, carried)) = bytes.split_at_checked(5) {
        // Behind fields that nobody knows, the status counts as ever.
        let mut longer = carried.to_vec();
        longer.extend([0x10, 7, 0x08, 1]);
        let mut framed = vec![0];
        framed.extend(u32::to_be_bytes(longer.len() as u32));
        framed.extend(&longer);
        let length = u32::to_be_bytes(carried.len() as u32);
        if prefix[0] == 0 && prefix[1..] == length && verdict != Err(Unwell::Garbage) {
            assert_eq!(grpc_health::read(&framed), Ok(()));
        }
    } else {
        assert_eq!(verdict, Err(Unwell::Garbage));
    }
}

fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((first, rest)) = text.split_first() {
        text = rest;
        if *first == b'%' {
            let (digits, rest) = text.split_at(2);
            let digits = std::str::from_utf8(digits).expect("digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            text = rest;
        } else {
            bytes.push(*first);
        }
    }
    bytes
}
