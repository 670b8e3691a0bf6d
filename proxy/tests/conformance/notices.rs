//! The runner itself: it must notice what a bad proxy does. The worst there is passes everything on.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{dialogue::Dialogue, script, stage::Stage};

/// Acts out cases before a relay that looks at nothing. Returns what failed, in a word or two.
async fn failures(text: &'static str) -> Vec<&'static str> {
    let mut stage = Stage::new().await;
    let backend = stage.backend();
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    stage.prepare(relay.local_addr().unwrap(), true);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = relay.accept().await {
            connections.spawn(async move {
                let mut onward = TcpStream::connect(backend).await.unwrap();
                _ = copy_bidirectional(&mut client, &mut onward).await;
            });
        }
    });
    let mut failed = Vec::new();
    for case in script::parse(text) {
        if Dialogue::new(&mut stage).play(&case).await.is_err() {
            failed.push(case.name);
        }
    }
    failed
}

#[tokio::test]
async fn what_a_relay_does_right_holds() {
    let text = "
rfc_a passed GET / HTTP/1.1|Host: a||
rfc_b fields X: 1 => X: 1
rfc_c answer X: 1 => X: 1";
    assert_eq!(failures(text).await, [""; 0]);
}

#[tokio::test]
async fn what_a_relay_does_wrong_fails() {
    let text = r"
rfc_refusal_that_does_not_come refused 400 GET / HTTP/1.1|Host : a||
rfc_field_that_is_passed_on fields Keep-Alive: 1 =>
rfc_field_of_a_response_that_is_passed_on answer Keep-Alive: 1 =>
rfc_nonsense_that_is_passed_on garbage hello||
rfc_bytes_behind_a_response
@get
B> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokevil\
>C HTTP/1.1 200 OK
>C Content-Length: 2
>C
>C ok\
= open
rfc_second_request_that_nobody_expected
C> GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n\
>B GET / HTTP/1.1
>B Host: a
>B
= answered";
    let wrong: Vec<&str> = script::parse(text).iter().map(|it| it.name).collect();
    assert_eq!(failures(text).await, wrong);
}
