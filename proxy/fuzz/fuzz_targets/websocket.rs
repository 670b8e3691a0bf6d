//! See `claims::websocket`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::websocket::check(bytes));
