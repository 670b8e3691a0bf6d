"""Dashboard "Failover overview": are users affected, what failed over, how fast, at what cost?"""

from panels import BAD, GOOD, NEUTRAL, QUIET, WARN, dashboard, heatmap, lines, number, quantiles, query, row
from panels import states, steps, values, variable

UID, TITLE = "bascule-failover", "Failover overview"

POOL = 'pool=~"$pool"'
FAILED = f'{POOL},code_class="5xx"'
RATE = "$__rate_interval"
BUDGET = 0.001  # 99.9 % of requests


def ratio(window, by=""):
    group = f" by ({by})" if by else ""
    return (
        f"sum{group} (rate(bascule_requests_total{{{FAILED}}}[{window}]))"
        f" / sum{group} (rate(bascule_requests_total{{{POOL}}}[{window}]))"
    )


def quantile_in_range(level, metric):
    return (
        f"histogram_quantile({level}, sum by (le) (increase({metric}_bucket{{{POOL}}}[$__range])))"
    )


def latency_outside(level):
    every = f"sum by (le) (increase(bascule_request_duration_seconds_bucket{{{POOL}}}[$__range]))"
    inside = f"sum by (le) (increase(bascule_failover_request_duration_seconds_bucket{{{POOL}}}[$__range]))"
    return f"histogram_quantile({level}, clamp_min({every} - {inside}, 0))"


def healthy():
    p99 = quantiles("bascule_request_duration_seconds", POOL, RATE, levels=(0.99,))
    eligible = f"sum(bascule_backend_eligible{{{POOL}}})"
    tiers = values({-1: ("nothing eligible", BAD), 0: ("preferred", GOOD), 1: ("backup 1", WARN), 2: ("backup 2", WARN)})
    return row(
        "Is it healthy?",
        (number("Success ratio, 5 m", "percentunit", [query(f"1 - ({ratio('5m')})")],
                "Requests answered with anything but a 5xx. The objective is 99.9 %.",
                decimals=3, thresholds=steps(BAD, (0.99, WARN), (0.999, GOOD)), no_value="no traffic"), 4, 4),
        (number("Error budget left, 30 d", "percentunit", [query(f"1 - ({ratio('30d')}) / {BUDGET}", instant=True)],
                "What is left of the 0.1 % of requests that may fail in 30 days. Below 0 the objective is missed.",
                decimals=1, thresholds=steps(BAD, (0, WARN), (0.25, GOOD)), no_value="no traffic"), 4, 4),
        (number("Requests", "reqps", [query(f"sum(rate(bascule_requests_total{{{POOL}}}[{RATE}]))")],
                "Requests of clients finished per second.", thresholds=steps(QUIET)), 4, 4),
        (number("p99", "s", p99, "99 % of requests were answered within this time.",
                thresholds=steps(GOOD, (0.1, WARN), (1, BAD)), no_value="no traffic"), 4, 4),
        (number("Eligible backends", "short", [query(eligible, "eligible"), query(f"count(bascule_backend_eligible{{{POOL}}})", "of")],
                "Backends that may get traffic now, and all that are configured.",
                decimals=0, thresholds=steps(BAD, (1, QUIET))), 4, 4),
        (number("Active tier", "short", [query(f"max by (pool) (bascule_pool_active_tier{{{POOL}}})", "{{pool}}")],
                "The tier that serves: the preferred one, a backup, or none.", mappings=tiers,
                thresholds=steps(BAD, (0, GOOD), (1, WARN))), 4, 4),
    )


def failover():
    serving = f"max by (pool, backend) (bascule_backend_eligible{{{POOL}}} + bascule_backend_active{{{POOL}}})"
    meaning = values({0: ("not eligible", BAD), 1: ("standing by", NEUTRAL), 2: ("serving", GOOD)})
    counted = f"sum by (pool, direction, reason) (increase(bascule_failovers_total{{{POOL}}}[{RATE}]))"
    pairs = [("detection", "bascule_failover_detection_seconds"), ("switch", "bascule_failover_switch_seconds")]
    times = [
        query(quantile_in_range(level, metric), f"{word} p{level * 100:g}", instant=True)
        for word, metric in pairs for level in (0.5, 0.9)
    ]
    lost = [
        query(f"sum(increase(bascule_failover_client_errors_sum{{{POOL}}}[$__range]))", "lost", instant=True),
        query(f"sum(increase(bascule_failover_masked_requests_total{{{POOL}}}[$__range]))", "rescued", instant=True),
        query(quantile_in_range(0.9, "bascule_failover_client_errors"), "lost per failover, p90", instant=True),
    ]
    causes = f"sum by (cause) (increase(bascule_incident_events_total{{{POOL}}}[$__range]))"
    progress = f"max by (pool) (bascule_failover_in_progress{{{POOL}}})"
    return row(
        "Failover",
        (states("Who serves", [query(serving, "{{pool}}/{{backend}}")],
                "Each backend over time: serving, standing by as a spare, or not eligible.", meaning), 24, 6),
        (lines("Failovers by reason", "short", [query(counted, "{{pool}} {{direction}}: {{reason}}")],
               "Moves to a later tier (over) and back, with what decided them.", bars=True, stack=True), 6, 8),
        (number("Incidents by cause", "short", [query(causes, "{{cause}}", instant=True)],
                "Incidents that ended in the range shown.", decimals=0, thresholds=steps(QUIET), no_value="no incident"), 6, 8),
        (number("Detection and switch", "s", times,
                "First evidence to decision, and decision to the first success on the new backend, of the failovers "
                "in the range shown.", thresholds=steps(GOOD, (1, WARN), (3, BAD)), no_value="no failover"), 4, 8),
        (number("What it cost clients", "short", lost,
                "Requests that failed because of failovers in the range shown, and those that a retry rescued.",
                decimals=0, thresholds=steps(QUIET), no_value="no failover"), 4, 8),
        (states("Incident open", [query(progress, "{{pool}}")], "An incident is being dealt with.",
                values({0: ("no", QUIET), 1: ("open", BAD)})), 4, 8),
    )


