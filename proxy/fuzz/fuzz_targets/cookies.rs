//! See `claims::cookies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::cookies::check(bytes));
