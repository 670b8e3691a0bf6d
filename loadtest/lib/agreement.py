"""Compares what k6 saw with what Bascule recorded. No I/O: numbers in, verdicts out."""

from lib.points import digest, unix_seconds

# The proxy notes the finish when it has handed over the last byte, k6 when it has read it. On one machine
# that is well under a millisecond; 5 ms allows for a busy scheduler.
DEFAULT_EDGE_SECONDS = 0.005


def row(check, promise, observed, passed):
    """One line of the PASS/FAIL table; `passed` None means it could not be judged."""
    return {"check": check, "promise": promise, "observed": observed, "pass": passed}


def split(points, start, end, edge):
    """Splits points into those surely inside start..end, and those within `edge` of either end."""
    near = [p for p in points if abs(p.at - start) <= edge or abs(p.at - end) <= edge]
    inside = [p for p in points if start + edge < p.at < end - edge]
    return inside, near


def compare(points, incident, edge):
    """Compares one incident's counts with k6's requests that finished in its window.

    A request within `edge` seconds of either end of the window may be on either side of it for the proxy.
    So the record agrees when its total is between the requests surely inside and those plus the ones at
    the edges; likewise the lost ones, which is plain equality unless a failed request is at an edge.
    """
    window, requests = incident["window"], incident["requests"]
    start, end = unix_seconds(window["from"]), unix_seconds(window["to"])
    inside, near = split(points, start, end, edge)
    within = [p for p in points if start <= p.at < end]
    failed, failed_near = sum(p.failed for p in inside), sum(p.failed for p in near)
    return {
        "incident": incident["id"],
        "window": window,
        "edge_seconds": edge,
        "total": {
            "record": requests["total"], "k6": len(within), "difference": requests["total"] - len(within),
            "at_edges": len(near), "allowed": [len(inside), len(inside) + len(near)],
            "agrees": len(inside) <= requests["total"] <= len(inside) + len(near),
        },
        "lost": {
            "record": requests["lost"], "k6": sum(p.failed for p in within),
            "at_edges": failed_near, "allowed": [failed, failed + failed_near],
            "agrees": failed <= requests["lost"] <= failed + failed_near,
        },
        "rescued": {"record": requests["rescued"]},  # a rescued request is a plain success to the client
        "k6_latency": digest(within),
        "record_latency": incident["latency"],
        "detection_seconds": incident["detection_seconds"],
        "switch_seconds": incident["switch_seconds"],
        "cause": incident["cause"],
    }


def _allowed(bounds):
    low, high = bounds
    return f"=={low}" if low == high else f"{low}..{high}"


def compared_rows(comparison, other):
    """The table's lines for one comparison; not judged when other traffic is, or may be, in the counts."""
    judged = other is not None and other <= 0
    rows = []
    for what, label in (("total", "total"), ("lost", "lost")):
        part = comparison[what]
        passed = part["agrees"] if judged else None
        rows.append(row(f"{comparison['incident']} {label} = k6's", _allowed(part["allowed"]), part["record"], passed))
    return rows


def traffic_row(proxy_requests, k6_requests):
    """The line about other traffic, and how many requests of the pool k6 did not send (None: unknown)."""
    promise = f"=={k6_requests}"
    if proxy_requests is None:
        return row("pool's requests = k6's", promise, None, None), None
    return row("pool's requests = k6's", promise, proxy_requests, proxy_requests == k6_requests), proxy_requests - k6_requests


def executed_rows(counters):
    """What the backends wrote down beside what clients were told: nothing answered but not executed, and
    nothing executed that no client asked for."""
    answered, lost = counters.get("posts answered", 0), counters.get("posts lost", 0)
    once, twice = counters.get("executed once"), counters.get("executed twice")
    if once is None or twice is None:
        return [row("POSTs executed = answered", f"{answered:g}..{answered + lost:g}", None, None)]
    executed = once + twice
    return [row("POSTs executed = answered", f"{answered:g}..{answered + lost:g}", executed, answered <= executed <= answered + lost)]


def failback_rows(points, incident, p99_limit):
    """Failback is recorded, and the second either side of it has no error and no step in latency."""
    moment = incident["moments"]["failed_back_at"]
    rows = [row(f"{incident['id']} failed back", "recorded", moment, moment is not None)]
    if moment is None:
        return rows, None
    around = digest([p for p in points if abs(p.at - unix_seconds(moment)) <= 1])
    p99 = around["p99_seconds"]
    rows.append(row("failed, 1 s around failback", "==0 of >0", around["failed"], around["requests"] > 0 and around["failed"] == 0))
    rows.append(row("p99 ms, 1 s around failback", f"<{p99_limit * 1000:g}", p99 and p99 * 1000, p99 is not None and p99 < p99_limit))
    return rows, around
