//! What is said when it does not work, and by which exit code.

use std::{fs, net::TcpListener, process::Stdio};

use serde_json::json;
use tokio::{io::AsyncReadExt, time::timeout};

use crate::fake::{Fake, PATIENCE, incident, program, ran, refusal};

/// Every command that asks a sidecar, with as little as it needs.
const ASKING: &[&[&str]] = &[
    &["status"],
    &["status", "--ready"],
    &["status", "--watch"],
    &["top", "--once"],
    &["logs"],
    &["logs", "-f"],
    &["incidents"],
    &["incidents", "api-1", "--follow"],
    &["backend", "list"],
    &["backend", "drain", "a"],
    &["backend", "weight", "a", "1"],
    &["failover", "api"],
    &["failback", "api"],
    &["fault", "inject", "a", "--mode", "hang"],
    &["fault", "list"],
    &["fault", "end", "a"],
    &["recover"],
    &["reload"],
    &["config", "show"],
    &["drain", "--self"],
    &["undrain", "--self"],
    &["upgrade"],
    &["log-level"],
    &["audit"],
    &["whoami"],
];

#[tokio::test]
async fn nobody_there_is_69_with_the_address_and_what_to_do() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for arguments in ASKING {
        let mut command = program(arguments);
        let ran = ran(command.args(["--admin", &format!("http://{free}")])).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(69), ""), "{arguments:?}");
        let message =
            format!("error: the sidecar at {free} cannot be reached: connection refused\n");
        assert!(ran.error.starts_with(&message), "{arguments:?}: {}", ran.error);
        assert!(ran.error.contains("  = help: start the proxy"), "{}", ran.error);
    }
}

#[tokio::test]
async fn not_allowed_is_77_with_how_to_prove_oneself() {
    let fake = Fake::start().await;
    let error = refusal("token_required", "the sidecar asks for a token", "send it");
    fake.answers("GET /proxy/health", 401, error.clone());
    let ran = fake.run(&["status"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(77), ""));
    let expected = format!(
        "error: not allowed at {}: the sidecar asks for a token\n  \
         = help: show a token: --token-file FILE or BASCULE_TOKEN_FILE=FILE\n",
        fake.address
    );
    assert_eq!(ran.error, expected);
    // Watching does not go on for ever with a token that is not taken.
    assert_eq!(fake.run(&["status", "--watch"]).await.code, Some(77));
    let error = refusal("role", "a viewer may not drain", "ask for an operator's token");
    fake.answers("POST /drain", 403, error);
    let ran = fake.run(&["drain", "--self"]).await;
    assert!(ran.code == Some(77) && ran.error.contains("a viewer may not drain"), "{ran:?}");
}

#[tokio::test]
async fn a_token_is_read_from_its_file_and_sent() {
    let fake = Fake::start().await;
    let file = std::env::temp_dir().join(format!("bascule-commands-{}", std::process::id()));
    fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(fake.run(&["status", "--token-file", path]).await.code, Some(0));
    let sent = "Bearer 0123456789abcdef0123456789abcdef";
    assert_eq!(fake.asked()[0].authorization.as_deref(), Some(sent));
    fs::write(&file, "short").unwrap();
    let ran = fake.run(&["status", "--token-file", path]).await;
    assert_eq!(ran.code, Some(77));
    assert!(ran.error.contains(path) && !ran.error.contains("short"), "{}", ran.error);
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn what_is_no_sidecar_is_told_apart() {
    let fake = Fake::start().await;
    fake.answers("GET /proxy/health", 200, "<html>hello</html>".into());
    let other = fake.run(&["status"]).await;
    assert!(other.code == Some(1) && other.error.contains("is not understood"), "{other:?}");
    // An older release does not know every path.
    let older = fake.run(&["whoami"]).await;
    assert!(older.code == Some(1) && older.error.contains("does not know /whoami"), "{older:?}");
    for address in ["ftp://x", "proxy:9901", "/x"] {
        let wrong = ran(&mut program(&["status", "--admin", address])).await;
        assert_eq!(wrong.code, Some(2), "{address}: {wrong:?}");
    }
}

#[tokio::test]
async fn whoever_stops_reading_causes_no_error() {
    let fake = Fake::start().await;
    let many: Vec<_> = (0..2_000).map(|_| incident()).collect();
    fake.answers("GET /incidents", 200, json!({ "schema": 1, "incidents": many }));
    let mut command = program(&["incidents"]);
    command.env("BASCULE_ADMIN", fake.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let status = timeout(PATIENCE, child.wait()).await.expect("it goes on").unwrap();
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).await.unwrap();
    assert_eq!((status.code(), error.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_wrong_command_line_is_2_and_says_what_was_probably_meant() {
    for (arguments, hint) in [
        (&["stauts"][..], "'status'"),
        (&["backend", "dran", "a"], "'drain'"),
        (&["status", "--wach"], "'--watch'"),
        (&["incidents", "--format", "yaml"], "possible values: text, json"),
    ] {
        let ran = ran(&mut program(arguments)).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ran.error.contains(hint), "{}", ran.error);
    }
    let no_terminal = ran(&mut program(&["top"])).await;
    assert!(no_terminal.code == Some(2) && no_terminal.error.contains("--once"), "{no_terminal:?}");
}
