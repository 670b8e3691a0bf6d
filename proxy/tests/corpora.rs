//! Every input that fuzzing has kept still holds what is claimed of it. `fuzz/run` looks for more.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a crate of its own elsewhere")]
mod fuzz;

use std::fs;

macro_rules! corpora {
    ($($target:ident)*) => {$(
        #[test]
        fn $target() {
            replay(stringify!($target), fuzz::$target::check);
        }
    )*};
}

corpora! {
    config cookies forwarded grpc proxy_header request_body request_head response routing websocket
}

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("fuzz/corpus/{target}");
    let mut inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{folder} is empty");
    for input in inputs {
        // A failure is told with the input that it came from.
        println!("{}", input.display());
        check(&fs::read(&input).unwrap());
    }
}
