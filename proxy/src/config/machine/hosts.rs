//! Are the hosts of backends known?

use std::{
    collections::BTreeMap,
    net::{IpAddr, ToSocketAddrs as _},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    clock,
    config::{file::File, path::Path, problem::Code, validate::Review},
    model::BackendAddress,
};

/// How long all look-ups may take together.
const PATIENCE: Duration = Duration::from_secs(3);
/// Look-ups at a time.
const WORKERS: usize = 16;
/// With more, a sample has to do.
const MOST_HOSTS: usize = 512;

pub(crate) fn look(file: &File, review: &mut Review<'_>) {
    let hosts = hosts(file);
    let names: Vec<String> = hosts.keys().take(MOST_HOSTS).cloned().collect();
    for (name, error) in unknown(names) {
        let Some(path) = hosts.get(&name).filter(|path| review.is_sound(&[path])) else { continue };
        let message = format!("the host `{name}` is not known here: {error}");
        let remedy = "check the name; while it is unknown, the backend counts as down";
        review.report(Code::UnknownHost, path, message, remedy);
    }
}

/// Returns every host that has to be looked up, with the first place that names it.
fn hosts(file: &File) -> BTreeMap<String, Path> {
    let mut hosts = BTreeMap::new();
    for (name, pool) in &file.pools.0 {
        let backends = Path::default().key("pools").key(&name.0).key("backends");
        for (index, backend) in pool.backends.iter().enumerate() {
            if let BackendAddress::Tcp { host, .. } = &backend.url.address
                && host.parse::<IpAddr>().is_err()
            {
                hosts.entry(host.clone()).or_insert_with(|| backends.item(index).key("url"));
            }
        }
    }
    hosts
}

/// Returns those that have no address, with the reason.
///
/// The system's resolver cannot be told to give up, so a thread that waits on it is left behind.
fn unknown(names: Vec<String>) -> Vec<(String, String)> {
    let (answers, answered) = mpsc::sync_channel(names.len());
    let mut waiting = names.clone();
    for worker in 0..WORKERS.min(names.len()) {
        let share: Vec<String> = names.iter().skip(worker).step_by(WORKERS).cloned().collect();
        let answers = answers.clone();
        // Without a thread its share is not looked up, which is found below.
        _ = thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            for name in share {
                let error = (name.as_str(), 0).to_socket_addrs().err().map(|it| it.to_string());
                if answers.send((name, error)).is_err() {
                    return;
                }
            }
        });
    }
    drop(answers);
    let deadline = clock::now() + PATIENCE;
    let mut unknown = Vec::new();
    while let Ok((name, error)) = answered.recv_timeout(deadline.since(clock::now())) {
        waiting.retain(|it| *it != name);
        unknown.extend(error.map(|error| (name, error)));
    }
    unknown.extend(waiting.into_iter().map(|name| (name, "no answer in time".to_owned())));
    unknown.sort();
    unknown
}
