//! Ports that somebody else has, and the proxy without a file.

use std::{fs, net::TcpListener, process::Stdio};

use crate::{
    client::{soon, try_ask, until},
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
    let (public, first) = (free_address(), format!("http://{}", refusing.addr()));
    let args = ["proxy", &first, &secondary.url(""), "--listen", &public.to_string()];
    let mut child = program(&args).stderr(Stdio::piped()).spawn().unwrap();
    let is_up = until(async || {
        if child.try_wait().unwrap().is_some() {
            return Ok(false);
        }
        try_ask(public, "GET", "/api/data", &[], "").await.map(|_| true)
    })
    .await;
    if is_up {
        let answer = try_ask(public, "GET", "/api/data", &[], "").await.unwrap();
        assert_eq!((answer.status, answer.backend()), (200, "secondary"));
        child.kill().await.unwrap();
        return;
    }
    // Its sidecar's port cannot be chosen, and another program on this machine may have it.
    let text = soon(child.wait_with_output()).await.unwrap().stderr;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("admin: cannot listen on 127.0.0.1:9901: the port is in use"), "{text}");
}
