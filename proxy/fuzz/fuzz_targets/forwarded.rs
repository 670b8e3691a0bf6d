//! See `claims::forwarded`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::forwarded::check(bytes));
