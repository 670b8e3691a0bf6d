//! Ports that somebody else has, and the proxy without a file.

use std::{fs, net::TcpListener, process::Stdio};

use crate::{
    client::{try_ask, until},
    commands::output,
    proxy::{folder, free_address, program},
    setup::{Setup, backend},
    stub::Refusing,
};

#[tokio::test]
async fn a_port_in_use_is_named_with_the_process_that_has_it() {
    let primary = backend("primary");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, pid) = (taken.local_addr().unwrap(), std::process::id());
    for (key, what) in
        [("listeners.public.address", "listener `public`"), ("admin.address", "admin")]
    {
        let folder = folder();
        let file = folder.join("bascule.yaml");
        let config = Setup::tiers(&[&primary])
            .with("listeners.public.address", free_address().to_string())
            .with("admin.address", free_address().to_string())
            .with(key, address.to_string());
        fs::write(&file, config.0.to_string()).unwrap();
        let refused = output(&["run", "--config", file.to_str().unwrap()]).await;
        let text = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("{what}: cannot listen on {address}")), "{text}");
        assert!(text.contains(&format!("(process {pid})")), "{text}");
        fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test]
async fn two_urls_are_a_preferred_backend_and_its_backup() {
    let (refusing, secondary) = (Refusing::new(), backend("secondary"));
    let (public, admin) = (free_address(), free_address());
    let urls = [format!("http://{}", refusing.addr()), secondary.url("")];
    let (listen, admin) = (public.to_string(), admin.to_string());
    let args = ["proxy", &urls[0], &urls[1], "--listen", &listen, "--admin", &admin];
    let mut child = program(&args).stderr(Stdio::piped()).spawn().unwrap();
    let is_up =
        until(async || try_ask(public, "GET", "/api/data", &[], "").await.map(|_| true)).await;
    assert!(is_up);
    let answer = try_ask(public, "GET", "/api/data", &[], "").await.unwrap();
    assert_eq!((answer.status, answer.backend()), (200, "secondary"));
    child.kill().await.unwrap();
}
