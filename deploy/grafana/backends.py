"""Dashboard "Backends": what each backend does, and what checks and traffic say of it."""

from panels import BAD, GOOD, NEUTRAL, QUIET, WARN, dashboard, lines, query, quantiles, row, states, table, values, variable

UID, TITLE = "bascule-backends", "Backends"

WHICH = 'pool=~"$pool",backend=~"$backend"'
POOL = 'pool=~"$pool"'
RATE = "$__rate_interval"

# The order is the number that the band shows.
STATES = {"up": GOOD, "failing": WARN, "down": BAD, "ejected": "purple", "unknown": QUIET}


def state():
    health = " + ".join(
        f'{code} * max by (pool, backend) (bascule_backend_health{{{WHICH},state="{name}"}})'
        for code, name in enumerate(STATES, start=1)
    )
    tiers = (
        f"max by (pool, backend) (bascule_backend_weight{{{WHICH}}})"
        f" * on (pool, backend) group_left (tier) max by (pool, backend, tier) (bascule_backend_info{{{WHICH}}})"
    )
    return row(
        "State",
        (states("Health", [query(health, "{{pool}}/{{backend}}")],
                "What checks and traffic say of each backend.",
                values({code: (name, colour) for code, (name, colour) in enumerate(STATES.items(), start=1)})), 14, 8),
        (table("Configured", "short", [query(tiers, instant=True, table=True)], "Tier and weight of each backend.",
               rename={"Value": "weight"}, decimals=0), 10, 8),
        (states("Serving", [query(f"max by (pool, backend) (bascule_backend_active{{{WHICH}}})", "{{pool}}/{{backend}}")],
                "Backends of the active tier that get traffic.", values({0: ("idle", QUIET), 1: ("serving", GOOD)})), 12, 6),
        (states("Injected faults", [query(f"max by (pool, backend) (bascule_fault_active{{{WHICH}}})", "{{pool}}/{{backend}}")],
                "Faults that somebody asked for; each ends by itself.", values({0: ("none", QUIET), 1: ("fault", BAD)})), 12, 6),
    )


def traffic():
    attempts = f"sum by (pool, backend) (rate(bascule_upstream_requests_total{{{WHICH}}}[{RATE}]))"
    failed = f'sum by (pool, backend) (rate(bascule_upstream_requests_total{{{WHICH},outcome!="success"}}[{RATE}]))'
    outcomes = f"sum by (backend, outcome) (rate(bascule_upstream_requests_total{{{WHICH}}}[{RATE}]))"
    share = f"{attempts} / on (pool) group_left () sum by (pool) (rate(bascule_upstream_requests_total{{{POOL}}}[{RATE}]))"
    time = "bascule_upstream_duration_seconds"
    return row(
        "Attempts",
        (lines("Attempts", "reqps", [query(attempts, "{{pool}}/{{backend}}")], "Requests sent to each backend.", stack=True), 8, 8),
        (lines("Share of the pool", "percentunit", [query(share, "{{pool}}/{{backend}}")],
               "Of all attempts of the pool.", stack=True, maximum=1), 8, 8),
        (lines("Failure ratio", "percentunit", [query(f"{failed} / {attempts}", "{{pool}}/{{backend}}")],
               "Attempts that ended in an error status, a timeout, a reset or no connection. Clients see fewer: "
               "the overview shows what retries left."), 8, 8),
        (lines("Attempts by outcome", "reqps", [query(outcomes, "{{backend}}: {{outcome}}")], "How attempts ended.", stack=True), 8, 8),
        (lines("Latency p50", "s", quantiles(time, WHICH, RATE, (0.5,), "backend", "{{{{backend}}}} p{level}"),
               "One attempt, from connecting to the last byte."), 8, 8),
        (lines("Latency p99", "s", quantiles(time, WHICH, RATE, (0.99,), "backend", "{{{{backend}}}} p{level}"),
               "One attempt, from connecting to the last byte."), 8, 8),
    )


def checks():
    results = f"sum by (backend, result) (rate(bascule_health_checks_total{{{WHICH}}}[{RATE}]))"
    ejections = f"sum by (pool, reason) (increase(bascule_ejections_total{{{POOL}}}[{RATE}]))"
    return row(
        "Checks and verdicts",
        (lines("Health checks", "cps", [query(results, "{{backend}}: {{result}}")],
               "Checks per second; more often as soon as something looks wrong.", stack=True), 8, 8),
        (lines("Duration of health checks", "s",
               quantiles("bascule_health_check_duration_seconds", POOL, RATE, (0.5, 0.99), "pool", "{{{{pool}}}} p{level}"),
               "To hold against the pool's `health_check.timeout`."), 8, 8),
        (lines("Ejections", "short", [query(ejections, "{{pool}}: {{reason}}")],
               "Backends taken out because of what their traffic showed.", bars=True, stack=True,
               colours={"consecutive_failures": NEUTRAL}), 8, 8),
    )


def build():
    return dashboard(
        UID, TITLE, "What each backend does, and what checks and traffic say of it.",
        [
            variable("pool", "Pool", "label_values(bascule_backend_eligible, pool)"),
            variable("backend", "Backend", 'label_values(bascule_backend_eligible{pool=~"$pool"}, backend)'),
        ],
        [state(), traffic(), checks()],
    )
