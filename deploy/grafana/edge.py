"""Dashboard "Edge": clients' connections, what is refused of them and what must wait."""

from panels import BAD, GOOD, WARN, dashboard, lines, number, quantiles, query, row, steps, variable

UID, TITLE = "bascule-edge", "Edge"

LISTENER = 'listener=~"$listener"'
RATE = "$__rate_interval"
DAY = 86400


def connections():
    open_now = f"sum by (listener) (bascule_connections_open{{{LISTENER}}})"
    share = f"max by (listener) (bascule_connections_open{{{LISTENER}}} / bascule_connections_limit{{{LISTENER}}})"
    accepted = f"sum by (listener) (rate(bascule_connections_total{{{LISTENER}}}[{RATE}]))"
    closed = f"sum by (listener, reason) (rate(bascule_connections_refused_total{{{LISTENER}}}[{RATE}]))"
    malformed = f"sum by (reason) (rate(bascule_requests_refused_total{{{LISTENER}}}[{RATE}]))"
    left = f"min by (listener, certificate) (bascule_certificate_expiry_timestamp_seconds{{{LISTENER}}}) - time()"
    return row(
        "Connections",
        (lines("Open connections", "short", [query(open_now, "{{listener}}")],
               "Clients' connections, idle ones included.", decimals=0), 8, 8),
        (lines("Share of the limit", "percentunit", [query(share, "{{listener}}")],
               "Of `limits.connections`; at 100 % further clients wait to be accepted.", maximum=1), 8, 8),
        (lines("New connections", "cps", [query(accepted, "{{listener}}")],
               "Many of them beside few requests: clients do not keep theirs."), 8, 8),
        (lines("Connections refused", "cps", [query(closed, "{{listener}}: {{reason}}")],
               "Closed before their first request: too many of one client, no TLS, no PROXY header, too slow.",
               stack=True), 8, 8),
        (lines("Requests refused", "reqps", [query(malformed, "{{reason}}")],
               "Answered before anybody acted on them: malformed, too large, too slow. A few are normal on the "
               "internet.", stack=True), 8, 8),
        (number("Certificates expire in", "s", [query(left, "{{listener}} {{certificate}}")],
                "Certificates are numbered from 0, as configured; a changed file is read again within seconds.",
                thresholds=steps(BAD, (2 * DAY, WARN), (14 * DAY, GOOD)), no_value="no TLS"), 8, 8),
    )


def limits():
    waiting = "sum by (pool) (bascule_queue_length)"
    queued = f"sum by (pool) (rate(bascule_queued_total[{RATE}]))"
    turned = f'sum by (pool, reason) (rate(bascule_rejected_total{{reason!="no_backend"}}[{RATE}]))'
    limited = f"sum by (route) (rate(bascule_rate_limited_total[{RATE}]))"
    forgotten = f"sum by (route) (rate(bascule_rate_limit_forgotten_total[{RATE}]))"
    copies = f"sum by (pool, outcome) (rate(bascule_mirrored_requests_total[{RATE}]))"
    return row(
        "Limits",
        (lines("Waiting for a backend", "short", [query(waiting, "{{pool}}")],
               "Requests in the queue of their pool, because every backend is full (`limits` of the pool).", decimals=0), 8, 8),
        (lines("Had to wait", "reqps", [query(queued, "{{pool}}")], "Requests that went through the queue."), 8, 8),
        (lines("Time in the queue", "s",
               quantiles("bascule_queue_duration_seconds", "", RATE, (0.5, 0.99), "pool", "{{{{pool}}}} p{level}"),
               "Of requests that got a backend in the end."), 8, 8),
        (lines("Turned away", "reqps", [query(turned, "{{pool}}: {{reason}}")],
               "Answered with 503 because there was too much to do: a full queue, too long a wait, `max_requests`, lag.",
               stack=True), 8, 8),
        (lines("Rate limited", "reqps",
               [query(limited, "{{route}}"), query(forgotten, "{{route}}: forgotten")],
               "Answered with 429; and clients that the limit forgot early because there were too many others."), 8, 8),
        (lines("Copies", "reqps", [query(copies, "{{pool}}: {{outcome}}")],
               "Copies of requests for pools that are mirrored to, and why some were not sent.", stack=True), 8, 8),
        (lines("Lag of the data plane", "s", [query("max by (instance) (bascule_data_plane_lag_seconds)", "{{instance}}")],
               "How late it runs a task at best, where `limits.max_lag` is set. Beyond that, requests are turned away.",
               decimals=3), 24, 6),
    )


def build():
    return dashboard(
        UID, TITLE, "Who connects, what is refused, and what must wait?",
        [variable("listener", "Listener", "label_values(bascule_connections_open, listener)")],
        [connections(), limits()],
    )
