//! See `claims::proxy_header`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::proxy_header::check(bytes));
