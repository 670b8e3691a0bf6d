//! See `claims::config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::config::check(bytes));
