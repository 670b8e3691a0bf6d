//! Names of pools and backends, as people type them.

use crate::{
    cli::{
        answers::{Backend, Pool},
        failure::Failure,
    },
    config,
};

/// Checks that there is a pool called `name`.
pub(crate) fn pool<'p>(pools: &'p [Pool], name: &str) -> Result<&'p Pool, Failure> {
    pools.iter().find(|pool| pool.name == name).ok_or_else(|| {
        let known: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
        unknown(format!("there is no pool `{name}`"), name, &known)
    })
}

/// Finds the backend that `name` means: `POOL/NAME`, or `NAME` alone where only one pool has it.
pub(crate) fn backend<'p>(
    pools: &'p [Pool],
    name: &str,
) -> Result<(&'p Pool, &'p Backend), Failure> {
    if let Some((of_pool, name)) = name.split_once('/') {
        let pool = pool(pools, of_pool)?;
        let found = pool.backends.iter().find(|backend| backend.name == name);
        return found.map(|backend| (pool, backend)).ok_or_else(|| {
            let known: Vec<&str> = pool.backends.iter().map(|it| it.name.as_str()).collect();
            unknown(format!("pool `{of_pool}` has no backend `{name}`"), name, &known)
        });
    }
    let all = || pools.iter().flat_map(|pool| pool.backends.iter().map(move |it| (pool, it)));
    let mut found = all().filter(|(_, backend)| backend.name == name);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            let full: Vec<String> = all()
                .filter(|(_, backend)| backend.name == name)
                .map(|(pool, backend)| format!("{}/{}", pool.name, backend.name))
                .collect();
            let message = format!("several pools have a backend `{name}`");
            Err(Failure::usage(message, format!("say which: {}", list(&full))))
        }
        (None, _) => {
            let known: Vec<&str> = all().map(|(_, backend)| backend.name.as_str()).collect();
            Err(unknown(format!("there is no backend `{name}`"), name, &known))
        }
    }
}

/// Names listed in a remedy; more would hide it.
const LISTED: usize = 12;

fn unknown(message: String, name: &str, known: &[&str]) -> Failure {
    let remedy = match config::nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "the configuration has none".to_owned(),
        None => format!("there are: {}", list(known)),
    };
    Failure::usage(message, remedy)
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(LISTED);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure::Exit;

    fn pools() -> Vec<Pool> {
        let pool = |name: &str, backends: &[&str]| Pool {
            name: name.to_owned(),
            backends: backends
                .iter()
                .map(|name| Backend { name: (*name).to_owned(), ..Backend::default() })
                .collect(),
            ..Pool::default()
        };
        vec![pool("api", &["primary", "secondary"]), pool("web", &["primary", "w1"])]
    }

    #[track_caller]
    fn refused(name: &str, message: &str, remedy: &str) {
        let pools = pools();
        let failure = backend(&pools, name).unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Usage, message));
        assert_eq!(failure.remedy, remedy);
    }

    #[test]
    fn a_name_is_enough_where_it_is_clear() {
        let pools = pools();
        for name in ["secondary", "api/secondary"] {
            let (pool, backend) = backend(&pools, name).unwrap();
            assert_eq!((pool.name.as_str(), backend.name.as_str()), ("api", "secondary"));
        }
        assert_eq!(backend(&pools, "web/primary").unwrap().0.name, "web");
    }

    #[test]
    fn what_is_not_clear_is_asked_back() {
        refused(
            "primary",
            "several pools have a backend `primary`",
            "say which: api/primary, web/primary",
        );
        refused("secondray", "there is no backend `secondray`", "did you mean `secondary`?");
        refused("wep/w1", "there is no pool `wep`", "did you mean `web`?");
        refused("web/x", "pool `web` has no backend `x`", "there are: primary, w1");
    }
}
