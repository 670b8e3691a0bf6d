//! Can we listen where we are to, and have as many connections as we may?

use std::{io::ErrorKind, net::SocketAddr, path::Path as FilePath};

use crate::{
    config::{file::File, path::Path, problem::Code, validate::Review},
    model::{BackendAddress, ListenAddress},
    ports,
};

/// Descriptors that the process needs beside those of connections.
const OTHERS: u64 = 100;

pub(crate) fn look(file: &File, review: &mut Review<'_>) {
    let listeners = Path::default().key("listeners");
    for (name, listener) in &file.listeners.0 {
        let path = listeners.key(&name.0).key("address");
        match &listener.address.0 {
            ListenAddress::Tcp(address) => port(*address, &path, review),
            ListenAddress::Unix(socket) => folder_of(socket, &path, review),
            // It is the service manager's to open.
            ListenAddress::Activated(_) => {}
        }
    }
    port(file.admin.address.0, &Path::default().key("admin").key("address"), review);
    backends_sockets(file, review);
    descriptors(file, review);
}

fn port(address: SocketAddr, path: &Path, review: &mut Review<'_>) {
    if !review.is_sound(&[path]) {
        return;
    }
    let Err(error) = ports::try_out(address) else { return };
    // A file without this key has its default, and a place all the same.
    let message = format!("cannot listen on `{address}`: {}", error.reason());
    if error.kind() != ErrorKind::AddrInUse {
        review.report(Code::CannotListen, path, message, error.remedy());
    } else if !error.is_held_by(env!("CARGO_PKG_NAME")) {
        // Whoever checks a new configuration for a proxy that runs has done nothing wrong.
        review.report(Code::PortInUse, path, message, error.remedy());
    }
}

fn folder_of(socket: &FilePath, path: &Path, review: &mut Review<'_>) {
    let folder = socket.parent().unwrap_or(FilePath::new("/"));
    let reason = match std::fs::metadata(folder) {
        Ok(it) if it.is_dir() => return,
        Ok(_) => "it is no folder".to_owned(),
        Err(error) => error.to_string(),
    };
    if review.is_sound(&[path]) {
        let message = format!("the socket's folder {} cannot be used: {reason}", folder.display());
        let remedy = "make the folder, or have it made: systemd does by `RuntimeDirectory=`";
        review.report(Code::CannotListen, path, message, remedy);
    }
}

/// A backend's socket that is not there may come later, with the backend.
fn backends_sockets(file: &File, review: &mut Review<'_>) {
    for (name, pool) in &file.pools.0 {
        let backends = Path::default().key("pools").key(&name.0).key("backends");
        for (index, backend) in pool.backends.iter().enumerate() {
            let BackendAddress::Unix(socket) = &backend.url.address else { continue };
            let path = backends.item(index).key("url");
            let Err(error) = std::fs::metadata(socket) else { continue };
            if review.is_sound(&[&path]) {
                let message = format!("nobody serves at {}: {error}", socket.display());
                let remedy = "start the backend, or check the path";
                review.report(Code::NoSocket, &path, message, remedy);
            }
        }
    }
}

/// Each client takes a descriptor, and so does the backend's connection that serves it.
fn descriptors(file: &File, review: &mut Review<'_>) {
    let clients: u64 =
        file.listeners.0.iter().map(|(_, it)| u64::from(it.limits.connections.get())).sum();
    let needed = 2 * clients + OTHERS;
    let Ok((_, most)) = rlimit::getrlimit(rlimit::Resource::NOFILE) else { return };
    let listeners = Path::default().key("listeners");
    let paths = file.listeners.0.iter().map(|(name, _)| listeners.key(&name.0));
    // Who has not asked for so many lives with fewer.
    let mut asked = paths
        .map(|path| path.key("limits").key("connections"))
        .filter(|path| review.is_written(path));
    let Some(path) = asked.next().filter(|_| most < needed) else { return };
    drop(asked);
    if review.is_sound(&[&path]) {
        review.report(
            Code::FewDescriptors,
            &path,
            format!(
                "{clients} connections of clients, and as many to backends, need {needed} file \
                 descriptors; this process may have {most}"
            ),
            "raise the limit (`ulimit -n`; `LimitNOFILE=` for systemd), or lower `limits.connections`",
        );
    }
}
