//! What other proxies call what we have, so that who comes from there finds it.

/// The word elsewhere, ours, and how ours is written where that is not simply in the other's place.
const SYNONYMS: &[(&str, &str, &str)] = &[
    // At the top.
    ("frontends", "listeners", ""),
    ("frontend", "listeners", ""),
    ("entrypoints", "listeners", ""),
    ("servers", "listeners", ""),
    ("upstreams", "pools", ""),
    ("services", "pools", ""),
    ("clusters", "pools", ""),
    ("rules", "routes", ""),
    ("routers", "routes", ""),
    ("locations", "routes", ""),
    ("log", "logging", ""),
    ("api", "admin", ""),
    ("sidecar", "admin", ""),
    ("workers", "threads", ""),
    ("worker_processes", "threads", ""),
    ("nbthread", "threads", ""),
    // Of listeners.
    ("bind", "address", ""),
    ("listen", "address", ""),
    ("port", "address", "address: \"0.0.0.0:PORT\""),
    ("ssl", "tls", ""),
    ("certificates", "tls", "tls: { certificates: [{ cert: FILE, key: FILE }] }"),
    ("cert", "tls", "tls: { certificates: [{ cert: FILE, key: FILE }] }"),
    ("maxconn", "limits", "limits: { connections: N }"),
    ("max_connections", "limits", "limits: { connections: N }"),
    // Of routes.
    ("backend", "pool", ""),
    ("upstream", "pool", ""),
    ("service", "pool", ""),
    ("cluster", "pool", ""),
    ("proxy_pass", "pool", ""),
    ("use_backend", "pool", ""),
    ("path", "match", "match: { path: … }"),
    ("path_prefix", "match", "match: { path_prefix: … }"),
    ("prefix", "match", "match: { path_prefix: … }"),
    ("host", "match", "match: { hosts: [ … ] }"),
    ("hosts", "match", "match: { hosts: [ … ] }"),
    ("methods", "match", "match: { methods: [ … ] }"),
    ("method", "match", "match: { methods: [ … ] }"),
    ("when", "match", ""),
    ("strip_prefix", "rewrite", "rewrite: { strip_prefix: … }"),
    ("max_body_size", "max_body", ""),
    ("client_max_body_size", "max_body", ""),
    ("ratelimit", "rate_limit", ""),
    ("shadow", "mirror", ""),
    ("to", "location", ""),
    ("url", "location", ""),
    // Of pools.
    ("servers", "backends", ""),
    ("endpoints", "backends", ""),
    ("targets", "backends", ""),
    ("nodes", "backends", ""),
    ("members", "backends", ""),
    ("instances", "backends", ""),
    ("urls", "backends", ""),
    ("lb_policy", "balance", ""),
    ("load_balancing", "balance", ""),
    ("strategy", "balance", ""),
    ("algorithm", "balance", ""),
    ("policy", "balance", ""),
    ("check", "health_check", ""),
    ("healthcheck", "health_check", ""),
    ("health", "health_check", ""),
    ("circuit_breaker", "outlier_detection", ""),
    ("retry", "retries", ""),
    ("stick", "sticky", ""),
    ("session_affinity", "sticky", ""),
    ("cookie", "sticky", "sticky: { cookie: NAME }"),
    // Of backends.
    ("server", "url", ""),
    ("address", "url", ""),
    ("host", "url", ""),
    ("uri", "url", ""),
    ("target", "url", ""),
    ("backup", "tier", "tier: 1"),
    ("priority", "tier", "tier: N"),
    ("id", "name", ""),
    // Of health checks.
    ("inter", "interval", ""),
    ("period", "interval", ""),
    ("path", "http", "http: { path: … }"),
    ("expect", "http", "http: { expect: … }"),
    ("healthy_threshold", "rise", ""),
    ("unhealthy_threshold", "fall", ""),
    // Of retries.
    ("attempts", "max_attempts", ""),
    ("num_retries", "max_attempts", ""),
    ("max_retries", "max_attempts", "max_attempts: N, the first attempt included"),
    ("on", "statuses", ""),
    // Words for values.
    ("leastconn", "least_requests", ""),
    ("least_conn", "least_requests", ""),
    ("least_request", "least_requests", ""),
    ("least_connections", "least_requests", ""),
    ("p2c", "least_requests", ""),
    ("random", "least_requests", ""),
    ("ewma", "peak_ewma", ""),
    ("ip_hash", "hash", ""),
    ("source", "hash", ""),
    ("ring_hash", "hash", ""),
    ("maglev", "hash", ""),
    ("rr", "round_robin", ""),
    ("warning", "warn", ""),
    ("trace", "debug", ""),
    ("h2", "http2", ""),
    ("h2c", "http2", ""),
    ("1.2", "tls1.2", ""),
    ("1.3", "tls1.3", ""),
];

/// Returns the one of `known` that other programs call `word`, and how to write it.
pub(crate) fn ours<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<(&'k str, String)> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    known.into_iter().find_map(|known| {
        let (_, _, form) = SYNONYMS.iter().find(|it| it.0 == word && it.1 == known)?;
        Some((known, if form.is_empty() { known.to_owned() } else { (*form).to_owned() }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_what_is_known_in_its_place() {
        assert_eq!(
            ours("servers", ["pools", "listeners"]),
            Some(("listeners", "listeners".into()))
        );
        assert_eq!(ours("Servers", ["backends", "tls"]), Some(("backends", "backends".into())));
        assert_eq!(ours("backup", ["tier"]), Some(("tier", "tier: 1".into())));
        assert_eq!(ours("servers", ["tls"]), None);
    }
}
