//! Why defaults are what they are, where the meaning of a key does not say it.

/// By the key's path.
pub(crate) const REASONS: &[(&str, &str)] = &[
    (
        "pools.*.health_check.interval",
        "a crash is found within about a second even without traffic, for one small request a second",
    ),
    (
        "pools.*.health_check.fast_interval",
        "a verdict needs two checks; doubt should cost a tenth of a second, not a whole one",
    ),
    ("pools.*.health_check.jitter", "many proxies that start together do not stay in step"),
    (
        "pools.*.health_check.timeout",
        "shorter than the interval, so that a hanging backend delays no check",
    ),
    ("pools.*.health_check.fall", "one lost packet is no outage"),
    (
        "pools.*.health_check.rise",
        "returning late costs little; returning to a backend that fails again costs an outage",
    ),
    (
        "pools.*.outlier_detection.consecutive_failures",
        "with traffic, a broken backend is found in milliseconds; three in a row are no accident",
    ),
    (
        "pools.*.outlier_detection.max_ejected",
        "a bad release that fails everywhere must not take out everybody",
    ),
    (
        "pools.*.retries.max_attempts",
        "the third attempt still finds a backend when two are gone; more only adds load",
    ),
    (
        "pools.*.retries.per_try_timeout",
        "a fraction of the route's 15s, so that a hanging backend leaves time for the others",
    ),
    ("pools.*.retries.budget.ratio", "an outage of everything adds a fifth of load, not twice it"),
    (
        "pools.*.retries.fresh_after",
        "most servers keep idle connections for longer, so a younger one is not just being closed",
    ),
    ("pools.*.timeouts.connect", "connecting is a matter of the network, not of the application"),
    (
        "pools.*.timeouts.idle",
        "below the usual minute of servers, so that the proxy closes first and meets no reset",
    ),
    ("pools.*.tiers.failback.after", "a backend that comes and goes does not take traffic with it"),
    ("pools.*.hold_back.size", "most answers of APIs fit, and holding one back costs no time"),
    ("listeners.*.limits.head", "enough for large cookies; more is an attack or a mistake"),
    ("listeners.*.timeouts.head", "a client that sends a byte a second must not hold a connection"),
    (
        "listeners.*.timeouts.idle",
        "above what proxies in front keep theirs, so that they close first",
    ),
    ("routes[].timeout", "most people have left by then"),
    (
        "admin.address",
        "state that can be changed is for this machine until somebody says otherwise",
    ),
    ("admin.fault_injection", "nobody breaks production by a request that was meant for a demo"),
];

/// Returns why the default of the key at `path` is what it is.
pub(crate) fn reason(path: &str) -> Option<&'static str> {
    REASONS.iter().find(|(key, _)| *key == path).map(|(_, reason)| *reason)
}
