//! See `claims::request_body`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::request_body::check(bytes));
