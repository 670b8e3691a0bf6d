//! A configuration without a file: one pool, made of the URLs of a command line.

use std::{net::SocketAddr, path::Path};

use thiserror::Error;

use crate::{
    config::{
        assemble::assemble,
        file::{
            File, Named,
            admin::Admin,
            defaults::Defaults,
            history, limits,
            listener::Listener,
            logging::Logging,
            pool::{
                Backend, Balance, HealthCheck, HoldBack, Limits, OutlierDetection, Pool, Protocol,
                ProxyProtocol, Retries, Suspicion, TcpCheck, Tiers, Timeouts, Tls, WhenDown,
            },
            reload,
            route::Route,
            shutdown,
        },
        units::{
            Fault, Name,
            duration::Wait,
            leaf::Leaf as _,
            net::{Listen, Url},
        },
    },
    model::{ListenAddress, Topology},
};

/// Why URLs do not make a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UrlsRejected {
    /// There is none.
    #[error("no URL is given; give at least one, the preferred backend's first")]
    None,
    /// One is malformed.
    #[error("{message}; {remedy}")]
    Malformed {
        /// What is wrong.
        message: String,
        /// What would put it right.
        remedy: String,
    },
    /// Two lead to the same backend.
    #[error("`{0}` is given twice; give each backend once")]
    Twice(String),
    /// More than can be told apart by preference.
    #[error(
        "more than {most} URLs are given; write a configuration, where backends can share a tier"
    )]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// One is the address that clients connect to.
    #[error("`{0}` is the proxy's own address; give the address of another server")]
    Loop(String),
    /// The sidecar is to listen where clients connect.
    #[error("`{0}` is the sidecar's address; listen on another port")]
    AddressTaken(SocketAddr),
    /// The program contradicts itself.
    #[error("the URLs are valid and make no configuration; please report this")]
    Internal,
}

/// The same bound as for tiers in a file.
const MOST_URLS: usize = 32;

/// Returns a pool `main` of `urls`, each in a tier of its own, the first preferred, for requests
/// that arrive at `listen`.
///
/// Nothing is known of what the backends serve, so health checks only connect.
pub(crate) fn topology(listen: SocketAddr, urls: &[String]) -> Result<Topology, UrlsRejected> {
    if urls.is_empty() {
        return Err(UrlsRejected::None);
    }
    if MOST_URLS < urls.len() {
        return Err(UrlsRejected::TooMany { most: MOST_URLS });
    }
    let admin = Admin::default();
    if admin.address.0 == listen {
        return Err(UrlsRejected::AddressTaken(listen));
    }
    let mut backends: Vec<Backend> = Vec::new();
    for (tier, text) in urls.iter().enumerate() {
        let url = Url::parse(text)
            .map_err(|Fault { message, remedy }| UrlsRejected::Malformed { message, remedy })?;
        let location = url.address.location();
        if location == listen.to_string() {
            return Err(UrlsRejected::Loop(text.clone()));
        }
        if backends.iter().any(|other| other.url.address.location() == location) {
            return Err(UrlsRejected::Twice(text.clone()));
        }
        let name = Name(format!("backend-{}", tier + 1));
        backends.push(Backend { name, url, tier, weight: Backend::default_weight() });
    }
    assemble(file(listen, backends, admin), Path::new("")).ok_or(UrlsRejected::Internal)
}

fn file(listen: SocketAddr, backends: Vec<Backend>, admin: Admin) -> File {
    let pool = Pool {
        balance: Balance::default(),
        hash: None,
        sticky: None,
        tiers: Tiers::default(),
        backends,
        protocol: Protocol::default(),
        tls: Tls::default(),
        proxy_protocol: ProxyProtocol::default(),
        slow_start: Wait::default(),
        when_down: WhenDown::default(),
        health_check: HealthCheck { tcp: Some(TcpCheck {}), ..HealthCheck::default() },
        outlier_detection: OutlierDetection::default(),
        suspicion: Suspicion::default(),
        retries: Retries::default(),
        hold_back: HoldBack::default(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
    };
    let name = || Name("main".to_owned());
    let listener = Listener::plain(Listen(ListenAddress::Tcp(listen)));
    File {
        version: 1,
        threads: None,
        listeners: Named(vec![(Name("public".to_owned()), listener)]),
        routes: vec![Route { name: Some(name()), ..Route::to(name()) }],
        pools: Named(vec![(name(), pool)]),
        defaults: Defaults::default(),
        limits: limits::Limits::default(),
        shutdown: shutdown::Shutdown::default(),
        reload: reload::Reload::default(),
        history: history::History::default(),
        admin,
        logging: Logging::default(),
        tracing: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(urls: &[&str]) -> Result<Vec<(String, usize)>, String> {
        let urls: Vec<String> = urls.iter().map(|&url| url.to_owned()).collect();
        let topology =
            topology(([127, 0, 0, 1], 8021).into(), &urls).map_err(|it| it.to_string())?;
        let tiers = topology.pools[0].backends.iter().map(|it| (it.url.clone(), it.tier));
        Ok(tiers.collect())
    }

    #[test]
    fn the_first_url_is_preferred_and_each_further_one_comes_next() {
        let tiers =
            check(&["http://127.0.0.1:3001", "http://127.0.0.1:3002/", "https://b.example"]);
        let expected =
            [("http://127.0.0.1:3001", 0), ("http://127.0.0.1:3002", 1), ("https://b.example", 2)];
        assert_eq!(tiers.unwrap(), expected.map(|(url, tier)| (url.to_owned(), tier)));
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_remedy() {
        let refused = |urls: &[&str]| check(urls).unwrap_err();
        assert_eq!(
            refused(&[]),
            "no URL is given; give at least one, the preferred backend's first"
        );
        assert_eq!(
            refused(&["localhost:3001"]),
            "`localhost:3001` is not a URL; write `http://localhost:3001`"
        );
        assert_eq!(
            refused(&["http://a:1", "http://A:1"]),
            "`http://A:1` is given twice; give each backend once"
        );
        assert!(refused(&["http://127.0.0.1:8021"]).contains("own address"));
    }
}
