//! Requests that belong together: by hash, by cookie, and what happens when their backend is gone.

use bascule_backend::{Fault, FaultKind, Running, Scope};
use serde_json::json;

use crate::{
    client::{Answer, until},
    proxy::{Proxy, folder},
    setup::{Setup, backend},
};

fn three() -> [Running; 3] {
    ["a", "b", "c"].map(backend)
}

fn one_tier(backends: &[Running]) -> Setup {
    let backends: Vec<(&Running, u32)> = backends.iter().map(|it| (it, 100)).collect();
    Setup::one_tier(&backends)
}

/// The `name=value` of the cookie that an answer sets; empty if it sets none.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn with_cookie(proxy: &Proxy, cookie: &str) -> Answer {
    proxy.ask("GET", "/echo", &[("cookie", cookie)], "").await
}

#[tokio::test]
async fn a_key_goes_to_one_backend_by_every_proxy_and_elsewhere_when_that_is_gone() {
    let backends = three();
    let setup = one_tier(&backends)
        .with("pools.api.balance", "hash")
        .with("pools.api.hash", json!({ "header": "x-user" }));
    let (proxy, other) = (setup.clone().start().await, setup.start().await);
    let ask = async |proxy: &Proxy, user: &str| {
        let answer = proxy.ask("GET", "/echo", &[("x-user", user)], "").await;
        assert_eq!(answer.status, 200);
        answer.backend().to_owned()
    };
    let users: Vec<String> = (0..12).map(|it| format!("user-{it}")).collect();
    let mut owners = Vec::new();
    for user in &users {
        let owner = ask(&proxy, user).await;
        assert_eq!(ask(&proxy, user).await, owner);
        assert_eq!(ask(&other, user).await, owner);
        owners.push(owner);
    }
    assert!(["a", "b", "c"].iter().all(|it| owners.iter().any(|owner| owner == it)), "{owners:?}");
    let [mut a, _b, _c] = backends;
    a.kill().await;
    for (user, owner) in users.iter().zip(&owners) {
        let heir = ask(&proxy, user).await;
        assert!(if owner == "a" { heir != "a" } else { heir == *owner }, "{user}: {owner} {heir}");
    }
}

#[tokio::test]
async fn a_cookie_keeps_a_client_at_its_backend_and_backends_do_not_see_it() {
    let backends = three();
    let sticky = json!({ "cookie": "home", "ttl": "1h", "secure": true, "same_site": "strict" });
    let proxy = one_tier(&backends).with("pools.api.sticky", sticky).start().await;
    let first = proxy.get("/echo").await;
    let fields = first.header("set-cookie");
    assert!(
        fields.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict; Secure"),
        "{fields}"
    );
    let home = cookie(&first);
    for _ in 0..6 {
        let answer = with_cookie(&proxy, &format!("a=1; {home}; b=2")).await;
        assert_eq!((answer.backend(), cookie(&answer)), (first.backend(), String::new()));
        assert_eq!(answer.seen("cookie"), ["a=1; b=2"]);
        assert_eq!(with_cookie(&proxy, &home).await.seen("cookie"), [""; 0]);
    }
    // What was tampered with, or made up, is as good as none, and replaced.
    let mut tampered = home.clone();
    tampered.replace_range(10..11, if &home[10..11] == "A" { "B" } else { "A" });
    for bad in [&*tampered, "home=", "home=made-up", "home=\"\""] {
        let answer = with_cookie(&proxy, bad).await;
        assert!(cookie(&answer).starts_with("home="), "{bad}");
        assert_ne!(cookie(&answer), bad);
    }
}

#[tokio::test]
async fn a_client_whose_backend_is_gone_loses_nothing_and_gets_a_new_home() {
    let [mut a, b, c] = three();
    let proxy = Setup::one_tier(&[(&a, 100), (&b, 100), (&c, 100)])
        .with("pools.api.sticky", json!({ "cookie": "home" }))
        .start()
        .await;
    let mut home = String::new();
    while home.is_empty() {
        let answer = proxy.get("/echo").await;
        if answer.backend() == "a" {
            home = cookie(&answer);
        }
    }
    a.kill().await;
    let answer = with_cookie(&proxy, &home).await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.backend(), "a");
    proxy.pool_until(|pool| pool["backends"][0]["eligible"] == false).await;
    let moved = with_cookie(&proxy, &home).await;
    let new_home = cookie(&moved);
    assert!(new_home.starts_with("home="), "{moved:?}");
    for _ in 0..4 {
        assert_eq!(with_cookie(&proxy, &new_home).await.backend(), moved.backend());
    }
}

#[tokio::test]
async fn proxies_with_the_same_secret_read_each_others_cookies_and_no_others_do() {
    let backends = three();
    let secret = folder().join("secret");
    std::fs::write(&secret, "sixteen-or-more-visible-characters\n").unwrap();
    let shared = json!({ "cookie": "home", "secret_file": secret.to_str().unwrap() });
    let setup = one_tier(&backends).with("pools.api.sticky", shared);
    let (one, two) = (setup.clone().start().await, setup.clone().start().await);
    let stranger = setup.with("pools.api.sticky", json!({ "cookie": "home" })).start().await;
    let first = one.get("/echo").await;
    let home = cookie(&first);
    for _ in 0..4 {
        assert_eq!(with_cookie(&two, &home).await.backend(), first.backend());
    }
    assert_ne!(cookie(&with_cookie(&stranger, &home).await), "");
    std::fs::remove_dir_all(secret.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn the_quicker_backend_gets_nearly_everything() {
    let (quick, slow) = (backend("quick"), backend("slow"));
    let delay = FaultKind::Slow { delay: std::time::Duration::from_millis(30) };
    let fault = Fault::new(delay, std::time::Duration::from_secs(60));
    slow.inject(fault.in_scope(Scope::Traffic)).await.unwrap();
    let proxy = Setup::one_tier(&[(&quick, 100), (&slow, 100)])
        .with("pools.api.balance", "peak_ewma")
        .with("pools.api.suspicion.enabled", false)
        .without_ejection()
        .start()
        .await;
    // When this machine stops for a moment, the quick one is taken for slower until that is forgotten.
    until(async || {
        let mut by_slow = 0;
        for _ in 0..40 {
            by_slow += u32::from(proxy.get("/echo").await.backend() == "slow");
        }
        if by_slow <= 8 { Ok(()) } else { Err(format!("{by_slow} of 40")) }
    })
    .await;
    assert_ne!(slow.total(), 0, "it is asked until it is known");
}
