"""What a drill comes to: from records of single requests to the numbers of a row."""

import collections
import json
from typing import NamedTuple


class Request(NamedTuple):
    """One request as its client saw it. Times are seconds since 1970, and count from when it was due."""

    due: float
    done: float
    late: float
    fate: str

    @property
    def ok(self):
        return self.fate == "ok"


class Moments(NamedTuple):
    """When the fault began and had struck, when it was repaired, and from when on requests count (`None`: all)."""

    fault: float
    struck: float
    repaired: float
    counted_from: float = None


def read(path, started):
    """The records that `bascule-backend load` wrote; `started` is its `started_unix`."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [
        Request(
            due=started + it["due_ms"] / 1000,
            done=started + (it["due_ms"] + it["took_ms"]) / 1000,
            late=it["late_ms"] / 1000,
            fate=it["fate"],
        )
        for it in lines
    ]


def reckon(requests, moments):
    """Counts and times of one run."""
    counted = [it for it in requests if moments.counted_from is None or moments.counted_from <= it.due]
    failed = [it for it in counted if not it.ok]
    window = [it.done - it.due for it in requests if moments.fault <= it.due < moments.repaired]
    return {
        "sent": len(requests),
        "failed": len(failed),
        "failed_by_kind": dict(collections.Counter(it.fate for it in failed)),
        "failed_before_fault": sum(it.due < moments.fault for it in failed),
        "failed_after_repair": sum(moments.repaired <= it.due for it in failed),
        "not_counted": sum(not it.ok for it in requests) - len(failed),
        "in_flight_at_fault": sum(it.due + it.late <= moments.struck and moments.fault < it.done for it in requests),
        "in_window": len(window),
        "longest_gap_ms": milliseconds(longest_gap(requests, moments.fault)),
        "p50_ms": milliseconds(quantile(window, 0.5)),
        "p99_ms": milliseconds(quantile(window, 0.99)),
        "max_ms": milliseconds(max(window, default=None)),
        "late_max_ms": milliseconds(max((it.late for it in requests), default=None)),
    }


def longest_gap(requests, since):
    """The longest time without a success that ends after `since`, in seconds; None without any success.

    It is open at the end when nothing succeeds any more: then it lasts until the last request was due.
    """
    successes = sorted(it.done for it in requests if it.ok)
    if not successes:
        return None
    ends = [*successes, max(it.due for it in requests)]
    return max((later - earlier for earlier, later in zip(ends, ends[1:]) if since <= later), default=0.0)


def quantile(values, share):
    """The smallest value that a share of the values does not exceed; None without values."""
    if not values:
        return None
    rank = -(-len(values) * round(share * 1000) // 1000)
    return sorted(values)[max(rank, 1) - 1]


def milliseconds(seconds):
    return None if seconds is None else round(seconds * 1000, 1)


def executions(ledgers, method):
    """How often requests of that method were executed, by all backends: (executions, ids, ids executed twice)."""
    counts = collections.Counter()
    for ledger in ledgers:
        for line in ledger.splitlines():
            verb, _, request = line.partition(" ")
            if verb == method:
                counts[request] += 1
    return sum(counts.values()), len(counts), sum(1 < count for count in counts.values())


def sum_of(metrics, name):
    """The sum over a metric's labels in a Prometheus text; None when it is not there."""
    values = [
        float(line.rsplit(" ", 1)[1])
        for line in metrics.splitlines()
        if line.startswith((f"{name}{{", f"{name} "))
    ]
    return sum(values) if values else None


def attempts_per_request(metrics):
    """Attempts at backends for each request, as Bascule counts them; None when it does not say."""
    attempts, requests = (sum_of(metrics, f"bascule_{it}_total") for it in ("upstream_requests", "requests"))
    return round(attempts / requests, 4) if attempts is not None and requests else None


def problems(result, row, expected):
    """Why a row does not pass; counts decide, times never. `expected` is how many requests were to be sent."""
    found, bound, is_quiet = [], result["bound"], row.name == "none"
    if result["failed"] > bound:
        found.append(f"{result['failed']} failed, {bound} may")
    if result["failed_after_repair"]:
        found.append(f"{result['failed_after_repair']} of them were sent after the repair")
    # A key says that the backend itself sees to that.
    if row.method == "POST" and not row.keyed and result["executed_twice"]:
        found.append(f"{result['executed_twice']} executed twice")
    if is_quiet and result["attempts_per_request"] != 1:
        found.append(f"{result['attempts_per_request']} attempts per request without a fault")
    if is_quiet and result["executed"] != result["sent"]:
        found.append(f"{result['executed']} executed of {result['sent']} sent")
    if result["sent"] != expected:
        found.append(f"the load sent {result['sent']} requests, not {expected}")
    if "shed" in result["failed_by_kind"]:
        found.append("the load could not send all")
    return found


def is_a_matter_of_speed(result):
    """Whether a row failed only in what a machine that is busy with something else can bring about.

    How many POSTs are on their way before a fault is noticed depends on how fast it is noticed, and a
    stalled machine looks like a stalled backend. A GET lost, a request executed twice or one lost after
    the repair is wrong at any speed.
    """
    if result["passed"] or "failed" not in result:
        return False
    is_wrong = result["request"] == "GET" and result["failed"] > 0
    return not is_wrong and not result["failed_after_repair"] and not result["executed_twice"]
