//! See `claims::grpc`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bascule_fuzz::grpc::check(bytes));
