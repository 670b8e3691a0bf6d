//! Rules about who listens where, and who may reach it.

use std::net::SocketAddr;

use crate::{
    config::{file::File, path::Path, problem::Code, validate::Review},
    model::{BackendAddress, ListenAddress},
};

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    clashes(file, review);
    trusts_everyone(file, review);
    loops(file, review);
}

/// Returns the path and value of each address that we listen on.
fn taken(file: &File) -> Vec<(Path, ListenAddress)> {
    let listeners = Path::default().key("listeners");
    file.listeners
        .0
        .iter()
        .map(|(name, listener)| (listeners.key(&name.0).key("address"), listener.address.0.clone()))
        .chain([(
            Path::default().key("admin").key("address"),
            ListenAddress::Tcp(file.admin.address.0),
        )])
        .collect()
}

fn clashes(file: &File, review: &mut Review<'_>) {
    let taken = taken(file);
    for (position, (path, address)) in taken.iter().enumerate() {
        let earlier = taken.iter().take(position).find(|(_, other)| covers(other, address));
        let Some((other, _)) = earlier else { continue };
        if review.is_sound(&[path, other]) {
            let message = format!("`{address}` is already taken by `{other}`");
            // The sidecar's address is often a default, and then it is the listener that can move.
            let place = if review.is_written(path) { path } else { other };
            review.report(Code::AddressTaken, place, message, "give each its own port");
        }
    }
}

/// Returns whether one socket listening on `left` keeps another from listening on `right`.
fn covers(left: &ListenAddress, right: &ListenAddress) -> bool {
    let (Some(left), Some(right)) = (left.tcp(), right.tcp()) else { return left == right };
    left.port() == right.port()
        && (left.ip() == right.ip() || left.ip().is_unspecified() || right.ip().is_unspecified())
}

fn trusts_everyone(file: &File, review: &mut Review<'_>) {
    for (name, listener) in &file.listeners.0 {
        let path = Path::default().key("listeners").key(&name.0).key("trusted_proxies");
        for (index, network) in listener.trusted_proxies.iter().enumerate() {
            if network.0.prefix_len() == 0 && review.is_sound(&[&path.item(index)]) {
                review.report(
                    Code::TrustsEveryone,
                    &path.item(index),
                    format!("with `{}` every client is believed about its own address", network.0),
                    "list only the networks of proxies in front of this one",
                );
            }
        }
    }
}

/// A backend that is one of our listeners would send each request round until it times out.
fn loops(file: &File, review: &mut Review<'_>) {
    for (pool_name, pool) in &file.pools.0 {
        let backends = Path::default().key("pools").key(&pool_name.0).key("backends");
        for (index, backend) in pool.backends.iter().enumerate() {
            let path = backends.item(index).key("url");
            let Some(address) = socket_of(&backend.url.address) else { continue };
            for (name, listener) in &file.listeners.0 {
                let ours = Path::default().key("listeners").key(&name.0).key("address");
                let is_reached = listener.address.0.tcp().is_some_and(|it| reaches(address, it));
                if is_reached && review.is_sound(&[&path, &ours]) {
                    let message =
                        format!("`{}` is the listener `{}` itself", backend.url.text, name.0);
                    review.report(
                        Code::Loop,
                        &path,
                        message,
                        "write the address of another server",
                    );
                }
            }
        }
    }
}

/// Returns the address that a backend's URL names, as far as it can be known without asking DNS.
fn socket_of(address: &BackendAddress) -> Option<SocketAddr> {
    let BackendAddress::Tcp { host, port, .. } = address else { return None };
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    host.parse().ok().map(|ip| SocketAddr::new(ip, *port))
}

fn reaches(address: SocketAddr, listener: SocketAddr) -> bool {
    let is_here = address.ip() == listener.ip()
        || (listener.ip().is_unspecified()
            && (address.ip().is_loopback() || address.ip().is_unspecified()));
    address.port() == listener.port() && is_here
}
