//! See `claims::request_head`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::request_head::check(bytes));