def traffic():
    beside = [
        query(quantile_in_range(level, "bascule_failover_request_duration_seconds"), f"inside p{level * 100:g}", instant=True)
        for level in (0.5, 0.99)
    ] + [query(latency_outside(level), f"outside p{level * 100:g}", instant=True) for level in (0.5, 0.99)]
    buckets = f"sum by (le) (increase(bascule_request_duration_seconds_bucket{{{POOL}}}[{RATE}]))"
    by_backend = f"sum by (pool, backend) (rate(bascule_upstream_requests_total{{{POOL}}}[{RATE}]))"
    by_code = f"sum by (code, origin) (rate(bascule_responses_total{{{POOL}}}[{RATE}]))"
    return row(
        "Traffic",
        (lines("Error ratio", "percentunit", [query(ratio(RATE, "pool"), "{{pool}}")],
               "Share of requests answered with a 5xx.", maximum=None), 8, 8),
        (lines("Latency", "s", quantiles("bascule_request_duration_seconds", POOL, RATE),
               "Whole requests as clients see them, retries included."), 8, 8),
        (heatmap("Latency, all requests", "s", [query(buckets, "{{le}}", heatmap=True)],
                 "How many requests took how long."), 8, 8),
        (number("Latency inside and outside incidents", "s", beside,
                "Requests that finished inside an incident's window, beside all others in the range shown.",
                thresholds=steps(GOOD, (0.1, WARN), (1, BAD)), no_value="none"), 8, 8),
        (lines("Attempts by backend", "reqps", [query(by_backend, "{{pool}}/{{backend}}")],
               "Where requests went; a retried one counts at each backend tried.", stack=True), 8, 8),
        (lines("Responses by code", "reqps", [query(by_code, "{{code}} ({{origin}})")],
               "What clients got, and whether a backend or the proxy itself said it.", stack=True), 8, 8),
    )


def saturation():
    used = f'sum by (pool) (rate(bascule_retries_total{{{POOL},outcome=~"success|failed"}}[{RATE}]))'
    bytes_sent = f"sum by (listener) (rate(bascule_response_bytes_total[{RATE}]))"
    bytes_taken = f"sum by (listener) (rate(bascule_request_bytes_total[{RATE}]))"
    return row(
        "Saturation",
        (lines("Requests in flight", "short", [query("sum by (listener) (bascule_requests_in_flight)", "{{listener}}")],
               "Requests begun and not yet answered.", decimals=0), 6, 8),
        (lines("Rejected", "reqps", [query(f"sum by (pool, reason) (rate(bascule_rejected_total{{{POOL}}}[{RATE}]))",
                                           "{{pool}}: {{reason}}")], "Requests that no backend was asked for.", stack=True), 6, 8),
        (lines("Retries by outcome", "reqps",
               [query(f"sum by (outcome) (rate(bascule_retries_total{{{POOL}}}[{RATE}]))", "{{outcome}}"),
                query(f"sum (rate(bascule_hedges_total{{{POOL}}}[{RATE}]))", "hedges")],
               "Further attempts, those that the budget or the method forbade, and second ones beside a first that overstayed.",
               stack=True, colours={"success": GOOD, "failed": BAD, "denied_budget": WARN, "hedges": NEUTRAL}), 6, 8),
        (lines("Retries per request", "percentunit",
               [query(f"{used} / sum by (pool) (rate(bascule_requests_total{{{POOL}}}[{RATE}]))", "{{pool}}")],
               "To hold against the pool's retry budget (`retries.budget.ratio`)."), 6, 8),
        (lines("Bytes to and from clients", "Bps", [query(bytes_sent, "{{listener}} sent"), query(bytes_taken, "{{listener}} received")],
               "Bodies, without heads."), 24, 6),
    )


def process():
    job = 'job="bascule"'
    descriptors = [
        query(f"process_open_fds{{{job}}}", "{{instance}} open"),
        query(f"process_max_fds{{{job}}}", "{{instance}} allowed"),
    ]
    return row(
        "Process",
        (lines("Processor", "short", [query(f"rate(process_cpu_seconds_total{{{job}}}[{RATE}])", "{{instance}}")],
               "Cores used.", decimals=2), 6, 8),
        (lines("Memory", "bytes", [query(f"process_resident_memory_bytes{{{job}}}", "{{instance}}")], "Resident memory."), 6, 8),
        (lines("Descriptors", "short", descriptors, "Sockets and files, and how many there may be.", decimals=0), 6, 8),
        (lines("Threads", "short", [query(f"process_threads{{{job}}}", "{{instance}}")],
               "A number that rises is a leak.", decimals=0), 6, 8),
        collapsed=True,
    )


def build():
    return dashboard(
        UID, TITLE, "Are users affected, what failed over, how fast, and at what cost?",
        [variable("pool", "Pool", "label_values(bascule_backend_eligible, pool)")],
        [healthy(), failover(), traffic(), saturation(), process()],
    )
