//! The command line: what it answers, and by which exit code.

use std::{fs, path::Path, process::Output};

use crate::{
    client::soon,
    proxy::{folder, free_address, program},
    setup::{Setup, backend},
};

/// Runs the program to its end.
pub(crate) async fn output(args: &[&str]) -> Output {
    soon(program(args).output()).await.unwrap()
}

/// The exit code, and what was said on standard error.
async fn refusal(args: &[&str]) -> (Option<i32>, String) {
    let output = output(args).await;
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn config(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name).display().to_string()
}

#[tokio::test]
async fn check_says_by_its_exit_code_whether_every_file_is_good() {
    let (good, bad) = (config("bascule.yaml"), config("invalid/five-mistakes.yaml"));
    // The example names files that are on no machine.
    assert_eq!(refusal(&["check", "--no-env", &good]).await, (Some(0), String::new()));
    let (code, text) = refusal(&["check", "--no-env", &good, &bad]).await;
    assert_eq!((code, text.matches("error[").count()), (Some(1), 5), "{text}");
    assert_eq!(refusal(&["check", "missing.yaml"]).await.0, Some(1));
    assert_eq!(refusal(&["check"]).await.0, Some(2));
}

#[tokio::test]
async fn run_exits_78_on_a_configuration_that_it_rejects() {
    let folder = folder();
    let broken = folder.join("broken.yaml");
    fs::write(&broken, "version: 1\nlisteners: [").unwrap();
    for file in [config("invalid/five-mistakes.yaml"), broken.display().to_string()] {
        let (code, text) = refusal(&["run", "--config", &file]).await;
        assert_eq!(code, Some(78), "{text}");
        assert!(text.contains(&file), "{text}");
    }
    let (code, text) = refusal(&["run", "--config", "missing.yaml"]).await;
    assert!(code == Some(78) && text.contains("missing.yaml"), "{code:?} {text}");
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn status_tells_ready_from_unreachable() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let admin = format!("http://{}", proxy.admin);
    let ready = output(&["status", "--ready", "--admin", &admin]).await;
    assert_eq!(ready.status.code(), Some(0));
    let quiet = output(&["status", "-q", "--admin", &admin]).await;
    assert_eq!((quiet.status.code(), quiet.stdout.len()), (Some(0), 0));
    let health = output(&["status", "--admin", &admin]).await;
    let text = String::from_utf8(health.stdout).unwrap();
    assert!(text.starts_with("Serving from primary since"), "{text}");
    let nobody = format!("http://{}", free_address());
    assert_eq!(output(&["status", "--ready", "--admin", &nobody]).await.status.code(), Some(69));
}

#[tokio::test]
async fn status_is_no_while_nothing_serves() {
    let mut primary = backend("primary");
    primary.kill().await;
    let proxy = Setup::tiers(&[&primary]).start().await;
    let admin = format!("http://{}", proxy.admin);
    assert_eq!(output(&["status", "--admin", &admin]).await.status.code(), Some(1));
    assert_eq!(output(&["status", "--ready", "--admin", &admin]).await.status.code(), Some(0));
}
