//! See `claims::routing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::routing::check(bytes));
